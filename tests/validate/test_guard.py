"""The guard: what part of a correction is kept, by the answer alone."""

from __future__ import annotations

import numpy as np
import pytest

from comity.validate.solve import _safe_part


@pytest.mark.parametrize(("answers", "directions"), [(1, 1), (5, 3), (40, 60)])
def test_noise_alone_is_rarely_believed(answers: int, directions: int) -> None:
    """2,000 answers of pure noise: fewer than 1 in 10 kept (measured 4 to 6%; 10% is 8 sigma away)."""
    rng = np.random.default_rng(1)
    slope = rng.normal(size=(answers, directions)) * 0.8
    kept = [_safe_part(slope, rng.normal(size=answers)) > 0 for _ in range(2_000)]
    assert np.mean(kept) < 0.1


def test_a_loud_answer_is_believed_whole() -> None:
    rng = np.random.default_rng(2)
    slope = rng.normal(size=(10, 10))
    assert _safe_part(slope, slope @ np.full(10, 20.0) + rng.normal(size=10)) > 0.9


def test_the_louder_the_more_is_kept() -> None:
    slope = np.diag([3.0, 2.0, 1.0])
    parts = [_safe_part(slope, loudness * np.array([1.0, 1.0, 0.5])) for loudness in (0, 1, 3, 6, 12, 50)]
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert _safe_part(np.zeros((3, 0)), np.ones(3)) == 0
