"""Clipped gradient sums: exact, and moved by one record by no more than stated."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from comity.errors import UsageError
from comity.train.private.gradients import (
    RESIDUAL_BITS,
    Blocks,
    clipped_gradient_sum,
    clipped_gradients,
    clipped_l2,
    clipped_sum,
    residuals,
)

UNIT = 1 << RESIDUAL_BITS
shapes = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 90)), min_size=1, max_size=5)
numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)


def records(shape: list[tuple[int, int]], data: st.DataObject, most: int = 6) -> tuple[Any, Any, Any]:
    blocks = Blocks(tuple(width for width, _ in shape), tuple(weight for _, weight in shape))
    n = data.draw(st.integers(0, most))
    codes = np.array(
        [[data.draw(st.integers(0, width - 1)) for width in blocks.widths] for _ in range(n)], dtype=np.uint16
    ).reshape(n, len(blocks.widths))
    scores = data.draw(arrays(np.float64, n, elements=numbers))
    positive = data.draw(arrays(np.bool_, n))
    return blocks, codes, residuals(scores, positive)


@given(shapes, st.data())
def test_the_sum_is_that_of_the_slow_twin(shape: list[tuple[int, int]], data: st.DataObject) -> None:
    blocks, codes, residual = records(shape, data)
    slow = [0] * blocks.dimensions
    for row, r in zip(codes.tolist(), residual.tolist(), strict=True):
        start = 0
        for code, width, weight in zip(row, blocks.widths, blocks.weights, strict=True):
            slow[start + code] += weight * r
            start += width
    assert clipped_gradient_sum(codes, blocks, residual).tolist() == slow


@given(shapes, st.data())
def test_no_record_moves_the_sum_by_more_than_stated(
    shape: list[tuple[int, int]], data: st.DataObject
) -> None:
    blocks, codes, residual = records(shape, data)
    if not len(codes):
        return
    without = clipped_gradient_sum(codes[:-1], blocks, residual[:-1])
    moved = [int(one) for one in clipped_gradient_sum(codes, blocks, residual) - without]
    assert sum(one * one for one in moved) <= blocks.l2**2
    assert max(map(abs, moved)) <= blocks.most


@given(arrays(np.float64, (3,), elements=numbers), arrays(np.bool_, (3,)))
def test_residuals_are_bounded_and_from_their_own_record(scores: Any, positive: Any) -> None:
    together = residuals(scores, positive)
    assert (np.abs(together) <= UNIT).all()
    for at in range(3):
        assert residuals(scores[at : at + 1], positive[at : at + 1])[0] == together[at]


@pytest.mark.parametrize("chance", [0.02, 0.3, 0.5, 0.8, 0.99])
def test_the_residual_vanishes_on_average_at_the_true_log_odds(chance: float) -> None:
    odds = math.log(chance / (1 - chance))
    down, up = residuals(np.array([odds, odds]), np.array([True, False])) / UNIT
    assert chance * down + (1 - chance) * up == pytest.approx(0, abs=2.0**-19)


def test_residuals_beyond_the_unit_are_held_there() -> None:
    blocks = Blocks((2,), (3,))
    codes = np.zeros((1, 1), dtype=np.uint16)
    assert clipped_gradient_sum(codes, blocks, np.array([5 * UNIT])).tolist() == [3 * UNIT, 0]


@given(shapes, st.data())
def test_each_records_part_adds_up_to_the_sum(shape: list[tuple[int, int]], data: st.DataObject) -> None:
    blocks, codes, residual = records(shape, data)
    own = clipped_gradients(codes, blocks, residual)
    assert own.sum(axis=0).tolist() == clipped_gradient_sum(codes, blocks, residual).tolist()


def test_shapes_that_differ_are_refused() -> None:
    blocks = Blocks((2,), (3,))
    with pytest.raises(UsageError):
        clipped_gradient_sum(np.zeros((2, 1), dtype=np.uint16), blocks, np.zeros(1, dtype=np.int64))
    with pytest.raises(UsageError, match="width"):
        clipped_gradient_sum(np.full((1, 1), 2, dtype=np.uint16), blocks, np.zeros(1, dtype=np.int64))
    with pytest.raises(UsageError):
        Blocks((2,), (0,))
    with pytest.raises(UsageError):
        clipped_l2(0.0)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=numbers),
    st.floats(1e-3, 1e3),
)
def test_any_gradient_is_clipped_on_the_integers(gradients: Any, clip: float) -> None:
    bound = clipped_l2(clip)
    moved = [int(one) for one in clipped_sum(gradients, clip) - clipped_sum(gradients[1:], clip)]
    assert sum(one * one for one in moved) <= bound**2
    assert bound - 1 < Fraction(clip) * UNIT <= bound


def test_gradients_within_the_clip_are_kept() -> None:
    rows = np.array([[0.5, -0.25], [3.0, 4.0]])
    told = clipped_sum(rows, 1.0) / UNIT
    assert told == pytest.approx([0.5 + 0.6, -0.25 + 0.8], abs=1e-5)
