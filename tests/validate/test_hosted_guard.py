"""The guard of hosted learning: how far a record moves its answer, and what it decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data.encode import BinnedColumn, Encoder
from comity.errors import BadInput
from comity.validate.hosted_guard import Guard, RankGain

COLUMNS = Encoder((BinnedColumn("x", (0.25, 0.5, 0.75)),))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.01, 1.0))
def test_no_record_moves_the_answer_by_more_than_the_cap(seed: int, clip: float) -> None:
    draw = np.random.default_rng(seed)
    codes = draw.integers(0, COLUMNS.width, (20, 1)).astype(np.uint16)
    start, labels = draw.normal(size=20) * 5, draw.integers(0, 2, 20)
    places = np.sort(draw.normal(size=9)), np.sort(draw.normal(size=9))
    question = RankGain(1.0, draw.normal(size=COLUMNS.width) * 5, *places, clip, 0.3)
    whole = question.sums(COLUMNS, codes, start, labels)
    for at in range(20):
        keep = np.arange(20) != at
        moved = whole - question.sums(COLUMNS, codes[keep], start[keep], labels[keep])
        assert int(np.square(moved).sum()) <= question.sizes.l2**2
        assert int(np.abs(moved).sum()) <= question.sizes.l1


def test_it_keeps_what_ranks_better_and_drops_what_does_not() -> None:
    draw = np.random.default_rng(1)
    codes = draw.integers(1, COLUMNS.width, (4000, 1)).astype(np.uint16)
    labels = (draw.random(4000) < codes[:, 0] / 6).astype(int)
    start = draw.normal(size=4000) * 0.1
    guard = Guard(COLUMNS, codes[:100], start[:100], labels[:100])
    for sign, kept in ((1.0, True), (-1.0, False)):
        question = guard.question(1.0, sign * np.arange(COLUMNS.width))
        sums = question.sums(COLUMNS, codes, start, labels).astype(float)
        assert guard.better(question, sums, 1.0, 4000, 5.0) is kept
        # the same answer under noise that drowns it teaches nothing
        assert not guard.better(question, sums, 1e12, 4000, 5.0)


def test_a_question_survives_its_message() -> None:
    question = RankGain(1.0, np.ones(COLUMNS.width), np.array([0.0, 1.0]), np.array([0.0, 2.0]), 0.5, 0.25)
    body, parts = question.to_message()
    again = RankGain.from_message(body, parts, COLUMNS.width)
    assert (again.clip, again.positives, again.after.tolist()) == (0.5, 0.25, [0.0, 2.0])
    for broken in ({**parts, "before": b"1"}, {**parts, "before": b""}, {}):
        with pytest.raises(BadInput):
            RankGain.from_message(body, broken, COLUMNS.width)
    with pytest.raises(BadInput):
        RankGain.from_message({**body, "clip": 0.0}, parts, COLUMNS.width)
    for guess in (0.0, 1.0, float("nan")):
        with pytest.raises(BadInput):
            RankGain.from_message({**body, "positives": guess}, parts, COLUMNS.width)


def test_a_stretched_start_whose_weights_follow_chance_is_not_better() -> None:
    """Ranks hardly move by the stretch, yet follow chance: what that gains on its own rows is taken off."""
    draw = np.random.default_rng(4)
    codes = draw.integers(1, COLUMNS.width, (4000, 1)).astype(np.uint16)
    start = 0.3 * (codes[:, 0] - 2.5) + 1e-3 * draw.normal(size=4000)
    labels = (draw.random(4000) < 0.5).astype(int)
    guard = Guard(COLUMNS, codes[:100], start[:100], labels[:100])
    question = guard.question(1.0, 0.7 * np.arange(COLUMNS.width))
    sums = question.sums(COLUMNS, codes, start, labels).astype(float)
    less, more = (guard.sureness(question, sums, 1.0, 4000, fitted) for fitted in (0.0, 20.0))
    assert more < less


def test_what_the_lesson_heard_counts_beside_the_answer() -> None:
    draw = np.random.default_rng(5)
    codes = draw.integers(1, COLUMNS.width, (400, 1)).astype(np.uint16)
    labels = (draw.random(400) < codes[:, 0] / 6).astype(int)
    start = draw.normal(size=400) * 0.1
    guard = Guard(COLUMNS, codes[:100], start[:100], labels[:100])
    question = guard.question(1.0, np.arange(COLUMNS.width, dtype=float))
    sums = question.sums(COLUMNS, codes, start, labels).astype(float)
    deviation = float(sums[0]) / 1.5  # 1.5 standard deviations: too little by itself
    assert not guard.better(question, sums, deviation, 0.0, 0.0)
    assert not guard.better(question, sums, deviation, 0.0, 0.0, trial=0.5)
    assert guard.better(question, sums, deviation, 0.0, 0.0, trial=2.0)
    assert not guard.better(question, np.zeros(1), deviation, 0.0, 0.0, trial=2.0)
