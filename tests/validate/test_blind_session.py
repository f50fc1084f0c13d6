"""Blind validation in one process: several providers, feedback on scores, portions of one price."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from comity.errors import BadInput, ClauseRefused, UsageError
from comity.validate.blind_groups import question_of
from comity.validate.blind_price import portion_calibration, portion_multiplier, require_portions
from comity.validate.blind_session import BlindSession
from comity.validate.mechanism import Price, Sizes, noise_multiplier
from comity.validate.queries import GroupCounts

ROWS = 6_000


def tables(providers: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    draw = np.random.default_rng(seed)
    labels = (draw.random(ROWS) < 0.4).astype(np.int64)
    scores = 1 / (1 + np.exp(-(draw.normal(size=ROWS) + 1.5 * labels - 1)))
    owner = draw.integers(0, providers, ROWS)
    held = {f"p{at}": (np.flatnonzero(owner == at), labels[owner == at]) for at in range(providers)}
    return labels, scores, held


@pytest.mark.parametrize("providers", [1, 2, 3])
def test_feedback_is_near_the_truth_over_all_providers(providers: int) -> None:
    """Eight standard deviations, or the interval eight times as wide, are missed with probability 1.3e-15."""
    labels, scores, held = tables(providers)
    told = BlindSession(np.arange(ROWS), held).feedback(scores)
    truth = roc_auc_score(labels, scores)
    low, high = told.intervals["auc"]
    assert abs(told.estimates["auc"] - truth) < 4 * (high - low)
    assert 0 < high - low < 0.05
    right = {"tp": (scores >= 0.5) & (labels == 1), "fn": (scores < 0.5) & (labels == 1)}
    for cell, rows in right.items():
        low, high = told.intervals["confusion"][cell]
        assert abs(told.estimates["confusion"][cell] - rows.sum()) < 4 * (high - low)


def test_the_same_question_again_is_the_same_answer_and_another_is_refused() -> None:
    _, scores, held = tables()
    session = BlindSession(np.arange(ROWS), held, portions=(0.5, 0.5))
    first = session.feedback(scores)
    assert session.feedback(scores).estimates == first.estimates
    with pytest.raises(ClauseRefused, match="another question"):
        session.feedback(1 - scores)
    other = session.feedback(scores, ["auc"], portion=1)
    assert other.estimates["auc"] != first.estimates["auc"]
    with pytest.raises(UsageError):
        session.feedback(scores, portion=2)


def test_small_groups_and_too_many_groups_are_refused() -> None:
    held = tables()[2]
    session = BlindSession(np.arange(ROWS), held, portions=(0.5, 0.5), groups_per_record=1)
    with pytest.raises(ClauseRefused):
        session.statistics(GroupCounts((np.arange(ROWS) < 3).astype(np.int64), 2))
    session.statistics(GroupCounts(np.arange(ROWS) % 2, 2))
    with pytest.raises(ClauseRefused, match="more groups"):
        session.statistics(GroupCounts(np.arange(ROWS) % 2, 2), portion=1)


def test_a_record_held_twice_and_a_stranger_are_refused() -> None:
    labels = np.array([0, 1, 1])
    with pytest.raises(ClauseRefused, match="more than 1 of the providers"):
        BlindSession(range(4), {"a": ([0, 1, 2], labels), "b": ([2], [1])})
    with pytest.raises(BadInput):
        BlindSession(range(4), {"a": ([0, 1, 9], labels)})
    with pytest.raises(UsageError):
        BlindSession(range(4), {"a": ([0, 1, 2], labels)}, providers_per_record=0)
    with pytest.raises(UsageError):
        BlindSession(range(4), {})


def test_answers_are_kept_in_a_folder_that_is_given(tmp_path: Path) -> None:
    _, scores, held = tables()
    session = BlindSession(np.arange(ROWS), held, folder=tmp_path)
    session.feedback(scores)
    assert (tmp_path / "mediator" / "sums-0.answer").exists()
    # a new session over the folder has other pads: nothing is drawn a second time under the same name
    with pytest.raises(ClauseRefused):
        BlindSession(np.arange(ROWS), held, folder=tmp_path).feedback(scores)


def test_portions_of_a_price_add_up() -> None:
    price = Price(1.0, 1e-6)
    whole = portion_multiplier(price)
    assert whole == pytest.approx(noise_multiplier(price), rel=2e-3)
    assert whole > noise_multiplier(price)
    parts = (0.96, 0.04)
    assert sum(portion_multiplier(price, part) ** -2 for part in parts) == pytest.approx(whole**-2)
    for wrong in ((), (0.0,), (0.6, 0.5), (-1.0, 2.0)):
        with pytest.raises(UsageError):
            require_portions(wrong)
    for wrong in (0.0, 1.1):
        with pytest.raises(UsageError):
            portion_multiplier(price, wrong)
    with pytest.raises(UsageError):
        portion_multiplier(Price(1.0, 0.0))


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 16.0, 100.0])
def test_noise_fits_for_every_epsilon(epsilon: float) -> None:
    sizes = Sizes(60, 900, 1 << 19, 40_000 << 19)
    calibration = portion_calibration(sizes, Price(epsilon, 9e-7), 0.04)
    assert calibration.scale > 2.0**29


def test_metrics_by_group_are_those_of_each_groups_records() -> None:
    """Eight standard deviations, or the interval four times as wide, are missed with probability 1e-14."""
    labels, scores, held = tables()
    groups = np.array(["a", "b", None], dtype=object)[np.arange(ROWS) % 3]
    told = BlindSession(np.arange(ROWS), held, epsilon=4.0).feedback(
        scores, ["auc", "accuracy", "calibration"], groups=groups
    )
    assert set(told.estimates["auc"]) == set(told.groups) == {"a", "b"}
    for name in "ab":
        rows = groups == name
        low, high = told.intervals["auc"][name]
        assert abs(told.estimates["auc"][name] - roc_auc_score(labels[rows], scores[rows])) < 4 * (high - low)
        low, high = told.intervals["accuracy"][name]
        right = ((scores >= 0.5) == labels)[rows].mean()
        assert abs(told.estimates["accuracy"][name] - right) < 4 * (high - low)
        assert told.groups[name]["records"] == rows.sum()


def test_a_group_below_the_minimum_is_refused_before_it_is_counted() -> None:
    _, scores, held = tables()
    session = BlindSession(np.arange(ROWS), held)
    with pytest.raises(ClauseRefused):
        session.feedback(scores, ["auc"], groups=np.where(np.arange(ROWS) < 5, "few", "many"))
    assert session.feedback(scores, ["auc"], groups=np.arange(ROWS) % 2).estimates["auc"].keys() == {0, 1}


def test_the_noise_of_a_partition_is_that_of_its_largest_group() -> None:
    """Parallel composition: one changed label moves one group's sums only."""
    _, scores, _ = tables()
    four = question_of(scores, ["auc"], threshold=None, minimum=10, groups=np.arange(ROWS) % 4).query
    assert four.l2_squared == max(part.l2_squared for part in four.parts)
    for record in range(8):
        assert (four.row(record) ** 2).sum() <= four.l2_squared


def test_a_record_at_two_providers_counts_twice_and_the_noise_covers_both() -> None:
    """False alarm 1.3e-15: eight standard deviations."""
    labels, _, held = tables(2)
    both = {"a": (np.arange(ROWS), labels), "b": (np.arange(ROWS), labels)}
    query = GroupCounts(np.arange(ROWS) % 3, 3)
    twice = BlindSession(np.arange(ROWS), both, providers_per_record=2).statistics(query)
    once = BlindSession(np.arange(ROWS), held).statistics(query)
    assert twice.deviation == pytest.approx(2 * once.deviation, rel=1e-3)
    exact = np.bincount(np.arange(ROWS) % 3, weights=labels)
    assert (abs(twice.values - 2 * exact) < 8 * twice.deviation).all()
    assert (abs(once.values - exact) < 8 * once.deviation).all()
