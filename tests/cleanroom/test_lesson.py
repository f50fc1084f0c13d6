"""What the ML party learns from noisy gradients: with many rows its guess decides, not the noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from comity.cleanroom.columns import Columns
from comity.cleanroom.job import Job
from comity.cleanroom.lesson import Lesson
from comity.cleanroom.statistic import Answer
from comity.data.table import Table
from comity.schema import Schema, parse_schema

NUMBERS, LEVELS = 5, (6, 9, 12)


@lru_cache(maxsize=1)
def schema() -> Schema:
    columns: dict[str, Any] = {
        f"x{at}": {"role": "insensitive", "type": "number", "min": -4, "max": 4} for at in range(NUMBERS)
    }
    columns |= {
        f"c{at}": {"role": "insensitive", "type": "category", "values": [f"l{code}" for code in range(count)]}
        for at, count in enumerate(LEVELS)
    }
    columns["y"] = {"role": "target", "type": "category", "values": ["no", "yes"]}
    return parse_schema({"columns": columns}, where="a test")


def table(rows: int, seed: int) -> tuple[Table, Any]:
    """Rows of a logistic model with one curve, and their true log odds."""
    draw, weights = np.random.default_rng(seed), np.random.default_rng(0)
    numbers = np.clip(draw.normal(size=(rows, NUMBERS)), -4, 4)
    odds = numbers @ np.array([0.5, -0.4, 0.3, 0.0, 0.2]) + 0.25 * numbers[:, 3] ** 2 - 1.4
    filled: dict[str, Any] = {f"x{at}": numbers[:, at] for at in range(NUMBERS)}
    for at, count in enumerate(LEVELS):
        codes = draw.integers(0, count, rows)
        odds += weights.normal(0, 0.4, count)[codes]
        filled[f"c{at}"] = [f"l{code}" for code in codes]
    filled["y"] = np.where(draw.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    return Table(pa.table(filled)), odds


def lesson(providers: int, seed: int = 1) -> Lesson:
    seeds, _ = table(200, seed)
    labels = np.array([label == "yes" for label in seeds.strings("y")], dtype=np.uint8)
    names = [name for name in schema() if name != "y"]
    return Lesson(schema(), names, "y", 1.0, seeds, labels, providers=providers, seed=1)


def told(
    taught: Lesson, rows: Table, *, noise: float, seed: int, drawn: float = 1.0, together: int = 16
) -> Answer:
    """What a provider with these rows tells: the job's own program on them, mixed, and noise. No cuts."""
    names: dict[str, Any] = {}
    job: Job = taught.job
    exec(job.source, names)
    matrix = Columns.of(schema(), job.columns).matrix(rows)
    given = {name: values.tolist() for name, values in taught.parameters.items()}
    columns = {name: matrix[:, at].tolist() for at, name in enumerate(job.columns)}
    gradient = np.array(names["run"](columns, given)["gradient"])
    width = len(gradient)
    exact = taught.parameters["mix"].reshape(width, width) @ gradient
    noisy = exact + np.random.default_rng(seed).normal(0, noise, width)
    return Answer(drawn, round(rows.rows / drawn), together, {"gradient": noisy}, {"gradient": noise})


def closeness(taught: Lesson) -> float:
    """Rank correlation of the scores with the true log odds."""
    probe, odds = table(4_000, 99)
    scores = taught.scores(probe)
    ranks = np.stack([np.argsort(np.argsort(values)) for values in (scores, odds)])
    return float(np.corrcoef(ranks)[0, 1])


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_many_rows_do_not_lead_astray_where_seed_rows_mislead(seed: int) -> None:
    """A step that does not doubt its guess of how common bins are gets .68 to .73; this one .80 to .87."""
    taught = lesson(1, seed)
    taught.learn([told(taught, table(20_000, 7)[0], noise=0.01, seed=5)])
    assert closeness(taught) > 0.77


def test_more_rows_with_more_noise_are_heard_beside_few_with_little() -> None:
    """Weighed by noise alone, the provider of many rows counts for nothing: .63 of .90."""
    taught = lesson(2, seed=2)
    few = told(taught, table(300, 3)[0], noise=0.001, seed=5, together=1)
    many = told(taught, table(20_000, 7)[0], noise=0.5, seed=6)
    taught.learn([few, many])
    together = closeness(taught)
    taught.learn([many])
    assert together > closeness(taught) - 0.05
    taught.learn([few])
    assert together > closeness(taught) + 0.15


def test_the_program_has_time_for_all_rows_of_a_block() -> None:
    """The more features, the fewer rows share one."""
    blocks = lesson(3).job.blocks
    assert blocks is not None
    assert blocks.together == 32
    from comity.cleanroom.lesson import gradient_job

    wide = gradient_job([f"x{at}" for at in range(100)], 500, 1.0, {"mix": 250_000}).blocks
    assert wide is not None
    assert wide.together == 5
