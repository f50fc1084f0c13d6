"""Decimal commas in CSV files: read where the file's separator speaks for them, and told in every case."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data import read_table
from comity.data.check import check_table
from comity.data.decimals import Marks
from comity.data.read import read_shown
from comity.errors import BadTable
from comity.schema import ColumnType, Schema, parse_schema


def written(folder: Path, values: list[str], separator: str = ";") -> Path:
    """A file with a column x of these values beside one of words."""
    path = folder / "t.csv"
    lines = [f'"{value}"{separator}w' for value in values]
    path.write_text("\n".join([f"x{separator}word", *lines]) + "\n", encoding="utf-8")
    return path


def schema_of(kind: str) -> Schema:
    return parse_schema({"columns": {"x": {"role": "sensitive", "type": kind}}}, where="here")


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["3,5", "4", "-0,25"], [3.5, 4.0, -0.25]),
        (["3,5", "", "NA", " 7,0 "], [3.5, None, None, 7.0]),
        (["1.234,5", "12.345.678,25", "0,5"], [1234.5, 12345678.25, 0.5]),
        (["1\u202f234,50", "1\u00a0000,5", "9 999,0"], [1234.5, 1000.5, 9999.0]),
        ([",5", "+1,5", "2,5e3"], [0.5, 1.5, 2500.0]),
        (["1,234", "0,5"], [1.234, 0.5]),
        (["0,123", "0,456"], [0.123, 0.456]),
        (["1234,567"], [1234.567]),
    ],
)
def test_decimal_commas_are_read_and_told(
    separator: str, values: list[str], numbers: list[float], tmp_path: Path
) -> None:
    path = written(tmp_path, values, separator)
    for schema in (None, schema_of("number")):
        table = read_table(path, schema=schema)
        assert table.arrow.column("x").to_pylist() == numbers
        assert table.notes == {"x": f"column x of {path} has decimal commas: 3,5 is read as 3.5"}


def test_a_comma_before_three_digits_is_decimal_by_the_convention_of_semicolons(tmp_path: Path) -> None:
    path = written(tmp_path, ["1,234", "12,500", "7"])
    table = read_table(path)
    assert table.numbers("x").tolist() == [1.234, 12.5, 7.0]
    assert "1,234 is read as 1.234" in table.notes["x"]
    assert "if its commas group thousands, write 1234" in table.notes["x"]


def test_between_tabs_a_comma_before_three_digits_is_not_decided(tmp_path: Path) -> None:
    path = written(tmp_path, ["1,234", "12,500", "7"], "\t")
    table = read_table(path)
    assert table.strings("x") == ["1,234", "12,500", "7"]
    assert f"column x of {path} has numbers with commas and is read as text" in table.notes["x"]
    assert "1,234 may be 1.234 or 1234" in table.notes["x"]
    with pytest.raises(
        BadTable, match=r"(?s)row 1 .*is not a number.*column x: .*1,234 may be 1.234 or 1234"
    ):
        read_table(path, schema=schema_of("number"))


@pytest.mark.parametrize(
    ("values", "separator", "why"),
    [
        (["3,5", "2,5", "3.5"], ";", "others with a decimal point"),
        (["1,234,567", "1,234"], ";", "several commas"),
        (["1,2,3", "2,3", "1"], ";", "several commas"),  # which answers were ticked
        (["1,234.5", "1,000.5"], ";", "several commas"),
        (["3,5", "2,5"], ",", "this one is separated by commas"),
    ],
)
def test_what_is_not_read_is_told_with_what_to_do(
    values: list[str], separator: str, why: str, tmp_path: Path
) -> None:
    path = written(tmp_path, values, separator)
    table = read_table(path)
    assert table.strings("x") == values
    assert table.notes["x"].startswith(f"column x of {path} has numbers with commas and is read as text")
    assert why in table.notes["x"]
    assert "write all its numbers with a decimal point" in table.notes["x"]
    with pytest.raises(BadTable, match=f"(?s)is not a number.*column x: .*{why}"):
        read_table(path, schema=schema_of("number"))


def test_values_that_are_no_numbers_are_faults_as_among_numbers_with_points(tmp_path: Path) -> None:
    path = written(tmp_path, ["3,5", "2,5", "unknown", "4"])
    with pytest.raises(BadTable) as caught:
        read_table(path)
    assert "1 value does not fit" in str(caught.value)
    assert "row 3 (line 4), column x: 'unknown' is not a number" in str(caught.value)
    assert "3,5" not in str(caught.value)
    table, texts = read_shown(path)
    assert texts == ("x",)
    assert table.strings("x") == ["3,5", "2,5", "unknown", "4"]


def test_one_faulty_column_leaves_the_others_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;7\n2,5;8\n3,5;x\n", encoding="utf-8")
    table, texts = read_shown(path)
    assert texts == ("b",)
    assert table.numbers("a").tolist() == [1.5, 2.5, 3.5]
    assert set(table.notes) == {"a"}


@pytest.mark.parametrize("values", [["Smith, J", "3,5", "Ng, K"], ["a,b", "c"], ["1", "2"], ["1.5", "2"]])
def test_other_columns_are_left_alone_without_a_word(values: list[str], tmp_path: Path) -> None:
    for separator in (";", "\t", ","):
        assert read_table(written(tmp_path, values, separator)).notes == {}


@pytest.mark.parametrize("kind", ["category", "text"])
def test_a_schema_that_says_text_has_it(kind: str, tmp_path: Path) -> None:
    table = read_table(written(tmp_path, ["3,5", "2,5"]), schema=schema_of(kind))
    assert table.strings("x") == ["3,5", "2,5"]
    assert table.notes == {}
    assert read_table(written(tmp_path, ["3,5"]), typed=False).strings("x") == ["3,5"]


def test_points_before_three_digits_beside_decimal_commas_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("wage;height\n1.234;1,5\n2.500;1,75\n900;1,8\n", encoding="utf-8")
    table = read_table(path)
    assert table.numbers("wage").tolist() == [1.234, 2.5, 900.0]
    assert "if its points group thousands, write 1234" in table.notes["wage"]
    path.write_text("wage,height\n1.234,1.5\n2.500,1.75\n", encoding="utf-8")
    assert read_table(path).notes == {}


def test_points_before_three_digits_are_told_wherever_semicolons_separate(tmp_path: Path) -> None:
    """Who writes `1.234;2.500` for whole numbers loses a factor of a thousand, whatever the schema says."""
    for kind in (None, "integer", "number"):
        values = ["1.000", "2.000", "12.000"] if kind == "integer" else ["1.234", "950", "12.000"]
        table = read_table(written(tmp_path, values, ";"), schema=None if kind is None else schema_of(kind))
        assert "if its points group thousands, write 1234" in table.notes["x"]
    assert read_table(written(tmp_path, ["0.234", "0.500"], ";")).notes == {}


def test_whole_numbers_with_a_comma_are_integers(tmp_path: Path) -> None:
    path = written(tmp_path, ["3,0", "4,00"])
    assert read_table(path).type("x") is ColumnType.integer
    assert read_table(path, schema=schema_of("integer")).arrow.column("x").to_pylist() == [3, 4]


def test_the_check_passes_on_what_was_told_of_the_schemas_columns(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, ["3,5", "2,5"]))
    assert check_table(table, schema_of("number")).notes[0] == table.notes["x"]
    other = parse_schema({"columns": {"word": {"role": "sensitive", "type": "text"}}}, where="here")
    assert not any("comma" in note for note in check_table(table, other).notes)


@pytest.mark.parametrize("batch", [2, 100_000])
def test_it_does_not_depend_on_how_the_file_is_cut(
    batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comity.data import csvfile

    monkeypatch.setattr(csvfile, "_BATCH_ROWS", batch)
    values = [f"{row},{row % 7}" for row in range(5_000)]
    table = read_table(written(tmp_path, values))
    assert table.numbers("x").tolist() == [float(value.replace(",", ".")) for value in values]
    mixed = read_table(written(tmp_path, [*values, "1.5"]))
    assert mixed.type("x") is ColumnType.text
    assert "decimal point" in mixed.notes["x"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False)), min_size=1, max_size=20))
def test_a_file_with_commas_is_the_file_with_points(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float | None]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    texts = ["" if number is None else repr(number) for number in numbers]
    points = read_table(written(folder, texts, ";"))
    commas = read_table(written(folder, [text.replace(".", ",") for text in texts], ";"))
    assert commas.equals(points)


def test_only_two_kinds_are_read() -> None:
    assert [marks for marks in Marks if marks.read] == [Marks.commas, Marks.perhaps_thousands]
