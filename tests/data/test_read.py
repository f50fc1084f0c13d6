"""Reading: the same typed table whichever way it comes; and the inputs that cannot be read."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data import Table, read_table, write_table
from comity.errors import BadTable, UsageError
from comity.schema import parse_schema

WORDS = st.text(alphabet=st.sampled_from("abcXYZ é,;\t\"'\n-"), max_size=6).filter(
    lambda word: word.strip() not in ("",) and "\r" not in word
)
COLUMNS = {
    "whole": st.one_of(st.none(), st.integers(-(10**15), 10**15)),
    "number": st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: x + 0.0)),
    "word": st.one_of(st.none(), WORDS.map(str.strip)),
}
ROWS = st.lists(st.fixed_dictionaries(COLUMNS), min_size=1, max_size=25)


def as_arrow(rows: list[dict]) -> pa.Table:
    types = {"whole": pa.int64(), "number": pa.float64(), "word": pa.string()}
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()})


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_every_source_gives_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict]
) -> None:
    folder = tmp_path_factory.mktemp("sources")
    arrow = as_arrow(rows)
    expected = read_table(arrow)
    frame = pl.from_arrow(arrow)
    assert isinstance(frame, pl.DataFrame)
    connection = duckdb.connect()
    for source in (
        arrow.to_pandas(),
        frame,
        frame.lazy(),
        connection.sql("select * from arrow"),
        arrow.to_batches()[0],
        expected,
    ):
        assert read_table(source).equals(expected), type(source)
    for ending in ("csv", "parquet", "arrow"):
        path = folder / f"table.{ending}"
        write_table(expected, path)
        assert read_table(path).equals(expected), ending
    frame.write_csv(folder / "polars.csv", separator=";")
    assert read_table(folder / "polars.csv").equals(expected)
    feather.write_feather(arrow, folder / "table.feather")
    assert read_table(str(folder / "table.feather")).equals(expected)


@pytest.mark.parametrize("make", ["pandas", "polars", "lazy", "arrow", "duckdb", "table"])
def test_what_comes_back_is_the_kind_that_went_in(make: str) -> None:
    arrow = pa.table({"a": [1, None, 3], "b": ["x", "y", None]})
    connection = duckdb.connect()
    frame = {
        "pandas": lambda: arrow.to_pandas().set_index(pd.Index([7, 8, 9])),
        "polars": lambda: pl.from_arrow(arrow),
        "lazy": lambda: pl.from_arrow(arrow).lazy(),  # type: ignore[union-attr]
        "arrow": lambda: arrow,
        "duckdb": lambda: connection.from_arrow(arrow),
        "table": lambda: read_table(arrow),
    }[make]()
    table = read_table(frame)
    back = table.to_native(frame)
    assert type(back) is type(frame)
    assert read_table(back).equals(table)
    if make == "pandas":
        assert list(back.index) == [7, 8, 9]
    if make == "duckdb":
        assert back.set_alias("l").join(frame.set_alias("r"), "l.a = r.a").fetchall()


def test_importing_and_reading_a_csv_loads_no_other_frame_library(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,?\n")
    code = (
        "import sys; from comity.data import read_table\n"
        "assert not {'pyarrow', 'duckdb', 'pandas'} & set(sys.modules)\n"
        f"read_table({str(tmp_path / 't.csv')!r})\n"
        "assert not {'pandas', 'polars', 'sklearn', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a,b\n1,x\n", {"a": [1], "b": ["x"]}),
        (b"a;b\n1;x,y\n", {"a": [1], "b": ["x,y"]}),
        (b"a\tb\n1\tx;y\n", {"a": [1], "b": ["x;y"]}),
        (b"\xef\xbb\xbfa,b\r\n1,x\r\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}),
        (b'a,b\n1,"x\ny"\n\n2,"q ""z"""\n', {"a": [1, 2], "b": ["x\ny", 'q "z"']}),
        (b'"a, first";b\n1;2\n', {"a, first": [1], "b": [2]}),
        (b"text\nhello, world\nbye\n", {"text": ["hello, world", "bye"]}),
        (b" a , b \n 1 , x \n", {"a": [1], "b": ["x"]}),
        (b"a,b\n1,x", {"a": [1], "b": ["x"]}),
        (b"0,1,2\n5,6,7\n", {"0": [5], "1": [6], "2": [7]}),
        (b"2019,2020\n1,2\n", {"2019": [1], "2020": [2]}),
        (b"a\n1\n\n3\n\n", {"a": [1, 3]}),
    ],
)
def test_ways_to_write_csv(tmp_path: Path, text: bytes, expected: dict) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text)
    assert read_table(path).arrow.to_pydict() == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a,b", "no rows"),
        (b"a,b,a\n1,2,3\n", "columns 1 and 3 are both named 'a'"),
        (b",b\n1,2\n", "column 1 has no name"),
        (b"a,b,\n1,2,\n", "column 3 has no name"),
        (b"39,State-gov,77516,x,13\n50,Private,2,y,3\n", "no line of column names"),
        (b"a,b\n1,2\n3\n", "line 3: 1 value instead of 2"),
        (b'a,b\n"x\ny",2\n3,4,5\n', "line 4: 3 values instead of 2"),
        (b"a,b\n1,2,\n3,4,\n", "line 2: 3 values instead of 2"),
        (b'a,b\n"1,2\n3,4\n', "a quote is not closed"),
        (b'a,b\n"1"x,2\n3,4\n', "a quote is not closed"),
        (b'"a,b\n1,2\n', "line of column names cannot be read"),
        (b"a,b\r\n1,2\n3,4\r\n", "line 2 ends in LF"),
        (b"a,b\nx,y\ncaf\xe9,2\n", r"byte 11 \(line 3\) is 0xe9"),
        (b"a,b\n" + b"x,y\n" * 300_000 + b"\xff,2\n", r"byte 1200004 \(line 300002\) is 0xff"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        (b"a,b\n1\x00,2\n", "byte 5 is zero"),
    ],
)
def test_csv_files_that_cannot_be_read(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text)
    with pytest.raises(BadTable, match=words) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 3
    assert str(path) not in caught.value.public_message


def test_a_character_cut_at_a_block_end_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + "xé,y\n".encode() * 300_000)
    assert read_table(path).rows == 300_000


def test_faults_are_listed_by_row_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b,c\n1,"two\nlines",1\nx,z,2\n3,z,NaN\n')
    with pytest.raises(BadTable) as caught:
        read_table(path)
    text = str(caught.value)
    assert "2 values do not fit" in text
    assert "row 2 (line 4), column a: 'x' is not a number" in text
    assert "row 3 (line 5), column c: 'NaN' is not a finite number" in text
    assert caught.value.private
    assert "x" not in caught.value.public_message.removeprefix(
        "bad-table: the holder of the data has the details"
    )


def test_many_faults_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "1\n2\n3\nx\ny\n" * 20)
    with pytest.raises(BadTable, match="40 values do not fit") as caught:
        read_table(path)
    assert str(caught.value).count("is not a number") == 20
    assert "... and 20 more" in str(caught.value)


def test_the_schema_says_how_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,a,b\n007,1,x\n08,2,\n")
    schema = parse_schema(
        {
            "columns": {
                "id": {"role": "identifier", "type": "text"},
                "a": {"role": "sensitive", "type": "number"},
            }
        },
        where="here",
    )
    assert read_table(path, schema=schema).arrow.to_pydict() == {
        "id": ["007", "08"],
        "a": [1.0, 2.0],
        "b": ["x", None],
    }
    table = read_table(path)
    assert read_table(table) is table
    assert read_table(table, schema=schema).arrow["id"].to_pylist() == ["7", "8"]


@pytest.mark.parametrize("name", ["a[1].csv", "a*.csv", "k=v/t.csv", "sp ace/ü.csv", "?.csv"])
def test_odd_paths_name_one_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "a1.csv").write_text("a\n2\n")
    (tmp_path / "x.csv").write_text("a\n3\n")
    path.write_text("a\n1\n")
    table = read_table(path)
    assert table.arrow.to_pydict() == {"a": [1]}


def test_paths_that_are_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadTable, match="does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(BadTable, match="is a folder"):
        read_table(tmp_path)
    odd = tmp_path / "t.xlsx"
    odd.write_bytes(b"x")
    with pytest.raises(BadTable, match=r"\.xlsx; a table's file ends in one of \.csv"):
        read_table(odd)
    with pytest.raises(UsageError, match="postgresql://"):
        read_table("https://example.org/t.csv")
    with pytest.raises(UsageError, match="got int"):
        read_table(5)
    for ending, kind in ((".parquet", "Parquet"), (".arrow", "Arrow")):
        broken = tmp_path / f"broken{ending}"
        broken.write_bytes(b"PAR1 junk")
        with pytest.raises(BadTable, match=f"not a whole {kind} file"):
            read_table(broken)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "t.csv").write_text("a\n1\n")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadTable, match="Permission denied"):
        read_table(tmp_path / "t.csv")


def test_truncated_parquet_and_arrow_are_refused(tmp_path: Path) -> None:
    arrow = pa.table({"a": list(range(1000))})
    parquet.write_table(arrow, tmp_path / "t.parquet")
    feather.write_feather(arrow, tmp_path / "t.arrow")
    for name in ("t.parquet", "t.arrow"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(BadTable, match="not a whole"):
            read_table(path)


def test_frames_that_are_no_table() -> None:
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(BadTable, match="columns 1 and 2 are both named 'a'"):
        read_table(twice)
    with pytest.raises(BadTable, match="no rows"):
        read_table(pd.DataFrame({"a": []}))
    with pytest.raises(BadTable, match="no columns"):
        read_table(pd.DataFrame())
    with pytest.raises(BadTable, match="mixed kinds"):
        read_table(pd.DataFrame({"a": [1, "x"]}))
    with pytest.raises(BadTable, match="row 2, column a: 'nan' is not a finite number"):
        read_table(pl.DataFrame({"a": [1.0, float("nan")]}))
    with pytest.raises(BadTable, match="row 1, column a: 'inf' is not a finite number"):
        read_table(pd.DataFrame({"a": [float("inf"), float("nan")]}))
    assert read_table(pd.DataFrame({0: [1.0, float("nan")]})).arrow.to_pydict() == {"0": [1, None]}


def test_a_table_does_not_change_and_names_its_source(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    table = read_table(path)
    assert repr(table) == f"Table(1 rows, 1 columns, from {path})"
    with pytest.raises(AttributeError):
        table.source = "other"  # type: ignore[misc]
    assert isinstance(table, Table)


def test_doubled_names_in_arrow_are_named(tmp_path: Path) -> None:
    arrow = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(arrow, tmp_path / "t.parquet")
    for source in (arrow, tmp_path / "t.parquet"):
        with pytest.raises(BadTable, match="columns 1 and 2 are both named 'a'"):
            read_table(source)
