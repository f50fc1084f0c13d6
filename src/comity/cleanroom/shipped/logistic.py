"""Logistic regression (L2, C = 1) on all rows.

A job of comity's clean room, for a model. Columns: the features, then the target. Parameters:

levels     per feature, its number of levels; 0 for a number
positive   one number: the target's place in its list of levels, or its value, that counts as 1

What it gives: the intercept; per number its weight and the weight of a missing one; per other feature one
weight for missing, for each level, for any other level. Numbers are standardised inside.
"""

import numpy as np


def run(rows, parameters):
    """The fitted coefficients."""
    *features, target = (np.array(values) for values in rows.values())
    labels = (target == parameters["positive"][0]).astype(float)
    parts, middles, wides = [np.ones((len(labels), 1))], [0.0], [1.0]
    for values, levels in zip(features, parameters["levels"], strict=True):
        missing = np.isnan(values)
        if levels:
            places = np.where(missing, 0, 1 + np.minimum(np.nan_to_num(values), levels)).astype(int)
            part = (places[:, None] == np.arange(int(levels) + 2)).astype(float)
            middles += [0.0] * part.shape[1]
            wides += [1.0] * part.shape[1]
        else:
            known = values[~missing]
            middle = known.mean() if len(known) else 0.0
            wide = (known.std() if len(known) else 0.0) or 1.0
            part = np.stack([np.where(missing, 0.0, (values - middle) / wide), missing * 1.0], axis=1)
            middles += [middle, 0.0]
            wides += [wide, 1.0]
        parts.append(part)
    matrix = np.concatenate(parts, axis=1)
    penalty = np.ones(matrix.shape[1])
    penalty[0] = 1e-6
    weights = np.zeros(matrix.shape[1])
    for _ in range(25):
        chances = 0.5 * (1.0 + np.tanh(matrix @ weights / 2.0))
        slope = matrix.T @ (labels - chances) - penalty * weights
        curvature = (matrix * (chances * (1.0 - chances))[:, None]).T @ matrix + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    weights = weights / np.array(wides)
    weights[0] -= weights @ np.array(middles)
    return {"coefficients": weights}
