"""`anonymize_file` against `anonymize`: the same result, and nothing half-written."""

from __future__ import annotations

import csv
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.deidentify import Hierarchy, KAnonymity, TCloseness, anonymize, intervals
from comity.deidentify.models.class_models import DistinctLDiversity
from comity.deidentify.models.safepub import SafePub
from comity.deidentify.search import tablefile
from comity.deidentify.search.numbering import Numbering, TupleNumbering
from comity.deidentify.stream import anonymize_file
from comity.errors import BadInput, BadTable, UsageError

AGE = intervals(0, 9, widths=[2, 4])
TOWN = Hierarchy.from_rows([("a", "n", "*"), ("b", "n", "*"), ("c", "s", "*"), ("d", "s", "*")])
SEX = Hierarchy.from_rows([("f", "*"), ("m", "*")])
TREES = {"age": AGE, "town": TOWN, "sex": SEX}
ROW = st.fixed_dictionaries(
    {
        "name": st.integers(0, 99),
        "age": st.one_of(st.integers(0, 9), st.none()),
        "town": st.sampled_from(["a", "b", "c", "d", None]),
        "sex": st.sampled_from("fm"),
        "ill": st.sampled_from(["x", "y", "z", None]),
        "cost": st.sampled_from([1, 2, 10]),
    }
)
FIELDS = pa.schema(
    [
        ("name", pa.int64()),
        ("age", pa.int64()),
        ("town", pa.string()),
        ("sex", pa.string()),
        ("ill", pa.string()),
        ("cost", pa.int64()),
    ]
)
TEXTS = pa.schema([(name, pa.string()) for name in FIELDS.names])
EXTRA = st.sampled_from([None, DistinctLDiversity("ill", 2), TCloseness("cost", 0.3, distance="ordered")])


def starred(rows, gone):
    """Some rows as `anonymize` shows suppressed ones; ages are then texts."""
    texts = [{n: None if v is None else str(v) for n, v in row.items()} for row in rows]
    return [row | dict.fromkeys(TREES, "*") if i in gone else row for i, row in enumerate(texts)]


def both(rows, folder, *, fields=FIELDS, ending=".parquet", to=".parquet", row_group=7, **asked):
    """The frame of `anonymize` and the rows that `anonymize_file` wrote, with both results."""
    table = pa.Table.from_pylist(rows, schema=fields)
    path, target = Path(folder) / f"in{ending}", Path(folder) / f"out{to}"
    if ending == ".parquet":
        parquet.write_table(table, path, row_group_size=row_group)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table.column_names)
            writer.writerows(["" if v is None else v for v in row.values()] for row in table.to_pylist())
    try:
        memory = anonymize(table, **asked)
    except BadTable as error:
        refusal = str(error)
    else:
        return memory, anonymize_file(path, target, **asked), target
    with pytest.raises(BadTable) as caught:
        anonymize_file(path, target, **asked)
    assert str(caught.value) == refusal
    assert [p.name for p in Path(folder).iterdir()] == [path.name]
    return None


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(tablefile, "_BATCH_ROWS", 5)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(ROW, min_size=1, max_size=40),
    st.sets(st.integers(0, 39), max_size=10),
    st.integers(1, 4),
    EXTRA,
    st.sampled_from([0, 0.1, 0.5]),
    st.sampled_from(["global", "local"]),
    st.sampled_from(["arithmetic", "geometric"]),
    st.sampled_from([None, {"age": 2.5, "sex": 0}]),
)
def test_gives_what_the_one_in_memory_gives(rows, gone, k, more, limit, method, aggregate, weights):
    held, tablefile._BATCH_ROWS = tablefile._BATCH_ROWS, 5
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = both(
                starred(rows, gone) if gone else rows,
                folder,
                fields=TEXTS if gone else FIELDS,
                quasi_identifiers=TREES,
                require=[KAnonymity(k), *([more] if more else [])],
                suppression_limit=limit,
                method=method,
                aggregate=aggregate,
                weights=weights,
            )
            if found is None:
                return
            memory, done, target = found
            assert parquet.read_table(target).to_pylist() == memory.frame.to_pylist()
    finally:
        tablefile._BATCH_ROWS = held
    for name in (
        "levels", "loss", "objective", "suppressed", "already_suppressed", "classes", "smallest_class",
        "hierarchies", "bound", "evaluated",
    ):  # fmt: skip
        assert getattr(done, name) == getattr(memory, name), name
    assert (done.rows, done.written) == (len(rows), len(rows))
    assert done.already_suppressed == len([i for i in gone if i < len(rows)])


ROWS = [
    {"name": i, "age": i % 10, "town": "abcd"[i % 4], "sex": "fm"[i % 2], "ill": "xyz"[i % 3], "cost": 1}
    for i in range(60)
]
ASKED = {"quasi_identifiers": TREES, "require": [KAnonymity(4)], "suppression_limit": 0.3}


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
@pytest.mark.parametrize("to", [".parquet", ".csv"])
@pytest.mark.usefixtures("small_batches")
def test_every_kind_of_file(tmp_path, ending, to):
    memory, done, target = both(ROWS, tmp_path, ending=ending, to=to, **ASKED)
    assert done.loss == memory.loss
    expected = [{n: str(v) for n, v in row.items()} for row in memory.frame.to_pylist()]
    if to == ".csv":
        with target.open(newline="") as file:
            assert list(csv.DictReader(file)) == expected
    else:
        written = parquet.read_table(target)
        assert [{n: str(v) for n, v in row.items()} for row in written.to_pylist()] == expected
        assert str(written.schema.field("age").type) == "string"


@pytest.mark.usefixtures("small_batches")
def test_suppressed_rows_can_be_left_out(tmp_path):
    rows = [*ROWS, {"name": 60, "age": 9, "town": "a", "sex": "f", "ill": "x", "cost": 1}]
    asked = ASKED | {"level_limits": {"age": (0, 1), "town": (0, 0)}, "require": [KAnonymity(3)]}
    memory, _, _ = both(rows, tmp_path, **asked)
    assert memory.suppressed
    done = anonymize_file(tmp_path / "in.parquet", tmp_path / "out.parquet", **asked, drop_suppressed=True)
    expected = memory.frame.filter(pa.array(memory.kept)).to_pylist()
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist() == expected
    assert (done.rows, done.written) == (61, 61 - memory.suppressed)


def test_nothing_half_written(tmp_path, monkeypatch):
    table = pa.Table.from_pylist(ROWS, schema=FIELDS)
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(table, source)
    target.write_bytes(b"what was there")
    real = tablefile.TableWriter.write
    calls = []

    def failing(self, batch):
        calls.append(batch)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        real(self, batch)

    monkeypatch.setattr(tablefile, "_BATCH_ROWS", 5)
    monkeypatch.setattr(tablefile.TableWriter, "write", failing)
    with pytest.raises(BadInput, match=r"out\.parquet cannot be written: No space left"):
        anonymize_file(source, target, **ASKED)
    assert target.read_bytes() == b"what was there"
    assert {path.name for path in tmp_path.iterdir()} == {"in.parquet", "out.parquet"}


def test_a_file_that_changes_between_the_two_readings_is_refused(tmp_path, monkeypatch):
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(pa.Table.from_pylist(ROWS[:40], schema=FIELDS), source)
    from comity.deidentify import stream

    for later in (ROWS, ROWS[:39], [*ROWS[:39], ROWS[39] | {"age": 3, "town": "a", "sex": "m"}]):
        parquet.write_table(pa.Table.from_pylist(ROWS[:40], schema=FIELDS), source)

        def solve(*given, later=later, real=stream.solve):
            parquet.write_table(pa.Table.from_pylist(later, schema=FIELDS), source)
            return real(*given)

        with monkeypatch.context() as patched:
            patched.setattr(stream, "solve", solve)
            with pytest.raises(BadTable, match="changed while it was read"):
                anonymize_file(source, target, **ASKED)
        assert not target.exists()


def test_wrong_arguments_are_refused_before_anything_is_read(tmp_path):
    source = tmp_path / "in.parquet"
    parquet.write_table(pa.Table.from_pylist(ROWS, schema=FIELDS), source)
    with pytest.raises(UsageError, match="the table itself"):
        anonymize_file(source, source, **ASKED)
    with pytest.raises(UsageError, match=r"out\.txt has no ending"):
        anonymize_file(source, tmp_path / "out.txt", **ASKED)
    with pytest.raises(UsageError, match="has no ending that is read"):
        anonymize_file(tmp_path / "in.txt", tmp_path / "out.csv", **ASKED)
    with pytest.raises(BadInput, match="does not exist"):
        anonymize_file(tmp_path / "none.parquet", tmp_path / "out.csv", **ASKED)
    with pytest.raises(BadTable, match="no column 'height'"):
        anonymize_file(source, tmp_path / "out.csv", **ASKED | {"quasi_identifiers": {"height": AGE}})
    less = {"town": Hierarchy.from_rows([("a", "*"), ("b", "*")])}
    with pytest.raises(BadTable, match=r"'town' has no row for 2 values: 'c', 'd'"):
        anonymize_file(source, tmp_path / "out.csv", **ASKED | {"quasi_identifiers": less})
    with pytest.raises(UsageError, match="suppression_limit"):
        anonymize_file(source, tmp_path / "out.csv", **ASKED | {"suppression_limit": 2})
    source.write_text("no parquet")
    with pytest.raises(BadTable, match="cannot be read as Parquet"):
        anonymize_file(source, tmp_path / "out.csv", **ASKED)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


@given(st.lists(st.lists(st.integers(-5, 5), max_size=8), max_size=6))
def test_numbers_are_given_once_and_found_again(batches):
    numbering, known = Numbering(), {}
    for batch in batches:
        keys = pa.array(batch, pa.int64()).to_numpy()
        found, fresh = numbering.find(keys, learn=True)
        assert sorted(keys[fresh].tolist()) == sorted(set(batch) - set(known))
        for key, number in zip(batch, found.tolist(), strict=True):
            assert known.setdefault(key, number) == number
    assert sorted(known.values()) == list(range(len(numbering)))
    assert numbering.keys.tolist() == sorted(known, key=known.get)


def test_columns_too_wide_for_one_key_are_numbered_in_turn():
    import numpy as np

    wide = 2**21
    rows = np.random.default_rng(1).integers(0, wide, (5, 300))
    rows = np.concatenate([rows, rows[:, :50]], axis=1)
    rows[:4, 299] = rows[:4, 298]
    numbering = TupleNumbering([wide] * 5)
    found, fresh = numbering.find(list(rows), learn=True)
    assert len(numbering) == len(fresh) == 300
    assert (found[300:] == found[:50]).all()
    again, none = numbering.find(list(rows), learn=False)
    assert (again == found).all()
    assert len(none) == 0
    unknown, _ = numbering.find([np.array([wide - 1])] * 5, learn=False)
    assert unknown.tolist() == [-1]


def test_sampling_needs_the_table_in_memory(tmp_path):
    asked = ASKED | {"require": [SafePub(1.0, 1e-3)]}
    with pytest.raises(UsageError, match="use anonymize"):
        anonymize_file(tmp_path / "in.parquet", tmp_path / "out.csv", **asked)


def test_an_empty_text_of_a_csv_file_is_a_missing_value(tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("age,town,ill\n1,a,\n1,,x\n2,a,y\n2,,\n")
    done = anonymize_file(
        source,
        target,
        quasi_identifiers={"town": TOWN},
        require=[DistinctLDiversity("ill", 2)],
        suppression_limit=0,
    )
    assert done.levels == {"town": 0}
    written = target.read_text().splitlines()[1:]
    assert written == ['"1","a",', '"1",,"x"', '"2","a","y"', '"2",,']


@pytest.mark.parametrize("batch_rows", [7, 1000])
@pytest.mark.parametrize("case", ["tuples", "sensitive", "suppressed", "columns"])
def test_a_file_that_changes_in_how_often_something_occurs_is_refused(
    tmp_path, monkeypatch, case, batch_rows
):
    from comity.deidentify import stream

    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    target.write_bytes(b"what was there")
    tree = Hierarchy.from_rows([(x, "*") for x in "abc"])
    first = pa.table({"q": ["a"] * 50 + ["b"] * 50 + ["c"] * 50 + ["*"], "s": (["x", "y"] * 76)[:151]})
    later = {
        "tuples": pa.table({"q": ["a"] + ["b"] * 100 + ["c"] * 49 + ["*"], "s": (["x", "y"] * 76)[:151]}),
        "sensitive": pa.table({"q": first["q"], "s": ["x"] * 49 + ["y"] + ["y"] * 25 + ["x", "y"] * 38}),
        "suppressed": pa.table({"q": ["*"] + ["b"] * 50 + ["c"] * 50 + ["a"] * 50, "s": first["s"]}).slice(1),
        "columns": first.rename_columns(["other", "s"]),
    }[case]
    parquet.write_table(first, source)
    asked = {"quasi_identifiers": {"q": tree}, "require": [KAnonymity(50), DistinctLDiversity("s", 2)]}
    monkeypatch.setattr(tablefile, "_BATCH_ROWS", batch_rows)

    def solve(*given, real=stream.solve):
        parquet.write_table(later, source)
        return real(*given)

    monkeypatch.setattr(stream, "solve", solve)
    with pytest.raises(BadTable, match="changed while it was read"):
        anonymize_file(source, target, **asked)
    assert target.read_bytes() == b"what was there"
    assert {path.name for path in tmp_path.iterdir()} == {"in.parquet", "out.parquet"}


KINDS = pa.schema(
    [
        ("q", pa.string()),
        ("seconds", pa.duration("s")),
        ("moment", pa.timestamp("us", "Europe/Brussels")),
        ("large", pa.large_string()),
        ("bytes", pa.large_binary()),
        ("code", pa.dictionary(pa.int8(), pa.string())),
        ("many", pa.list_(pa.large_string())),
    ]
)


def kinds():
    moment = datetime(2024, 5, 6, 7, tzinfo=UTC)
    row = {
        "q": "a", "seconds": timedelta(seconds=5), "moment": moment, "large": "l", "bytes": b"b", "code": "c",
        "many": ["m", None],
    }  # fmt: skip
    return pa.Table.from_pylist([row, row, row | {"seconds": None, "many": None}], schema=KINDS)


def test_types_of_other_columns_stay(tmp_path):
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(kinds(), source)
    asked = {"quasi_identifiers": {"q": Hierarchy.from_rows([("a", "*")])}, "require": [KAnonymity(2)]}
    anonymize_file(source, target, **asked)
    written = parquet.read_table(target)
    for field in KINDS:
        found, expected = written.schema.field(field.name).type, field.type
        assert str(found).replace("element", "item") == str(expected).replace("element", "item")
    assert written.to_pylist() == kinds().to_pylist()


def test_what_a_csv_file_cannot_hold_is_refused_by_name(tmp_path):
    source, target = tmp_path / "in.parquet", tmp_path / "out.csv"
    asked = {"quasi_identifiers": {"q": Hierarchy.from_rows([("a", "*")])}, "require": [KAnonymity(2)]}
    parquet.write_table(kinds().select(["q", "many"]), source)
    with pytest.raises(BadTable, match=r"column 'many' holds list.*write Parquet") as found:
        anonymize_file(source, target, **asked)
    assert not found.value.private
    parquet.write_table(kinds().select(["q", "code", "large"]), source)
    anonymize_file(source, target, **asked)
    assert target.read_text().splitlines()[1] == '"a","c","l"'


def test_nested_columns_are_refused_by_name(tmp_path):
    source = tmp_path / "in.parquet"
    parquet.write_table(kinds(), source)
    tree = Hierarchy.from_rows([("a", "*")])
    for asked in (
        {"quasi_identifiers": {"many": tree}, "require": [KAnonymity(2)]},
        {"quasi_identifiers": {"q": tree}, "require": [DistinctLDiversity("many", 2)]},
    ):
        with pytest.raises(BadTable, match="column 'many' holds values made of several"):
            anonymize_file(source, tmp_path / "out.parquet", **asked)


def test_a_sensitive_missing_value_is_one_value_in_files_too(tmp_path):
    source = tmp_path / "in.parquet"
    parquet.write_table(pa.table({"q": ["a"] * 4, "s": ["?", "NA", "", None]}), source)
    asked = {"quasi_identifiers": {"q": Hierarchy.from_rows([("a", "*")])}}
    with pytest.raises(BadTable, match="no combination of levels"):
        anonymize_file(source, tmp_path / "o.parquet", require=[DistinctLDiversity("s", 2)], **asked)
