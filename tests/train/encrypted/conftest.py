"""A made-up table with a skewed number and rare levels, and what plain logistic regression makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass(frozen=True)
class Made:
    """Columns from -1 to 1, three numbers first, then levels; a target of two values and one of numbers."""

    rows: NDArray[np.float64]
    labels: NDArray[np.float64]
    numbers: NDArray[np.float64]

    @property
    def products(self) -> NDArray[np.float64]:
        wide = np.column_stack([self.rows, np.ones(len(self.rows))])
        return wide.T @ wide / len(wide)

    def moments(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([self.rows, np.ones(len(self.rows))]).T @ target / len(self.rows)


def make(rows: int, seed: int) -> Made:
    draw = np.random.default_rng(seed)
    skewed = np.minimum(draw.exponential(0.05, rows), 1.0) * 2 - 1
    numbers = np.column_stack(
        [skewed, draw.uniform(-1, 1, rows), np.clip(draw.normal(0.4, 0.05, rows), -1, 1)]
    )
    level = draw.choice(12, rows, p=np.array([40, 20, 10, 8, 6, 5, 4, 3, 2, 1, 0.5, 0.5]) / 100)
    x = np.column_stack([numbers, np.eye(12)[level]])
    weights = np.concatenate([[6.0, 1.0, 8.0], np.random.default_rng(0).normal(0, 1.0, 12)])
    linear = x @ weights
    linear += 2.0
    labels = (draw.uniform(size=rows) < 1 / (1 + np.exp(-linear))).astype(np.float64)
    target = np.clip(linear / 10 + draw.normal(0, 0.05, rows), -1, 1)
    return Made(x, labels, target)


@pytest.fixture(scope="package")
def made() -> Made:
    return make(9_000, 3)


@pytest.fixture(scope="package")
def held_out() -> Made:
    return make(9_000, 4)
