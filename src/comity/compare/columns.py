"""A pilot over providers that hold different columns of the same records (`--partition columns`).

The tables are joined by `--id` to hold rows out, to draw seed rows, and for the baselines. Every provider
keeps all of its own rows but the held-out and the seed rows, those that nobody else knows among them: finding
the records that all of them know is the architecture's part. The target is one provider's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from comity.architectures.definition import Task
from comity.compare.completing import (
    comma_notes,
    read_providers,
    with_ids,
    with_observed_levels,
    with_roles,
)
from comity.compare.inputs import Inputs, choices, put, read_test, sample, threads_of, write_hierarchies
from comity.compare.schema_rows import Rows, given_rows, inferred_rows
from comity.compare.settings import MEDIATOR, ML_PARTY, Settings
from comity.compare.split import split_tables
from comity.data.check import check_table
from comity.data.labels import binary_labels, positive_class
from comity.data.table import Table, concat_tables
from comity.errors import BadTable, UsageError
from comity.schema import Column, Schema, Unit, read_schema

_JOINED = "joined"


def prepare_columns(settings: Settings, folder: Path) -> Inputs:
    """Read, check, join, split and write, as `prepare_inputs` does for rows.

    Raises:
        UsageError: without --id, or with one provider.
        BadInput: if the tables have columns in common, no record in common, or no target.
    """
    if settings.id is None:
        raise UsageError("--partition columns needs --id: the column that says which rows are one record")
    if len(settings.providers) < 2:
        raise UsageError("--partition columns needs two providers or more, each with columns of its own")
    given = None if settings.schema is None else read_schema(settings.schema)
    tables = _read(settings, given)
    schema, rows, notes = _schema(settings, given, tables)
    own = {name: tuple(table.names) for name, table in tables.items()}
    checked = {
        name: check_table(table, _only(schema, own[name], settings.id)).table
        for name, table in tables.items()
    }
    tables = {name: with_ids(table, settings.id, name) for name, table in checked.items()}
    together = join_tables(list(tables.values()), settings.id)
    if not together.rows:
        raise BadTable(
            f"no value of '{settings.id}' stands in every table: the providers know no record in common",
            private=False,
        )
    positive = positive_class(together, settings.target, settings.positive)
    task = Task(schema=schema, target=settings.target, positive=positive, id=settings.id)
    split = split_tables(settings, task, {_JOINED: together}, read_test(settings, task))
    seeds, members = split.seeds[_JOINED], sample(split.train[_JOINED], settings.seed)
    taken = {*_ids(together, task)} - {*_ids(split.train[_JOINED], task)}
    train = {name: _without(table, task.id, taken) for name, table in tables.items()}
    whose = schema.unit.column
    if whose is not None and whose != task.id:
        # a row that only one provider knows is not in the joined table, but may be the same person's
        tables_used = [table for table in (split.test, seeds) if whose in table]
        used = {name for table in tables_used for name in table.strings(whose) if name is not None}
        train = {
            name: _without(table, whose, used) if whose in table else table for name, table in train.items()
        }
    folders = {name: folder / name for name in (*tables, ML_PARTY, MEDIATOR)}
    _write(folders, task, train, split.test, seeds, members)
    (holder,) = (name for name in own if task.target in own[name])
    _write_own(
        folders[holder], [name for name in own[holder] if name != task.id], task, split.test, seeds, members
    )
    write_hierarchies(folders, task, settings.schema and settings.schema.parent, list(tables))
    shared = f"{together.rows} records are in every table, by '{settings.id}'; only they can be learned from"
    return Inputs(
        task=task,
        providers=tuple(tables),
        folders=folders,
        threads=threads_of(tuple(tables)),
        train={name: table.arrow for name, table in train.items()},
        test=split.test.arrow,
        test_labels=binary_labels(split.test, task.target, positive).values,
        members=members.arrow,
        member_labels=binary_labels(members, task.target, positive).values,
        seed_rows=dict.fromkeys(tables, seeds.rows),
        frame=None,
        schema_rows=rows,
        schema_given=given is not None,
        notes=(
            *notes,
            shared,
            *split.notes,
            *choices(settings, positive, {_JOINED: together}, {_JOINED: seeds}),
        ),
        columns=own,
    )


def join_tables(tables: Sequence[Table], id: str) -> Table:
    """The records that stand in every table, with the columns of all, in the first table's order.

    Args:
        tables: each with unique strings in the column `id`, and no other column in common.
    """
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made when it is imported, which type checkers do not see
    first = tables[0].arrow
    known = first.column(id)
    for table in tables[1:]:
        known = known.filter(pc.is_in(known, value_set=table.arrow.column(id).combine_chunks()))
    columns: dict[str, Any] = {id: known}
    for table in tables:
        rows = table.arrow.take(pc.index_in(known, value_set=table.arrow.column(id).combine_chunks()))
        columns |= {name: rows.column(name) for name in table.names if name != id}
    return Table(pa.table(columns), " and ".join(table.source for table in tables))


def _read(settings: Settings, schema: Schema | None) -> dict[str, Table]:
    tables = read_providers(settings, schema)
    holders: dict[str, str] = {}
    for name, table in tables.items():
        table.column(settings.id or "")
        for column in table.names:
            if column != settings.id and column in holders:
                raise BadTable(
                    f"'{holders[column]}' and '{name}' both have the column '{column}': split by columns, "
                    "each column is one provider's; rename or remove it",
                    private=False,
                )
            holders[column] = name
    if settings.target not in holders:
        raise BadTable(f"no provider has the target column '{settings.target}'", private=False)
    return {name: with_ids(table, settings.id, name) for name, table in tables.items()}


def _schema(
    settings: Settings, given: Schema | None, tables: Mapping[str, Table]
) -> tuple[Schema, Rows, tuple[str, ...]]:
    """The given or an inferred schema of all columns; levels and bounds are filled in from all rows."""
    if given is None:
        schema, rows, notes = _inferred(settings, tables)
    else:
        schema, rows, notes = given, given_rows(given), []
    schema = with_roles(schema, settings)
    columns = dict(schema.columns)
    for name, table in tables.items():
        own = _only(schema, table.names, None)
        filled, more = with_observed_levels(own, [check_table(table, own).table])
        columns |= filled.columns
        notes += [*(f"{name}: {note}" for note in table.notes.values()), *more]
    return Schema(columns=columns, unit=schema.unit), rows, tuple(notes)


def _inferred(settings: Settings, tables: Mapping[str, Table]) -> tuple[Schema, Rows, list[str]]:
    """What each table's columns look like, over all of its rows: not only those that all of them know; and
    what to say of how they were read."""
    from comity.data.infer import infer_schema

    columns: dict[str, Column] = {}
    rows: dict[str, Mapping[str, str]] = {}
    notes: list[str] = []
    for table in tables.values():
        target = settings.target if settings.target in table.names else None
        found = infer_schema(table, target=target, id=settings.id)
        columns = {**found.schema.columns, **columns}
        notes += comma_notes(found, [table])
        for told in inferred_rows(found):
            rows.setdefault(told["column"], told)
    if settings.target not in columns:
        raise BadTable(f"no table has the target '{settings.target}'", private=False)
    unit = Unit(column=settings.id, max_rows=1)
    return Schema(columns=columns, unit=unit), tuple(rows.values()), notes


def _only(schema: Schema, names: Sequence[str], id: str | None) -> Schema:
    wanted = {*names, *([id] if id else [])}
    columns = {name: column for name, column in schema.columns.items() if name in wanted}
    return Schema(columns=columns, unit=schema.unit if schema.unit.column in columns else Unit())


def _ids(table: Table, task: Task) -> list[str]:
    return table.arrow.column(task.id).to_pylist()


def _without(table: Table, column: str, taken: Collection[str]) -> Table:
    """The rows whose value in the column is none of these."""
    import numpy as np

    return table.take(np.array([value not in taken for value in table.strings(column)], dtype=bool))


def _write(
    folders: Mapping[str, Path],
    task: Task,
    train: Mapping[str, Table],
    test: Table,
    seeds: Table,
    members: Table,
) -> None:
    features = list(task.features)
    for name, table in train.items():
        put(folders[name], "train", table)
    put(folders[ML_PARTY], "seed", seeds.select([*features, task.target]))
    put(folders[ML_PARTY], "probe", concat_tables([test.select(features), members.select(features)]))


def _write_own(
    folder: Path, columns: Sequence[str], task: Task, test: Table, seeds: Table, members: Table
) -> None:
    """What the provider with the target would learn by, and be tested on, without anybody else's columns."""
    features = [task.id, *(name for name in columns if name in task.features)]
    put(folder, "seed", seeds.select([task.id, *columns]))
    put(folder, "probe", concat_tables([test.select(features), members.select(features)]))
