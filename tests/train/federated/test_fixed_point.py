"""Updates as bounded whole numbers: exact to the grid, and refused by code where they are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from comity.errors import BadInput, PartyFailed
from comity.train.federated.fixed_point import (
    BITS,
    LARGEST_UPDATE,
    MOST_ROWS,
    clipped,
    require_numbers,
    weighted,
    weighted_mean,
)
from comity.train.private.gradients import clipped_l2

UPDATES = hn.arrays(np.float64, 6, elements=st.floats(-LARGEST_UPDATE, LARGEST_UPDATE))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(UPDATES, st.integers(1, 10_000)), min_size=3, max_size=7))
def test_the_sum_gives_the_weighted_mean(members: list[tuple[np.ndarray, int]]) -> None:
    mean, rows = weighted_mean(np.sum([weighted(update, count) for update, count in members], axis=0))
    assert rows == sum(count for _, count in members)
    exact = sum(update * count for update, count in members) / rows
    assert np.abs(mean - exact).max() <= len(members) * 2.0**-BITS / 2 + 1e-12


def test_sums_of_the_largest_updates_have_room() -> None:
    """60 members with 2^31 rows each stay below 2^63, so nothing wraps around."""
    largest = weighted(np.full(1, LARGEST_UPDATE), MOST_ROWS - 1)
    assert 60 * int(largest[0]) < 2**63


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, LARGEST_UPDATE * 1.01])
def test_what_is_no_number_or_too_large_is_refused_without_a_value(value: float) -> None:
    update = np.array([0.125, value, 0.3])
    with pytest.raises(BadInput) as caught:
        weighted(update, 7)
    assert caught.value.private
    assert caught.value.public_message == "bad-input: the holder of the data has the details"
    assert "0.125" not in str(caught.value)
    assert f"{LARGEST_UPDATE * 1.01:g}" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_clipping_lets_what_is_no_number_pass(value: float) -> None:
    with pytest.raises(BadInput) as caught:
        clipped(np.array([value, 1.0]), 1.0, 24)
    assert caught.value.private


@settings(max_examples=100, deadline=None)
@given(hn.arrays(np.float64, 5, elements=st.floats(-1e300, 1e300)))
def test_clipped_updates_stay_under_the_cap(update: np.ndarray) -> None:
    found = clipped(update, 1.0, 24)
    assert sum(int(value) ** 2 for value in found) <= clipped_l2(1.0, 24) ** 2 == 2**48


def test_a_short_update_is_not_stretched() -> None:
    assert clipped(np.array([0.5, 0.0]), 1.0, 24)[0] == pytest.approx(2**23, abs=1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(3), "another shape"),
        (np.zeros((2, 1)), "another shape"),
        (np.array(["a", "b"]), "another shape or kind"),
        (np.array([None, None]), "another shape or kind"),
        (np.array([1.0, np.nan]), "NaN or infinite"),
        (np.array([1.0, np.inf]), "NaN or infinite"),
        (np.array([1.0, 1e7]), "beyond 1e"),
    ],
)
def test_wrong_shapes_and_numbers_are_refused(values: np.ndarray, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        require_numbers(values, 2, what="weights")


def test_sums_that_cannot_be_are_noticed() -> None:
    for sums in ([0, 0], [0, -1], [2**62, 3]):
        with pytest.raises(PartyFailed, match="broke the protocol"):
            weighted_mean(np.array(sums, dtype=np.int64))
    with pytest.raises(BadInput, match="does not fit"):
        weighted(np.zeros(1), MOST_ROWS)
