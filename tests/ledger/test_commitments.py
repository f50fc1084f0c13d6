"""Commitments to tables: binding, hiding, and made before the first query."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto.commitment import canonical_row, new_secret, row_salt
from comity.errors import BadInput, BadTable, ClauseRefused, UsageError, VerificationFailed
from comity.ledger import Account, Ledger, merkle, pure
from comity.ledger.commitments import Commitment, check_opened, commit, open_row, record, recorded

SECRET = bytes(range(32))
COLUMNS = ("id", "age", "ill")
ROWS: list[dict[str, object]] = [
    {"id": f"r{number}", "age": 20 + number, "ill": number % 3 == 0} for number in range(11)
]
ACCOUNT = Account.parse("hospital/adult/label")

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=4),
    st.dates(),
)


def test_an_opened_table_is_the_one_or_it_is_found() -> None:
    commitment = commit(ROWS, COLUMNS, SECRET)
    check_opened(ROWS, SECRET, commitment)
    changed = [dict(row) for row in ROWS]
    changed[4]["ill"] = True
    for rows in (changed, ROWS[:-1], [*ROWS, ROWS[0]], ROWS[::-1], []):
        with pytest.raises(VerificationFailed, match="not the one that was committed to"):
            check_opened(rows, SECRET, commitment)
    with pytest.raises(VerificationFailed):
        check_opened(ROWS, new_secret(), commitment)


@settings(deadline=None)
@given(st.lists(st.lists(values, min_size=2, max_size=2), max_size=8), st.data())
def test_any_change_of_any_value_changes_it(table: list[list[Any]], data: st.DataObject) -> None:
    rows = [dict(zip("ab", row, strict=True)) for row in table]
    commitment = commit(rows, "ab", SECRET)
    assert commitment == commit([dict(row) for row in rows], "ab", SECRET)
    if not rows:
        return
    at, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from("ab"))
    other = data.draw(values)
    rows[at] = {**rows[at], column: other}
    same = canonical_row(rows[at], "ab") == canonical_row(dict(zip("ab", table[at], strict=True)), "ab")
    assert (commit(rows, "ab", SECRET) == commitment) == same


def test_values_of_two_kinds_are_two() -> None:
    kinds: list[object] = [
        None, True, 1, "1", "True", "", b"1", dt.date(2026, 1, 1), "2026-01-01", Decimal("1"), 1.5,
        2**60, float("inf"),
    ]  # fmt: skip
    assert len({canonical_row({"a": value}, "a") for value in kinds}) == len(kinds)
    for one, other in ((1, 1.0), (None, float("nan")), (Decimal("1.50"), Decimal("1.5"))):
        assert canonical_row({"a": one}, "a") == canonical_row({"a": other}, "a")
    with pytest.raises(BadTable, match="column 'a' holds a value of type set"):
        canonical_row({"a": {1}}, "a")


def test_it_hides_equal_rows_and_how_many_there_are() -> None:
    same = [dict(ROWS[0])] * 4
    leaves = {merkle.leaf_hash(row_salt(SECRET, n) + canonical_row(same[0], COLUMNS)) for n in range(4)}
    assert len(leaves) == 4
    short, long = commit(same[:1], COLUMNS, SECRET), commit(same, COLUMNS, SECRET)
    assert len(short.digest) == len(long.digest) == 32
    assert commit(same, COLUMNS, new_secret()) != long  # a guess at the table cannot be confirmed


@pytest.mark.parametrize("number", [0, 4, 10])
def test_one_row_is_opened_alone(number: int) -> None:
    commitment = commit(ROWS, COLUMNS, SECRET)
    opening = open_row(ROWS, COLUMNS, SECRET, number)
    opening.verify(commitment)
    assert opening.row == canonical_row(ROWS[number], COLUMNS)
    from dataclasses import replace

    for forged in (
        replace(opening, row=canonical_row({**ROWS[number], "ill": None}, COLUMNS)),
        replace(opening, number=(number + 1) % 11),
        replace(opening, rows=12),
        replace(opening, salt=bytes(32)),
    ):
        with pytest.raises(VerificationFailed):
            forged.verify(commitment)
    with pytest.raises(UsageError):
        open_row(ROWS, COLUMNS, SECRET, 11)


def test_it_is_recorded_before_the_first_query_or_not_at_all(ledger: Ledger) -> None:
    commitment = commit(ROWS, COLUMNS, SECRET)
    assert recorded(ledger, ACCOUNT) is None
    first = record(ledger, ACCOUNT, commit(ROWS[2:], COLUMNS, SECRET))
    entry = record(ledger, ACCOUNT, commitment)  # nothing was charged: another table may still be loaded
    assert entry.seq == first.seq + 1
    assert ledger.committed(ACCOUNT) == commitment.digest.hex()
    assert record(ledger, ACCOUNT, commitment).seq == entry.seq
    ledger.charge(pure(0.1, unit="label", relation="change-one"), account=ACCOUNT)
    assert record(ledger, ACCOUNT, commitment).seq == entry.seq
    assert recorded(ledger, Account.parse("hospital/adult/record")) == commitment
    assert recorded(ledger, Account.parse("hospital/other/record")) is None
    with pytest.raises(ClauseRefused, match="another table is committed to"):
        record(ledger, ACCOUNT, commit(ROWS[1:], COLUMNS, SECRET))
    other = Account.parse("hospital/late/label")
    ledger.charge(pure(0.1, unit="label", relation="change-one"), account=other, budget=(1.0, 1e-6))
    with pytest.raises(ClauseRefused, match="were charged on this data before"):
        record(ledger, other, commitment)


def test_the_json_form_is_strict() -> None:
    commitment = commit(ROWS, COLUMNS, SECRET)
    document = commitment.to_dict()
    assert Commitment.from_dict(document) == commitment
    for damage in ({"digest": "zz"}, {"digest": "ab"}, {"columns": "x"}, {"columns": [1]}, {"more": 1}):
        with pytest.raises(BadInput):
            Commitment.from_dict({**document, **damage})
