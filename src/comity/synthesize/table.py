"""A synthetic table: rows of nobody, drawn from a model that was fitted to noisy counts of a table's rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.data.people import Unit
from comity.errors import BadInput, UsageError
from comity.schema import Column, ColumnType, Role, Schema
from comity.synthesize import opened
from comity.synthesize.aim import aim
from comity.synthesize.cells import MISSING, Cells, cells_of
from comity.synthesize.frame import refuse_dates, rows_by_type, stored_types
from comity.synthesize.looks import MOST_COLUMNS, Looks
from comity.synthesize.manifest import manifest_of
from comity.synthesize.mst import mst
from comity.synthesize.purse import Purse
from comity.synthesize.rows import rows_of, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data import Table
    from comity.synthesize.model import Model

BINS = 16
MOST_ROWS = 100_000_000
"""How many rows may be asked for: some gigabytes while they are drawn."""
_OPENED = 0.10
"""The part of mu squared, and of delta, that goes into bounds and levels, where some are not public."""


class Engine(StrEnum):
    """What fits the last model: comity's own mirror descent, or mbi's."""

    comity = "comity"
    mbi = "mbi"


class Method(StrEnum):
    """How marginals are chosen."""

    aim = "aim"
    mst = "mst"


@dataclass(frozen=True)
class Synthetic:
    """What was made.

    Attributes:
        table: the synthetic rows.
        manifest: what it was made from, for people (JSON): the counts' noise, the model's marginals.
    """

    table: Table
    manifest: dict[str, Any]


def make_synthetic(
    table: Table,
    schema: Schema,
    names: Sequence[str],
    *,
    epsilon: float,
    delta: float,
    method: str = "aim",
    rows: int | None = None,
    most_rows: int | None = None,
    target: str | None = None,
    unit: Unit | None = None,
    bins: int = BINS,
    engine: str = "comity",
) -> Synthetic:
    """Make a synthetic table. (epsilon, delta)-private for one unit's rows that come or go.

    Args:
        table: the private rows.
        schema: public; bounds and levels that it lacks are measured with noise, out of the same budget.
        names: the columns to make.
        epsilon: above 0, in nats. delta: above 0 and below 1. Both of the whole.
        method: `aim` or `mst`.
        rows: how many to make, at most `MOST_ROWS`; None: as many as the noisy counts say the table has, at
            most `most_rows`.
        target: the column that models are to predict: marginals with it come first. A row where it is
            missing, or none of its public levels, is left out, as in every table that a node reads.
        unit: whose coming or going is hidden; by default each row is one.
        bins: about how many bins of a number.
        engine: `mbi` has that library fit the last model again, on the same counts: some seconds more.

    Raises:
        UsageError: for settings that cannot be; MissingExtra: if mbi is asked for and not installed.
        BadSchema: if a category has more than 4,095 public levels.
    """
    unit = unit or Unit()
    _require_budget(epsilon, delta)
    _require(names, method, rows, target, bins)
    if engine not in list(Engine):
        raise UsageError(f"engine is 'comity' or 'mbi', not {engine!r}")
    opening = [name for name in names if _is_open(schema[name])]
    additive = delta * _OPENED if opening else 0.0
    purse = Purse(epsilon, delta - additive, rows_per_unit=unit.rows)
    rows_that_count = unit.kept(table)
    cells = _cells(rows_that_count, schema, names, opening, purse, additive, unit)
    coded = np.stack([cell.count(rows_that_count) for cell in cells], axis=1)
    aim_at = None if target is None else list(names).index(target)
    if aim_at is not None and cells[aim_at].size > 1:
        # a row is left out for its own value alone
        coded = coded[coded[:, aim_at] != MISSING]
    looks = Looks(purse, cells, coded, aim_at)
    model = aim(looks, bins=bins) if Method(method) is Method.aim else mst(looks, bins=bins)
    if Engine(engine) is Engine.mbi:
        from comity.synthesize.mbi_engine import fit_by_mbi

        model = fit_by_mbi(looks.sizes, looks.measured, total=model.total)
    count = rows if rows is not None else min(round(model.total), most_rows or round(model.total))
    made = _drawn(looks, model, count)
    settings = {"method": str(method), "epsilon": epsilon, "delta": delta, **_words(unit), "rows": count}
    return Synthetic(made, manifest_of(looks, model, names, opening, settings))


def _words(unit: Unit) -> dict[str, Any]:
    return {"unit": "record" if unit.column is None else "person", "rows_per_unit": unit.rows}


def synthesize(
    frame: Any,
    *,
    epsilon: float,
    delta: float,
    method: str = "aim",
    rows: int | None = None,
    schema: Schema | None = None,
    target: str | None = None,
    bins: int = BINS,
    engine: str = "comity",
) -> Any:
    """A synthetic table with the columns of `frame`, (epsilon, delta)-private for one record.

    Frames are anything narwhals reads; what comes back is the kind that went in. Nothing is charged: it is
    the holder's own call, and its guarantee adds to others on the same data. Without a schema the types are
    those that the frame's columns are stored as, whatever their values (all but numbers are categories; a
    number that is not finite is missing), and bounds and levels are measured with noise out of the same
    budget, so that the guarantee covers them; with one they are as public as the schema is, no noise
    goes into them, and columns that it calls identifiers, or does not name, are left out. Where the schema's
    unit names a column, the guarantee is for all rows of a person, at most `unit.max_rows` of them.

    Args:
        frame: the private rows.
        epsilon, delta: of the whole; delta is above 0.
        method: `aim` chooses marginals one by one, `mst` a tree of pairs at once.
        rows: how many to make; None: as many as the noisy counts say there are.
        schema: public types, bounds and levels.
        target: a column that models are to predict: marginals with it come first. By default the schema's.
        bins: about how many bins a number is cut into.
        engine: as of `make_synthetic`.

    Raises:
        UsageError: for settings that cannot be.
        BadTable: if a column is stored as dates and no schema names their values, or as lists (public); if
            values do not fit the schema, which is said to the holder alone.
    """
    from comity.data import read_table

    _require_budget(epsilon, delta)
    if schema is not None and not isinstance(schema, Schema):
        raise UsageError(
            f"schema is a comity Schema (comity.schema.read_schema reads one), not {type(schema).__name__}"
        )
    if schema is None:
        known = stored_types(frame)
        table = rows_by_type(frame, known)
    else:
        refuse_dates(frame, schema)
        known, table = schema, read_table(frame, schema=schema)
    settings = frame_settings(table, known, target)
    made = make_synthetic(
        table, known, settings.names, epsilon=epsilon, delta=delta, method=method, rows=rows,
        target=settings.target, unit=settings.unit, bins=bins, engine=engine,
    )  # fmt: skip
    return made.table.to_native(frame)


@dataclass(frozen=True)
class FrameSettings:
    """What a table and its schema say: the columns to make, the target, whose coming or going is hidden."""

    schema: Schema
    names: tuple[str, ...]
    target: str | None
    unit: Unit


def frame_settings(table: Table, schema: Schema | None, target: str | None) -> FrameSettings:
    """Every column but identifiers, by the schema's order; without a schema all of them, by their types.

    Raises:
        BadTable: if the table lacks a column of the schema.
    """
    known = schema if schema is not None else stored_types(table)
    names = tuple(name for name in known if known[name].role is not Role.identifier)
    stated = known.unit.column
    for name in (*names, *([stated] if stated else [])):
        table.column(name)
    return FrameSettings(
        known, names, target if target is not None else known.target, Unit.of(known.unit, known.columns)
    )


def _require_budget(epsilon: Any, delta: Any) -> None:
    """Check both as given: what is checked after a part was taken off lets through what is above 1."""
    for name, value in (("epsilon", epsilon), ("delta", delta)):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise UsageError(f"{name} is a number, not {value!r}")
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise UsageError(f"epsilon must be above 0 and finite, not {epsilon}")
    if not 0 < delta < 1:
        raise UsageError(f"a synthetic table takes a delta above 0 and below 1, not {delta}; 1e-6 is usual")


def _require(names: Sequence[str], method: str, rows: int | None, target: str | None, bins: int) -> None:
    if method not in list(Method):
        raise UsageError(f"method is 'aim' or 'mst', not {method!r}")
    if not names:
        raise BadInput("no column is left to synthesise: every one is an identifier")
    if len(names) > MOST_COLUMNS:
        raise BadInput(
            f"a synthetic table has at most {MOST_COLUMNS:,} columns, and {len(names):,} are asked for: "
            "leave out those that nobody needs"
        )
    if rows is not None and (type(rows) is not int or not 1 <= rows <= MOST_ROWS):
        raise UsageError(f"rows is a whole number from 1 to {MOST_ROWS:,}, not {rows!r}")
    if target is not None and target not in names:
        raise UsageError(f"the target {target!r} is none of the columns: {', '.join(names)}")
    if type(bins) is not int or not 1 <= bins <= 256:
        raise UsageError(f"bins is a whole number from 1 to 256, not {bins!r}")


def _is_open(column: Column) -> bool:
    if column.type.is_numeric:
        return column.min is None or column.max is None
    return column.values is None


def _cells(
    table: Table,
    schema: Schema,
    names: Sequence[str],
    opening: list[str],
    purse: Purse,
    additive: float,
    unit: Unit,
) -> tuple[Cells, ...]:
    each = _OPENED * purse.whole / max(1, len(opening))
    texts = sum(not schema[name].type.is_numeric for name in opening)
    found: dict[str, Cells] = {}
    for name in opening:
        if schema[name].type.is_numeric:
            whole = schema[name].type is ColumnType.integer
            found[name] = opened.bounds(table, name, purse, each, whole=whole)
        else:
            share = additive / texts
            found[name] = opened.levels(table, name, purse, each, delta=share, rows_per_unit=unit.rows)
    return tuple(found[name] if name in found else cells_of(schema, [name])[0] for name in names)


def _drawn(looks: Looks, model: Model, count: int) -> Table:
    import pyarrow as pa

    from comity.data import Table

    codes: NDArray[np.uint16] = rows_of(model, count)
    columns = {
        column.name: column.values(codes[:, at].astype(np.int64), uniform(count), uniform(count))
        for at, column in enumerate(looks.codes)
    }
    return Table(pa.table(columns), "the synthetic table")
