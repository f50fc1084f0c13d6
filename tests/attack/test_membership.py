"""Membership inference: finds what is there, and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.attack import AttackResult, membership_inference
from comity.attack.interval import newcombe, wilson
from comity.attack.membership import area, best_threshold, control
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
    for members, outsiders in (([1, 2, 3], [1, 2, 3, 4]), ([1, 2, 3, math.nan], [1, 2, 3, 4]), ([], [])):
        with pytest.raises(BadInput):
            membership_inference(members, outsiders)
    with pytest.raises(BadInput):
        control([1, 2, 3, 4])


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
