"""A table's cells: which of them may leave, and what a job gives for each.

The cells are the combinations of the public levels of one or two columns; the margins are cells too. A job
runs on each cell's rows by itself, in a process of its own, so what stands in a cell depends on that cell's
rows alone. A row with another level, or none, is in no cell.

The room counts the units of each cell by itself. A cell stays empty

* with fewer units than the minimum, none at all included;
* where its largest contributors make up too much of it, in any number that the job reads (the (n, k)
  dominance rule);
* where it follows from others: cells of a line add up to its margin, so an empty cell is never alone in a
  line, the empty cells of a line together have no fewer different units than the minimum and are dominated by
  nobody, and no empty cell's value is determined by all lines together (a rank test; Hundepool et al. 2012,
  chapter 4). The rules treat every number as if it added up, which is cautious for those that do not.

This is exact: no differential privacy. What others know about the rows of a cell can still tell of the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.cleanroom.blocks import Parameters, run_blocks
from comity.cleanroom.job import Job
from comity.errors import BadInput
from comity.schema import Schema

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MOST_CELLS: Final = 1_000
"""With the margins. Which cells follow from others takes the cube of their number."""
_MARGIN: Final = "all"


@dataclass(frozen=True)
class CellRules:
    """What a cell needs to leave.

    Attributes:
        minimum: units, at least.
        largest, share: the `largest` contributors together make up at most `share` of a cell; None: any part.
    """

    minimum: int
    largest: int | None = None
    share: float | None = None


@dataclass(frozen=True)
class Grid:
    """The cells of a table with their margins: an array of (levels + 1) of each column, the last the margin.

    Attributes:
        names: the columns.
        levels: of each, the public levels, in order.
        measures: places, among the job's columns, of the numbers that nobody may dominate a cell in.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    measures: tuple[int, ...] = ()

    @classmethod
    def of(cls, job: Job, schema: Schema) -> Grid:
        """The cells of this job.

        Raises:
            BadInput: if a column declares no levels (cells are never read off the data), for too many cells,
                and for a measure that is no number.
        """
        names = () if job.cells is None else job.cells.by
        without = [name for name in names if schema[name].values is None]
        if without or not names:
            raise BadInput(
                f"a table is by columns with public levels, which {', '.join(without) or 'no column'} has"
            )
        measure = None if job.cells is None else job.cells.measure
        if measure is not None and not schema[measure].type.is_numeric:
            raise BadInput(f"the measure of a table is a column of numbers, which '{measure}' is not")
        numbers = tuple(at for at, name in enumerate(job.columns) if schema[name].type.is_numeric)
        grid = cls(names, tuple(schema[name].values or () for name in names), numbers)
        if grid.size > MOST_CELLS:
            raise BadInput(f"a table has up to {MOST_CELLS:,} cells with its margins, not {grid.size:,}")
        if any(_MARGIN in levels for levels in grid.levels):
            raise BadInput(f"a level called '{_MARGIN}' cannot be told from a margin of the table: rename it")
        return grid

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the cells with their margins."""
        return tuple(len(levels) + 1 for levels in self.levels)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def members(self, codes: Floats) -> tuple[Integers, Integers]:
        """Rows and the places of the cells that they are in, margins included: (memberships,) each.

        Args:
            codes: (rows, columns) places of levels, NaN where missing.
        """
        known = codes < np.array([len(levels) for levels in self.levels])  # false where missing
        inside = np.flatnonzero(known.all(axis=1))
        at = codes[inside].astype(np.int64)
        rows: list[Integers] = []
        places: list[Integers] = []
        for margin in np.ndindex(*(2,) * len(self.names)):
            index = [
                np.full(len(at), self.shape[axis] - 1) if whole else at[:, axis]
                for axis, whole in enumerate(margin)
            ]
            rows.append(inside)
            places.append(np.ravel_multi_index(index, self.shape).astype(np.int64))
        return np.concatenate(rows), np.concatenate(places)

    def lines(self) -> list[Integers]:
        """Places that add up: each line's cells, its margin last."""
        grid = np.arange(self.size).reshape(self.shape)
        return [
            np.moveaxis(grid, axis, 0)[(slice(None), *rest)].ravel()
            for axis in range(len(self.shape))
            for rest in np.ndindex(*(size for at, size in enumerate(self.shape) if at != axis))
        ]

    def words(self, place: int) -> tuple[str, ...]:
        """The levels of a cell; "all" for a margin."""
        index = np.unravel_index(place, self.shape)
        return tuple((*levels, _MARGIN)[at] for levels, at in zip(self.levels, index, strict=True))


def units_of(grid: Grid, rows: Integers, places: Integers, units: Integers) -> Integers:
    """(cells,) how many different units each cell has; rows of no unit (-1) do not count."""
    counted = units[rows] >= 0
    pairs = np.unique(np.stack([places[counted], units[rows[counted]]]), axis=1)
    return np.bincount(pairs[0], minlength=grid.size).astype(np.int64)


def dominated(
    grid: Grid, rows: Integers, places: Integers, units: Integers, measure: Floats, rules: CellRules
) -> Booleans:
    """(cells,) whether the largest contributors make up too much of the cell's total of |measure|."""
    if rules.largest is None or rules.share is None:
        return np.zeros(grid.size, dtype=np.bool_)
    counted = units[rows] >= 0
    sizes = np.nan_to_num(np.abs(measure[rows[counted]]))
    table: dict[int, dict[int, float]] = {}
    for place, unit, size in zip(
        places[counted].tolist(), units[rows[counted]].tolist(), sizes.tolist(), strict=True
    ):
        cell = table.setdefault(place, {})
        cell[unit] = cell.get(unit, 0.0) + size
    found = np.zeros(grid.size, dtype=np.bool_)
    for place, cell in table.items():
        total = sum(cell.values())
        top = sum(sorted(cell.values(), reverse=True)[: rules.largest])
        found[place] = total > 0 and top > rules.share * total
    return found


@dataclass(frozen=True, eq=False)
class Members:
    """Who is in which cell, for questions about several cells together.

    Attributes:
        rows, places: (memberships,) as `Grid.members` gives them.
        units: (rows,) the number of each row's unit, -1 for rows that do not count.
        measures: per number that nobody may dominate, (rows,).
        rules: what a cell needs to leave.
    """

    rows: Integers
    places: Integers
    units: Integers
    measures: tuple[Floats, ...]
    rules: CellRules

    def over(self, grid: Grid) -> Booleans:
        """(cells,) which of them somebody dominates."""
        found = np.zeros(grid.size, dtype=np.bool_)
        for measure in self.measures:
            found |= dominated(grid, self.rows, self.places, self.units, measure, self.rules)
        return found

    def enough(self, hidden: Integers) -> bool:
        """Whether what these cells have together may be known: enough different units, nobody dominant."""
        within = np.isin(self.places, hidden) & (self.units[self.rows] >= 0)
        rows = np.unique(self.rows[within])
        if len(np.unique(self.units[rows])) < self.rules.minimum:
            return False
        one, nobody = Grid(("",), ((),)), np.zeros(len(rows), dtype=np.int64)
        return not any(
            dominated(one, rows, nobody, self.units, measure, self.rules)[0] for measure in self.measures
        )


def empty_cells(
    grid: Grid,
    units: Integers,
    first: Booleans,
    minimum: int,
    together: Callable[[Integers], bool] | None = None,
) -> Booleans:
    """(cells,) which of them stay empty: those of `first`, and what others would give away.

    Args:
        units: (cells,) how many units each has.
        first: (cells,) those that may not leave by themselves.
        together: whether cells' total may be known (`Members.enough`); by default if they have `minimum`
            units, no unit being in two of them.
    """
    enough = together or (lambda hidden: int(units[hidden].sum()) >= minimum)
    empty = first.copy()
    lines = grid.lines()
    through = {place: [line for line in lines if place in line] for place in range(grid.size)}

    def empty_one_of(line: Integers) -> None:
        """Of the full cells of a line the one that leaves the fewest others to empty, then the smallest."""
        full = line[~empty[line]].tolist()
        if full:
            alone = {place: sum(not empty[each].any() for each in through[place]) for place in full}
            empty[min(full, key=lambda place: (alone[place], units[place]))] = True

    while True:
        before = empty.copy()
        for line in lines:
            hidden = line[empty[line]]
            if len(hidden) and (len(hidden) < 2 or not enough(hidden)):
                empty_one_of(line)
        if (empty == before).all():
            told = np.flatnonzero(determined(lines, empty))
            for place in told.tolist():
                empty_one_of(max(through[place], key=lambda line: int((~empty[line]).sum())))
            if (empty == before).all():
                # nothing follows any more, or there is nothing left to empty
                return empty if not len(told) else np.ones_like(empty)


def determined(lines: list[Integers], empty: Booleans) -> Booleans:
    """(cells,) which empty cells follow from the full ones, every line adding up to its margin."""
    unknown = np.flatnonzero(empty)
    found = np.zeros(len(empty), dtype=np.bool_)
    if not len(unknown):
        return found
    where = {int(place): at for at, place in enumerate(unknown)}
    system = np.zeros((len(lines), len(unknown)))
    for row, line in enumerate(lines):
        for place in line.tolist():
            if place in where:
                system[row, where[place]] = -1.0 if place == int(line[-1]) else 1.0
    _, sizes, basis = np.linalg.svd(system, full_matrices=True)
    rank = int((sizes > 1e-9 * max(sizes.max(initial=0.0), 1.0)).sum())
    free = basis[rank:]
    found[unknown] = np.abs(free).max(axis=0, initial=0.0) < 1e-9
    return found


@dataclass(frozen=True, eq=False)
class CellTable:
    """What leaves of a table, and what the room alone knows of it.

    Attributes:
        values: (cells, length) what the job gave, NaN in empty cells.
        empty: (cells,) which stay empty.
        units: (cells,) how many units each has; never leaves.
        cpu_s, peak_mb: what running the job took.
    """

    values: Floats
    empty: Booleans
    units: Integers
    cpu_s: float
    peak_mb: float


def fill(
    job: Job, parameters: Parameters, grid: Grid, matrix: Floats, units: Integers, rules: CellRules
) -> CellTable:
    """Run the job on every cell that may leave.

    Args:
        matrix: (rows, columns) what the job is given.
        units: (rows,) the number of each row's unit, -1 for rows that do not count.
    """
    cells = job.cells
    if cells is None:
        raise BadInput(f"the job '{job.title}' is none of a table")
    at = [job.columns.index(name) for name in grid.names]
    counted = np.where(units[:, None] >= 0, matrix[:, at], np.nan)
    rows, places = grid.members(counted)
    number = units_of(grid, rows, places, units)
    members = Members(rows, places, units, tuple(matrix[:, at] for at in grid.measures), rules)
    first = (number < rules.minimum) | members.over(grid)
    empty = empty_cells(grid, number, first, rules.minimum, members.enough)
    run = ~empty[places]
    ran = run_blocks(job, parameters, matrix[rows[run]], places[run], grid.size)
    values = np.where((empty | ~ran.gave)[:, None], np.nan, ran.vectors[job.outputs[0].name])
    return CellTable(values, empty, number, ran.cpu_s, ran.peak_mb)
