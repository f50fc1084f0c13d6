"""Numbering: the fast ways of counting and renumbering say what the plain ones say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.validate.groups import numbered_groups
from comity.validate.numbering import _looked_up, counted, how_many, numbered_by_first


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, int, np.ndarray, int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int64]))
    rows = draw(st.sampled_from([0, 1, 2, 3, 1000, 70_001]))
    size = draw(st.sampled_from([1, 2, 5, 9, 40, 127, 128, 255, 256]))
    size = min(size, int(np.iinfo(dtype).max) + 1)
    lowest = -1 if np.iinfo(dtype).min < 0 else 0
    classes = draw(st.integers(1, 7))
    labels = rng.integers(0, classes, rows).astype(draw(st.sampled_from([np.int8, np.int16, np.uint8])))
    return rng.integers(lowest, size, rows).astype(dtype), size, labels, classes


@settings(max_examples=120, deadline=None)
@given(cases())
def test_counts_are_those_of_single_comparisons(case: tuple[np.ndarray, int, np.ndarray, int]) -> None:
    groups, size, labels, classes = case
    inside = groups >= 0
    cells = groups[inside].astype(np.int64) * classes + labels[inside]
    assert (counted(groups, size, labels, classes) == np.bincount(cells, minlength=size * classes)).all()
    assert (counted(groups, size) == np.bincount(groups[inside], minlength=size)).all()
    strided = np.stack([groups, groups], axis=1)[:, 0]
    assert (counted(strided, size) == counted(groups, size)).all()


@given(st.integers(0, 5000), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 2**32 - 1))
def test_booleans_are_counted(records: int, share: float, seed: int) -> None:
    flags = np.random.default_rng(seed).random(2 * records) < share
    for these in (flags, flags[1:], flags[::2]):
        assert how_many(these).tolist() == [np.count_nonzero(these)]


@pytest.mark.parametrize("rows", [1 << 18, (1 << 18) + 1])
@pytest.mark.parametrize(("dtype", "size"), [(np.int8, 128), (np.uint8, 256), (np.uint8, 20), (np.int8, 5)])
def test_looking_up_two_at_once(rows: int, dtype: type, size: int) -> None:
    rng = np.random.default_rng(size)
    numbers = rng.integers(-1 if dtype is np.int8 else 0, size, rows).astype(dtype)
    for kind in (np.int8, np.uint8):
        table = np.append(rng.permutation(size), 99).astype(kind)
        assert (_looked_up(table, numbers) == table[numbers]).all()
        assert _looked_up(table, numbers).dtype == kind


@settings(max_examples=60, deadline=None)
@given(cases())
def test_numbers_follow_first_appearance(case: tuple[np.ndarray, int, np.ndarray, int]) -> None:
    groups = case[0]
    names: dict[int, int] = {}
    expected = [-1 if one < 0 else names.setdefault(one, len(names)) for one in groups.tolist()]
    numbers, sizes = numbered_by_first(groups)
    times = Counter(expected)
    assert numbers.tolist() == expected
    assert sizes.tolist() == [times[at] for at in range(len(names))]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.int64, np.uint64, np.bool_])
@pytest.mark.parametrize(("low", "high"), [(0, 2), (-128, 128), (-300, -20), (250, 260), (40_000, 100_000)])
def test_names_of_whole_numbers(dtype: type, low: int, high: int) -> None:
    kind = np.dtype(dtype)
    if kind == np.bool_ and (low, high) != (0, 2):
        return
    if kind != np.bool_ and (low < np.iinfo(dtype).min or high - 1 > np.iinfo(dtype).max):
        return
    values = np.random.default_rng(3).integers(low, high, 5000).astype(dtype)
    names, numbers = numbered_groups(values, 5000)
    assert [names[at] for at in numbers.tolist()] == values.tolist()
