"""The sum carries the noise that the guarantee needs, and the account what the grid and the parts cost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from comity.errors import UsageError
from comity.ledger import PrivacyUnit
from comity.ledger.calibration import gaussian_delta
from comity.train.federated.shared_noise import CAP, SharedNoise, sum_error

NOISE = SharedNoise(1.0, 9e-7, PrivacyUnit.record, 1, (0.2, 0.8), 1_000, members=5, threshold=4, colluders=1)


def discrete(scale: float, reach: int) -> np.ndarray:
    points = np.arange(-reach, reach + 1)
    weights = np.exp(-(points**2) / (2 * scale**2))
    return weights / weights.sum()


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("scale", [0.5, 0.6, 0.8, 1.0])
def test_the_stated_error_of_a_sum_holds_exactly(scale: float, parts: int) -> None:
    """Every probability of the sum against the discrete Gaussian of its variance, by convolution (KLS
    2021)."""
    reach = 40
    total = discrete(scale, reach)
    for _ in range(parts - 1):
        total = np.convolve(total, discrete(scale, reach))
    one = discrete(scale * math.sqrt(parts), parts * reach)
    near = slice(len(one) // 2 - 12, len(one) // 2 + 13)
    away = np.abs(np.log(total[near]) - np.log(one[near])).max()
    assert away <= sum_error(scale, parts) + 1e-9
    assert np.abs(total - one).sum() / 2 <= sum_error(scale, parts) + 1e-12


def test_on_the_grid_in_use_the_parts_cost_nothing_that_counts() -> None:
    assert sum_error(NOISE.part(0), 60) == 0.0
    assert NOISE.grid_delta < 1e-3 * NOISE.delta
    with pytest.raises(UsageError, match="finer grid"):
        sum_error(0.4, 3)


def test_what_is_left_after_drop_outs_and_colluders_is_what_the_guarantee_needs() -> None:
    """threshold - colluders parts are left in the worst case; all rounds together are one Gaussian
    mechanism."""
    for number, share in enumerate(NOISE.shares):
        left = NOISE.part(number) ** 2 * (NOISE.threshold - NOISE.colluders)
        assert left >= NOISE.needed(number) ** 2
        assert NOISE.carried(number, 5) ** 2 == pytest.approx(NOISE.excess * NOISE.needed(number) ** 2)
        assert NOISE.needed(number) == pytest.approx(NOISE.multiplier * CAP / math.sqrt(share))
    composed = 1 / math.sqrt(sum((CAP / NOISE.needed(number)) ** 2 for number in range(2)))
    assert gaussian_delta(composed, NOISE.epsilon) + NOISE.grid_delta <= NOISE.delta
    assert NOISE.excess == pytest.approx(5 / 3)


def test_the_cost_is_the_whole_session_once() -> None:
    cost = NOISE.cost
    assert (cost.unit, cost.relation) == ("record", "add-remove")
    assert cost.delta >= round(NOISE.delta * 1e15)
    person = replace(NOISE, unit=PrivacyUnit.person, rows=3)
    assert person.needed(0) == pytest.approx(3 * NOISE.needed(0))
    assert person.cost.unit == "person"


def test_a_members_part_has_the_stated_scale_and_cannot_leave_its_room() -> None:
    """Two-sided chi-squared of 20,000 draws at 1e-7 each way; a false alarm has probability 2e-7."""
    drawn = NOISE.add_part(0, np.zeros(20_000, dtype=np.int64)) / NOISE.part(0)
    statistic = float((drawn**2).sum())
    assert chi2.ppf(1e-7, 20_000) < statistic < chi2.isf(1e-7, 20_000)
    far = NOISE.add_part(0, np.array([2**62, -(2**62)], dtype=np.int64))
    assert np.abs(far).max() < 2**56 + 40 * NOISE.part(0)
    assert 60 * (2**56 + 40 * NOISE.part(0)) < 2**63


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"rows": 1_001},
        {"shares": (0.5, 0.4)},
        {"shares": (1.0, 0.0)},
        {"shares": ()},
        {"colluders": 4},
        {"threshold": 6},
        {"epsilon": 0.0},
        {"epsilon": math.inf},
        {"delta": 0.0},
    ],
)
def test_terms_that_protect_nobody_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(NOISE, **change)


def test_a_delta_too_small_for_the_grid_is_refused() -> None:
    with pytest.raises(UsageError, match="too small for 100000000 sums"):
        _ = replace(NOISE, delta=1e-15, dimensions=100_000_000, epsilon=8.0).multiplier
