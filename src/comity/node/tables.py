"""Putting a party's table where its programs find it: read, checked, written as Parquet."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.errors import BadSchema, UsageError
from comity.node.folder import PartyFolder, write_whole

if TYPE_CHECKING:
    from comity.schema import Schema

_NAME = re.compile(r"train|seed|probe|linked-[a-z](-?[a-z0-9])*")


@dataclass(frozen=True)
class Loaded:
    """What was loaded; the holder's own figures, not for others."""

    name: str
    rows: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": self.rows,
            "columns": list(self.columns),
            "notes": list(self.notes),
        }


def load_table(folder: PartyFolder, source: str, schema_path: Path, name: str = "train") -> Loaded:
    """Read a table, check it, and keep it in the party's folder with the hierarchies its schema implies.

    Args:
        source: CSV, Parquet or Arrow, or a postgresql:// URL.
        name: `train` (a provider's rows), `seed` (without ids), `linked-<provider>` (without the target),
            `probe` (features alone).

    Raises:
        UsageError: if there is no such kind of table.
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
    pq.write_table(checked.table.arrow, temporary)
    os.replace(temporary, place)
    _write_hierarchies(folder, schema_path)
    return Loaded(name, checked.table.rows, tuple(checked.table.names), tuple(checked.notes))


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
    from comity.schema import Role

    for name, column in schema.columns.items():
        if column.role is Role.identifier:
            continue
        if column.type.is_numeric and (column.min is None or column.max is None):
            raise BadSchema(f"{path}: the column '{name}' needs 'min' and 'max'; all parties use the same")
        if not column.type.is_numeric and column.values is None:
            raise BadSchema(f"{path}: the column '{name}' needs 'values'; all parties use the same")


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
