"""Likeness: scores by how like a record is to some rows, in all columns at once.

An additive model reads one column at a time. A Gaussian process with the covariance exp(-d^2 / (2 c reach)),
c columns, also reads what columns say only together. d is the distance between codes: a number's bins lie
evenly on a line of length 3 (missing in the middle), two different levels of a category lie about 1 apart.
`opening` fits it to seed rows. All of it follows from public features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.bins import Columns

Floats = NDArray[np.float64]

REACHES: Final = (0.1, 0.35, 1.0)

_LINE: Final = 3.0
_APART: Final = 0.7
_BLOCK: Final = 1 << 13
_SMALL: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Likeness:
    """A score: the sum over rows and reaches of weight times covariance.

    Attributes:
        places: (rows, coordinates) of the rows, as `places_of` has them.
        weights: (reaches, rows) of each reach of `REACHES`.
    """

    places: Floats
    weights: Floats

    def scores(self, columns: Columns) -> Floats:
        """(records,) scores of records coded as the rows were."""
        total = np.zeros(len(columns.codes))
        for first in range(0, len(total), _BLOCK):
            block = slice(first, first + _BLOCK)
            part = Columns(columns.codes[block], columns.widths, columns.ordered)
            apart = distances(places_of(part), self.places) / len(columns.widths)
            for reach, weights in zip(REACHES, self.weights, strict=True):
                if weights.any():
                    total[block] += covariance(apart, reach) @ weights
        return total


def places_of(columns: Columns) -> Floats:
    """(records, coordinates) where records lie: one coordinate per number, one per level of a category."""
    parts: list[Floats] = []
    for at, width in enumerate(columns.widths):
        codes = columns.codes[:, at].astype(np.int64)
        if columns.ordered[at]:
            place = ((codes - 1) / max(width - 2, 1) - 0.5) * _LINE
            parts.append(np.where(codes == 0, 0.0, place)[:, None])
        else:
            parts.append(np.eye(width)[codes] * _APART)
    return np.hstack(parts) if parts else np.zeros((len(columns.codes), 0))


def distances(places: Floats, others: Floats) -> Floats:
    """(records, others) squared distances."""
    lengths, of_others = np.square(places).sum(axis=1), np.square(others).sum(axis=1)
    return np.maximum(lengths[:, None] + of_others - 2 * places @ others.T, 0.0)


def covariance(apart: Floats, reach: float) -> Floats:
    """The process's covariance at squared distances per column."""
    return np.exp(apart / (-2 * reach))


def roots(places: Floats, columns: int, reach: float) -> tuple[Floats, Floats]:
    """The covariance of some rows as E E', and the matrix that turns values along E into weights of rows.

    Returns:
        E and W, both (rows, d): E z and the covariance times W z are the same scores of the rows.
    """
    values, vectors = np.linalg.eigh(covariance(distances(places, places) / max(columns, 1), reach))
    kept = values > _SMALL * max(float(values[-1]), 1.0)
    chosen = np.asarray(vectors[:, kept], dtype=np.float64)
    root = np.asarray(np.sqrt(values[kept]), dtype=np.float64)
    return np.asarray(chosen * root, dtype=np.float64), np.asarray(chosen / root, dtype=np.float64)
