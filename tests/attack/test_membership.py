"""Membership inference: finds what is there, and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.attack import (
    AttackResult,
    membership_bound,
    membership_either_way,
    membership_inference,
    rows_aside,
)
from comity.attack.interval import newcombe, wilson
from comity.attack.label import label_bound
from comity.attack.membership import area, best_band, best_threshold, control
from comity.errors import BadInput

scores = st.lists(st.integers(-5, 5), min_size=4, max_size=40)


def test_a_perfect_signal_is_found_whole():
    found = membership_inference(np.arange(200, 300), np.arange(100))
    assert (found.auc, found.advantage) == (1.0, 1.0)
    assert 0.9 < found.low <= 1.0 == found.high


def test_a_known_advantage_is_found():
    g = np.random.default_rng(0)
    found = membership_inference(g.normal(1, 1, 20_000), g.normal(0, 1, 20_000))
    assert found.auc == pytest.approx(0.760, abs=0.015)  # Phi(1 / sqrt 2); 6 standard errors
    assert found.advantage == pytest.approx(0.3829, abs=0.03)  # 2 Phi(1 / 2) - 1; 6 standard errors
    assert found.high - found.low < 0.02


def test_nothing_to_find_gives_an_interval_around_zero():
    """1,000 runs without signal. Each interval should hold 0 with probability about 0.95.

    Fewer than 900 of 1,000 has probability under 1e-9 at 0.95, and under 1e-6 even at 0.945.
    The mean advantage has standard error under 0.002: 0.012 is 6 of them (under 1e-8).
    """
    g = np.random.default_rng(1)
    runs = [membership_inference(g.normal(size=300), g.normal(size=300), seed=i) for i in range(1000)]
    assert sum(run.low <= 0 <= run.high for run in runs) > 900
    assert abs(np.mean([run.advantage for run in runs])) < 0.012


def test_the_control_sees_nothing_where_members_leak():
    g = np.random.default_rng(2)
    outsiders = g.normal(size=2000)
    assert membership_inference(outsiders + 3, outsiders).advantage > 0.8
    assert abs(control(outsiders).advantage) < 0.12  # 5 standard errors of 0.022


@given(scores, scores)
def test_area_counts_pairs(members, outsiders):
    pairs = [(m > o) + 0.5 * (m == o) for m in members for o in outsiders]
    assert area(np.array(members, float), np.array(outsiders, float)) == pytest.approx(np.mean(pairs))


@given(scores, scores)
def test_best_threshold_is_the_best(members, outsiders):
    m, o = np.array(members, float), np.array(outsiders, float)

    def gain(threshold):
        return (m >= threshold).mean() - (o >= threshold).mean()

    assert gain(best_threshold(m, o)) == pytest.approx(max(gain(t) for t in [*m, *o, math.inf]))


@settings(max_examples=50)
@given(scores, scores)
def test_the_interval_holds_the_estimate(members, outsiders):
    found = membership_inference(members, outsiders)
    assert -1 <= found.low <= found.advantage <= found.high <= 1
    result = found.result(bound=1.0, control=0.0)
    assert result.to_dict() == {
        "advantage": found.advantage,
        "low": found.low,
        "high": found.high,
        "bound": 1.0,
        "control": 0.0,
        "trials": len(members) + len(outsiders),
    }


def test_bad_scores_are_refused():
    """How many are not finite can be a count of private rows that a program chose: it stays at home."""
    for members, outsiders in (([1, 2, 3], [1, 2, 3, 4]), ([1, 2, 3, math.nan], [1, 2, 3, 4]), ([], [])):
        for attack in (
            lambda m, o: membership_inference(m, o),
            lambda m, o: membership_either_way(m, o, secret=b"x"),
        ):
            with pytest.raises(BadInput) as caught:
                attack(members, outsiders)
            assert caught.value.private
    with pytest.raises(BadInput) as caught:
        control([1, 2, 3, 4])
    assert caught.value.private


@pytest.mark.parametrize(
    "disguise",
    [
        lambda sure: sure,
        lambda sure: -sure,  # a program that trains on inverted labels, and a recipient that turns them back
        lambda sure: np.where(np.arange(len(sure)) % 2 == 0, sure, -sure),  # one class inverted
        lambda sure: 1 / (1 + np.abs(sure)),  # members least sure, whichever way
        lambda sure: np.tanh(sure / 1e3) * 1.7e308,
    ],
    ids=["as it is", "negated", "by class", "undecided", "huge"],
)
def test_a_model_that_knows_its_rows_is_told_however_it_says_so(disguise):
    g = np.random.default_rng(3)
    members, outsiders = disguise(g.normal(5, 1, 400)), disguise(g.normal(0, 1, 100))
    found = membership_either_way(members, outsiders, secret=b"kept")
    assert found.advantage > 0.7
    assert found.low > 0.5


def test_the_one_sided_attack_misses_a_negated_model():
    """What the other one is for."""
    g = np.random.default_rng(3)
    members, outsiders = -g.normal(5, 1, 400), -g.normal(0, 1, 100)
    assert membership_inference(members, outsiders).advantage < 0.05


def test_both_ways_find_nothing_where_there_is_nothing():
    """1,000 runs without signal; as of the one-sided attack, fewer than 900 intervals around 0 has a
    probability under 1e-9. The mean has standard error 0.0024: 0.015 is 6 of them (2e-9)."""
    g = np.random.default_rng(5)
    runs = [
        membership_either_way(g.normal(size=300), g.normal(size=300), secret=bytes([i % 256, i // 256]))
        for i in range(1000)
    ]
    assert sum(run.low <= 0 <= run.high for run in runs) > 900
    assert abs(np.mean([run.advantage for run in runs])) < 0.015


def test_the_halves_are_the_secrets_and_the_same_again():
    """A program that knows who is in which half can make each half tell the wrong direction for the other."""
    g = np.random.default_rng(7)
    members, outsiders = g.normal(size=400), g.normal(size=400)
    known = np.random.default_rng(0).permutation(400)
    aimed = np.zeros(400)
    aimed[known[:200]], aimed[known[200:]] = 1.0, -1.0
    # at the seed that everybody knows, each half's best rule calls nobody of the other one right
    seen = membership_inference(aimed + 1e-9 * members, 1e-9 * outsiders)
    found = [membership_either_way(members, outsiders, secret=secret) for secret in (b"a", b"a", b"b")]
    assert found[0] == found[1] != found[2]
    told = membership_either_way(aimed + 1e-9 * members, 1e-9 * outsiders, secret=b"not theirs")
    assert told.advantage > 0.9 > seen.advantage


@given(scores, scores)
def test_the_best_band_is_the_best(members, outsiders):
    m, o = np.array(members, float), np.array(outsiders, float)

    def gain(low, high, inside):
        called = [((side >= low) & (side < high)) == inside for side in (m, o)]
        return called[0].mean() - called[1].mean()

    edges = [-math.inf, *(value + 0.5 for value in range(-6, 6)), math.inf]
    every = [
        gain(low, high, side) for low in edges for high in edges if low <= high for side in (True, False)
    ]
    assert gain(*best_band(m, o)) == pytest.approx(max(every))


def test_rows_aside_are_one_in_five_and_follow_from_the_secret():
    aside = rows_aside(1003, b"one")
    assert aside.sum() == 200
    assert aside.tolist() == rows_aside(1003, b"one").tolist()
    assert aside.tolist() != rows_aside(1003, b"two").tolist()
    assert not rows_aside(3, b"one").any()


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1.0, 5.0, 400.0])
def test_the_bound_is_reached_by_an_exchanged_row(epsilon):
    """A sum to which one row adds 1 and the other -1, with Laplace noise of scale 1 / epsilon.

    An exchanged row moves it by 2, which the best adversary tells with advantage 1 - exp(-epsilon): more than
    what is possible where one row comes or goes (`label_bound`).
    """
    bound = membership_bound(epsilon, 0.0)
    assert bound == pytest.approx(math.tanh(epsilon))
    reached = 1 - math.exp(-epsilon)
    assert label_bound(epsilon, 0.0) < reached <= bound or epsilon > 30
    # randomised response between the two rows, with 2 epsilon between them, reaches it
    assert bound == pytest.approx(2 / (1 + math.exp(-2 * epsilon)) - 1)
    assert membership_bound(epsilon, 1e-9) >= bound
    assert membership_bound(epsilon, 1e-9, relation="change-one") == label_bound(epsilon, 1e-9)


def test_there_is_no_bound_for_labels_or_without_a_guarantee():
    assert membership_bound(None, None) is None
    assert membership_bound(1.0, None) is None
    for unit in ("party", "label", ""):
        assert membership_bound(1.0, 1e-6, unit=unit) is None


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 1.0])
def test_a_person_who_takes_another_ones_place_is_two_steps(epsilon):
    assert membership_bound(epsilon, 1e-6, unit="person") == membership_bound(epsilon, 1e-6)
    delta = 1e-6 * sum(math.exp(at * epsilon) for at in range(4))
    assert membership_bound(epsilon, 1e-6, moved=2) == pytest.approx(label_bound(4 * epsilon, delta))
    changed = membership_bound(epsilon, 1e-6, relation="change-one", moved=2)
    assert changed == pytest.approx(membership_bound(epsilon, 1e-6))


def test_more_that_moves_bounds_less():
    bounds = [membership_bound(0.1, 1e-6, moved=moved) or 0.0 for moved in range(1, 200)]
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(1.0)
    assert membership_bound(100.0, 1e-6, moved=50) == 1.0


def test_intervals_match_published_examples():
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)  # Newcombe 1998, Table I
    assert newcombe(56, 70, 48, 80) == pytest.approx(
        (0.0524, 0.3339), abs=5e-4
    )  # Newcombe 1998, Table II (a)
    with pytest.raises(BadInput):
        wilson(3, 2)


def test_results_check_themselves():
    assert AttackResult("label", 0.1, 0.0, 0.2, bound=0.3).within_bound is True
    assert AttackResult("label", 0.1, 0.0, 0.4, bound=0.3).within_bound is False
    assert AttackResult("label", 0.1, 0.0, 0.4).within_bound is None
    for wrong in ({"advantage": math.nan, "low": 0, "high": 1}, {"advantage": 0, "low": 1, "high": 0}):
        with pytest.raises(BadInput):
            AttackResult("label", **wrong)
    with pytest.raises(BadInput):
        AttackResult("label", 0, 0, 0, trials=-1)
