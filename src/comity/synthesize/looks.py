"""Looks at the private table: everything that the choosing of marginals may ask, each answer paid for.

`Looks` alone holds the rows. What it hands out is noisy counts and chosen places; a method that has a
`Looks` cannot reach the rows past the purse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from comity.synthesize.codes import Codes, merge
from comity.synthesize.graph import Clique
from comity.synthesize.model import Measured
from comity.synthesize.purse import Purse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.synthesize.cells import Cells


MODEL_CELLS = 40_000
"""The model has at most so many numbers: what bounds its time and memory."""
BASE_CELLS = MODEL_CELLS // 2
"""So many of them at most are counts of single columns, or of columns with the target; pairs get the rest."""
MOST_COLUMNS = 1_000
MOST_CLASSES = 100
"""Codes of a target at most."""
_FEW = 16
"""The target gives way where columns would have fewer codes than this."""


def most_codes(columns: int, target: int | None) -> tuple[int, int]:
    """How many codes a target, and any other column, may have; of public facts alone.

    Args:
        columns: how many there are, the target among them. target: cells of the target; None without one.
    """
    if target is None:
        return 0, BASE_CELLS // columns
    others = max(1, columns - 1)
    classes = min(max(2, target), MOST_CLASSES, max(2, BASE_CELLS // (_FEW * others)))
    return classes, max(2, BASE_CELLS // (classes * others))


@dataclass(frozen=True)
class Asked:
    """One line of what a table was made from, for people: post-processing.

    Attributes:
        columns: names. sigma: the noise on each count, in rows; None for a choice. counts: how many.
        share: of the budget's mu squared.
    """

    what: str
    columns: tuple[str, ...]
    counts: int
    sigma: float | None
    share: float


@dataclass(eq=False)
class Looks:
    """The rows behind a purse.

    Args:
        purse: pays for every look.
        cells: the columns. rows: (rows, columns) the cell of each.
        target: the place of the column that models are to predict, if there is one.

    `codes`, `measured` and `asked` are what has been told so far.
    """

    purse: Purse
    cells: tuple[Cells, ...]
    rows: NDArray[np.uint16]
    target: int | None = None
    asked: list[Asked] = field(default_factory=list[Asked])
    codes: tuple[Codes, ...] = ()
    measured: list[Measured] = field(default_factory=list[Measured])
    _coded: NDArray[np.uint16] | None = None
    _counted: dict[Clique, NDArray[np.int64]] = field(default_factory=dict)

    def bin_columns(self, price: float, *, bins: int) -> None:
        """Count every column's cells with noise (equal parts of `price`) and merge what is too small.

        Codes are so few that all columns, each with the target, have at most `BASE_CELLS` counts together.
        """
        each = price / len(self.cells)
        codes: list[Codes] = []
        of_target, of_others = most_codes(
            len(self.cells), None if self.target is None else self.cells[self.target].size
        )
        for at, cells in enumerate(self.cells):
            counts = np.bincount(self.rows[:, at], minlength=cells.size).astype(np.int64)
            noisy = self.purse.measure(counts, each)
            self._note("count", (cells.name,), cells.size, noisy.sigma, each)
            target = at == self.target
            most = of_target if target else of_others
            codes.append(merge(cells, noisy, bins=bins, most=most, apart=target))
        self.codes = tuple(codes)
        coded = [code.coded(self.rows[:, at]) for at, code in enumerate(codes)]
        self._coded = np.stack(coded, axis=1) if coded else None
        self.measured += [Measured((at,), code.counts, code.deviations) for at, code in enumerate(codes)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each column."""
        return tuple(code.size for code in self.codes)

    @property
    def usable(self) -> tuple[int, ...]:
        """Places of the columns whose values differ, so far as noisy counts tell: one code says nothing of
        other columns, and counting it together with them would cost as much as counting another."""
        return tuple(at for at, size in enumerate(self.sizes) if size > 1)

    @property
    def usable_target(self) -> int | None:
        """The target's place, where its values differ."""
        return self.target if self.target in self.usable else None

    @property
    def base(self) -> list[Clique]:
        """The columns whose values differ, each with the target; all columns where none differ."""
        target = self.usable_target
        if target is None:
            return [(at,) for at in self.usable or range(len(self.cells))]
        return [tuple(sorted((at, target))) for at in self.usable if at != target] or [(target,)]

    def total(self) -> float:
        """Rows of the table, from the columns' noisy counts weighed by their noise; at least 1."""
        weights = np.array([1.0 / float(np.square(code.deviations).sum()) for code in self.codes])
        sums = np.array([float(code.counts.sum()) for code in self.codes])
        return max(1.0, float(weights @ sums / weights.sum()))

    def measure(self, columns: Clique, price: float) -> None:
        """Count one marginal with noise; it is in `measured` then."""
        noisy = self.purse.measure(self._exact(columns), price)
        names = tuple(self.codes[column].name for column in columns)
        self._note("count", names, noisy.values.size, noisy.sigma, price)
        self.measured.append(Measured(columns, noisy.values, noisy.sigma))

    def measure_all(self, marginals: Sequence[Clique]) -> None:
        """Count these marginals for all that is left, each for an equal part."""
        each = self.purse.left * (1 - 1e-9) / max(1, len(marginals))
        for columns in marginals:
            self.measure(columns, each)

    def worst(
        self,
        candidates: Sequence[tuple[Clique, NDArray[np.float64]]],
        price: float,
        *,
        less: Sequence[float] | None = None,
        weights: Sequence[float] | None = None,
    ) -> int:
        """Which candidate's marginal the model gets most wrong, by the exponential mechanism."""
        chosen = self.purse.choose(
            [self._exact(columns) for columns, _ in candidates],
            [fitted for _, fitted in candidates],
            [0.0] * len(candidates) if less is None else list(less),
            [1.0] * len(candidates) if weights is None else list(weights),
            price,
        )
        self._note("choose", (), len(candidates), None, price)
        return chosen

    def _exact(self, columns: Clique) -> NDArray[np.int64]:
        """The true counts, kept: a candidate of one round is one of the next. They stay in here."""
        if columns not in self._counted:
            self._counted[columns] = self._count(columns)
        return self._counted[columns]

    def _count(self, columns: Clique) -> NDArray[np.int64]:
        shape = tuple(self.codes[column].size for column in columns)
        at = np.zeros(len(self.rows), dtype=np.int64)
        for column in columns:
            at *= self.codes[column].size
            if self._coded is not None:
                at += self._coded[:, column]
        return np.bincount(at, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)

    def _note(
        self, what: str, columns: tuple[str, ...], counts: int, sigma: float | None, price: float
    ) -> None:
        self.asked.append(Asked(what, columns, counts, sigma, price / self.purse.whole))
