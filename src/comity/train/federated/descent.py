"""Logistic regression with differential privacy by sums that many members add up: DP per record.

A fixed conversation of one round of counts and a few of gradients. Features are bins and levels from public
facts, one code per column; the model is one weight per bin, beside a start model that the server has without
them (from its seed rows) and that the weights correct. Every record's gradient is mixed by a public
matrix (the inverse root of the expected Fisher information, as in Newton's method), cut to a length, and
truncated to whole numbers: what one record can move a sum by is `CAP`. Full-batch DP gradient descent
(Abadi et al. 2016, without sampling); each step goes, per direction, as far as the noise lets it be known
(a Wiener filter).

Unit: record or person; relation: add-remove.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput
from comity.train.federated.fixed_point import MOST_WEIGHT
from comity.train.federated.shared_noise import CAP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Codes = NDArray[np.uint16]

GRADIENTS: Final = 5
COUNTS_SHARE: Final = 0.12
SHARES: Final[tuple[float, ...]] = (COUNTS_SHARE, *((1 - COUNTS_SHARE) / GRADIENTS,) * GRADIENTS)
"""The budget of each round: the bins' counts, then the gradients."""

MOST_WIDTH: Final = 2_000
_LARGEST_MIX: Final = float(1 << 40)
_BLOCK: Final = 4_096
_CLIP: Final = 8.0
_LEAST_CLIP: Final = 0.8
_MOST_CLIP: Final = 4.0
_PRIOR: Final = 8.0
_CURVATURE: Final = 0.12
_GUESS_ROWS: Final = 2_500.0


@dataclass(frozen=True)
class Bins:
    """How many codes each column has; codes of column j are 0 to widths[j] - 1."""

    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1 or self.width > MOST_WIDTH:
            raise BadInput(f"a model has one column or more and at most {MOST_WIDTH:,} bins in all")

    @property
    def width(self) -> int:
        return sum(self.widths)

    @property
    def offsets(self) -> Integers:
        """(columns,) where each column's bins start."""
        return np.concatenate([[0], np.cumsum(self.widths)[:-1]]).astype(np.int64)

    @property
    def owner(self) -> Integers:
        """(width,) the column of each bin."""
        return np.repeat(np.arange(len(self.widths)), self.widths)

    @property
    def grain(self) -> int:
        """Grid units per record in a count, so that one record's counts have the norm `CAP` at most."""
        return math.isqrt(CAP * CAP // len(self.widths))

    def places(self, codes: Codes) -> Integers:
        """(rows, columns) which bins each row stands in.

        Raises:
            BadInput: for codes of other columns.
        """
        if codes.ndim != 2 or codes.shape[1] != len(self.widths):
            raise BadInput("the rows have other columns than the bins")
        if len(codes) and not bool((codes.max(axis=0) < np.array(self.widths)).all()):
            raise BadInput("a row stands in a bin that there is not", private=True)
        return codes.astype(np.int64) + self.offsets


def chances(odds: Floats) -> Floats:
    """Probabilities of log odds."""
    return 0.5 * (1.0 + np.tanh(odds / 2.0))


def count_sums(bins: Bins, codes: Codes) -> Integers:
    """(width,) how many rows stand in each bin, on the grid. They never leave as they are."""
    return np.bincount(bins.places(codes).ravel(), minlength=bins.width).astype(np.int64) * bins.grain


def gradient_sums(
    bins: Bins, codes: Codes, labels: NDArray[np.uint8], weights: Floats, mix: Floats, start: Floats
) -> Integers:
    """(width,) the sum of all rows' mixed and cut gradients. It never leaves as it is.

    Args:
        codes: (rows, columns).
        labels: (rows,) 0 or 1.
        weights: (width,) of the model so far.
        mix: (width, width); row i makes sum i out of the bins that a row stands in.
        start: (rows,) log odds of the model that the weights correct.

    Raises:
        BadInput: for weights or a matrix of another shape, or that could add up to no number.
    """
    _require_sound(bins, weights, mix)
    total = np.zeros(bins.width, dtype=np.int64)
    for first in range(0, len(codes), _BLOCK):
        block = slice(first, first + _BLOCK)
        total += cut_gradients(bins, codes[block], labels[block], weights, mix, start[block]).sum(axis=0)
    return total


def cut_gradients(
    bins: Bins, codes: Codes, labels: NDArray[np.uint8], weights: Floats, mix: Floats, start: Floats
) -> Integers:
    """(rows, width) each row's mixed gradient, cut to the norm `CAP` and truncated; as `gradient_sums`."""
    _require_sound(bins, weights, mix)
    places, columns = bins.places(codes), np.ascontiguousarray(mix.T)
    rest = labels - chances(np.clip(start + weights[places].sum(axis=1), -700.0, 700.0))
    rows = np.zeros((len(places), bins.width))
    for column in range(places.shape[1]):
        rows += columns[places[:, column]]
    rows *= rest[:, None]
    length = np.sqrt(np.square(rows).sum(axis=1))
    # a little below the cap, by more than all roundings above together
    rows *= np.minimum(1.0, CAP * (1 - 1e-9) / np.maximum(length, 1.0))[:, None]
    return np.trunc(rows).astype(np.int64)


def _require_sound(bins: Bins, weights: Floats, mix: Floats) -> None:
    if mix.shape != (bins.width, bins.width) or weights.shape != (bins.width,):
        raise BadInput("a gradient has a weight per bin and a square matrix over them")
    # False for NaN too
    if not (bool((np.abs(mix) <= _LARGEST_MIX).all()) and bool((np.abs(weights) <= MOST_WEIGHT).all())):
        raise BadInput("a gradient's weights or matrix hold NaN, infinities, or numbers out of bounds")


class Learner:
    """The server's end: what to ask in each round, and what the noisy sums say.

    Args:
        bins: of the model.
        seeds: (rows, columns) codes of rows that the server has anyhow; none are needed.
        multiplier: noise over sensitivity of a round that had the whole budget.
    """

    def __init__(self, bins: Bins, seeds: Codes, *, multiplier: float) -> None:
        self.bins = bins
        self.weights = np.zeros(bins.width)
        self.records = 1.0
        self._seeds = np.zeros((len(seeds), bins.width))
        if len(seeds):
            self._seeds[np.arange(len(seeds))[:, None], bins.places(seeds)] = 1.0
        # the more noise, the more it pays to cut records short
        self._clip = min(_MOST_CLIP, max(_LEAST_CLIP, _CLIP / math.sqrt(multiplier)))
        self._mix = np.eye(bins.width)
        self._unit = 1.0

    @property
    def mix(self) -> Floats:
        """(width, width) the matrix to ask gradients with, in grid units."""
        return np.clip(self._mix * self._unit, -_LARGEST_MIX, _LARGEST_MIX)

    def take_counts(self, sums: Integers) -> None:
        """Lay out the gradients from the bins' noisy counts.

        How often two bins meet is guessed: as in the seed rows for a part, as if columns were independent for
        the rest. A bad guess costs precision, never privacy.
        """
        counts = np.maximum(sums / self.bins.grain, 1.0)
        self.records = max(float(counts.sum()) / len(self.bins.widths), 1.0)
        share = counts / self.records
        part = len(self._seeds) / (len(self._seeds) + _GUESS_ROWS)
        seen = self._seeds.T @ self._seeds / max(len(self._seeds), 1)
        owner = self.bins.owner
        meet = np.where(
            owner[:, None] != owner[None, :], part * seen + (1 - part) * np.outer(share, share), 0.0
        )
        values, vectors = np.linalg.eigh(self.records * meet + np.diag(counts))
        fisher = _CURVATURE * (vectors * np.maximum(values, 1.0)) @ vectors.T
        values, vectors = np.linalg.eigh(fisher + _PRIOR * np.eye(len(fisher)))
        self._mix = (vectors / np.sqrt(values)) @ vectors.T
        self._fisher = self._mix @ fisher @ self._mix
        self._pull = _PRIOR * self._mix @ self._mix
        reach = self._clip * math.sqrt(len(self.bins.widths) / self.records)
        self._unit = CAP / reach

    def step(self, sums: Integers, scale: float) -> None:
        """Move along the members' noisy sum, each direction as far as the noise lets it be known.

        Args:
            sums: (width,).
            scale: of their noise, in grid units.
        """
        slope, noise = sums / self._unit, scale / self._unit
        keep = self._fisher @ np.linalg.inv(self._fisher + noise**2 * np.eye(len(slope)))
        held = np.linalg.solve(self._mix, self.weights)
        towards = keep @ slope - self._pull @ held
        moved = self.weights + self._mix @ np.linalg.solve(keep @ self._fisher + self._pull, towards)
        self.weights = np.clip(moved, -MOST_WEIGHT, MOST_WEIGHT)

    def scores(self, codes: Codes, start: Floats) -> Floats:
        """(rows,) chances by the model; `start` are the log odds that it corrects."""
        return chances(np.clip(start + self.weights[self.bins.places(codes)].sum(axis=1), -700.0, 700.0))
