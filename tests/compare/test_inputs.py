"""What a pilot says of how tables were read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from comity.architectures import find
from comity.compare.columns import prepare_columns
from comity.compare.inputs import Inputs, prepare_inputs
from comity.compare.settings import Settings
from comity.data import read_table
from comity.errors import BadTable
from comity.schema import ColumnType


def with_commas(path: Path) -> Path:
    """The same table as whoever separates by semicolons has it."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",", ";").replace(".", ","), encoding="utf-8")
    return path


def notes_of(settings: Settings, inputs: Inputs) -> list[str]:
    return [note for note in inputs.describe(settings)["notes"] if "comma" in note]


def test_decimal_commas_are_numbers_and_noted(tmp_path: Path, runs: ModuleType) -> None:
    settings = runs.settings_for(tmp_path)
    expected = prepare_inputs(settings, tmp_path / "points")
    path = with_commas(tmp_path / "south.csv")
    found = prepare_inputs(settings, tmp_path / "commas")
    assert found.task.schema["pulse"].type is ColumnType.number
    assert found.task == expected.task
    assert found.train["south"].equals(expected.train["south"])
    assert notes_of(settings, expected) == []
    assert notes_of(settings, found) == [
        f"south: column pulse of {path} has decimal commas: 3,5 is read as 3.5"
    ]


def test_of_a_test_table_it_is_noted_too(tmp_path: Path, runs: ModuleType) -> None:
    path = with_commas(runs.write_table(tmp_path / "more.csv", 60, 9))
    settings = runs.settings_for(tmp_path, test=str(path))
    notes = notes_of(settings, prepare_inputs(settings, tmp_path / "run"))
    assert notes == [f"test: column pulse of {path} has decimal commas: 3,5 is read as 3.5"]


@pytest.mark.parametrize(("yes", "written"), [("1.5", "1,5"), ("1", "1.0"), ("1", "1")])
def test_a_number_to_predict_is_one_number_however_the_test_table_writes_it(
    yes: str, written: str, tmp_path: Path, runs: ModuleType
) -> None:
    test = runs.write_table(tmp_path / "more.csv", 60, 9)
    settings = runs.settings_for(tmp_path, test=str(test), positive=yes)
    for name, word in (("north", yes), ("south", yes), ("more", written.replace(",", "."))):
        path = tmp_path / f"{name}.csv"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(",yes", f",{word}").replace(",no", ",0"), encoding="utf-8")
    if "," in written:
        with_commas(test)
    found = prepare_inputs(settings, tmp_path / "run")
    assert 0 < found.test_labels.sum() < 60
    assert found.task.positive == yes


def test_commas_that_no_file_speaks_for_are_noted(tmp_path: Path, runs: ModuleType) -> None:
    settings = runs.settings_for(tmp_path)
    changed = []
    for name in ("north", "south"):
        table = read_table(with_commas(tmp_path / f"{name}.csv"), typed=False)
        parquet.write_table(table.arrow, tmp_path / f"{name}.parquet")
        changed.append(f"{name}={tmp_path / name}.parquet")
    settings = runs.settings_for(tmp_path, providers=changed)
    notes = notes_of(settings, prepare_inputs(settings, tmp_path / "run"))
    assert notes == [
        "column pulse: numbers written with a comma; write these numbers with a decimal point, so that they "
        "are read as numbers"
    ]


def test_split_by_columns_it_is_the_same_and_a_unit_may_be_one_providers(
    tmp_path: Path, runs: ModuleType
) -> None:
    lines = runs.write_table(tmp_path / "all.csv", 300, 1).read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines]
    whose = ["person", *(f"p{row // 3}" for row in range(300))]
    left = [
        f"{pid};{pulse.replace('.', ',')};{who}"
        for (pid, _, _, pulse, _), who in zip(rows, whose, strict=True)
    ]
    left += [f"only-here-{row};80,5;p{row}" for row in range(100)]
    right = [f"{pid};{age};{job};{ill}" for pid, age, job, _, ill in rows]
    for name, table in (("left", left), ("right", right)):
        (tmp_path / f"{name}.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "columns:\n"
        "  pid: {role: identifier, type: text}\n"
        "  pulse: {role: sensitive, type: number, min: 0, max: 200}\n"
        "  person: {role: identifier, type: text}\n"
        "  age: {role: quasi_identifier, type: integer, min: 0, max: 120}\n"
        "  job: {role: quasi_identifier, type: category}\n"
        '  ill: {role: target, type: category, values: ["no", "yes"]}\n'
        "unit: {column: person, max_rows: 4}\n",
        encoding="utf-8",
    )
    given = {
        "providers": [f"{name}={tmp_path / name}.csv" for name in ("left", "right")],
        "partition": "columns",
        "schema": schema,
    }
    settings = runs.settings_for(tmp_path, **given)
    found = prepare_columns(settings, tmp_path / "run")
    assert notes_of(settings, found)[0].startswith("left: column pulse of ")
    assert found.train["left"].column("pulse").type == "double"
    person = dict(zip((row[0] for row in rows), whose, strict=True))
    tested = {person[id_] for id_ in found.test.column("pid").to_pylist()}
    trained = {person[id_] for id_ in found.members.column("pid").to_pylist()}
    assert tested.isdisjoint(trained)
    assert tested.isdisjoint(found.train["left"].column("person").to_pylist())
    inferred = runs.settings_for(tmp_path, **given | {"schema": None})
    assert notes_of(inferred, prepare_columns(inferred, tmp_path / "again"))[0].startswith(
        "left: column pulse"
    )


def with_column(path: Path, name: str, values: list[str]) -> None:
    """The table with one more column, its values over and over."""
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    longer = [f"{row},{values[at % len(values)]}" for at, row in enumerate(rows)]
    path.write_text("\n".join([f"{head},{name}", *longer]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("count", [50, 51])
@pytest.mark.parametrize("partition", ["rows", "columns"])
def test_a_column_of_many_levels_is_noted(
    count: int, partition: str, tmp_path: Path, runs: ModuleType
) -> None:
    settings = runs.settings_for(tmp_path, partition=partition)
    for name in ("north", "south"):
        with_column(tmp_path / f"{name}.csv", "day", [f"d{day % 28}/{day}" for day in range(count)])
    if partition == "columns":
        north = (tmp_path / "north.csv").read_text(encoding="utf-8").splitlines()
        (tmp_path / "south.csv").write_text(
            "\n".join(f"{row.split(',')[0]},{row.split(',')[1]}" for row in north) + "\n", encoding="utf-8"
        )
        cut = [",".join([row.split(",")[0], *row.split(",")[2:]]) for row in north]
        (tmp_path / "north.csv").write_text("\n".join(cut) + "\n", encoding="utf-8")
    prepare = prepare_columns if partition == "columns" else prepare_inputs
    notes = [note for note in prepare(settings, tmp_path / "run").notes if note.startswith("day has")]
    assert len(notes) == (count > 50)
    assert all("51 different values" in note and "role identifier" in note for note in notes)


def relabelled(path: Path, words: dict[str, list[str]]) -> None:
    """The table with each of its target's values written in several ways, by turns."""
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    cut = [row.rsplit(",", 1) for row in rows]
    longer = [f"{row},{words[ill][at % len(words[ill])]}" for at, (row, ill) in enumerate(cut)]
    path.write_text("\n".join([head, *longer]) + "\n", encoding="utf-8")


def test_labels_that_differ_in_case_only_are_told(tmp_path: Path, runs: ModuleType) -> None:
    settings = runs.settings_for(tmp_path, positive="JA")
    for name in ("north", "south"):
        relabelled(tmp_path / f"{name}.csv", {"yes": ["JA", "JA", "ja"], "no": ["NEIN", "nein"]})
    told = "values differ in case only ('JA', 'ja'; 'NEIN', 'nein'): write them alike in the table"
    with pytest.raises(BadTable, match=re.escape(told)):
        prepare_inputs(replace(settings, positive=None), tmp_path / "none")
    (note,) = [note for note in prepare_inputs(settings, tmp_path / "run").notes if "as 0" in note]
    assert note == f"ill = JA counts as 1, and every other value as 0: 'NEIN', 'ja', 'nein'; {told}"


def test_two_labels_need_no_word(tmp_path: Path, runs: ModuleType) -> None:
    notes = prepare_inputs(runs.settings_for(tmp_path), tmp_path / "run").notes
    assert not any("as 0" in note for note in notes)


@pytest.mark.parametrize("where", ["north", "more"])
def test_visits_are_no_ids_and_it_is_said_what_to_give(where: str, tmp_path: Path, runs: ModuleType) -> None:
    runs.write_table(tmp_path / "more.csv", 60, 9)
    settings = runs.settings_for(tmp_path, test=str(tmp_path / "more.csv"))
    path = tmp_path / f"{where}.csv"
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    visits = [f"P{at // 3},{row.split(',', 1)[1]}" for at, row in enumerate(rows)]
    path.write_text("\n".join([head, *visits]) + "\n", encoding="utf-8")
    with pytest.raises(BadTable, match=r"unit: \{column: pid, max_rows: 3\}"):
        prepare_inputs(settings, tmp_path / "run")


@pytest.mark.parametrize("given", [True, False])
def test_tables_of_different_columns_are_pointed_to_the_partition(
    given: bool, tmp_path: Path, runs: ModuleType
) -> None:
    settings = runs.settings_for(tmp_path)
    (tmp_path / "south.csv").write_text("pid,spent\n0-1,3\n0-2,5\n", encoding="utf-8")
    if given:
        schema = tmp_path / "schema.yaml"
        schema.write_text(
            "columns:\n  pid: {role: identifier, type: text}\n  spent: {role: sensitive, type: number}\n"
            "  ill: {role: target, type: category}\n",
            encoding="utf-8",
        )
        settings = replace(settings, schema=schema)
    with pytest.raises(BadTable, match=r"no column '(ill|spent)'.*give --partition columns, and --id"):
        prepare_inputs(settings, tmp_path / "run")
    with pytest.raises(BadTable, match="no column 'iller'") as refused:
        prepare_inputs(replace(settings, target="iller"), tmp_path / "run")
    assert "--partition" not in str(refused.value)


@pytest.mark.parametrize("kind", [pa.string(), pa.float64()])
def test_a_column_without_any_value_is_left_out_and_noted(
    kind: pa.DataType, tmp_path: Path, runs: ModuleType
) -> None:
    settings = runs.settings_for(tmp_path)
    changed = []
    for name in ("north", "south"):
        table = read_table(tmp_path / f"{name}.csv").arrow
        table = table.append_column("leer", pa.nulls(table.num_rows, kind))
        parquet.write_table(table, tmp_path / f"{name}.parquet")
        changed.append((name, f"{tmp_path / name}.parquet"))
    settings = replace(settings, providers=tuple(changed))
    found = prepare_inputs(settings, tmp_path / "run")
    assert found.task.features == ("age", "job", "pulse")
    assert "leer is left out: it has no value in any row" in found.notes
    room = find("clean-room")
    assert room.skip(found.task, found.providers) is None
    assert all(room.exposure(mode).skip(found.task, found.providers) is None for mode in room.modes)


def test_each_column_is_told_whether_the_schema_was_given_or_inferred(
    tmp_path: Path, runs: ModuleType
) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "columns:\n"
        "  pid: {role: identifier, type: text}\n"
        "  age: {role: quasi_identifier, type: integer, min: 18, max: 90}\n"
        "  job: {role: quasi_identifier, type: category, values: [a, b, c]}\n"
        "  pulse: {role: sensitive, type: number}\n"
        "  ill: {role: target, type: category}\n",
        encoding="utf-8",
    )
    inferred = runs.settings_for(tmp_path)
    told = prepare_inputs(inferred, tmp_path / "inferred").describe(inferred)
    assert told["schema_given"] is False
    assert all(row["evidence"] != "as given" for row in told["schema"])
    given = runs.settings_for(tmp_path, schema=schema)
    told = prepare_inputs(given, tmp_path / "given").describe(given)
    assert told["schema_given"] is True
    assert [tuple(row.values()) for row in told["schema"]] == [
        ("pid", "text", "identifier", "", "as given"),
        ("age", "integer", "quasi_identifier", "18 to 90", "as given"),
        ("job", "category", "quasi_identifier", "3 values", "as given"),
        ("pulse", "number", "sensitive", "", "as given"),
        ("ill", "category", "target", "", "as given"),
    ]


@pytest.mark.parametrize("partition", ["rows", "columns"])
def test_an_id_is_the_same_at_all_providers_however_a_file_would_be_read(
    partition: str, tmp_path: Path, runs: ModuleType
) -> None:
    """Ids of one width are texts; where a file has longer ones too they would be numbers, 42 for `0042`."""
    ids = [f"{number:04d}" for number in range(400)]
    own = [f"{id},{20 + n % 50},{'yes' if n % 3 else 'no'}" for n, id in enumerate(ids)]
    (tmp_path / "a.csv").write_text("\n".join(["pid,age,ill", *own]) + "\n", encoding="utf-8")
    more = [*ids, "10000", "10001"]
    if partition == "columns":
        other = ["pid,height,weight", *(f"{id},{150 + n % 40},{50 + n % 30}" for n, id in enumerate(more))]
    else:
        other = ["pid,age,ill", *own, "10000,31,yes", "10001,32,no"]
    (tmp_path / "b.csv").write_text("\n".join(other) + "\n", encoding="utf-8")
    settings = runs.settings_for(
        tmp_path, providers=[f"{name}={tmp_path / name}.csv" for name in "ab"], partition=partition
    )
    prepare = prepare_columns if partition == "columns" else prepare_inputs
    found = prepare(settings, tmp_path / "run")
    tested = set(found.test.column("pid").to_pylist())
    assert {len(id) for id in tested} <= {4, 5}
    for table in found.train.values():
        assert tested.isdisjoint(table.column("pid").to_pylist())
        assert "0" not in table.column("pid").to_pylist()
    shared = [set(table.column("pid").to_pylist()) & set(ids) for table in found.train.values()]
    assert len(shared[0] & shared[1]) > 200


def test_a_delta_that_promises_little_is_noted(tmp_path: Path, runs: ModuleType) -> None:
    for delta, told in ((1e-6, False), (0.5, True)):
        settings = runs.settings_for(tmp_path, delta=delta)
        notes = prepare_inputs(settings, tmp_path / str(delta)).notes
        assert any("may then show one row outright" in note for note in notes) is told
