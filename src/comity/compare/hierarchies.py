"""Hierarchies for the quasi-identifiers of a pilot: the schema's files, else built from bounds and levels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from comity.architectures.definition import Task
from comity.errors import BadSchema
from comity.schema import Role, Schema

if TYPE_CHECKING:
    from comity.deidentify import Hierarchy


def hierarchies_of(task: Task, base: Path | None) -> dict[str, Hierarchy]:
    """One hierarchy per quasi-identifier; `base` is the folder that the schema's file names are relative to.

    Raises:
        BadSchema: if a hierarchy file is missing or cannot be used.
    """
    return {
        name: _hierarchy(name, task.schema, base)
        for name in task.features
        if task.schema[name].role is Role.quasi_identifier
    }


def _hierarchy(name: str, schema: Schema, base: Path | None) -> Hierarchy:
    from comity.deidentify import Hierarchy
    from comity.deidentify.builders import from_schema

    column = schema[name]
    if column.hierarchy is None:
        return from_schema(schema, [name])[name]
    path = (base or Path()) / column.hierarchy
    if not path.is_file():
        raise BadSchema(f"the hierarchy of column '{name}' is not at {path}; check 'hierarchy' in the schema")
    return Hierarchy.read_csv(path)
