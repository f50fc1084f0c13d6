"""Terms: an additive model's one-hot columns, kept as codes, with the sums that fitting needs.

One-hot matrices are never built. With Phi (records x codes of all columns) the one-hot matrix, `totals` is
Phi' w and `cross` is Phi' diag(w) Phi, both by counting; `cross` runs on a fixed sample where there are many
records, since it only steers the design and the curvature, never the residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_SAMPLED: Final = 120_000
_LEAST_SAMPLED: Final = 4_000
_WORK: Final = 1e8
"""Records times columns squared for one `cross`."""


class Terms:
    """Columns of codes for the same records.

    Args:
        codes: (records, columns) integers.
        widths: number of codes of each column.
    """

    def __init__(self, codes: NDArray[np.uint16], widths: Sequence[int]) -> None:
        self.widths = tuple(widths)
        self.records = codes.shape[0]
        self.offsets = np.concatenate([[0], np.cumsum(self.widths)]).astype(np.int64)
        self._codes = [np.ascontiguousarray(codes[:, at]).astype(np.int64) for at in range(len(self.widths))]
        size = int(min(_MOST_SAMPLED, max(_LEAST_SAMPLED, _WORK / max(len(self.widths), 1) ** 2)))
        # every (records / size)-th record, from a fixed shuffle: it need not be secret
        self.sample: NDArray[np.int64] | None = None
        if self.records > size:
            self.sample = np.sort(np.random.default_rng(0).permutation(self.records)[:size])
        chosen = self.sample
        self._sampled = self._codes if chosen is None else [column[chosen] for column in self._codes]
        self._scale = 1.0 if chosen is None else self.records / len(chosen)

    @property
    def size(self) -> int:
        """Codes of all columns together."""
        return int(self.offsets[-1])

    def totals(self, weights: Floats) -> Floats:
        """(size,) the sum of (records,) weights per code."""
        total = np.zeros(self.size)
        for column, offset, width in zip(self._codes, self.offsets, self.widths, strict=False):
            total[offset : offset + width] = np.bincount(column, weights=weights, minlength=width)
        return total

    def sampled(self, values: Floats) -> Floats:
        """(records,) values, or those of the sample that `cross` runs on."""
        return values if self.sample is None else values[self.sample]

    def cross(self, weights: Floats) -> Floats:
        """(size, size) sums per pair of codes of (sampled records,) weights, scaled up to all records."""
        scaled = weights * self._scale
        total = np.zeros((self.size, self.size))
        for one, first in enumerate(self._sampled):
            rows = slice(self.offsets[one], self.offsets[one + 1])
            total[rows, rows] = np.diag(np.bincount(first, weights=scaled, minlength=self.widths[one]))
            for two in range(one + 1, len(self.widths)):
                width = self.widths[two]
                joint = np.bincount(
                    first * width + self._sampled[two], weights=scaled, minlength=self.widths[one] * width
                ).reshape(self.widths[one], width)
                columns = slice(self.offsets[two], self.offsets[two + 1])
                total[rows, columns] = joint
                total[columns, rows] = joint.T
        return total

    def combine(self, values: Floats) -> Floats:
        """(records,) the sum of each record's codes' (size,) values."""
        total = np.zeros(self.records)
        for column, offset, width in zip(self._codes, self.offsets, self.widths, strict=False):
            total += values[offset : offset + width][column]
        return total

    def sampled_lengths(self, mix: Floats) -> Floats:
        """(sampled records,) lengths of the sums of each record's codes' rows of (size, d) mix."""
        products = mix @ mix.T
        squares = np.zeros(len(self._sampled[0]) if self._sampled else 0)
        for one, first in enumerate(self._sampled):
            rows = products[self.offsets[one] : self.offsets[one + 1]]
            squares += np.diagonal(rows, self.offsets[one])[first]
            for two in range(one + 1, len(self.widths)):
                table = rows[:, self.offsets[two] : self.offsets[two + 1]].ravel()
                squares += 2 * table[first * self.widths[two] + self._sampled[two]]
        return np.sqrt(np.maximum(squares, 0.0))
