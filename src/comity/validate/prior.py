"""What is believed of an additive correction before any label is asked about.

One block per column, each with a variance that the evidence may change after the answer (`solve`):

* numeric: a process over the bins, correlation exp(-distance / 0.2), where distance is the mean of the
  difference in rank and the difference in bin number, centred over the records and scaled to mean variance 1.
  A random walk between bins that also lets far ends differ by little more than near ones;
* categories: independent levels, centred;
* the constant, and the start's own scale (a score that is too timid or too bold everywhere).

The variances of the columns start at one public number that grows slowly with how much the noise lets
through: a weak answer moves the start little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_REACH: Final = 0.2
_CONSTANT, _SCALE = 1.0, 0.25
_SCORE_BINS: Final = 32


@dataclass(frozen=True, eq=False)
class Prior:
    """theta = root z with z ~ N(0, diag(variances[blocks])).

    Attributes:
        root: (size, d) what one standard deviation in each direction does to every code's value.
        blocks: (d,) the block of each direction.
        variances: (blocks,) their variances.
    """

    root: Floats
    blocks: NDArray[np.int64]
    variances: Floats


def starting_variance(rows_heard: float) -> float:
    """The columns' variance, by how many records' worth of labels is heard through the noise."""
    return float(np.clip(0.1 * (max(rows_heard, 1e-9) / 4.0) ** 0.3, 0.04, 0.4))


def numeric_root(shares: Floats) -> Floats:
    """(bins, d) root of the prior of a numeric column's bins; (bins,) shares of the records add up to 1."""
    rank = np.cumsum(shares) - shares / 2
    number = np.arange(len(shares)) / max(len(shares) - 1, 1)
    place = (rank + number) / 2
    covariance = _centred(np.exp(-np.abs(place[:, None] - place) / _REACH), shares)
    return _root(covariance / max(float(shares @ np.diag(covariance)), 1e-12))


def level_root(shares: Floats) -> Floats:
    """(levels, d) root of the prior of a category's levels."""
    return _root(_centred(np.eye(len(shares)), shares))


def column_root(shares: Floats, ordered: bool, missing: int | None) -> Floats:
    """Root of the prior of one column; `missing` is the code apart from the order, if any."""
    if not ordered:
        return level_root(shares)
    inside = np.ones(len(shares), dtype=np.bool_)
    if missing is not None:
        inside[missing] = False
    known = shares[inside]
    if not len(known) or known.sum() <= 0:
        return level_root(shares)
    part = numeric_root(known / known.sum())
    root = np.zeros((len(shares), part.shape[1] + (missing is not None)))
    root[inside, : part.shape[1]] = part
    if missing is not None:
        root[missing, -1] = 1.0
    return root


def score_codes(scores: Floats) -> tuple[NDArray[np.uint16], int, Floats]:
    """Bins of the start's scores: (records,) codes, their number, and their (bins,) standardised means."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, _SCORE_BINS + 1)[1:-1]))
    codes = np.searchsorted(edges, scores, side="right")
    _, codes = np.unique(codes, return_inverse=True)
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=scores) / counts
    share = counts / len(scores)
    centred = means - share @ means
    spread = float(np.sqrt(share @ np.square(centred)))
    return codes.astype(np.uint16), len(counts), centred / spread if spread > 0 else np.zeros(len(counts))


def assembled(roots: list[Floats], column_variance: float) -> Prior:
    """The prior of all columns, then the constant, then (if any) the start's scale.

    Args:
        roots: of the columns, of the constant's one code, and of the score's bins.
        column_variance: the variance that columns start with.
    """
    height = sum(len(root) for root in roots)
    root = np.zeros((height, sum(part.shape[1] for part in roots)))
    blocks = np.zeros(root.shape[1], dtype=np.int64)
    row = column = 0
    for block, part in enumerate(roots):
        root[row : row + len(part), column : column + part.shape[1]] = part
        blocks[column : column + part.shape[1]] = block
        row, column = row + len(part), column + part.shape[1]
    return Prior(root, blocks, np.full(len(roots), column_variance))


def with_start(prior: Prior, constant: int, scale: int | None) -> Prior:
    """The same prior with the variances of the constant and of the start's scale in their places."""
    variances = prior.variances.copy()
    variances[constant] = _CONSTANT
    if scale is not None:
        variances[scale] = _SCALE
    return Prior(prior.root, prior.blocks, variances)


def _centred(covariance: Floats, shares: Floats) -> Floats:
    ahead = covariance @ shares
    return covariance - ahead[:, None] - ahead[None, :] + shares @ ahead


def _root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-5 * max(float(values[-1]), 1e-300)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]), dtype=np.float64)
