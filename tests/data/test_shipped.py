"""The Adult that comity ships: its rows, that schema and hierarchies cover them, how they are dealt out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from comity.data import (
    adult_hierarchies,
    adult_schema,
    check_table,
    load_adult,
    read_table,
    write_adult_parts,
)
from comity.data.shipped import ADULT_FOLDER
from comity.errors import BadInput, UsageError
from comity.schema import Role

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult"


def test_what_is_in_it() -> None:
    table = load_adult()
    assert (table.rows, len(table.names)) == (48842, 14)
    assert (ADULT_FOLDER / "adult.parquet").stat().st_size < 1_000_000
    assert len(set(table.strings("id"))) == table.rows
    assert table.levels("income")[1] == ("<=50K", ">50K")
    assert int((table.levels("income")[0] == 1).sum()) == 11687
    missing = {name: int(table.missing(name).sum()) for name in table.names if table.missing(name).any()}
    assert missing == {"workclass": 2799, "occupation": 2809, "native-country": 857}


def test_the_schema_fits() -> None:
    table, schema = load_adult(), adult_schema()
    checked = check_table(table, schema)
    assert checked.table.equals(table)
    assert (checked.left_out, checked.notes) == ((), ())
    assert len(schema.features) == 12
    assert len(schema.named(Role.quasi_identifier)) == 9
    assert schema.named(Role.sensitive) == ("capital-gain", "capital-loss")
    assert (schema.target, schema.unit.column) == ("income", "id")


def test_hierarchies_cover_every_value_and_are_rectangular() -> None:
    table, schema = load_adult(), adult_schema()
    paths = adult_hierarchies()
    assert set(paths) == set(schema.named(Role.quasi_identifier))
    for name, path in paths.items():
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file, delimiter=";"))
        leaves = [line[0] for line in lines]
        assert len({len(line) for line in lines}) == 1, name
        assert len(set(leaves)) == len(leaves), name
        assert {line[-1] for line in lines} == {"*"}, name
        assert {value or "?" for value in table.strings(name)} <= set(leaves), name
        for level in range(1, len(lines[0])):  # what is equal at one level stays equal above
            above = {}
            assert all(above.setdefault(line[level - 1], line[level]) == line[level] for line in lines), name


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_hierarchies_are_those_of_arx_but_for_missing_values() -> None:
    for name, path in adult_hierarchies().items():
        theirs = SHARED / f"adult_hierarchy_{name}.csv"
        if name == "relationship":
            continue
        ours = [line for line in path.read_text().splitlines() if not line.startswith("?")]
        assert ours == theirs.read_text().splitlines(), name


def test_parts_have_disjoint_rows_and_unequal_sizes(tmp_path: Path) -> None:
    schema = adult_schema()
    written = write_adult_parts(tmp_path / "new", seed=1)
    assert list(written) == ["north", "east", "south"]
    tables = [read_table(path, schema=schema) for path in written.values()]
    assert [table.rows for table in tables] == [24421, 14653, 9768]
    ids = [table.strings("id") for table in tables]
    assert len(set().union(*ids)) == 48842
    whole = load_adult()
    first = np.array([int(value[1:]) - 1 for value in ids[0] if value])
    assert tables[0].equals(whole.take(first))
    again = write_adult_parts(tmp_path / "again", seed=1)
    assert again["east"].read_bytes() == written["east"].read_bytes()


def test_parts_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be made"):
        write_adult_parts(tmp_path / "file" / "folder")
    with pytest.raises(UsageError):
        write_adult_parts(tmp_path, shares={"a": 0.5, "b": 0})
