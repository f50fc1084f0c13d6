"""Sparse vector, comparisons and the Ladder: what they tell, what they cost, what they withstand."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from comity.errors import BudgetRefused, ClauseRefused, UsageError
from comity.validate import LocalValidator
from comity.validate.sparse import AboveThreshold


def validator(records: int, seed: int, epsilon: float = 1.0) -> tuple[LocalValidator, np.ndarray]:
    labels = np.random.default_rng(seed).integers(0, 2, records)
    return LocalValidator(range(records), labels, epsilon=epsilon, delta=1e-6), labels


def right_in(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Predictions that are right about this share of labels."""
    right = np.random.default_rng(seed).random(len(labels)) < share
    return np.where(right, labels, 1 - labels)


def test_a_clearly_better_model_is_called_better_and_a_worse_one_is_not() -> None:
    provider, labels = validator(20_000, 1)
    comparisons = provider.comparisons(0.2, yeses=2)
    good, bad = right_in(labels, 0.8, 2), right_in(labels, 0.6, 3)
    # the gap of 0.2 less the margin is over twenty deviations of Laplace noise: wrong with probability < 1e-8
    for _ in range(50):
        assert not comparisons.better(range(20_000), bad, good)
    assert comparisons.better(range(20_000), good, bad, by=0.1)
    assert comparisons.left == 1
    assert comparisons.better(range(20_000), good, bad)
    with pytest.raises(ClauseRefused, match="closed"):
        comparisons.better(range(20_000), good, bad)


def test_all_questions_together_cost_what_opening_cost() -> None:
    provider, labels = validator(1000, 1)
    comparisons = provider.comparisons(0.25)
    left = provider.remaining().epsilon
    for _ in range(20):
        comparisons.better(range(1000), labels * 0, labels)
    assert provider.remaining().epsilon == left == pytest.approx(0.75)
    assert comparisons.cost.to_dict() == provider.ledger.events("charged")[0].body["cost"]
    with pytest.raises(BudgetRefused):
        provider.comparisons(0.8)


def test_a_record_that_both_predict_alike_does_not_matter_for_the_sensitivity() -> None:
    """One label moves the difference of right predictions by 2 at most, and of one model's by 1."""
    provider, labels = validator(40, 5)
    flipped = labels.copy()
    flipped[7] = 1 - flipped[7]
    other = LocalValidator(range(40), flipped)
    places = np.arange(40)
    draw = np.random.default_rng(6)
    for _ in range(200):
        mine, theirs = draw.random(40) < 0.5, draw.random(40) < 0.5
        moved = provider._more_right(places, mine, theirs) - other._more_right(places, mine, theirs)
        assert abs(moved) <= 2
        alone = provider._more_right(places, mine, None) - other._more_right(places, mine, None)
        assert abs(alone) == 1


def test_answers_on_neighbouring_labels_differ_no_more_than_epsilon_allows() -> None:
    """The chance of 'no, no, yes' on neighbouring inputs, 4,000 runs each; a false alarm below 1e-6."""
    runs, epsilon = 4_000, 1.0
    asked = ((0, 1), (1, 1), (2, 1))  # numbers on one input; one less on the other

    def share(shift: int) -> float:
        hits = 0
        for _ in range(runs):
            vector = AboveThreshold(epsilon, sensitivity=1)
            said = []
            for number, threshold in asked:
                said.append(vector.reaches(number - shift, threshold))
                if said[-1]:
                    break
            hits += said == [False, False, True]
        return hits / runs

    one, other = share(0), share(1)
    slack = 4.9 * np.sqrt(0.25 / runs)
    assert one <= np.exp(epsilon) * other + 2 * np.exp(epsilon) * slack
    assert other <= np.exp(epsilon) * one + 2 * np.exp(epsilon) * slack


@pytest.mark.parametrize(("step", "within"), [(0.05, 0.01), (None, 0.03)])
def test_four_hundred_adaptive_random_submissions_climb_nowhere(step: float | None, within: float) -> None:
    """Blum and Hardt's attack on n = 4000. A false climb needs noise beyond e^-14, 400 times: below 1e-3 over
    both sides of the search and its measurement, and below 1e-6 with the measurement's own demand."""
    records = 4000
    provider, _ = validator(records, 11)
    ladder = provider.ladder(1.0, step=step)
    draw, kept = np.random.default_rng(12), []
    for at in range(400):
        scores = draw.random(records)
        if at >= 350 and kept:
            scores = np.mean(kept, axis=0)
        before = ladder.loss
        if ladder.submit(scores).loss <= before:
            kept.append(scores)
    assert abs(ladder.loss - 0.5) <= within


def test_the_naive_leaderboard_falls_for_the_same_attack() -> None:
    """The control: told every exact loss, the attacker's majority vote looks far better than guessing."""
    records = 4000
    labels = np.random.default_rng(11).integers(0, 2, records)
    draw, kept = np.random.default_rng(12), []
    for _ in range(400):
        scores = draw.random(records)
        if ((scores >= 0.5) == (labels == 1)).mean() > 0.5:
            kept.append(scores >= 0.5)
    voted = np.mean(kept, axis=0) >= 0.5
    assert (voted == (labels == 1)).mean() > 0.55


def test_real_progress_is_told() -> None:
    provider, labels = validator(20_000, 21)
    ladder = provider.ladder(1.0, climbs=3)
    assert ladder.loss == 0.5
    told = [ladder.submit(right_in(labels, share, 22)) for share in (0.7, 0.7, 0.85)]
    assert [rung.improved for rung in told] == [True, False, True]
    assert told[-1].loss == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize("change", [{"epsilon": 0}, {"sensitivity": 0}, {"yeses": 0}])
def test_a_sparse_vector_checks_its_terms(change: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        AboveThreshold(**({"epsilon": 1.0, "sensitivity": 1, "yeses": 1} | change))


def test_a_copy_of_a_validator_opens_from_the_same_budget() -> None:
    provider, _ = validator(100, 1)
    provider.comparisons(0.6)
    with pytest.raises(BudgetRefused):
        copy.deepcopy(provider).comparisons(0.6)


def test_they_say_where_they_stand() -> None:
    provider, _ = validator(2_000, 5)
    assert repr(provider.comparisons(0.2, yeses=3)) == (
        "Comparisons: 3 more may be answered with yes, any number with no"
    )
    assert repr(provider.ladder(0.5, step=0.1)) == (
        "Ladder: best loss told 0.5, the next has to be better by 0.1"
    )
