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

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.validate.cuts import Bins
from comity.validate.estimate import SHARE, Base, fieller

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
    held = base.values[place][::-1]
    noise = base.covariance[place, place][::-1, ::-1]
    sizes, inverse, further = (np.array(facts[name], float)[::-1] for name in ("sizes", "inverse", "further"))
    positives = float(held.sum())
    spread = math.sqrt(max(float(noise.sum()), 0.0))
    if positives <= 3 * spread or positives <= 1:
        return 0.5, SHARE
    above = np.cumsum(held) - held
    among = np.maximum(sizes - 1, 1)
    each = held / sizes * inverse
    # products of two noisy counts have the covariance of their noise too much
    both = np.tril(noise, -1).sum(axis=1)
    total = float((each * (above + 1)).sum() - (inverse / sizes * both).sum())
    total += float((further / (sizes * among) * (held * (held - 1) - np.diagonal(noise))).sum())
    gain = (above + 1) * inverse / sizes + (2 * held - 1) / (sizes * among) * further
    gain += np.cumsum(each[::-1])[::-1] - each  # what lies below has one positive more above it
    fall = _fall(held, above, sizes, inverse)
    rates = held / sizes
    total += float((sizes * _trend(rates) * fall / 12).sum())
    guess = min(max(total / positives, 0.0), 1.0)
    form, count = np.zeros(len(base.values)), np.zeros(len(base.values))
    form[place], count[place] = gain[::-1], 1.0
    bend = _bend(sizes, among, inverse, further) @ noise
    clear = np.clip(rates, 0.0, 1.0)
    order = float((sizes * clear * (1 - clear) * np.square(fall) / 12).sum())
    cov = base.covariance
    variance = float(form @ cov @ form) + 0.5 * float(np.trace(bend @ bend)) + order
    pieces = variance, float(form @ cov @ count), float(count @ cov @ count)
    return guess, fieller(total, positives, pieces, base.z(form - guess * count), SHARE)


def _fall(held: Floats, above: Floats, sizes: Floats, inverse: Floats) -> Floats:
    """(bins,) how much less a positive adds to the sum at a bin's end than at its start."""
    starts = np.cumsum(sizes) - sizes
    first = (above + 1) / (starts + 1) + np.clip(held / sizes, 0.0, 1.0) * inverse
    return first - (above + held) / (starts + sizes)


def _trend(rates: Floats) -> Floats:
    """(bins,) by how much the share of positives falls within each bin, as its neighbours suggest."""
    if len(rates) < 2:
        return np.zeros(len(rates))
    ends = np.concatenate([[2 * rates[0] - rates[1]], rates, [2 * rates[-1] - rates[-2]]])
    return (ends[:-2] - ends[2:]) / 2


def _bend(sizes: Floats, among: Floats, inverse: Floats, further: Floats) -> Floats:
    """(bins, bins) second derivatives of the sum: what noise times noise does to it."""
    bend = np.tril(np.tile((inverse / sizes)[:, None], len(sizes)), -1)
    bend = bend + bend.T
    bend[np.diag_indices_from(bend)] = 2 * further / (sizes * among)
    return bend


def _per_bin(values: Floats, starts: NDArray[np.int64]) -> Floats:
    return np.add.reduceat(values, starts)
