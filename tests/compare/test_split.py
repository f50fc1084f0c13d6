"""A record that one provider holds out is held out by all; without shared ids nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.architectures.definition import Task
from comity.compare.inputs import prepare_inputs
from comity.compare.settings import Settings
from comity.compare.split import Split, held_out_everywhere, split_tables
from comity.data.split import hold_out
from comity.data.table import Table
from comity.errors import BadTable
from comity.schema import Column, ColumnType, Role, Schema, Unit

ROWS = 200
SCHEMA = Schema(
    columns={
        "pid": Column(type=ColumnType.text, role=Role.identifier),
        "x": Column(type=ColumnType.number, role=Role.quasi_identifier, min=0, max=1),
        "ill": Column(type=ColumnType.category, role=Role.target, values=("no", "yes")),
    }
)
TASK = Task(schema=SCHEMA, target="ill", positive="yes", id="pid")


def settings_of(**changes: Any) -> Settings:
    given: dict[str, Any] = {
        "providers": ["north=north.csv", "south=south.csv"],
        "target": "ill",
        "positive": "yes",
        "id": "pid",
        "test": None,
        "schema": None,
        "epsilon": "1",
        "delta": 1e-6,
        "k": 5,
        "seed_rows": 20,
        "architectures": None,
        "mode": None,
        "partition": "rows",
        "seed": 3,
        "keep": None,
    }
    return Settings.parse(**(given | changes))


def table_of(ids: list[str], seed: int) -> Table:
    """Noise and coin flips; a row's x is the same in no other row."""
    draw = np.random.default_rng(seed)
    labels = np.where(draw.random(len(ids)) < 0.5, "yes", "no")
    return Table(pa.table({"pid": ids, "x": draw.random(len(ids)), "ill": labels.tolist()}))


def ids_of(*tables: Table) -> list[str]:
    return [id_ for table in tables for id_ in table.arrow.column("pid").to_pylist()]


def everywhere(split: Split) -> list[str]:
    return ids_of(*split.train.values(), *split.seeds.values())


@given(st.lists(st.dictionaries(st.integers(0, 9).map(str), st.booleans()), min_size=1, max_size=4))
def test_held_out_ids_are_in_no_training_rows_and_once_in_the_test(providers: list[dict[str, bool]]) -> None:
    ids = [list(rows) for rows in providers]
    held = [np.array(list(rows.values()), dtype=bool) for rows in providers]
    kept, tests = held_out_everywhere(ids, held)
    out = {id_ for rows in providers for id_, own in rows.items() if own}
    tested = [ids[n][row] for n, rows in enumerate(tests) for row in np.flatnonzero(rows)]
    trained = [{ids[n][row] for row in np.flatnonzero(rows)} for n, rows in enumerate(kept)]
    assert sorted(tested) == sorted(out)
    assert trained == [set(rows) - out for rows in providers]


def test_shared_ids_are_held_out_everywhere() -> None:
    ids = [f"p{row}" for row in range(ROWS)]
    tables = {"north": table_of(ids, 0), "south": table_of(ids[::-1], 1)}
    split = split_tables(settings_of(), TASK, tables, None)
    tested = ids_of(split.test)
    assert len(set(tested)) == len(tested) > 0.2 * ROWS
    assert set(tested).isdisjoint(everywhere(split))
    assert set(tested) | set(everywhere(split)) == set(ids)
    assert sum(table.rows for table in split.seeds.values()) == 20
    own = {name: ids_of(table) for name, table in split.held_out.items()}
    assert set(own["north"]) | set(own["south"]) == set(tested)
    assert {len(rows) for rows in own.values()} == {round(0.2 * ROWS)}  # whoever has them in the test
    fewer = 2 * ROWS - 2 * round(0.2 * ROWS) - len(everywhere(split))
    assert split.notes == (
        f"{ROWS} ids are at several providers: those held out are held out everywhere, "
        f"which takes {fewer} more rows out of training",
    )


@pytest.mark.parametrize("id", ["pid", None])
def test_without_shared_ids_each_provider_holds_out_its_own_draw(id: str | None) -> None:
    names = ("north", "south")
    tables = {name: table_of([f"{name}{row}" for row in range(ROWS)], n) for n, name in enumerate(names)}
    split = split_tables(settings_of(id=id), TASK, tables, None)
    expected: list[str] = []
    for stream, table in enumerate(tables.values()):
        labels = np.array([value == "yes" for value in table.strings("ill")], dtype=np.uint8)
        expected += ids_of(table.take(hold_out(labels, seed=3, stream=stream)[1]))
    assert ids_of(split.test) == expected == ids_of(*split.held_out.values())
    assert all(id_.startswith(name) for name in names for id_ in ids_of(split.held_out[name]))
    assert sorted(everywhere(split) + expected) == sorted(ids_of(*tables.values()))
    assert split.notes == ()


def test_a_given_test_table_stays_whole_and_known_ids_are_noted() -> None:
    tables = {"north": table_of([f"p{row}" for row in range(ROWS)], 0)}
    test = table_of([f"p{row}" for row in range(ROWS - 7, ROWS + 40)], 1)
    settings = settings_of(providers=["north=north.csv"], test="test.csv")
    split = split_tables(settings, TASK, tables, test)
    assert split.test is test
    assert split.held_out == {}  # they are no provider's
    assert sorted(everywhere(split)) == sorted(ids_of(tables["north"]))
    assert split.notes == ("7 test rows have ids that providers hold too",)


def test_a_provider_whose_rows_are_all_held_out_elsewhere_is_refused() -> None:
    north = table_of([f"p{row}" for row in range(ROWS)], 0)
    alone = split_tables(settings_of(providers=["north=north.csv"]), TASK, {"north": north}, None)
    south = alone.test.take(np.arange(10))
    with pytest.raises(BadTable, match="'south' has no rows to train on"):
        split_tables(settings_of(), TASK, {"north": north, "south": south}, None)


def test_the_note_reaches_the_document(tmp_path: Path) -> None:
    from pyarrow import csv

    ids = [f"p{row}" for row in range(ROWS)]
    for n, name in enumerate(("north", "south")):
        csv.write_csv(table_of(ids[:: 1 - 2 * n], n).arrow, tmp_path / f"{name}.csv")
    settings = settings_of(providers=[f"{name}={tmp_path / name}.csv" for name in ("north", "south")])
    inputs = prepare_inputs(settings, tmp_path / "run")
    assert any(note.startswith(f"{ROWS} ids are at several") for note in inputs.describe(settings)["notes"])
    trained = {id_ for table in inputs.train.values() for id_ in table.column("pid").to_pylist()}
    assert trained.isdisjoint(inputs.test.column("pid").to_pylist())


PEOPLE = TASK.schema.model_copy(
    update={
        "columns": {**SCHEMA.columns, "person": Column(type=ColumnType.text, role=Role.identifier)},
        "unit": Unit(column="person", max_rows=5),
    }
)


def visits_of(people: list[str], name: str, seed: int) -> Table:
    """Four rows for each person, with an id of their own, in no order."""
    whose = [person for person in people for _ in range(4)]
    order = np.random.default_rng(seed).permutation(len(whose))
    table = table_of([f"{name}{row}" for row in range(len(whose))], seed)
    return table.with_column("person", pa.array([whose[at] for at in order]))


def people_of(*tables: Table) -> set[str | None]:
    return {person for table in tables for person in table.strings("person")}


@pytest.mark.parametrize("id", ["pid", None])
def test_all_rows_of_a_person_are_on_one_side(id: str | None) -> None:
    task = Task(schema=PEOPLE, target="ill", positive="yes", id="pid")
    tables = {
        "north": visits_of([f"p{n}" for n in range(50)], "n", 0),
        "south": visits_of([f"p{n}" for n in range(30, 80)], "s", 1),
    }
    split = split_tables(settings_of(id=id), task, tables, None)
    tested = people_of(split.test)
    assert tested.isdisjoint(people_of(*split.train.values(), *split.seeds.values()))
    for name, table in tables.items():
        own = split.held_out[name]
        assert own.rows == 4 * len(people_of(own))
        assert len(people_of(own)) == round(0.2 * len(people_of(table)))
    assert split.test.rows == sum(table.rows for table in split.held_out.values())
    assert len({*everywhere(split), *ids_of(split.test)}) == len(everywhere(split)) + split.test.rows
    assert split.notes[0] == "held out by 'person': all rows of a person are tested on, or none is"
    fewer = sum(table.rows for table in tables.values()) - split.test.rows - len(everywhere(split))
    assert fewer > 0
    assert split.notes[1] == (
        "people are at several providers, by 'person': those held out are held out everywhere, which takes "
        f"{fewer} more rows out of training"
    )


def test_people_with_one_row_each_are_drawn_as_rows_are() -> None:
    task = Task(schema=PEOPLE, target="ill", positive="yes", id="pid")
    names = ("north", "south")
    tables = {name: table_of([f"{name}{row}" for row in range(ROWS)], n) for n, name in enumerate(names)}
    named = {name: table.with_column("person", table.column("pid")) for name, table in tables.items()}
    as_rows = split_tables(settings_of(id=None), TASK, tables, None)
    as_people = split_tables(settings_of(id=None), task, named, None)
    assert ids_of(as_people.test) == ids_of(as_rows.test)
    assert everywhere(as_people) == everywhere(as_rows)
    assert as_people.notes == ()


def test_people_of_a_given_test_table_who_are_known_are_noted() -> None:
    task = Task(schema=PEOPLE, target="ill", positive="yes", id="pid")
    north = visits_of([f"p{n}" for n in range(50)], "n", 0)
    test = visits_of([f"p{n}" for n in range(48, 60)], "t", 1)
    settings = settings_of(providers=["north=north.csv"], id=None, test="test.csv")
    split = split_tables(settings, task, {"north": north}, test)
    assert split.test is test
    assert split.notes == ("8 test rows are of people whom providers hold too, by 'person'",)


def test_too_few_people_to_hold_any_out_is_said() -> None:
    task = Task(schema=PEOPLE, target="ill", positive="yes", id="pid")
    table = visits_of(["a", "b"], "n", 0)
    labels = ["yes" if person == "a" else "no" for person in table.strings("person")]
    table = table.with_column("ill", pa.array(labels))
    with pytest.raises(BadTable, match="there are no test rows"):
        split_tables(settings_of(providers=["north=north.csv"], id=None), task, {"north": table}, None)


def test_blind_validation_that_is_left_out_points_to_the_clause(tmp_path: Path) -> None:
    from pyarrow import csv

    from comity.compare.progress import quiet
    from comity.compare.run import run_comparison

    ids = [f"p{row}" for row in range(ROWS)]
    for n, name in enumerate(("north", "south")):
        csv.write_csv(table_of(ids[:: 1 - 2 * n], n).arrow, tmp_path / f"{name}.csv")
    settings = settings_of(
        providers=[f"{name}={tmp_path / name}.csv" for name in ("north", "south")],
        architectures=["blind-validation"],
    )
    (skipped,) = run_comparison(settings, quiet).document["skipped"]
    assert "two providers hold records with the same id" in skipped["reason"]
    assert "architectures.blind-validation.providers_per_record" in skipped["reason"]
    assert "keep each such record in one table" in skipped["reason"]


def test_nobody_has_rows_among_the_seeds_and_in_training() -> None:
    """People with several rows, some at both providers: a model of the seeds alone would tell members."""
    schema = Schema(
        columns={**SCHEMA.columns, "who": Column(type=ColumnType.text, role=Role.identifier)},
        unit=Unit(column="who", max_rows=10),
    )
    tables = {}
    for name, first in (("north", 0), ("south", 30)):
        table = table_of([f"{name}-{row}" for row in range(ROWS)], seed=first)
        whose = pa.array([f"p{first + row // 4}" for row in range(ROWS)])
        tables[name] = Table(table.arrow.append_column("who", whose))
    split = split_tables(
        settings_of(), Task(schema=schema, target="ill", positive="yes", id="pid"), tables, None
    )
    seeded = {one for table in split.seeds.values() for one in table.strings("who")}
    trained = {one for table in split.train.values() for one in table.strings("who")}
    assert sum(table.rows for table in split.seeds.values()) == 20
    assert 3 <= len(seeded) <= 7
    assert seeded.isdisjoint(trained)


def test_an_id_among_the_seeds_is_in_no_other_table() -> None:
    ids = [f"r{row}" for row in range(ROWS)]
    split = split_tables(settings_of(), TASK, {"north": table_of(ids, 1), "south": table_of(ids, 2)}, None)
    seeded = {one for table in split.seeds.values() for one in table.strings("pid")}
    trained = {one for table in split.train.values() for one in table.strings("pid")}
    assert seeded.isdisjoint(trained)
