"""What a guarantee per record or person allows the membership attack of a pilot.

The attack tells rows of the tables from rows that were held out. What has to be hidden for it to fail is
which of two units is in the tables, since all rows of a person are held out or none is; the guarantee is
about one unit that comes or goes. So this module counts changes (docs/privacy.md, "The gate's order").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comity.architectures.definition import Pilot
from comity.data.people import Unit

if TYPE_CHECKING:
    import pyarrow as pa


def pilot_bound(pilot: Pilot) -> float | None:
    """The bound on telling members from others by what all providers' answers made together.

    Each provider has a guarantee of its own, or they share one noise: who is at several is in as many tables,
    and what coming or going costs adds up. None where members and others differ by more (`drawn_alike`).
    """
    from comity.attack.membership import membership_bound

    if not drawn_alike(pilot):
        return None
    moved = moved_at_one(pilot) * _tables_of_one(pilot)
    return membership_bound(pilot.options.epsilon, pilot.options.delta, moved=moved)


def drawn_alike(pilot: Pilot) -> bool:
    """Whether chance alone decided who is a member and who was held out.

    Rows of `--test` may be of other people than the tables': what tells them apart need not be the tables.
    """
    return bool(pilot.outsiders_of)


def moved_at_one(pilot: Pilot) -> int:
    """How many units of one provider's table change where a member and somebody held out change places.

    1: one goes and the other comes. 2 where people have rows on both sides, as in a table of `--test`: who
    loses a row stays with others, and who gains one was there before.
    """
    column = _unit_column(pilot)
    if column is None or column not in pilot.outsiders.column_names:
        return 1
    outside = _values(pilot.outsiders, column)
    return 2 if any(_meet(_values(table, column), outside) for table in _having(pilot, column)) else 1


def _tables_of_one(pilot: Pilot) -> int:
    """How many providers' tables hold the same person, or the same id, at most."""
    import pyarrow as pa
    import pyarrow.compute

    column = _unit_column(pilot) or pilot.task.id
    tables = _having(pilot, column)
    if len(tables) < 2:
        return 1
    compute: Any = (
        pyarrow.compute
    )  # its functions are made when it is imported, which type checkers do not see
    each = [_values(table, column).unique() for table in tables]
    counts = compute.value_counts(pa.chunked_array(each)).field("counts")
    return max(1, compute.max(counts).as_py() or 1)


def _unit_column(pilot: Pilot) -> str | None:
    schema = pilot.task.schema
    return Unit.of(schema.unit, schema.columns).column


def _having(pilot: Pilot, column: str) -> list[pa.Table]:
    return [table for table in pilot.members.values() if column in table.column_names]


def _values(table: pa.Table, column: str) -> pa.Array:
    return table.column(column).combine_chunks().cast("string")


def _meet(names: pa.Array, others: pa.Array) -> bool:
    import pyarrow.compute

    compute: Any = pyarrow.compute
    return bool(compute.any(compute.is_in(names, value_set=others.drop_null())).as_py())
