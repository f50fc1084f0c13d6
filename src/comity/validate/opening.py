"""Opening: what seed rows say of the bins before any label is asked about.

A start that was fitted on few rows reads numbers as straight lines and levels one by one. The same rows,
read through the prior of the lesson itself (`prior`: smooth over a number's bins, shrunk over levels), say
something else and err elsewhere. The opening adds half of the start's score to that reading, a logistic
additive model by Laplace's approximation, averaged over variances of the columns with the weights that their
evidence gives (MacKay 1992). Seed rows are the ML party's own: this costs nothing.

Where the truth is the straight line that the start is, reading bins can only harm. So the same rows are read
a second time with one straight line per number in place of its bins, and the two readings' evidence (its
logarithm) is compared: at 2.5 less than the line's or worse the opening is none, and from 1.5 less on it is
all. Without that, four in ten openings of small problems with 200 seed rows ranked worse than their start,
all of those whose truth is a line, or nearly; with it, 1 in 25, and the mean gain is larger.

On 200 rows of splits that are not reported it closed .20 of the gap of Adult, .42 of `bike`, .20 of `digits`
and .04 of `flights` (means of five) before any label was asked about; weights of the start between 0.3 and
0.7 differ by .01 to .07 (all before the evidence had its say).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.bins import Columns
from comity.validate.blocks import Blocks
from comity.validate.design import Correction

Floats = NDArray[np.float64]

_START: Final = 0.5
_VARIANCES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
_CONSTANT: Final = 4.0
_STEPS: Final = 25
_NONE, _ALL = -2.5, -1.5
"""Log evidence of bins over lines at which the opening begins, and at which it is whole."""
_RECORDS: Final = 100
"""Times the minimum: with fewer records bins are so wide that they cannot even read a line."""


def opening(columns: Columns, seeds: Columns, labels: NDArray[np.int64], minimum: int) -> Correction:
    """What to do to the start's score before the lesson.

    Args:
        columns: of all records that the lesson is about; their bins and how many have each.
        seeds: of the seed rows, coded alike.
        labels: (seeds,) 0 or 1.
        minimum: records in a bin.
    """
    blocks = Blocks.of(columns, np.zeros(len(columns.codes), dtype=np.int64), minimum)
    codes = blocks.codes(seeds)
    values, evidence = _reading(blocks.roots, codes, labels)
    lines = [
        _line(share) if columns.ordered[at] else root
        for at, share, root in zip(blocks.kept, blocks.shares, blocks.roots, strict=True)
    ]
    ahead = evidence - _reading(lines, codes, labels)[1]
    part = float(np.clip((ahead - _NONE) / (_ALL - _NONE), 0.0, 1.0))
    part *= len(columns.codes) >= _RECORDS * minimum
    ends = np.cumsum([root.shape[1] for root in blocks.roots])
    by_bin = [root @ own * part for root, own in zip(blocks.roots, np.split(values, ends), strict=False)]
    return Correction(blocks.by_code(by_bin), float(values[-1]) * part, (_START - 1) * part)


def _reading(
    roots: Sequence[Floats], codes: Sequence[NDArray[np.uint16]], labels: NDArray[np.int64]
) -> tuple[Floats, float]:
    """(d,) the mean over variances of the modes, the constant last, and the log evidence of all together."""
    parts = [root[own] for root, own in zip(roots, codes, strict=True)]
    rows = np.column_stack([*parts, np.ones(len(labels))])
    fits = [_mode(rows, labels, variance) for variance in _VARIANCES]
    evidence = np.array([each[1] for each in fits])
    weights = np.exp(evidence - evidence.max())
    values = np.average([each[0] for each in fits], axis=0, weights=weights)
    return values, float(np.log(weights.mean()) + evidence.max())


def _line(shares: Floats) -> Floats:
    """(bins, 1) a line over a number's bins: the mean of rank and bin number, standardised."""
    rank, number = np.cumsum(shares) - shares / 2, np.arange(len(shares)) / max(len(shares) - 1, 1)
    place = (rank + number) / 2
    place = place - shares @ place
    spread = float(np.sqrt(shares @ np.square(place)))
    return (place / spread if spread > 0 else place)[:, None]


def _mode(rows: Floats, labels: NDArray[np.int64], variance: float) -> tuple[Floats, float]:
    """(d,) the posterior mode with this variance of all but the last direction, and the log evidence.

    The mode lies in the span of the rows, so that it is sought there: seed rows are fewer than directions.
    """
    units = np.full(rows.shape[1], np.sqrt(variance))
    units[-1] = np.sqrt(_CONSTANT)
    basis = np.linalg.qr((rows * units).T)[0]
    scaled, values = (rows * units) @ basis, np.zeros(basis.shape[1])
    curvature = np.eye(len(values))
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(scaled @ values, -30, 30)))
        curvature = (scaled.T * (chance * (1 - chance))) @ scaled + np.eye(len(values))
        step = np.linalg.solve(curvature, scaled.T @ (labels - chance) - values)
        values = values + step
        if float(np.abs(step).max()) < 1e-6:
            break
    likelihood = -np.logaddexp(0.0, -(2 * labels - 1) * (scaled @ values)).sum()
    volume = np.linalg.slogdet(curvature)[1]
    return (basis @ values) * units, float(likelihood - (values @ values + volume) / 2)
