"""Effects: one number per bin of each column, added up; the additive model's shape and its prior.

A record's score is its start score plus one effect per column, of the bin it lies in. Before feedback the
effects are Gaussian: bins of an ordered column resemble their neighbours, bins of a category are alike in
size, each column's effects average to zero over the records, and every column has a variance of its own.
Everything here is made of features, which are public to the ML party.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError

Floats = NDArray[np.float64]
Codes = NDArray[np.uint16]

_LENGTH = 0.3
"""How far an ordered column's bins resemble each other, as a share of the column's range."""

_BASE_SPREAD = 1.0
"""Prior standard deviation of what all records' scores are off by together."""


@dataclass(frozen=True)
class Effects:
    """The bins of each column.

    Attributes:
        widths: number of bins per column; bin 0 is the missing one where a column is ordered.
        ordered: per column, whether its bins have an order.
    """

    widths: tuple[int, ...]
    ordered: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.ordered) or min(self.widths) < 1:
            raise UsageError("an additive model needs at least one column, each with at least one bin")

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(columns + 1,) where each column's bins start."""
        return np.concatenate([[0], np.cumsum(self.widths)]).astype(np.int64)

    @property
    def width(self) -> int:
        """Bins of all columns together."""
        return int(self.offsets[-1])

    def at(self, codes: Codes, values: Floats) -> Floats:
        """(rows, ...) sum over columns of the value of each record's bin; `values` is (width, ...)."""
        total = values[self.offsets[0] + codes[:, 0].astype(np.int64)].copy()
        for column in range(1, len(self.widths)):
            total += values[self.offsets[column] + codes[:, column].astype(np.int64)]
        return total

    def sums(self, codes: Codes, weights: Floats) -> Floats:
        """(width,) sum of weights per bin."""
        return np.concatenate(
            [
                np.bincount(codes[:, column], weights=weights, minlength=width)
                for column, width in enumerate(self.widths)
            ]
        ).astype(np.float64)

    def pair_sums(self, codes: Codes, weights: Floats) -> Floats:
        """(width, width) sum of weights of the records that two bins share: X^T diag(weights) X.

        Time grows with rows times columns squared, memory with the width squared.
        """
        sums = np.zeros((self.width, self.width))
        coded = [codes[:, column].astype(np.int64) for column in range(len(self.widths))]
        for one, first in enumerate(coded):
            here = slice(int(self.offsets[one]), int(self.offsets[one + 1]))
            own = np.bincount(first, weights=weights, minlength=self.widths[one])
            sums[here, here] = np.diag(own)
            for two in range(one + 1, len(coded)):
                there = slice(int(self.offsets[two]), int(self.offsets[two + 1]))
                width = self.widths[two]
                shared = np.bincount(
                    first * width + coded[two], weights=weights, minlength=self.widths[one] * width
                ).reshape(self.widths[one], width)
                sums[here, there] = shared
                sums[there, here] = shared.T
        return sums


@dataclass(frozen=True, eq=False)
class Prior:
    """What is believed of the effects before any feedback.

    Attributes:
        blocks: per column, the covariance of its effects at variance 1, averaging to zero over the records.
        variances: per column, the variance of its effects.
    """

    effects: Effects
    blocks: tuple[Floats, ...]
    variances: Floats

    @classmethod
    def of(cls, effects: Effects, counts: Floats, variance: float) -> Prior:
        """The prior for bins with these counts of records, every column with the same variance."""
        blocks: list[Floats] = []
        for column, width in enumerate(effects.widths):
            own = counts[effects.offsets[column] : effects.offsets[column + 1]]
            shares = own / max(1.0, float(own.sum()))
            block = _ordered(shares) if effects.ordered[column] and width > 2 else np.eye(width)
            blocks.append(_centred(block, shares))
        return cls(effects, tuple(blocks), np.full(len(effects.widths), variance))

    def with_variances(self, variances: Floats) -> Prior:
        return Prior(self.effects, self.blocks, variances)

    @cached_property
    def root(self) -> Floats:
        """(width, rank) a matrix whose product with its transpose is the covariance of the effects."""
        size = self.effects.width
        covariance = np.full((size, size), (_BASE_SPREAD / len(self.blocks)) ** 2)
        for column, block in enumerate(self.blocks):
            here = slice(int(self.effects.offsets[column]), int(self.effects.offsets[column + 1]))
            covariance[here, here] += self.variances[column] * block
        return _root(covariance)

    def refined(self, values: Floats, covariance: Floats, *, believed: Floats, strength: float) -> Prior:
        """Variances after feedback: one step of expectation and maximisation per column.

        Args:
            values: (width,) the effects' posterior mean; covariance: their posterior covariance.
            believed: variances before any feedback, counted as `strength` more bins.
        """
        variances: list[float] = []
        for column, block in enumerate(self.blocks):
            here = slice(int(self.effects.offsets[column]), int(self.effects.offsets[column + 1]))
            scaled = _inverse_root(block)
            if not scaled.shape[1]:
                variances.append(float(believed[column]))
                continue
            mean = scaled.T @ values[here]
            spread = np.einsum("ij,ik,kj->", scaled, covariance[here, here], scaled)
            total = float(mean @ mean + spread) + strength * float(believed[column])
            variances.append(total / (scaled.shape[1] + strength))
        return self.with_variances(np.array(variances))


def _ordered(shares: Floats) -> Floats:
    """Neighbouring bins resemble each other; the missing bin, first, resembles none."""
    middle = np.cumsum(shares) - shares / 2
    place = 0.5 * middle + 0.5 * np.arange(len(shares)) / (len(shares) - 1)
    block = np.exp(-np.abs(place[:, None] - place[None]) / _LENGTH)
    block[0, 1:] = block[1:, 0] = 0.0
    return block


def _centred(block: Floats, shares: Floats) -> Floats:
    """The covariance of the same effects less their mean over the records, at mean variance 1."""
    cross = block @ shares
    centred = block - cross[:, None] - cross[None] + shares @ cross
    size = float(shares @ np.diag(centred))
    return centred / size if size > 1e-12 else np.zeros_like(block)


def _root(covariance: Floats) -> Floats:
    heights, directions = np.linalg.eigh(covariance)
    kept = np.flatnonzero(heights > 1e-8 * max(float(heights[-1]), 1e-300))
    return np.asarray(directions[:, kept] * np.sqrt(heights[kept]), dtype=np.float64)


def _inverse_root(block: Floats) -> Floats:
    heights, directions = np.linalg.eigh(block)
    kept = np.flatnonzero(heights > 1e-6 * max(float(heights[-1]), 1e-300))
    return directions[:, kept] / np.sqrt(heights[kept])
