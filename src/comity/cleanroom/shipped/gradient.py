"""One step from a start model: the gradient of the log-likelihood over bins of the features.

A job of comity's clean room, for statistics. Columns: the features, then the target. Parameters:

width      one number: how many bins all features have together
bins       per feature, the number of its edges, or minus the number of its levels
edges      the edges of all numeric features, one after another
weights    the start model's log odds: the intercept; per numeric feature its weight and the value that stands
           for a missing one; per other feature one weight for missing, for each level, for any other level
positive   one number: the target's place in its list of levels, or its value, that counts as 1

What it gives: for each bin, the sum over the block's rows in it of the label minus the start model's chance.
"""

from bisect import bisect_right
from math import exp


def run(rows, parameters):
    """The block's gradient, one number for each bin."""
    *features, target = rows.values()
    bins = [int(number) for number in parameters["bins"]]
    edges, weights = parameters["edges"], parameters["weights"]
    positive = parameters["positive"][0]
    gradient = [0.0] * int(parameters["width"][0])
    for row, label in enumerate(target):
        odds, weight, edge, first = weights[0], 1, 0, 0
        places = []
        for values, number in zip(features, bins, strict=True):
            value = values[row]
            missing = value != value
            if number < 0:
                place = 0 if missing else 1 + min(int(value), -number)
                odds += weights[weight + place]
                weight += 2 - number
                places.append(first + place)
                first += 2 - number
                continue
            odds += weights[weight] * (weights[weight + 1] if missing else value)
            weight += 2
            place = 0 if missing else 1 + bisect_right(edges, value, edge, edge + number) - edge
            edge += number
            places.append(first + place)
            first += number + 2
        chance = 1.0 / (1.0 + exp(-min(max(odds, -9.0), 9.0)))
        rest = (1.0 if label == positive else 0.0) - chance
        for place in places:
            gradient[place] += rest
    return {"gradient": gradient}
