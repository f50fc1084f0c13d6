"""The frame: which ids there can be, and that they are compared exactly."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import BadInput
from comity.validate.frame import Frame, id_array

BIG = 1 << 62


@pytest.mark.parametrize(
    "ids",
    [
        [3, 1, 2],
        (3, 1, 2),
        np.array([3, 1, 2], dtype=np.int8),
        np.array([3, 1, 2], dtype=np.uint64),
        np.array([3.0, 1.0, 2.0]),
        [3, 1.0, np.int64(2)],
        pd.Series([3, 1, 2], index=[7, 8, 9]),
        pd.Series([3, 1, 2], dtype="Int64"),
        pl.Series([3, 1, 2]),
        np.array([3, 1, 2], dtype=object),
        (at for at in (3, 1, 2)),
    ],
)
def test_whole_numbers_are_the_same_ids_however_they_come(ids: Any) -> None:
    frame = Frame(ids)
    assert frame.ids.dtype == np.int64
    for asked in ([1, 2, 3], np.array([1, 2, 3], dtype=np.uint8), pd.Series([1, 2, 3], dtype="Int64")):
        assert frame.places(asked).tolist() == [1, 2, 0]
    assert frame.find(["1", "x"]).tolist() == [-1, -1]


@pytest.mark.parametrize("base", [1 << 53, BIG, (1 << 63) - 2, 1 << 63, (1 << 64) - 6, 1 << 70])
def test_large_ids_are_compared_exactly(base: int) -> None:
    """As floats, neighbours beyond 2^53 are equal; also between signed and unsigned numbers of 64 bits."""
    frame = Frame([base, base + 1, base + 3])
    assert frame.places([base + 3, base]).tolist() == [2, 0]
    assert frame.find([base + 2, base + 1, -1, 5]).tolist() == [-1, 1, -1, -1]
    with pytest.raises(BadInput, match="twice, at places 0 and 2"):
        Frame([base + 1, base, base + 1])


def test_signed_and_unsigned_ids_meet_without_wrapping_around() -> None:
    frame = Frame(np.array([-1, 5, BIG + 1]))
    wrapped = np.array([2**64 - 1, 5, BIG, BIG + 1], dtype=np.uint64)
    assert frame.find(wrapped).tolist() == [-1, 1, -1, 2]
    assert Frame(wrapped).find(np.array([-1, 5, BIG + 1])).tolist() == [-1, 1, 3]
    assert Frame(wrapped).find([2**64 - 1, -1]).tolist() == [0, -1]


@given(st.lists(st.integers(-(2**65), 2**65), unique=True), st.lists(st.integers(-(2**65), 2**65)))
def test_any_whole_numbers_are_found_where_they_stand(ids: list[int], others: list[int]) -> None:
    where = {one: at for at, one in enumerate(ids)}
    for asked in (ids[::-1], others):
        assert Frame(ids).find(asked).tolist() == [where.get(one, -1) for one in asked]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([1, None, 3], "missing at place 1"),
        ([1.0, np.nan], "missing at place 1"),
        (["a", None], "missing at place 1"),
        (["a", float("nan")], "missing at place 1"),
        (np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"), "missing at place 1"),
        (pd.Series(["2020-01-01", None], dtype="datetime64[ns]"), "missing at place 1"),
        (pd.Series([1, None], dtype="Int64"), "missing at place 1"),
        (pd.Series(["a", None], dtype="string"), "missing at place 1"),
        ([pd.NaT, "a"], "missing at place 0"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "dates as text"),
        ([1.5, 2.0], "place 0, 1.5"),
        ([2.0**53 + 2, 1.0], "beyond 2\\^53"),
        ([1e300], "no whole number, or a float"),
        ([float("inf")], "place 0, inf"),
        ([True, False], "true and false"),
        ([True, "a"], "place 0, True"),
        (["a", 1.5], "place 1, 1.5"),
        ([[1], [2]], "one dimension"),
        ([[1], [2, 3]], "one shape"),
        ([{}, {}], "place 0"),
        ([("a", []), "b"], "one shape|place 0"),
        (np.array([1j, 2j]), "complex128"),
        ("abc", "one value per record"),
        (5, "one value per record"),
    ],
)
def test_what_can_be_no_id_is_refused_in_words(ids: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        Frame(ids)
    assert "the frame" in str(caught.value)


def test_words_and_numbers_side_by_side_stay_what_they_are() -> None:
    frame = Frame([1, "1", "a", uuid.UUID(int=4)])
    assert frame.places(["1", 1]).tolist() == [1, 0]
    assert frame.places(np.array([1])).tolist() == [0]
    assert frame.places([uuid.UUID(int=4)]).tolist() == [3]
    with pytest.raises(BadInput, match="1 id is not in the frame, the first at place 0: 2"):
        frame.places([2])
    with pytest.raises(BadInput, match="twice, at places 0 and 1"):
        Frame([1, 1.0, "a"])


@pytest.mark.parametrize("ids", [[1, 2, 3], ["1", "2", "3"]])
def test_messages_name_the_id_and_the_place(ids: list[Any]) -> None:
    frame = Frame(ids)
    with pytest.raises(BadInput, match=f"in the frame the id {ids[0]!r} stands twice, at places 0 and 2"):
        Frame([ids[0], ids[1], ids[0]])
    with pytest.raises(BadInput, match=f"in the features the id {ids[1]!r} stands twice, at places 0 and 2"):
        frame.places([ids[1], ids[0], ids[1]], "the features")
    other = type(ids[0])(77)
    with pytest.raises(
        BadInput, match=f"in the features 1 id is not in the frame, the first at place 1: {other!r}"
    ):
        frame.places([ids[1], other], "the features")
    with pytest.raises(BadInput, match="in the question 2 ids are not in the frame"):
        frame.places([other, type(ids[0])(78)])


def test_ids_are_the_frames_own() -> None:
    """A caller who changes his array afterwards, or writes through a view's base, changes no frame."""
    given_ids = np.arange(5)
    frame = Frame(given_ids)
    given_ids[0] = 77
    assert frame.places([0]).tolist() == [0]
    with pytest.raises(ValueError, match="read-only"):
        frame.ids[0] = 5
    base = frame.ids.base
    assert isinstance(base, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        base[0] = 5


def test_ids_come_as_64_bits_where_they_fit() -> None:
    assert id_array(np.array([1, 2], dtype=np.uint64), "x").dtype == np.int64
    assert id_array([2**63], "x").dtype == np.uint64
    assert len(id_array([], "x")) == len(Frame([])) == 0
    assert Frame([]).find([1, "a"]).tolist() == [-1, -1]
