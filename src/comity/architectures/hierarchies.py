"""Hierarchies for the quasi-identifiers of a task: the schema's files, else built from bounds and levels."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from comity.architectures.definition import Task
from comity.errors import BadInput, BadSchema
from comity.schema import Role, Schema

if TYPE_CHECKING:
    from comity.deidentify import Hierarchy


def hierarchies_of(task: Task, base: Path | None) -> dict[str, Hierarchy]:
    """One hierarchy per quasi-identifier; `base` is the folder that the schema's file names are relative to.

    Raises:
        BadSchema: if a hierarchy file is missing, lies outside the folder, or cannot be used.
    """
    return {
        name: read_hierarchy(name, task.schema, base)
        for name in task.features
        if task.schema[name].role is Role.quasi_identifier
    }


def read_hierarchy(name: str, schema: Schema, base: Path | None) -> Hierarchy:
    """The hierarchy of one quasi-identifier: the file that the schema names, or built by its rule or bounds.

    Raises:
        BadSchema: as `hierarchies_of`.
    """
    from comity.deidentify import Hierarchy
    from comity.deidentify.hierarchies.builders import from_schema

    column = schema[name]
    if not isinstance(column.hierarchy, str):
        return from_schema(schema, [name])[name]
    path = _within(name, column.hierarchy, base or Path())
    if not path.is_file():
        raise BadSchema(f"the hierarchy of column '{name}' is not at {path}; check 'hierarchy' in the schema")
    try:
        return Hierarchy.read_csv(path, separator=None)
    except BadInput as error:
        raise BadSchema(f"the hierarchy of column '{name}' cannot be used: {error}") from None


def _within(name: str, written: str, base: Path) -> Path:
    """The file that a schema names, if it lies in the schema's own folder or below it.

    A schema may come from another party: it must not choose which of the holder's files are read.
    """
    remedy = "name a file in the schema's own folder, or in a folder below it"
    for form in (PurePosixPath(written), PureWindowsPath(written)):
        if form.is_absolute() or form.drive or form.root:
            raise BadSchema(f"the hierarchy of column '{name}' is the absolute path {written!r}; {remedy}")
        if ".." in form.parts:
            raise BadSchema(
                f"the hierarchy of column '{name}', {written!r}, leaves the folder by '..'; {remedy}"
            )
    if "\0" in written:
        raise BadSchema(f"the hierarchy of column '{name}' is no file name; {remedy}")
    path = base / written
    if not path.resolve().is_relative_to(base.resolve()):
        raise BadSchema(
            f"the hierarchy of column '{name}', {written!r}, is a link that leads out of the folder; {remedy}"
        )
    return path
