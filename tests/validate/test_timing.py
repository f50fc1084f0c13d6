"""Time of answers and refusals: it tells no two tables of labels apart.

The adversary sees one number, the time, and has its threshold chosen for it (the AUC, either way round).
Which table is answered about is drawn block by block; if time does not depend on it, the AUC has the
distribution of a rank sum, whatever else the machine does. A time is held against its block's median, so that
a machine that slows down hides nothing. Both tables lie at the same address: how an array is aligned is no
property of its labels, and it is told apart otherwise.

With n answers about each table the AUC's standard deviation is sqrt((2 n + 1) / 12) / n: 0.0041 for 10,000,
so that the limit of 0.52 is 4.9 of them away on either side (a false alarm below 1e-6). Beyond it four times
as many are measured and count instead: a machine that is disturbed in the middle of a block is told from
labels that are.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from comity.errors import ClauseRefused
from comity.validate import LocalValidator, Price, answer, ask_for
from comity.validate.mechanism import calibrate

ROWS, PAIRS, BLOCK = 300, 10_000, 20
LIMIT = 0.52

NONE, ALL = np.zeros(ROWS, np.int8), np.ones(ROWS, np.int8)
SCORES = np.random.default_rng(7).random(ROWS)


def neighbours() -> list[np.ndarray]:
    one = np.random.default_rng(1).integers(0, 2, ROWS).astype(np.int8)
    other = one.copy()
    other[np.argmax(SCORES)] ^= 1
    return [one, other]


def area(told: Callable[[np.ndarray], object], tables: list[np.ndarray], pairs: int = PAIRS) -> float:
    """The AUC of the time that an answer about one of two tables takes, as which of them it was about."""
    rng = np.random.default_rng()
    coins = rng.permuted(np.tile(np.repeat([0, 1], BLOCK // 2), (2 * pairs // BLOCK, 1)), axis=1).ravel()
    held, taken = np.empty(ROWS, np.int8), np.empty(len(coins))
    for _ in range(50):
        told(held)
    for at, coin in enumerate(coins.tolist()):
        held[:] = tables[coin]
        start = time.perf_counter_ns()
        told(held)
        taken[at] = time.perf_counter_ns() - start
    blocks = taken.reshape(-1, BLOCK)
    found = float(roc_auc_score(coins, (blocks / np.median(blocks, axis=1, keepdims=True)).ravel()))
    return max(found, 1 - found)


def told_apart(told: Callable[[np.ndarray], object], tables: list[np.ndarray]) -> float:
    """The AUC; where it seems too large, that of four times as many answers."""
    found = area(told, tables)
    return found if found <= LIMIT else area(told, tables, 4 * PAIRS)


def question() -> Any:
    return ask_for(SCORES, ["auc", "calibration", "accuracy"], minimum=10)


@pytest.mark.parametrize("tables", [[NONE, ALL], neighbours()], ids=["opposites", "neighbours"])
def test_the_sums_take_the_same_time(tables: list[np.ndarray]) -> None:
    """What reads labels, by itself: there is nothing else that a difference could hide behind."""
    assert told_apart(question().query.sums, tables) <= LIMIT


@pytest.mark.slow
def test_an_answer_takes_the_same_time_for_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """`answer` from the sums to the noisy numbers, about 12 seconds of processor time.

    The calibration, which is given no label, is made beforehand: it would take as long again, and what it
    takes could only hide a difference.
    """
    query, price = question().query, Price(1.0, 1e-6)
    made = calibrate(query, price)
    monkeypatch.setattr("comity.validate.mechanism.calibrate", lambda _query, _price: made)
    assert told_apart(lambda held: answer(query, held, price), neighbours()) <= LIMIT


def test_control_counting_the_positives_alone_is_told_by_its_time() -> None:
    """What `GroupCounts` would be if it went through the positives only: opposites are told apart at once."""
    groups = (SCORES * 10).astype(np.int64)
    assert area(lambda held: np.bincount(groups[held == 1], minlength=10), [NONE, ALL], 2_000) > 0.6


def steps(labels: np.ndarray, ask: Callable[[LocalValidator], object]) -> list[tuple[str, int]]:
    """Every line of the package that a question takes, in order."""
    provider, seen = LocalValidator(range(ROWS), labels), []
    provider.feedback(range(ROWS), SCORES, ["prevalence"], 0.1)

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if "comity" not in frame.f_code.co_filename or frame.f_code.co_filename.endswith("noise.py"):
            return None  # how often the noise is drawn anew depends on the noise
        if event == "line":
            seen.append((frame.f_code.co_filename, frame.f_lineno))
        return trace

    gc.collect()
    gc.disable()  # what earlier tests left behind would be closed in between, and those lines are seen too
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        ask(provider)
    finally:
        sys.settrace(before)
        gc.enable()
    return seen


def refused(provider: LocalValidator) -> None:
    with pytest.raises(ClauseRefused):
        provider.feedback(range(ROWS - 1), SCORES[: ROWS - 1], ["prevalence"], 0.1)


def answered(provider: LocalValidator) -> None:
    provider.statistics(range(ROWS), question().query, 0.1)


@pytest.mark.parametrize("ask", [refused, answered])
def test_a_question_takes_the_same_steps_whatever_the_labels_are(
    ask: Callable[[LocalValidator], object],
) -> None:
    """Line by line, through the validator, its account and its ledger; a refusal reads no label at all."""
    every = [steps(labels, ask) for labels in (NONE, ALL, *neighbours())]
    assert len(every[0]) > 100
    assert all(one == every[0] for one in every)
