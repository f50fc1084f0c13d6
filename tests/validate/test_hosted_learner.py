"""HostedLearner.trial: what the answers after the first say of the correction that they were asked at."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from comity.data.table import Table
from comity.schema import parse_schema
from comity.validate.hosted_learner import BinCounts, HostedLearner, chances, public_columns

SCHEMA = parse_schema(
    {
        "columns": {
            "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 100},
            "job": {"role": "quasi_identifier", "type": "category", "values": ["a", "b", "c"]},
            "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
        }
    },
    where="the test",
)
ROWS, STEPS = 3000, 4


def table(count: int, seed: int) -> Table:
    draw = np.random.default_rng(seed)
    job = np.array(["a", "b", "c"])[draw.integers(0, 3, count)]
    return Table(pa.table({"age": draw.integers(0, 100, count), "job": job}))


def taught(steepness: float, seed: int, deviation: float = 2.0**20, steps: int = STEPS) -> HostedLearner:
    """A learner after some answers, with seeded noise; labels follow age as steeply as that."""
    draw = np.random.default_rng(seed)
    seeds, held = table(80, seed), table(ROWS, seed + 100)
    columns = public_columns(SCHEMA, seeds, ("age", "job"))
    codes = columns.codes(held)
    odds = steepness * (held.numbers("age") - 50) / 25
    labels: NDArray[np.int64] = (draw.random(ROWS) < chances(odds)).astype(np.int64)
    learner, counts = HostedLearner(columns, columns.codes(seeds), noise=4.0), BinCounts(columns)
    learner.take_counts(counts.read(counts.sums(codes).astype(np.float64)))
    for _ in range(steps):
        sums = learner.question().sums(columns, codes, np.zeros(ROWS), labels)
        learner.step(sums + draw.normal(size=len(sums)) * deviation, deviation)
    return learner


@pytest.mark.parametrize("steps", [0, 1])
def test_without_an_answer_about_a_correction_nothing_speaks_for_it(steps: int) -> None:
    learner = taught(1.0, 1, steps=steps)
    assert (learner.trial(0.5) if steps else -math.inf) == -math.inf


def test_what_helps_is_believed_and_what_follows_chance_is_not() -> None:
    """Seeded: 6 lessons about labels that follow age, and 6 about coin flips, with noise that leaves part of
    the correction to be found: once all of it is found the slope along it is none, and says nothing."""
    helps = [taught(1.0, seed, 2.0**25).trial(0.5) for seed in range(6)]
    chance = [taught(0.0, seed, 2.0**25).trial(0.5) for seed in range(6)]
    assert np.mean(helps) > 1
    assert max(chance) < -2
    assert min(helps) > max(chance) + 2


def test_labels_that_vary_less_count_as_fewer_to_follow() -> None:
    """Degrees of freedom grow with p (1 - p): the more chance there is to follow, the less is believed."""
    learner = taught(0.5, 5)
    assert learner.fitted(0.5) >= learner.fitted(0.05) > 0
    assert learner.trial(0.05) >= learner.trial(0.5)


def test_a_start_that_is_kept_stands_as_it_was() -> None:
    learner = taught(1.0, 7)
    held, start = table(50, 9), np.linspace(0.1, 0.9, 50)
    assert not np.allclose(learner.scores(held, start), start, atol=0.05)
    learner.keep_start()
    fresh = taught(1.0, 7, steps=0)
    assert learner.scores(held, start) == pytest.approx(fresh.scores(held, start))
