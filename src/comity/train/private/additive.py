"""Additive: what the private estimators fit, one effect per bin or level, and tables for pairs of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from comity.mechanism import Calibrated
from comity.train.private.columns import Codes, Columns
from comity.train.private.gradients import Floats


@dataclass(frozen=True, eq=False)
class Additive:
    """A sum of effects on the log odds; a function of noisy sums, so nothing of it is private.

    Attributes:
        effects: for each column, (width,) what each fine code adds.
        records: noisy number of records.
        pairs: for two columns, (width, width) what both codes together add.
        constant: what every record gets.
    """

    effects: tuple[Floats, ...]
    records: float
    pairs: Mapping[tuple[int, int], Floats] = field(default_factory=dict)
    constant: float = 0.0

    def scores(self, codes: Codes) -> Floats:
        """(n,) log odds of records with these fine codes."""
        total = np.full(len(codes), self.constant)
        for at, effect in enumerate(self.effects):
            total += effect[codes[:, at]]
        for (first, second), table in self.pairs.items():
            total += table[codes[:, first], codes[:, second]]
        return total


class Schedule(Protocol):
    """What a fit will release, drawn up from public facts."""

    @property
    def columns(self) -> Columns: ...
    @property
    def calibrated(self) -> Calibrated: ...
    def fit(self, codes: Codes, positive: NDArray[np.bool_]) -> Additive:
        """Read (n, columns) fine codes and (n,) labels; to be called after the charge."""
        ...


def folded(weights: Floats, columns: Columns) -> tuple[Floats, ...]:
    """Effects of the rows' blocks as effects of fine codes: a coarse bin's go to the fine ones in it."""
    parts = np.split(weights, columns.blocks.offsets[1:-1])
    fine = [part.copy() for part in parts[: len(columns.names)]]
    for (at, to), coarse in zip(columns.coarse, parts[len(columns.names) :], strict=True):
        fine[at] += coarse[to]
    return tuple(fine)
