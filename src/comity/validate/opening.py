"""Opening: what seed rows say of the bins before any label is asked about.

A start that was fitted on few rows reads numbers as straight lines and levels one by one. The same rows,
read by other models, say something else and err elsewhere. The opening is a logistic Gaussian process, by
Laplace's approximation, averaged over models with the weights that their evidence gives (MacKay 1992):

* additive models over the columns' bins, with the prior of the lesson itself (`prior`: smooth over a
  number's bins, shrunk over levels), of several variances; half of the start's score is added to those;
* the same plus a process that reads all columns together (`likeness`), of several reaches and variances.
  It can be what the start is not, so that nothing of the start is added.

Seed rows are the ML party's own: this costs nothing.

Where the truth is the straight line that the start is, reading more can only harm. So the same rows are read
a second time with one straight line per number in place of its bins, and the two readings' evidence (its
logarithm) is compared: at 2.5 less than the line's or worse the opening is none, and from 1.5 less on it is
all. With fewer than 100 times the minimum of records (1,000) there is none either: bins are then so wide that
they cannot even read a line. Of 36 small problems with 30 to 300 records whose truth is a line, 13 ended
worse than their start without that rule; with it, one of 60 with 30 to 4,000 records did, by 0.0014 of AUC.

Nor is there one where fewer than 20 seed rows are of one class: of `default`, 3% of whose labels are 1, 200
seed rows hold about six of them, and whatever the evidence said, their reading ranked at 0.917 instead of the
start's 0.940 (mean of splits 201 to 205, where this was set).

On 200 rows of splits 201 to 205, before any label was asked about, it closed .78 of the gap of `digits`, .41
of `bike`, .20 of Adult and .04 of `flights` (means of five); bins without the process closed .00, .42, .20
and .04. With 1,500 rows of `flights` it closed .26 instead of .18.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.bins import Columns
from comity.validate.blocks import Blocks
from comity.validate.design import Correction
from comity.validate.likeness import REACHES, Likeness, places_of, roots

Floats = NDArray[np.float64]
_Model = tuple[Floats, float, Floats, float, bool]
"""A model's values of the bins, constant, weights of rows, log evidence, and whether it has the process."""

_START: Final = 0.5
_VARIANCES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
_CONSTANT: Final = 4.0
_STEPS: Final = 25
_SMALL_STEP: Final = 1e-4
_NONE, _ALL = -2.5, -1.5
"""Log evidence of bins over lines at which the opening begins, and at which it is whole."""
_RECORDS: Final = 100
"""Times the minimum: with fewer records bins are so wide that they cannot even read a line."""
_RARER: Final = 20
"""Seed rows of either class: from fewer of them models of this kind learn less than a line does."""
_BESIDE: Final = (0.0, 0.05, 0.2)
_TOGETHER: Final = (1.0, 5.0, 20.0)
"""Variances of the bins and of the process beside each other."""
_MOST_SEEDS: Final = 600
"""More seed rows are read by bins alone: the process is cubic in them."""
_SLIGHT: Final = 0.01
"""A weight of all models with the process together below which it is left out."""


@dataclass(frozen=True, eq=False)
class Opening:
    """What is done to the start's score before the lesson.

    Attributes:
        correction: by code, with what is taken off the start's score.
        likeness: what all columns together say; None where the evidence has no use for it.
    """

    correction: Correction
    likeness: Likeness | None

    def scores(self, columns: Columns, start: Floats) -> Floats:
        """(records,) opened scores (log odds) of records with these codes and start scores."""
        scores = self.correction.scores(columns, start)
        return scores if self.likeness is None else scores + self.likeness.scores(columns)


@dataclass(frozen=True, eq=False)
class _Reading:
    """Modes averaged over models: (d,) values of the bins, the constant, (reaches, rows) weights of rows.

    `together` is the share of models with the process, `evidence` the logarithm of the mean evidence.
    """

    bins: Floats
    constant: float
    weights: Floats
    together: float
    evidence: float


def opening(columns: Columns, seeds: Columns, labels: NDArray[np.int64], minimum: int) -> Opening:
    """What to do to the start's score before the lesson.

    Args:
        columns: of all records that the lesson is about; their bins and how many have each.
        seeds: of the seed rows, coded alike.
        labels: (seeds,) 0 or 1.
        minimum: records in a bin.
    """
    blocks = Blocks.of(columns, np.zeros(len(columns.codes), dtype=np.int64), minimum)
    codes = blocks.codes(seeds)
    many = len(labels) > _MOST_SEEDS
    told = _reading(_rows(blocks.roots, codes, labels), labels, None if many else seeds)
    lines = [
        _line(share) if columns.ordered[at] else root
        for at, share, root in zip(blocks.kept, blocks.shares, blocks.roots, strict=True)
    ]
    ahead = told.evidence - _reading(_rows(lines, codes, labels), labels, None).evidence
    part = float(np.clip((ahead - _NONE) / (_ALL - _NONE), 0.0, 1.0))
    part *= len(columns.codes) >= _RECORDS * minimum
    part *= min(int(labels.sum()), int((1 - labels).sum())) >= _RARER
    ends = np.cumsum([root.shape[1] for root in blocks.roots])
    by_bin = [root @ own * part for root, own in zip(blocks.roots, np.split(told.bins, ends), strict=False)]
    slope = (_START * (1 - told.together) - 1) * part
    correction = Correction(blocks.by_code(by_bin), told.constant * part, slope)
    likeness = Likeness(places_of(seeds), told.weights * part) if told.together * part > 0 else None
    return Opening(correction, likeness)


def _rows(
    by_column: Sequence[Floats], codes: Sequence[NDArray[np.uint16]], labels: NDArray[np.int64]
) -> Floats:
    """(seeds, d) what one unit along each of the columns' directions adds to each seed row's score."""
    parts = [root[own] for root, own in zip(by_column, codes, strict=True)]
    return np.column_stack([*parts, np.zeros((len(labels), 0))])


def _reading(rows: Floats, labels: NDArray[np.int64], seeds: Columns | None) -> _Reading:
    """The mean over models, with the process among them if seed rows are given for it."""
    bins, nothing = rows.shape[1], np.zeros((len(REACHES), len(labels)))
    found: list[_Model] = []
    for variance in _VARIANCES:
        values, evidence = _mode(rows, np.full(bins, variance), labels)
        found.append((values[:-1], float(values[-1]), nothing, evidence, False))
    if seeds is not None:
        found += _with_process(rows, labels, seeds)
    if float(_shares(found) @ [each[4] for each in found]) < _SLIGHT:
        found = [each for each in found if not each[4]]
    shares, evidence = _shares(found), np.array([each[3] for each in found])
    return _Reading(
        bins=np.average([each[0] for each in found], axis=0, weights=shares),
        constant=float(shares @ [each[1] for each in found]),
        weights=np.average([each[2] for each in found], axis=0, weights=shares),
        together=float(shares @ [each[4] for each in found]),
        evidence=float(np.log(np.exp(evidence - evidence.max()).mean()) + evidence.max()),
    )


def _with_process(rows: Floats, labels: NDArray[np.int64], seeds: Columns) -> list[_Model]:
    """Models of bins and process beside each other, of every reach."""
    bins, places = rows.shape[1], places_of(seeds)
    found: list[_Model] = []
    for at, reach in enumerate(REACHES):
        root, turned = roots(places, len(seeds.widths), reach)
        both = np.column_stack([rows, root])
        for beside, together in itertools.product(_BESIDE, _TOGETHER):
            units = np.r_[np.full(bins, beside), np.full(root.shape[1], together)]
            values, evidence = _mode(both, units, labels)
            weights = np.zeros((len(REACHES), len(labels)))
            weights[at] = turned @ values[bins:-1]
            found.append((values[:bins], float(values[-1]), weights, evidence, True))
    return found


def _shares(found: Sequence[_Model]) -> Floats:
    """(models,) their weights by evidence, adding up to 1."""
    evidence = np.array([each[3] for each in found])
    weights = np.exp(evidence - evidence.max())
    return weights / weights.sum()


def _line(shares: Floats) -> Floats:
    """(bins, 1) a line over a number's bins: the mean of rank and bin number, standardised."""
    rank, number = np.cumsum(shares) - shares / 2, np.arange(len(shares)) / max(len(shares) - 1, 1)
    place = (rank + number) / 2
    place = place - shares @ place
    spread = float(np.sqrt(shares @ np.square(place)))
    return (place / spread if spread > 0 else place)[:, None]


def _mode(rows: Floats, variances: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """(d + 1,) the posterior mode with these variances of the directions and then of a constant, and the log
    evidence.

    The mode lies in the span of the rows, so that it is sought there: seed rows are fewer than directions.
    """
    whole = np.column_stack([rows, np.ones(len(labels))])
    units = np.sqrt(np.r_[variances, _CONSTANT])
    basis = np.linalg.qr((whole * units).T)[0]
    scaled, values = (whole * units) @ basis, np.zeros(basis.shape[1])
    curvature = np.eye(len(values))
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(scaled @ values, -30, 30)))
        curvature = (scaled.T * (chance * (1 - chance))) @ scaled + np.eye(len(values))
        step = np.linalg.solve(curvature, scaled.T @ (labels - chance) - values)
        values = values + step
        if float(np.abs(step).max()) < _SMALL_STEP:
            break
    likelihood = -np.logaddexp(0.0, -(2 * labels - 1) * (scaled @ values)).sum()
    volume = np.linalg.slogdet(curvature)[1]
    return (basis @ values) * units, float(likelihood - (values @ values + volume) / 2)
