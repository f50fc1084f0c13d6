"""Divides the rows of a pilot: held-out rows that nobody trains on, seed rows, and training rows.

Every provider holds out a share of its own rows. Where `--id` says which rows are one record at several
providers, a record that one of them holds out is held out by all: otherwise models would be tested on
records that another provider trained on, and even a random label would seem to be learned. For the same
reason all rows of a person, where the schema's unit names a column, are held out or none is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from comity.architectures.definition import Task
from comity.compare.settings import Settings
from comity.data.labels import binary_labels
from comity.data.split import hold_out_people, seed_rows
from comity.data.table import Table, concat_tables
from comity.errors import BadTable

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Split:
    """The rows of a pilot, each in one place at most.

    Attributes:
        train: per provider, training rows without the seed rows.
        test: held-out rows of all providers, each id once, or the rows of `--test`.
        seeds: per provider, seed rows.
        notes: what the holders should know of ids and people that stand in several tables, or rows.
        held_out: per provider, its own held-out rows, whoever has them in the test; none with `--test`, whose
            rows are no provider's.
    """

    train: Mapping[str, Table]
    test: Table
    seeds: Mapping[str, Table]
    notes: tuple[str, ...]
    held_out: Mapping[str, Table]


def split_tables(settings: Settings, task: Task, tables: Mapping[str, Table], test: Table | None) -> Split:
    """Split the providers' tables, whose id column has unique strings in each of them.

    Args:
        test: the rows of `--test`, or None to hold rows out of the tables.

    Raises:
        BadTable: if the test rows have one class, or a provider has no training rows left.
    """
    ids = {name: _ids(table, task) for name, table in tables.items()} if settings.id is not None else {}
    people = _people(task, tables)
    if test is None:
        train, own, test, notes = _held_out(settings, task, tables, ids, people)
    else:
        train, notes = dict(tables), _known_test_ids(_ids(test, task) if ids else [], ids)
        notes += _known_test_people(task, test, people)
        own = {}
    _require_two_classes(binary_labels(test, task.target, task.positive).values)
    train, seeds, more = _without_seed_rows(settings, task, train)
    return Split(train, test, seeds, (*notes, *more), own)


def held_out_everywhere(
    ids: Sequence[Sequence[str]], held: Sequence[NDArray[np.bool_]]
) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.bool_]]]:
    """What each provider trains on and is tested on, if a record that one holds out is held out by all.

    Args:
        ids: per provider, (rows,) ids, unique in each.
        held: per provider, (rows,) booleans: the rows that it holds out by its own draw.

    Returns:
        Per provider, (rows,) booleans: its training rows, none with an id that anybody holds out; and its
        test rows, none with an id that an earlier provider has in the test. A row may be in neither.
    """
    out: set[str] = set()
    tests: list[NDArray[np.bool_]] = []
    for names, rows in zip(ids, held, strict=True):
        test = rows & ~_among(names, out)
        out.update(compress(names, test))
        tests.append(test)
    return [~_among(names, out) for names in ids], tests


def _held_out(
    settings: Settings,
    task: Task,
    tables: Mapping[str, Table],
    ids: Mapping[str, Sequence[str]],
    people: Mapping[str, Sequence[str | None]],
) -> tuple[dict[str, Table], dict[str, Table], Table, list[str]]:
    """Training rows per provider, its own held-out rows, test rows of all, and notes."""
    held: list[NDArray[np.bool_]] = []
    for stream, (name, table) in enumerate(tables.items()):
        labels = binary_labels(table, task.target, task.positive).values
        rows = np.zeros(table.rows, dtype=bool)
        whose = people.get(name, range(table.rows))
        rows[hold_out_people(labels, whose, seed=settings.seed, stream=stream)[1]] = True
        held.append(rows)
    kept, tests = [~rows for rows in held], held
    notes: list[str] = []
    if shared := _recurring(ids):
        kept, tests = held_out_everywhere(list(ids.values()), held)
        fewer = sum(int((~own & ~rows).sum()) for own, rows in zip(held, kept, strict=True))
        notes.append(
            f"{shared} ids are at several providers: those held out are held out everywhere, "
            f"which takes {fewer} more rows out of training"
        )
    if people:
        kept, more = _without_people(task, list(people.values()), held, kept)
        notes += more
    train = {name: table.take(rows) for (name, table), rows in zip(tables.items(), kept, strict=True)}
    for name, table in train.items():
        if tables[name].rows and not table.rows:
            raise BadTable(
                f"provider '{name}' has no rows to train on: every one is held out, here or under the same "
                "id or person at another provider; bring more rows, or a table of test rows with --test",
                private=False,
            )
    own = {name: table.take(rows) for (name, table), rows in zip(tables.items(), held, strict=True)}
    test = concat_tables([table.take(rows) for table, rows in zip(tables.values(), tests, strict=True)])
    return train, own, test, notes


def _without_people(
    task: Task,
    people: Sequence[Sequence[str | None]],
    held: Sequence[NDArray[np.bool_]],
    kept: Sequence[NDArray[np.bool_]],
) -> tuple[list[NDArray[np.bool_]], list[str]]:
    """The training rows without people whom any provider holds out, and what to say of it.

    Args:
        people: per provider, (rows,) whose row it is.
        held, kept: per provider, (rows,) booleans: held out by its own draw, and training rows so far.
    """
    unit = task.schema.unit.column
    out = {one for names, rows in zip(people, held, strict=True) for one in compress(names, rows)}
    left = [rows & ~_among(names, out) for names, rows in zip(people, kept, strict=True)]
    notes: list[str] = []
    if any(len(set(names)) < len(names) for names in people):
        notes.append(f"held out by '{unit}': all rows of a person are tested on, or none is")
    fewer = sum(int((before & ~after).sum()) for before, after in zip(kept, left, strict=True))
    if fewer:
        notes.append(
            f"people are at several providers, by '{unit}': those held out are held out everywhere, which "
            f"takes {fewer} more rows out of training"
        )
    return left, notes


def _people(task: Task, tables: Mapping[str, Table]) -> dict[str, list[str | None]]:
    """Per provider, (rows,) whose row each one is; none where a row is the unit, or the id names it."""
    unit = task.schema.unit.column
    if unit is None or unit == task.id or any(unit not in table for table in tables.values()):
        return {}
    return {name: table.strings(unit) for name, table in tables.items()}


def _recurring(ids: Mapping[str, Sequence[str]]) -> int:
    """How many ids stand at several providers."""
    return sum(count > 1 for count in Counter(id_ for names in ids.values() for id_ in names).values())


def _known_test_ids(test: Sequence[str], ids: Mapping[str, Sequence[str]]) -> list[str]:
    known = int(_among(test, {id_ for names in ids.values() for id_ in names}).sum())
    return [f"{known} test rows have ids that providers hold too"] if known else []


def _known_test_people(task: Task, test: Table, people: Mapping[str, Sequence[str | None]]) -> list[str]:
    unit = task.schema.unit.column
    if unit is None or not people or unit not in test:
        return []
    known = int(_among(test.strings(unit), {one for names in people.values() for one in names}).sum())
    return [f"{known} test rows are of people whom providers hold too, by '{unit}'"] if known else []


def _without_seed_rows(
    settings: Settings, task: Task, train: Mapping[str, Table]
) -> tuple[dict[str, Table], dict[str, Table], list[str]]:
    """Per provider, what is left of the training rows, and the seed rows; and what to say of it.

    Whose rows the ML party starts with is outside every guarantee, so nobody's rows are on both sides: what
    the start tells of such people is nothing that a release has told.
    """
    labels = [binary_labels(table, task.target, task.positive).values for table in train.values()]
    ids = {name: _ids(table, task) for name, table in train.items()} if settings.id is not None else {}
    namings = [names for names in (ids, _people(task, train)) if names]
    whose = list(namings[-1].values()) if namings else None
    chosen = seed_rows(labels, seed=settings.seed, count=settings.seed_rows, people=whose)
    seeds = {name: table.take(rows) for (name, table), rows in zip(train.items(), chosen, strict=True)}
    rests = [
        ~np.isin(np.arange(table.rows), rows) for table, rows in zip(train.values(), chosen, strict=True)
    ]
    for names in namings:
        known = {each[row] for each, rows in zip(names.values(), chosen, strict=True) for row in rows}
        known.discard(None)
        rests = [rest & ~_among(each, known) for rest, each in zip(rests, names.values(), strict=True)]
    left: dict[str, Table] = {}
    fewer = -settings.seed_rows
    for (name, table), rest in zip(train.items(), rests, strict=True):
        fewer += int((~rest).sum())
        left[name] = table.take(rest)
        if not rest.any():
            raise BadTable(
                f"provider '{name}' has no rows left after the seed rows were taken; lower --seed-rows",
                private=False,
            )
    notes = [f"{fewer} more rows of those whose rows the ML party starts with are left out"] if fewer else []
    return left, seeds, notes


def _require_two_classes(labels: NDArray[np.uint8]) -> None:
    if not len(labels):
        raise BadTable(
            "there are no test rows: the tables have too few rows or people to hold any out; bring more, or "
            "a table of test rows with --test",
            private=False,
        )
    if not labels.any() or labels.all():
        raise BadTable("the test rows have one value of the target only; bring rows of both", private=False)


def _ids(table: Table, task: Task) -> list[str]:
    return table.arrow.column(task.id).to_pylist()


def _among(names: Sequence[str | None], known: Collection[str | None]) -> NDArray[np.bool_]:
    return np.fromiter((name in known for name in names), dtype=bool, count=len(names))
