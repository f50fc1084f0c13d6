"""Reads the providers' tables, splits them, and puts into each party's folder what that party may have.

A pilot reads all tables in one place; that is what it is for, and it says so. What each party's process
gets is only what its own folder holds:

* a provider: `train` (its training rows with ids and target, but for seed rows), `seed` (its seed rows);
* the ML party: `seed` (all seed rows), `linked-<provider>` (ids and features of that provider's `train`);
* both: `probe` (features of held-out rows, then of a sample of training rows), to score, not to learn from.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.architectures.definition import ROW_ID, Task
from comity.compare.completing import (
    comma_notes,
    read_providers,
    require_unique_ids,
    with_ids,
    with_observed_levels,
    with_roles,
)
from comity.compare.schema_rows import Rows, given_rows, inferred_rows
from comity.compare.settings import MEDIATOR, ML_PARTY, Settings
from comity.compare.split import split_tables
from comity.crypto.canonical import digest
from comity.data.check import Checked, check_table
from comity.data.labels import binary_labels, case_hint, listed, positive_class
from comity.data.read import read_table
from comity.data.table import Table, concat_tables, no_such_column
from comity.errors import BadTable, UsageError
from comity.schema import ColumnType, Schema, read_schema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_MEMBER_SAMPLE = 5_000
_MANY_SEED_ROWS = 0.1


@dataclass(frozen=True)
class Inputs:
    """What a comparison runs on.

    Attributes:
        train: per provider, training rows with ids and target, without the seed rows.
        test: held-out rows of all providers, with target; `test_labels` are their labels, 0 or 1.
        members: the sample of training rows in `probe`, after the test rows; `member_labels` their labels.
        frame: rows and digest of the list of all training ids, in rising order; None if two providers have an
            id in common.
        schema_rows: words about each column, as given or as inferred.
        schema_given: whether `--schema` gave it.
        notes: what the holders should know of how their tables were read.
        columns: each provider's own columns, where the data is split by columns; None where it is by rows.
        held_out: per provider, its own held-out rows, with target; where they are no provider's (`--test`,
            data split by columns) it is empty.
    """

    task: Task
    providers: tuple[str, ...]
    folders: Mapping[str, Path]
    threads: Mapping[str, int]
    train: Mapping[str, pa.Table]
    test: pa.Table
    test_labels: NDArray[np.uint8]
    members: pa.Table
    member_labels: NDArray[np.uint8]
    seed_rows: Mapping[str, int]
    frame: Mapping[str, Any] | None
    schema_rows: Rows
    schema_given: bool
    notes: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] | None = None
    held_out: Mapping[str, pa.Table] = field(default_factory=dict[str, "pa.Table"])

    @property
    def _disclosed(self) -> int:
        """Seed rows: every provider's own, or the same records with each provider's columns."""
        return sum(self.seed_rows.values()) if self.columns is None else max(self.seed_rows.values())

    @property
    def _drawn(self) -> str:
        """What the held-out share is of, where it is not of the rows."""
        return "" if self.task.schema.unit.column in (None, self.task.id) else "the people of "

    def describe(self, settings: Settings) -> dict[str, Any]:
        """The public facts of the run, for the results document."""
        return {
            "providers": [
                {"name": name, "rows": self.train[name].num_rows + self.seed_rows[name]}
                for name in self.providers
            ],
            "partition": settings.partition,
            "target": self.task.target,
            "positive": self.task.positive,
            "id": None if self.task.id == ROW_ID else self.task.id,
            "features": list(self.task.features),
            "test_rows": self.test.num_rows,
            "test": settings.test
            or f"20% of {self._drawn}each provider, stratified, held out from everybody",
            "seed": settings.seed,
            "seed_rows": self._disclosed,
            "epsilons": list(settings.epsilons),
            "delta": settings.delta,
            "k": settings.k,
            "schema": [dict(row) for row in self.schema_rows],
            "schema_given": self.schema_given,
            "notes": list(self.notes),
        }


def prepare_inputs(settings: Settings, folder: Path) -> Inputs:
    """Read, check, split and write.

    Raises:
        BadInput: if a table, the schema or the target cannot be used.
    """
    schema = None if settings.schema is None else read_schema(settings.schema)
    tables = _read(settings, schema)
    schema, rows, notes = _schema(settings, schema, tables)
    positive = positive_class(concat_tables(list(tables.values())), settings.target, settings.positive)
    id_column = settings.id or ROW_ID
    task = Task(schema=schema, target=settings.target, positive=positive, id=id_column)
    if not task.features:
        raise BadTable(
            "no column is left to learn from: every one is an identifier or the target; "
            "give roles with --schema",
            private=False,
        )
    split = split_tables(settings, task, tables, read_test(settings, task))
    train, test, seeds = split.train, split.test, split.seeds
    folders = {name: folder / name for name in (*tables, ML_PARTY, MEDIATOR)}
    members = sample(concat_tables(list(train.values())), settings.seed)
    _write(folders, task, train, test, seeds, members)
    if settings.schema is not None:
        write_hierarchies(folders, task, settings.schema.parent, list(tables))
    else:
        write_hierarchies(folders, task, None, list(tables))
    return Inputs(
        task=task,
        providers=tuple(tables),
        folders=folders,
        threads=threads_of(tuple(tables)),
        train={name: table.arrow for name, table in train.items()},
        test=test.arrow,
        test_labels=binary_labels(test, task.target, positive).values,
        members=members.arrow,
        member_labels=binary_labels(members, task.target, positive).values,
        seed_rows={name: table.rows for name, table in seeds.items()},
        frame=_frame(task, train),
        schema_rows=rows,
        schema_given=settings.schema is not None,
        notes=(*notes, *split.notes, *choices(settings, positive, train, seeds)),
        held_out={name: table.arrow for name, table in split.held_out.items()},
    )


def _frame(task: Task, train: Mapping[str, Table]) -> dict[str, Any] | None:
    ids = sorted(id_ for table in train.values() for id_ in table.arrow.column(task.id).to_pylist())
    if any(one == other for one, other in itertools.pairwise(ids)):
        return None
    return {"rows": len(ids), "sha256": digest(ids)}


def choices(
    settings: Settings, positive: str, train: Mapping[str, Table], seeds: Mapping[str, Table]
) -> list[str]:
    """What was chosen for the user, so that it does not go unnoticed."""
    notes: list[str] = []
    if settings.positive is None:
        notes.append(f"{settings.target} = {positive} counts as 1: the rarer value; --positive names another")
    others = _counted_as_0(settings.target, positive, [*train.values(), *seeds.values()])
    if len(others) > 1:
        notes.append(
            f"{settings.target} = {positive} counts as 1, and every other value as 0: {listed(others)}"
            f"{case_hint((positive, *others))}"
        )
    if settings.id is None:
        notes.append("no --id: row numbers stand in for the record ids that provider and ML party share")
    disclosed = sum(table.rows for table in seeds.values())
    rows = disclosed + sum(table.rows for table in train.values())
    if settings.delta * rows > 1:
        notes.append(
            f"delta {settings.delta:g} is more than one in the {rows:,} training rows: a release may then "
            "show one row outright and keep its promise; a delta far below that is usual"
        )
    if disclosed > _MANY_SEED_ROWS * rows:
        notes.append(
            f"the {disclosed} seed rows are {disclosed / rows:.0%} of the training rows, and they are "
            "disclosed outright: lower --seed-rows to see what fewer would do"
        )
    return notes


def _counted_as_0(target: str, positive: str, tables: Sequence[Table]) -> tuple[str, ...]:
    """The target's other values, each once."""
    found = (value for table in tables for value in binary_labels(table, target, positive).negative)
    return tuple(sorted(set(found)))


def _read(settings: Settings, schema: Schema | None) -> dict[str, Table]:
    tables = read_providers(settings, schema)
    first = next(iter(tables.values()))
    named = (settings.target, *([settings.id] if settings.id else []))
    _require_columns(tables, (*named, *([] if schema is None else schema)))
    for table in tables.values():
        if set(table.names) != set(first.names) and schema is None:
            concat_tables([first, table])
    if settings.id == settings.target:
        raise UsageError("--id and --target name the same column")
    if settings.id is not None:
        for table in tables.values():
            require_unique_ids(table, settings.id)
    return tables


def _require_columns(tables: Mapping[str, Table], wanted: Sequence[str]) -> None:
    """Every table has the columns.

    Raises:
        BadTable: naming the first that is not there, and `--partition columns` where another table has it.
    """
    for table in tables.values():
        for name in wanted:
            if name in table:
                continue
            error = no_such_column(name, table.names, table.source)
            if any(name in other for other in tables.values()):
                raise BadTable(
                    f"{error}; if the tables hold different columns of the same records, give "
                    "--partition columns, and --id"
                )
            raise error


def _schema(
    settings: Settings, schema: Schema | None, tables: dict[str, Table]
) -> tuple[Schema, Rows, tuple[str, ...]]:
    """The given or an inferred schema, with target and id in their roles; tables are checked against it."""
    notes: list[str] = []
    if schema is not None:
        rows = given_rows(schema)
    else:
        from comity.data.infer import infer_schema

        tests = [] if settings.test is None else [read_table(settings.test)]
        found = infer_schema([*tables.values(), *tests], target=settings.target, id=settings.id)
        schema = found.schema
        rows = inferred_rows(found)
        notes += comma_notes(found, [*tables.values(), *tests])
    schema = with_roles(schema, settings)
    for name, table in tables.items():
        checked = check_table(table, schema)
        notes += [f"{name}: {note}" for note in checked.notes]
        tables[name] = with_ids(checked.table, settings.id, name)
    tests = [] if settings.test is None else [_checked_test(settings.test, settings, schema)]
    notes += [f"test: {note}" for checked in tests for note in checked.notes]
    schema, more = with_observed_levels(schema, [*tables.values(), *(each.table for each in tests)])
    return schema, rows, (*notes, *more)


def read_test(settings: Settings, task: Task) -> Table | None:
    if settings.test is None:
        return None
    return with_ids(_checked_test(settings.test, settings, task.schema).table, settings.id, "test")


def _checked_test(path: str, settings: Settings, schema: Schema) -> Checked:
    """The test rows, read as the providers' tables are: else what is one number there, such as `1` and `1.0`
    or `1.5` and `1,5`, would be two texts where the schema, inferred later, calls them categories."""
    texts = [settings.id] if settings.id is not None and schema[settings.id].type is ColumnType.text else []
    table = read_table(path, schema=None if settings.schema is None else schema, texts=texts)
    if settings.id is not None:
        table.column(settings.id)
        require_unique_ids(table, settings.id)
    return check_table(table, schema)


def sample(table: Table, seed: int) -> Table:
    import numpy as np

    if table.rows <= _MEMBER_SAMPLE:
        return table
    rows = np.random.default_rng([seed, 4]).choice(table.rows, _MEMBER_SAMPLE, replace=False)
    return table.take(np.sort(rows))


def _write(
    folders: Mapping[str, Path],
    task: Task,
    train: Mapping[str, Table],
    test: Table,
    seeds: Mapping[str, Table],
    members: Table,
) -> None:
    features = list(task.features)
    probe = concat_tables([test.select(features), members.select(features)])
    for name, table in train.items():
        put(folders[name], "train", table)
        put(folders[name], "seed", seeds[name])
        put(folders[name], "probe", probe)
        put(folders[ML_PARTY], f"linked-{name}", table.select([task.id, *features]))
    put(folders[ML_PARTY], "seed", concat_tables(list(seeds.values())).select([*features, task.target]))
    put(folders[ML_PARTY], "probe", probe)


def put(folder: Path, name: str, table: Table) -> None:
    """Write a table into a party's folder, which is its own."""
    import pyarrow.parquet as pq

    tables = folder / "tables"
    tables.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    pq.write_table(table.arrow, tables / f"{name}.parquet")


def write_hierarchies(
    folders: Mapping[str, Path], task: Task, base: Path | None, providers: Sequence[str]
) -> None:
    """The same public hierarchies at every party: the schema's files, else built from bounds and levels."""
    from comity.architectures.hierarchies import hierarchies_of

    document = {name: hierarchy.to_dict() for name, hierarchy in hierarchies_of(task, base).items()}
    for name in (*providers, ML_PARTY):
        path = folders[name] / "tables" / "hierarchies.json"
        path.write_text(json.dumps(document), encoding="utf-8")


def threads_of(providers: Sequence[str]) -> dict[str, int]:
    """The ML party works while the providers wait, so it may use every core; they work at the same time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {ML_PARTY: cores, **dict.fromkeys(providers, max(1, cores // len(providers)))}
