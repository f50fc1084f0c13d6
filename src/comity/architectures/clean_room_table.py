"""`clean-room`: a table under minimum-cell rules, and its release.

Exact: one release per lineage, checked by counting again what was released.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.clean_room_rows import read_rows
from comity.architectures.clean_room_terms import NAME, TOPIC
from comity.architectures.definition import Seat
from comity.architectures.exchange import account_of
from comity.cleanroom.blocks import Parameters
from comity.cleanroom.cells import CellRules, Grid, Members, determined, fill, units_of
from comity.cleanroom.columns import Columns, Units
from comity.cleanroom.job import Job
from comity.cleanroom.pace import leaves_after, paced
from comity.plan import Outcome, Plan, Verdict

if TYPE_CHECKING:
    from comity.agreement.training_clauses import CleanRoomClause


def rules_of(clause: CleanRoomClause | None) -> CellRules:
    """What the clause asks of a cell; without one nothing leaves, and the gate says so."""
    if clause is None or clause.minimum_cell is None:
        return CellRules(minimum=1 << 62)
    if clause.dominance is None:
        return CellRules(clause.minimum_cell)
    return CellRules(clause.minimum_cell, clause.dominance.largest, clause.dominance.share)


def table_plan(
    seat: Seat,
    job: Job,
    parameters: Parameters,
    columns: Columns,
    unit: Units,
    request: dict[str, Any],
    note: Callable[[int, float, float], None],
) -> Plan:
    """The release of a table, checked cell by cell."""
    rules = rules_of(getattr(seat.agreement.architectures, "clean_room", None))
    grid = Grid.of(job, seat.task.schema)
    begun, first = time.monotonic(), leaves_after(grid.size, 0.0)

    def run() -> Outcome:
        nonlocal begun
        begun = time.monotonic()
        with paced(begun, first):
            matrix, units = read_rows(seat, columns, unit)
            table = fill(job, parameters, grid, matrix, units, rules)
            note(int((units >= 0).sum()), table.cpu_s, table.peak_mb)
        shown = [
            {"at": list(grid.words(place)), "values": table.values[place].tolist()}
            for place in np.flatnonzero(np.isfinite(table.values).all(axis=1)).tolist()
        ]
        return Outcome(body={"by": list(grid.names), "cells": shown})

    def check(outcome: Outcome) -> Verdict:
        with paced(begun, first):
            return _counted_again(outcome, job, grid, *read_rows(seat, columns, unit), rules)

    return Plan(
        architecture=NAME,
        purpose=f"the table of the job '{job.title}' on the rows of {seat.party}",
        recipient=seat.ml_party,
        topic=TOPIC,
        request=request,
        asks={"unsafe_exact": True},
        account=account_of(seat, unit=unit.whose),
        cost=None,
        run=run,
        check=check,
        held=f"the job ran at {seat.party}, and its table was held back: no cell has as many units as the "
        "clause's minimum_cell asks for and nobody who makes up most of it, in a way that others do not give "
        "away. What may help: fewer levels, one column instead of two; or the same counts with noise, as "
        "declared statistics",
    )


def _counted_again(
    outcome: Outcome, job: Job, grid: Grid, matrix: Any, units: Any, rules: CellRules
) -> Verdict:
    """Every cell of the released table has enough units, none dominates it, and no other cell follows."""
    shown = {tuple(cell["at"]) for cell in outcome.body["cells"]}
    empty = np.array([grid.words(place) not in shown for place in range(grid.size)])
    at = [job.columns.index(name) for name in grid.names]
    rows, places = grid.members(np.where(units[:, None] >= 0, matrix[:, at], np.nan))
    number = units_of(grid, rows, places, units)
    members = Members(rows, places, units, tuple(matrix[:, at] for at in grid.measures), rules)
    small, over = number < rules.minimum, members.over(grid)
    lines = grid.lines()
    told = determined(lines, empty) & (small | over)
    thin = sum(
        not members.enough(line[empty[line]]) for line in lines if empty[line].any() and not empty[line].all()
    )
    figures = {
        "cells": int((~empty).sum()),
        "too_small": int(small[~empty].sum()),
        "dominated": int(over[~empty].sum()),
        "told_by_others": int(told.sum()),
        "lines_with_too_few_hidden": thin,
    }
    sound = not ((small | over)[~empty].any() or told.any() or thin)
    return Verdict(
        passed=sound and bool((~empty).any()),
        reason="no cell may leave" if empty.all() else "counted again by the room",
        figures=figures,
    )
