from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.data import Table
from comity.deidentify import Vulnerable
from comity.deidentify.columns.freetext import FreeText
from comity.deidentify.columns.scrub import scrub
from comity.errors import BadTable, UsageError

TABLE = Table(
    pa.table({"id": ["a", "b", "c", "d"], "job": ["spy", "cook", "nun", None], "age": [40, 50, 60, 70]})
)


def test_columns_go():
    done = scrub(TABLE, columns=["id"])
    assert done.table.names == ("job", "age")
    assert (done.columns, done.dropped, done.blanked) == (("id",), 0, 0)


def test_vulnerable_records_are_dropped_or_blanked_and_nothing_else_changes():
    rules = [Vulnerable("job", ["spy"]), Vulnerable("job", ["nun"], action="blank", blanks=["job", "age"])]
    done = scrub(TABLE, vulnerable=rules)
    assert done.table.arrow.to_pydict() == {
        "id": ["b", "c", "d"],
        "job": ["cook", None, None],
        "age": [50, None, 70],
    }
    assert (done.dropped, done.blanked) == (1, 1)
    assert scrub(TABLE, vulnerable=rules[::-1]).table.equals(done.table)


def test_numbers_are_named_by_their_text():
    assert scrub(TABLE, vulnerable=[Vulnerable("age", ["50"])]).dropped == 1


def test_wrong_rules_are_refused():
    for make in (
        lambda: Vulnerable("job", []),
        lambda: Vulnerable("job", "spy"),
        lambda: Vulnerable("job", ["x"], action="x"),
    ):
        with pytest.raises(UsageError):
            make()
    with pytest.raises(BadTable):
        scrub(TABLE, columns=["nothing"])
    with pytest.raises(BadTable):
        scrub(TABLE, vulnerable=[Vulnerable("job", ["spy"], action="blank", blanks=["nothing"])])


def test_free_text_is_masked_with_values_of_columns_that_go():
    table = Table(
        pa.table(
            {"who": ["Zorb Qux", "Abel"], "note": ["zorb asked jo@x.org", "nothing"], "job": ["spy", "nun"]}
        )
    )
    done = scrub(
        table,
        columns=["who"],
        vulnerable=[Vulnerable("job", ["nun"], action="blank", blanks=["note"])],
        texts=[FreeText("note", names_from=["who"])],
    )
    assert done.table.names == ("note", "job")
    assert done.table.strings("note") == ["[name] asked [email]", None]
    assert done.masked == {"note": {"email": 1, "name": 1}}
    assert done.note is not None
    assert "cannot be made anonymous" in done.note
    assert scrub(table).note is None


MIXED = Table(
    pa.table(
        {"whole": [5, 6, None], "real": [5.0, 6.5, None], "text": ["5", "x", None], "long": ["5.0", "y", "z"]}
    )
)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("whole", 5), ("whole", "5"), ("whole", 5.0), ("whole", "5.0"), ("whole", np.int64(5)),
        ("whole", np.float64(5)), ("real", 5), ("real", "5"), ("real", 5.0), ("real", "5.0"),
        ("text", 5), ("text", "5"), ("text", 5.0), ("long", 5), ("long", 5.0), ("long", "5.0"),
        ("whole", None), ("real", float("nan")), ("text", None),
    ],
)  # fmt: skip
def test_vulnerable_records_are_found_however_they_are_written(column, value):
    done = scrub(MIXED, vulnerable=[Vulnerable(column, [value])])
    assert (done.dropped, done.unmatched, done.told) == (1, {}, ())


def test_values_that_match_nothing_are_told():
    rules = [Vulnerable("text", ["5", "gone"]), Vulnerable("text", ["gone", "05"]), Vulnerable("whole", [7])]
    done = scrub(MIXED, vulnerable=rules)
    assert done.dropped == 1
    assert done.unmatched == {"text": ("gone", "05"), "whole": ("7",)}
    assert "'gone', '05' in 'text'" in done.told[0]


def test_large_whole_numbers_are_told_apart():
    table = Table(pa.table({"n": [2**53, 2**53 + 1]}))
    assert scrub(table, vulnerable=[Vulnerable("n", [2**53 + 1])]).table.strings("n") == [str(2**53)]
