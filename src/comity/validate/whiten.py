"""Which mixes of the sums to ask for: those that teach most for their length.

Let z be the correction in units of its prior, f_k the Fisher information about direction k (eigenvector of
the prior-scaled information J), g_k the mean squared length that one unit of mix in that direction gives a
record, and t_k = b_k^2 g_k the share of the squared row length it gets, sum t_k = 1. With noise of standard
deviation s times the row length, the answer about direction k has variance f_k + s^2 g_k / t_k, and the
expected loss that remains (squared error of the score, weighted by information) is

    sum_k f_k / (1 + f_k / (1 + s_k t_k^-1)),    s_k = s^2 g_k / f_k.

Setting the derivative in t_k to a constant gives t_k = max(0, (m sqrt(s_k) f_k - s_k) / (1 + f_k)), m chosen
so that they add up to 1: loud directions get equal shares (whitening), faint ones nothing, and the answer
has as many numbers as the budget can carry. Rows longer than the cap are shortened to it, and J and g are
taken again with those weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.prior import Prior
from comity.validate.request import MIX_LIMIT, ScoreStatistics
from comity.validate.terms import Terms

Floats = NDArray[np.float64]

_CAP_QUANTILE: Final = 0.1
_ROUNDS: Final = 3
_TINY: Final = 1e-12
_LONGEST: Final = 8.0
"""No bin's mix is longer than this many caps: records in it are shortened anyway."""


@dataclass(frozen=True, eq=False)
class Mix:
    """What to ask: (size, d) the mix, and the cap on a record's length."""

    mix: Floats
    cap: float

    def question(self, codes: NDArray[np.uint16], widths: Sequence[int], cap_bits: int) -> ScoreStatistics:
        """The mix in whole numbers, the cap about 2^cap_bits where the longest entries allow."""
        length = np.linalg.norm(self.mix, axis=1)
        mix = self.mix * np.minimum(1.0, _LONGEST * self.cap / np.maximum(length, 1e-300))[:, None]
        offsets = np.concatenate([[0], np.cumsum(widths)])[:-1]
        longest = float(np.maximum.reduceat(np.linalg.norm(mix, axis=1), offsets).sum())
        largest = float(np.abs(mix).max(initial=0.0))
        scale = min(
            2.0**cap_bits / self.cap,
            (MIX_LIMIT - 1) / max(largest, 1e-300),
            2.0**29 / max(longest, 1e-300),
        )
        whole = np.trunc(mix * scale).astype(np.int32)
        return ScoreStatistics(codes, tuple(widths), whole, max(1, int(self.cap * scale)))


def expected_information(scores: Floats, prior: Prior, terms: Terms) -> Floats:
    """(records,) p (1 - p), expected over the prior's uncertainty about the score (MacKay 1992)."""
    scaled = prior.root * np.sqrt(prior.variances[prior.blocks])
    spread = terms.totals(np.ones(terms.records)) @ np.square(scaled).sum(axis=1) / max(terms.records, 1)
    chance = 1.0 / (1.0 + np.exp(-scores / np.sqrt(1 + np.pi / 8 * min(float(spread), 4.0))))
    return np.maximum(chance * (1 - chance), 1e-3)


def best_mix(terms: Terms, prior: Prior, information: Floats, noise: float) -> Mix:
    """Choose the mix from public facts.

    Args:
        terms: the records' codes.
        prior: of the correction.
        information: (records,) expected p (1 - p).
        noise: standard deviation of the noise over the longest row.
    """
    from scipy.linalg import eigh

    root = prior.root * np.sqrt(prior.variances[prior.blocks])
    known = terms.sampled(information)
    weights = np.ones(len(known))
    mix, cap = root[:, :1], 1.0
    for _ in range(_ROUNDS if root.shape[1] <= 600 else _ROUNDS - 1):
        fisher, vectors = eigh(root.T @ terms.cross(weights * known) @ root, check_finite=False)
        fisher = np.maximum(fisher, _TINY)
        directions = root @ vectors
        square = terms.cross(np.square(weights)) / max(terms.records, 1)
        lengths = np.maximum(np.einsum("ij,ij->j", directions, square @ directions), _TINY**2)
        share = shares(fisher, noise**2 * lengths / fisher)
        kept = share > 0
        mix = directions[:, kept] * np.sqrt(share[kept] / lengths[kept])
        length = terms.sampled_lengths(mix)
        cap = max(float(np.quantile(length, _CAP_QUANTILE)), 1e-3 * float(length.max()), _TINY)
        weights = np.minimum(1.0, cap / np.maximum(length, _TINY))
    return Mix(mix, cap)


def shares(fisher: Floats, faintness: Floats) -> Floats:
    """(d,) t_k of the module's formula, adding up to 1; at least one is above 0."""
    low, high = 1e-18, 1e18
    rising = fisher * np.sqrt(faintness)
    for _ in range(120):
        level = np.sqrt(low * high)
        share = np.maximum(0.0, (rising * level - faintness) / (1 + fisher))
        if share.sum() > 1:
            high = level
        else:
            low = level
    share = np.maximum(0.0, (rising * high - faintness) / (1 + fisher))
    if not share.any():
        share[int(np.argmax(rising / faintness))] = 1.0
    return share / share.sum()
