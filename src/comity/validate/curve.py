"""Average precision, from the positives in bins of the ranking.

AP = (1 / n1) sum over positives of (positives ranked no lower) / (records ranked no lower), ties sharing the
lowest rank of theirs, as scikit-learn has it. With C positives and N records in the bins above, and h
positives in any order among the m records of a bin, the bin's expected part of the sum is

    (h / m) [ (C + 1) sum_i 1 / e_i + (h - 1) / (m - 1) sum_i (e_i - N - 1) / e_i ],

e_i the place where record i's tie ends: the sums over i are public. Positives stand rather at a bin's start:
what that adds is read off the shares of positives in the bins beside it. The bins are narrow where the
ranking begins, so that order within them says little; what it may say is added to the interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.validate.cuts import Bins
from comity.validate.estimate import Base
from comity.validate.inversion import QuadraticShare, inverted

Floats = NDArray[np.float64]


def curve_facts(scores: Floats, bins: Bins) -> dict[str, Any]:
    """Public facts about the bins, the highest scores last: sizes, and the two sums of the formula."""
    ordered = np.sort(scores)[::-1]
    # the place where each record's tie ends, counted from the highest score
    ends = len(scores) - np.searchsorted(ordered[::-1], ordered, side="left")
    sizes = bins.sizes[::-1]
    starts = np.cumsum(sizes) - sizes
    before = np.repeat(starts, sizes)
    inverse = _per_bin(1.0 / ends, starts)
    further = _per_bin((ends - before - 1) / ends, starts)
    return {
        "edges": bins.edges.tolist(),
        "sizes": bins.sizes.tolist(),
        "inverse": inverse[::-1].tolist(),
        "further": further[::-1].tolist(),
    }


def average_precision(base: Base) -> Any:
    """Estimate and interval."""
    facts = base.facts["average_precision"]
    place = base.places["curve"]
    sizes, inverse, further = (np.array(facts[name], float)[::-1] for name in ("sizes", "inverse", "further"))
    held = base.values[place][::-1]
    noise = base.covariance[place, place][::-1, ::-1]
    fall, first = _fall(sizes, inverse)
    rates = np.clip(held / sizes, 0.0, 1.0)
    order = float((sizes * rates * (1 - rates) * np.square(fall @ held + first) / 12).sum())
    form = _form(sizes, inverse, further, fall, first)
    return inverted(form, held, noise, base.draws(place)[:, ::-1], order)


def _form(sizes: Floats, inverse: Floats, further: Floats, fall: Floats, first: Floats) -> QuadraticShare:
    """AP as a quadratic form of the bins' positives over their number."""
    pairs = further / (sizes * np.maximum(sizes - 1, 1))
    bend = np.tril(np.tile((inverse / sizes)[:, None], len(sizes)), -1)
    bend = bend + bend.T + np.diag(2 * pairs)
    # positives stand rather at a bin's start, by the trend of the shares beside it
    start = (_trend(len(sizes)) / sizes).T * (sizes / 12)
    bend += start @ fall + (start @ fall).T
    return QuadraticShare(inverse / sizes - pairs + start @ first, bend, sizes)


def _fall(sizes: Floats, inverse: Floats) -> tuple[Floats, Floats]:
    """(bins, bins) and (bins,): how much less a positive adds to the sum at a bin's end than at its start,
    per positive of each bin and beside them."""
    starts = np.cumsum(sizes) - sizes
    above = np.tril(np.ones((len(sizes), len(sizes))), -1)
    own = np.eye(len(sizes))
    at_start = above / (starts + 1)[:, None] + np.diag(inverse / sizes)
    return at_start - (above + own) / (starts + sizes)[:, None], 1 / (starts + 1)


def _trend(bins: int) -> Floats:
    """(bins, bins) from shares of positives to how much they fall within each bin, as its neighbours say."""
    if bins < 2:
        return np.zeros((bins, bins))
    own = np.eye(bins)
    ends = np.concatenate([[2 * own[0] - own[1]], own, [2 * own[-1] - own[-2]]])
    return (ends[:-2] - ends[2:]) / 2


def _per_bin(values: Floats, starts: NDArray[np.int64]) -> Floats:
    return np.add.reduceat(values, starts)
