"""Putting a party's table where its programs find it: read, checked, written as Parquet."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.errors import BadInput, BadSchema, UsageError
from comity.node.folder import PartyFolder, write_whole

if TYPE_CHECKING:
    import pyarrow as pa

    from comity.ledger import Commitment
    from comity.schema import Schema

_NAME = re.compile(r"train|seed|probe|linked-[a-z](-?[a-z0-9])*")


@dataclass(frozen=True)
class Loaded:
    """What was loaded; the holder's own figures, not for others.

    Attributes:
        commitment: digest of the commitment to a provider's rows, in hexadecimal.
        bound: digests of the agreements whose answers will carry it.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    commitment: str | None = None
    bound: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": self.rows,
            "columns": list(self.columns),
            "notes": list(self.notes),
            "commitment": self.commitment,
            "committed_under": list(self.bound),
        }


def load_table(
    folder: PartyFolder, source: str, schema_path: Path, name: str = "train", ledger: str | None = None
) -> Loaded:
    """Read a table, check it, and keep it in the party's folder with the hierarchies its schema implies.

    Args:
        source: CSV, Parquet or Arrow, or a postgresql:// URL.
        name: `train` (a provider's rows), `seed` (without ids), `linked-<provider>` (without the target),
            `probe` (features alone).
        ledger: postgresql://... instead of ledger.db in the folder; of a provider's rows, the commitment is
            written there for every agreement in force.

    Raises:
        UsageError: if there is no such kind of table.
        ClauseRefused: if answers were given about another table of an agreement's lineage; the present table
            stays.
        BadTable, BadSchema: if table or schema cannot be used; bounds and levels have to be in the schema,
            since what is taken from the rows themselves would tell of them.
    """
    import pyarrow.parquet as pq

    from comity.data.check import check_table
    from comity.data.read import read_table
    from comity.schema import read_schema

    if not _NAME.fullmatch(name):
        raise UsageError(f"a table is loaded as train, seed, probe or linked-PROVIDER, not as {name!r}")
    schema = read_schema(schema_path)
    _require_public_bounds(schema, schema_path)
    wanted = _columns_of(name, schema)
    checked = check_table(read_table(source, schema=wanted), wanted)
    folder.tables_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder.tables_path / f"{name}.parquet"
    temporary = place.with_suffix(".writing")
    temporary.touch(mode=0o600)
    commitment, bound = None, tuple[str, ...]()
    try:
        pq.write_table(checked.table.arrow, temporary)
        if name == "train":
            commitment, bound = _put_committed(folder, checked.table.arrow, temporary, place, ledger)
        else:
            os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
    _write_hierarchies(folder, schema_path)
    columns, notes = tuple(checked.table.names), tuple(checked.notes)
    return Loaded(name, checked.table.rows, columns, notes, commitment, bound)


def _put_committed(
    folder: PartyFolder, table: pa.Table, written: Path, place: Path, url: str | None
) -> tuple[str, tuple[str, ...]]:
    """Put rows in place, committed to in every ledger account that they answer for before any is asked.

    The table that was there is taken away first: whoever asks in between finds none. A load that breaks off
    leaves no table under another one's commitment.
    """
    from datetime import UTC, datetime

    from comity.ledger import Ledger
    from comity.node.committed import (
        bind_table,
        keep_earlier,
        make_commitment,
        own_agreements,
        require_bindable,
    )

    commitment, secret = make_commitment(folder, table)
    agreements, today = own_agreements(folder), datetime.now(UTC).date()
    in_force = [agreement for agreement in agreements if folder.standing(agreement, today).in_force]
    if not agreements:
        _swap(folder, commitment, secret, written, place)
        return commitment.digest.hex(), ()
    with Ledger.open(url or folder.ledger_path, key=folder.key, owner=folder.name) as ledger:
        for agreement in in_force:
            require_bindable(folder, agreement, ledger, commitment)
        keep_earlier(folder, agreements, ledger, commitment)
        _swap(folder, commitment, secret, written, place)
        bound = [one.digest for one in in_force if bind_table(folder, one, ledger) is not None]
    return commitment.digest.hex(), tuple(bound)


def _swap(folder: PartyFolder, commitment: Commitment, secret: bytes, written: Path, place: Path) -> None:
    """One table with its commitment for another."""
    from comity.node.committed import committed_table, keep_commitment

    with suppress(BadInput):
        if committed_table(folder) == commitment:
            os.replace(written, place)
            return
    place.unlink(missing_ok=True)
    keep_commitment(folder, commitment, secret)
    os.replace(written, place)


def _columns_of(name: str, schema: Schema) -> Schema:
    """The part of the schema that a table of this name has."""
    from comity.schema import Role, Unit
    from comity.schema import Schema as Columns

    left_out: set[Role] = set()
    if name in ("seed", "probe"):
        left_out.add(Role.identifier)
    if name == "probe" or name.startswith("linked-"):
        left_out.add(Role.target)
    columns = {key: column for key, column in schema.columns.items() if column.role not in left_out}
    return Columns(columns=columns, unit=schema.unit if schema.unit.column in columns else Unit())


def _require_public_bounds(schema: Schema, path: Path) -> None:
    """Bounds and levels come from the schema: taken from the rows they would tell of them."""
    from comity.agreement import missing_bounds

    for name, column in schema.columns.items():
        missing = missing_bounds(column)
        if missing is not None:
            raise BadSchema(f"{path}: the column '{name}' {missing}")


def _write_hierarchies(folder: PartyFolder, schema_path: Path) -> None:
    from comity.architectures.hierarchies import read_hierarchy
    from comity.schema import Role, read_schema

    schema = read_schema(schema_path)
    document = {
        name: read_hierarchy(name, schema, schema_path.parent).to_dict()
        for name, column in schema.columns.items()
        if column.role is Role.quasi_identifier
    }
    write_whole(folder.tables_path / "hierarchies.json", json.dumps(document).encode())
