"""What a pilot says of how tables were read."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pyarrow.parquet as parquet

from comity.compare.columns import prepare_columns
from comity.compare.inputs import Inputs, prepare_inputs
from comity.compare.settings import Settings
from comity.data import read_table
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
        "unit: {column: person, max_rows: 3}\n",
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
    inferred = runs.settings_for(tmp_path, **given | {"schema": None})
    assert notes_of(inferred, prepare_columns(inferred, tmp_path / "again"))[0].startswith(
        "left: column pulse"
    )
