"""Many groups read at once: the same numbers as one by one, whatever the noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.mechanism import Noise
from comity.validate.estimate import laplace_z, laplace_zs
from comity.validate.group_counts import CountedQuestion, counted_by_group
from comity.validate.groups import GroupedQuestion, group_question
from comity.validate.mechanism import NoisySums
from comity.validate.metrics import assembled, parts_for

COUNTS = ("accuracy", "confusion", "f1", "precision", "recall", "specificity")

calibrations = st.one_of(
    st.builds(lambda wide: Noise("gaussian", 20, math.ldexp(wide, 20)), st.floats(0.01, 1e4)),
    st.builds(lambda wide: Noise("laplace", 0, wide), st.floats(0.05, 1e4)),
)


def both(scores: Any, wanted: Any, groups: np.ndarray) -> tuple[CountedQuestion, GroupedQuestion]:
    """The same question: read at once, and read one by one."""
    names = tuple(f"group {at}" for at in range(int(groups.max()) + 1))
    fast = counted_by_group(scores, wanted, 0.5, names, groups)
    assert fast is not None
    return fast, group_question(
        names, groups, lambda at: parts_for(scores[at], wanted, threshold=0.5), assembled
    )


def numbers(told: Any) -> list[float | None]:
    """All that was told, in order."""
    if isinstance(told, dict):
        return [one for key in told for one in numbers(told[key])]
    return [one for each in told for one in numbers(each)] if isinstance(told, tuple) else [told]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.1, 0.9])), min_size=1, max_size=60),
    st.lists(st.sampled_from(COUNTS), min_size=1, max_size=6, unique=True),
    calibrations,
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_many_groups_are_read_as_one_by_one(
    rows: list[tuple[int, float]], wanted: list[str], calibration: Noise, seed: int
) -> None:
    """Also a group without records that are predicted positive, and answers that are mostly noise."""
    groups = np.unique([at for at, _ in rows], return_inverse=True)[1]
    fast, slow = both(np.array([score for _, score in rows]), wanted, groups)
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 8, slow.query.dimensions) + rng.normal(size=slow.query.dimensions).round(
        2
    ) * min(calibration.deviation, 1e3)
    answer = NoisySums(values, calibration)
    assert fast.facts == slow.facts
    for found, expected in zip(fast.read(answer), slow.read(answer), strict=True):
        assert list(found) == list(expected)
        for metric in expected:
            assert list(found[metric]) == list(expected[metric])
            pairs = zip(numbers(found[metric]), numbers(expected[metric]), strict=True)
            for one, two in pairs:
                assert one is two is None or one == pytest.approx(two, rel=1e-9, abs=1e-9), metric


def test_what_is_told_of_many_groups_is_plain() -> None:
    """Floats and pairs of them, as for one group: no arrays, nothing that JSON cannot hold."""
    fast, _ = both(np.array([0.1, 0.9, 0.2, 0.3]), COUNTS, np.array([0, 0, 1, 1]))
    estimates, intervals = fast.read(NoisySums(np.array([0.3, 1.2, 0.1, -0.4]), Noise("gaussian", 0, 1.0)))
    assert estimates["precision"]["group 1"] is None is intervals["precision"]["group 1"]
    assert {type(one) for one in numbers(estimates)} == {float, type(None)}
    assert {type(one) for one in numbers(intervals)} == {float, type(None)}
    assert all(isinstance(pair, tuple) for pair in intervals["recall"].values())


@given(st.lists(st.lists(st.floats(-4, 4), min_size=3, max_size=3), min_size=1, max_size=300))
@settings(max_examples=20, deadline=None)
def test_laplace_noise_of_each_row_is_weighed_by_itself(rows: list[list[float]]) -> None:
    weights = np.array(rows)
    found = laplace_zs(weights)
    for at in {0, len(rows) // 2, len(rows) - 1}:
        assert found[at] == pytest.approx(laplace_z(weights[at]), rel=1e-9)


def test_laplace_noise_of_one_and_of_many_is_as_wide_as_theory_says() -> None:
    """One Laplace noise, the sum of two, and the sum of so many that it is nearly Gaussian."""
    one, many = laplace_z(np.array([0.0, 2.0])), laplace_z(np.ones(400))
    assert one == pytest.approx(-math.log(0.05) / math.sqrt(2))
    assert many == pytest.approx(1.96, abs=2e-3)
    # two equal scales: the chance of more than x scales is (1 + x / 2) e^-x
    scales = laplace_z(np.ones(2)) * 2
    assert (1 + scales / 2) * math.exp(-scales) == pytest.approx(0.05, abs=1e-6)
