"""Label inference: succeeds as theory says without protection, stays under the bound with it."""

from __future__ import annotations

import numpy as np
import pytest

from comity.attack.label import infer_labels, label_bound
from comity.errors import BadInput
from comity.validate.mechanism import Price, calibrate
from comity.validate.request import ScoreStatistics


def canary() -> ScoreStatistics:
    """One record whose row is exactly as long as the cap."""
    return ScoreStatistics(np.zeros((1, 1), np.uint16), (1,), np.full((1, 4), 1 << 10, np.int32), 1 << 11)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_real_noise_keeps_a_coins_label(epsilon: float) -> None:
    """The interval's lower end lies under the bound, and the control around 0.

    The expected advantage is well under the bound (0.09 of 0.46 at epsilon 1), so with 4,000 trials a false
    alarm needs more than 6 standard deviations (below 1e-8); the control's limit is 6 of them.
    """
    query = canary()
    calibration = calibrate(query, Price(epsilon, 1e-6))

    def draw(count: int) -> np.ndarray:
        zeros = np.zeros((count, query.dimensions), dtype=np.int64)
        return calibration.answer(zeros)

    found = infer_labels(draw, query.row(0).astype(float), epsilon=epsilon, delta=1e-6, trials=4_000, seed=1)
    assert found.bound is not None
    assert found.low <= found.bound
    assert found.control is not None
    assert abs(found.control) < 6 / np.sqrt(4_000)


def test_without_noise_the_attack_wins() -> None:
    row = np.array([3.0, 4.0])
    found = infer_labels(lambda count: np.zeros((count, 2)), row, epsilon=1.0, delta=1e-6, trials=500, seed=1)
    assert found.advantage == 1.0
    assert found.low > found.bound  # type: ignore[operator]


def test_the_bound_is_the_one_written_down() -> None:
    for epsilon, delta in [(0.1, 0.0), (1.0, 1e-6), (5.0, 0.01)]:
        right = (np.exp(epsilon) + delta) / (1 + np.exp(epsilon))
        assert label_bound(epsilon, delta) == pytest.approx(2 * right - 1)
    assert label_bound(1000.0, 0.0) == 1.0
    with pytest.raises(BadInput):
        label_bound(-1.0, 0.0)
