"""Minimum cells: what may leave of a table, held against a slow and obvious count."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import linprog

from comity.cleanroom.cells import (
    CellRules,
    Grid,
    Members,
    determined,
    dominated,
    empty_cells,
    fill,
    units_of,
)
from comity.cleanroom.job import Cells, Kind, Output
from comity.errors import BadInput
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "job": {"role": "insensitive", "type": "category", "values": ["a", "b"]},
            "town": {"role": "insensitive", "type": "category", "values": ["x", "y"]},
            "pay": {"role": "sensitive", "type": "number", "min": 0, "max": 1000},
        }
    },
    where="a test",
)
GRID = Grid(("job", "town"), (("a", "b", "c"), ("x", "y", "z")))
COUNTS = "def run(rows, parameters):\n    return {'told': [len(rows['pay']), sum(rows['pay'])]}\n"


def asked(rooms: Any, **cells: Any) -> Any:
    return rooms.whole(
        COUNTS,
        kind=Kind.table,
        columns=("job", "town", "pay"),
        outputs=(Output("told", 2),),
        cells=Cells(("job", "town"), **cells),
        memory_mb=256,
    )


def margins(inner: np.ndarray) -> np.ndarray:
    """The counts of a grid with its margins."""
    return np.block([[inner, inner.sum(1, keepdims=True)], [inner.sum(0), inner.sum()]]).astype(np.int64)


counts = st.lists(st.integers(0, 12), min_size=9, max_size=9).map(
    lambda x: margins(np.array(x).reshape(3, 3)).ravel()
)


@given(counts, st.integers(2, 6))
@pytest.mark.hypothesis
def test_no_small_cell_leaves_and_none_follows_from_what_does(units: np.ndarray, minimum: int) -> None:
    first = units < minimum
    empty = empty_cells(GRID, units, first, minimum)
    assert (empty | ~first).all()
    assert not determined(GRID.lines(), empty).any() or empty.all()
    for line in GRID.lines():
        hidden = line[empty[line]]
        if len(hidden) and len(hidden) < len(line):
            assert len(hidden) >= 2
            assert units[hidden].sum() >= minimum


@given(counts, st.integers(2, 6))
@pytest.mark.hypothesis
def test_an_adversary_with_all_that_left_cannot_solve_for_a_small_cell(
    units: np.ndarray, minimum: int
) -> None:
    """The attack: the least and the most that a cell can be by linear programming, over any real numbers."""
    first = units < minimum
    empty = empty_cells(GRID, units, first, minimum)
    assume(first.any() and not empty.all())
    rows = [np.where(np.isin(np.arange(len(units)), line[:-1]), 1.0, 0.0) for line in GRID.lines()]
    for row, line in zip(rows, GRID.lines(), strict=True):
        row[line[-1]] = -1.0
    bounds = [(-1e3, 1e3) if empty[at] else (units[at], units[at]) for at in range(len(units))]
    for cell in np.flatnonzero(first)[:2]:
        ends = []
        for sign in (1.0, -1.0):
            aim = np.zeros(len(units))
            aim[cell] = sign
            found = linprog(aim, A_eq=np.array(rows), b_eq=np.zeros(len(rows)), bounds=bounds)
            ends.append(sign * found.fun)
        assert ends[1] - ends[0] > 1.0


def test_the_control_without_care_for_margins_is_solved() -> None:
    """Leaving out the small cell alone gives it away."""
    units = margins(np.array([[2, 9, 9], [9, 9, 9], [9, 9, 9]])).ravel()
    assert determined(GRID.lines(), units < 5)[0]
    assert not determined(GRID.lines(), empty_cells(GRID, units, units < 5, 5))[0]


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 3), st.integers(0, 3)), max_size=30))
@pytest.mark.hypothesis
def test_units_are_counted_as_a_slow_count_does(people: list[tuple[int, int, int]]) -> None:
    units = np.array([who for who, _, _ in people], dtype=np.int64)
    # 3 stands for a level that is not public, and for a missing one in every second column
    codes = np.array([[job, np.nan if town == 3 else town] for _, job, town in people]).reshape(-1, 2)
    found = units_of(GRID, *GRID.members(codes), units).reshape(GRID.shape)
    for at in itertools.product(range(4), range(4)):
        inside = {
            who
            for who, job, town in people
            if who >= 0 and 3 not in (job, town) and at[0] in (job, 3) and at[1] in (town, 3)
        }
        assert found[at] == len(inside)


def test_a_cell_that_one_contributor_dominates_stays_empty() -> None:
    codes = np.array([[0.0, 0.0]] * 6 + [[1.0, 0.0]] * 6)
    pay = np.array([900.0, 1, 1, 1, 1, 1, 10, 10, 10, 10, 10, 10])
    rules = CellRules(3, largest=1, share=0.5)
    found = dominated(GRID, *GRID.members(codes), np.arange(12), pay, rules)
    assert found.reshape(GRID.shape)[0, 0]
    assert not found.reshape(GRID.shape)[1, 0]
    assert not dominated(GRID, *GRID.members(codes), np.arange(12), pay, CellRules(3)).any()


def test_a_table_is_filled_cell_by_cell(sandboxed: None, rooms: Any) -> None:
    job = asked(rooms)
    inner = np.array([[2, 9, 9], [9, 9, 8], [9, 8, 9]])
    codes = np.array([[job, town] for job, town in np.ndindex(3, 3) for _ in range(inner[job, town])])
    matrix = np.column_stack([codes, np.full(len(codes), 5.0)]).astype(np.float64)
    table = fill(job, {}, GRID, matrix, np.arange(len(matrix)), CellRules(5))
    values = table.values.reshape(4, 4, 2)
    assert table.units.reshape(4, 4)[:3, :3].tolist() == inner.tolist()
    assert np.isnan(values[0, 0]).all()
    assert values[3, 3].tolist() == [72.0, 360.0]
    shown = ~np.isnan(values[:3, :3, 0])
    assert (values[:3, :3, 0][shown] == inner[shown]).all()
    assert shown.sum() >= 5


def test_what_is_in_a_cell_depends_on_its_rows_alone(sandboxed: None, rooms: Any) -> None:
    """A job that puts everybody's pay into every cell cannot: it is given one cell's rows."""
    job = asked(rooms)
    grid = Grid.of(job, SCHEMA)
    codes = np.array([at for at in np.ndindex(2, 2) for _ in range(6)], dtype=np.float64)
    matrix = np.column_stack([codes, np.arange(24.0)])
    before = fill(job, {}, grid, matrix, np.arange(24), CellRules(3)).values.reshape(3, 3, 2)
    matrix[13, 2] = 777.0
    after = fill(job, {}, grid, matrix, np.arange(24), CellRules(3)).values.reshape(3, 3, 2)
    changed = {tuple(at) for at in np.argwhere(before != after).tolist()}
    assert changed == {(1, 0, 1), (2, 0, 1), (1, 2, 1), (2, 2, 1)}


def test_cells_are_of_public_levels(rooms: Any) -> None:
    job = asked(rooms)
    assert Grid.of(job, SCHEMA).words(8) == ("all", "all")
    bare = parse_schema(
        {"columns": {name: {"role": "insensitive", "type": "text"} for name in ("job", "town")}}, where="t"
    )
    with pytest.raises(BadInput, match="public levels"):
        Grid.of(job, bare)


LINE = Grid(("job",), (("a", "b", "c"),))


def hidden_of(codes: list[int], units: list[int], pay: list[float], rules: CellRules) -> list[bool]:
    """Which cells of `LINE` stay empty, the margin last."""
    rows, places = LINE.members(np.array(codes, dtype=float)[:, None])
    whose = np.array(units)
    members = Members(rows, places, whose, (np.array(pay),), rules)
    number = units_of(LINE, rows, places, whose)
    first = (number < rules.minimum) | members.over(LINE)
    return empty_cells(LINE, number, first, rules.minimum, members.enough).tolist()


def test_hidden_cells_of_the_same_few_people_are_not_enough_together() -> None:
    """Three people are in a and in b: 3 + 3 is no 6. Without c the margin less c would be theirs alone."""
    codes = [0] * 3 + [1] * 3 + [2] * 9
    units = [0, 1, 2, 0, 1, 2, *range(3, 12)]
    assert hidden_of(codes, units, [1.0] * 15, CellRules(5)) == [True, True, True, False]
    apart = [0, 1, 2, 20, 21, 22, *range(3, 12)]
    assert hidden_of(codes, apart, [1.0] * 15, CellRules(5)) == [True, True, False, False]


def test_hidden_cells_that_somebody_dominates_together_are_not_enough() -> None:
    pay = [1000.0, 1.0, 1.0, 1.0, *[10.0] * 6, *[50.0] * 40]
    codes = [0] * 4 + [1] * 6 + [2] * 40
    units = list(range(50))
    # a is dominated; b goes with it, and 94% of the two is one person's: c goes too
    assert hidden_of(codes, units, pay, CellRules(3, largest=1, share=0.9)) == [True, True, True, False]


def test_a_table_is_small_and_its_margins_have_names_of_their_own(rooms: Any) -> None:
    def grid(levels: list[str], **cells: Any) -> Grid:
        columns = {
            "job": {"role": "insensitive", "type": "category", "values": levels},
            "age": {"role": "insensitive", "type": "integer", "min": 0, "max": 90},
        }
        job = rooms.whole("", kind=Kind.table, columns=("job", "age"), cells=Cells(("job",), **cells))
        return Grid.of(job, parse_schema({"columns": columns}, where="a test"))

    assert grid(["a", "b"], measure="age").measures == (1,)
    for levels, cells, says in (
        ([str(at) for at in range(1000)], {}, "up to 1,000 cells"),
        (["all", "b"], {}, "a margin"),
        (["a", "b"], {"measure": "job"}, "column of numbers"),
    ):
        with pytest.raises(BadInput, match=says):
            grid(levels, **cells)
    with pytest.raises(BadInput, match="measure of its cells"):
        grid(["a", "b"], measure="pay")
