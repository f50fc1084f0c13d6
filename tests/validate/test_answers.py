"""Answers kept: repeats are free and the same bytes, a store holds across restarts, probing shows."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from comity.errors import BadInput, BudgetRefused, ClauseRefused, VerificationFailed
from comity.validate import LocalValidator

ROWS = 400


def table(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, ROWS).astype(np.int8)
    return labels, 1 / (1 + np.exp(-(rng.normal(size=ROWS) + labels)))


def test_a_repeat_is_free_and_the_same_in_any_order_of_records() -> None:
    labels, scores = table()
    validator = LocalValidator(range(ROWS), labels, epsilon=1.0)
    first = validator.feedback(range(ROWS), scores, ["auc", "accuracy"], 0.3, groups=np.arange(ROWS) % 3)
    left = validator.remaining()
    order = np.random.default_rng(2).permutation(ROWS)
    again = validator.feedback(order, scores[order], ["auc", "accuracy"], 0.3, groups=order % 3)
    assert again.repeated
    assert not first.repeated
    assert (again.estimates, again.intervals) == (first.estimates, first.intervals)
    assert again.cost.epsilon == 0
    assert validator.remaining() == left


def test_averaging_repeats_gains_nothing() -> None:
    labels, scores = table()
    validator = LocalValidator(range(ROWS), labels, epsilon=1.0)
    told = {validator.feedback(range(ROWS), scores, ["auc"], 0.2).estimates["auc"] for _ in range(50)}
    assert len(told) == 1


def test_everything_holds_across_a_restart(tmp_path: Path) -> None:
    labels, scores = table()
    ids, place = [f"r{at}" for at in range(ROWS)], tmp_path / "ledger.db"
    first = LocalValidator(ids, labels, epsilon=1.0, store=place, per_day=4)
    told = first.feedback(ids, scores, ["auc", "confusion"], 0.4)
    first.feedback(ids[:200], scores[:200], ["accuracy"], 0.1)
    left = first.remaining()
    first.close()

    second = LocalValidator(ids, labels, epsilon=1.0, store=place, per_day=4)
    assert second.remaining() == left
    again = second.feedback(ids, scores, ["auc", "confusion"], 0.4)
    assert again.repeated
    assert again.estimates == told.estimates
    with pytest.raises(ClauseRefused, match=r"difference|differs"):
        second.feedback(ids[:199], scores[:199], ["accuracy"], 0.1)
    with pytest.raises(BudgetRefused):
        second.feedback(ids, scores[::-1], ["auc"], 0.9)
    second.close()

    third = LocalValidator(ids, labels, epsilon=1.0, store=place, per_day=4)
    third.feedback(ids, scores, ["prevalence"], 0.01)  # two answers and a refusal stand before it
    with pytest.raises(ClauseRefused, match="questions today"):
        third.feedback(ids, scores, ["brier"], 0.01)
    assert third.feedback(ids, scores, ["auc", "confusion"], 0.4).repeated
    third.feedback(ids, scores, ["brier"], 0.01, asker="another party")
    third.ledger.verify()
    third.close()


def test_a_store_belongs_to_its_data_and_its_budget(tmp_path: Path) -> None:
    labels, scores = table()
    place = tmp_path / "ledger.db"
    first = LocalValidator(range(ROWS), labels, store=place)
    first.feedback(range(ROWS), scores, ["confusion"], 0.2)
    first.close()
    changed = labels.copy()
    changed[3] ^= 1
    with pytest.raises(BadInput) as caught:
        LocalValidator(range(ROWS), changed, store=place)
    assert "labels" not in caught.value.public_message
    with pytest.raises(BadInput):
        LocalValidator(range(1, ROWS + 1), labels, store=place)
    with pytest.raises(BudgetRefused):
        LocalValidator(range(ROWS), labels, epsilon=2.0, store=place)
    kept = next(path for path in Path(f"{place}.groupings").iterdir())
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(VerificationFailed):
        LocalValidator(range(ROWS), labels, store=place)


def test_one_record_moved_around_is_refused_whoever_asks() -> None:
    labels, scores = table()
    validator = LocalValidator(range(ROWS), labels, epsilon=5.0)
    validator.feedback(range(ROWS), scores, ["accuracy"], 0.1, asker="one")
    turned = scores.copy()
    turned[[7, 8]] = 1 - turned[[7, 8]]
    left = validator.remaining()
    with pytest.raises(ClauseRefused, match="10 records"):
        validator.feedback(range(ROWS), turned, ["accuracy"], 0.1, asker="two")
    assert validator.remaining() == left
    notes = [entry.body for entry in validator.ledger.events("note")]
    assert [note["asker"] for note in notes] == ["one", "two"]
    assert "reason" in notes[1]


def test_many_nearly_equal_questions_are_refused() -> None:
    labels, scores = table()
    validator = LocalValidator(range(ROWS), labels, epsilon=50.0)
    refusals = []
    for at in range(40):
        turned = scores.copy()
        moved = np.arange(at * 12, at * 12 + 12) % ROWS
        turned[moved] = 1 - turned[moved]
        try:
            validator.feedback(range(ROWS), turned, ["accuracy"], 0.1)
        except ClauseRefused as refusal:
            refusals.append(str(refusal))
    assert refusals
    assert any("nearly equal" in text for text in refusals)


def test_threads_that_ask_the_same_get_the_same_for_one_price() -> None:
    labels, scores = table()
    validator = LocalValidator(range(ROWS), labels, epsilon=1.0, delta=0.0)
    told: list[float] = []

    def ask() -> None:
        told.append(validator.feedback(range(ROWS), scores, ["accuracy"], 0.25).estimates["accuracy"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(told)) == 1
    assert validator.remaining().epsilon == pytest.approx(0.75)


def test_threads_cannot_difference_between_them() -> None:
    labels, scores = table()
    for _ in range(5):
        validator, outcomes = LocalValidator(range(ROWS), labels, epsilon=5.0), []

        def ask(skip: int, validator: LocalValidator = validator, outcomes: list[bool] = outcomes) -> None:
            try:
                validator.feedback(range(skip, ROWS), scores[skip:], ["prevalence"], 0.1)
                outcomes.append(True)
            except ClauseRefused:
                outcomes.append(False)

        threads = [threading.Thread(target=ask, args=(skip,)) for skip in (0, 1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [False, False, True]
