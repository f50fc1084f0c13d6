"""Perturbed columns; every statistical test raises a false alarm below 1e-6."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import beta, chi2

from comity.data import Table
from comity.deidentify.columns.perturb import (
    bounded_noise,
    channel_of,
    pram,
    randomized_response,
    round_to,
    shuffle_within,
)
from comity.errors import BadTable, UsageError

COLOURS = ["red", "green", "blue", "grey"]
ALARM = 1e-8


def column(values) -> Table:
    return Table(pa.table({"x": values, "id": list(range(len(values)))}))


def at_most(count: int, trials: int) -> float:
    return float(beta.ppf(1 - ALARM, count + 1, trials - count))


def at_least(count: int, trials: int) -> float:
    return float(beta.ppf(ALARM, count, trials - count + 1)) if count else 0.0


def fits(seen: np.ndarray, expected: np.ndarray) -> bool:
    return ((seen - expected) ** 2 / expected).sum() < chi2.isf(ALARM, len(seen) - 1)


def test_nobody_tells_two_values_apart_better_than_epsilon_allows():
    """An attacker who sees 100,000 answers of like records: no odds move by more than e^epsilon."""
    rows, epsilon = 100_000, 1.2
    for perturb in (
        lambda table: randomized_response(table, "x", ["1", "2", "3"], epsilon=epsilon),
        lambda table: bounded_noise(table, "x", low=1, high=3, epsilon=epsilon),
        lambda table: bounded_noise(table, "x", low=1, high=3, epsilon=epsilon, law="laplace"),
    ):
        seen = {value: Counter(perturb(column([value] * rows)).table.strings("x")) for value in (1, 2, 3)}
        largest = 0.0
        for a in seen:
            for b in seen:
                for answer in ("1", "2", "3"):
                    one, other = seen[a][answer], seen[b][answer]
                    assert at_least(one, rows) / at_most(other, rows) <= math.exp(epsilon)
                    largest = max(largest, at_most(one, rows) / at_least(other, rows))
        assert largest >= math.exp(epsilon)  # and the bound is met, not just kept


def test_randomized_response_follows_its_matrix_and_counts_are_recovered():
    truth = [20_000, 10_000, 5_000, 1_000]
    table = column(np.repeat(COLOURS, truth).tolist())
    done = randomized_response(table, "x", COLOURS, epsilon=1.0)
    assert done.channel is not None
    codes, levels = done.table.levels("x")
    counts = np.array([(codes == levels.index(level)).sum() for level in COLOURS])
    assert fits(counts, truth @ done.channel.matrix)
    received = json.loads(json.dumps(done.description.to_dict()))
    estimate = channel_of(received).estimate(counts)
    assert (np.abs(estimate.counts - truth) < 6 * estimate.standard_errors).all()
    assert received["epsilon"] == pytest.approx(1.0, abs=1e-8)
    assert received["cost"]["unit"] == "record"
    assert received["cost"]["relation"] == "change-one"
    assert done.table.strings("id") == table.strings("id")


def test_missing_values_are_refused_hidden_or_left_and_the_cost_says_which():
    table = column(["red", None] * 5000)
    with pytest.raises(BadTable, match="misses 5000 values"):
        randomized_response(table, "x", COLOURS, epsilon=1.0)
    hidden = randomized_response(table, "x", COLOURS, epsilon=1.0, missing="level")
    assert len(hidden.channel.levels) == 5
    assert hidden.description.cost.bounded
    # an answer is missing about as often as the matrix says, for those with and without a value
    gone = hidden.table.missing("x")
    for start in (0, 1):
        share = float(hidden.channel.matrix[4 * start, 4])
        assert at_least(int(gone[start::2].sum()), 5000) <= share <= at_most(int(gone[start::2].sum()), 5000)
    kept = randomized_response(table, "x", COLOURS, epsilon=1.0, missing="keep")
    assert kept.table.missing("x").tolist() == table.missing("x").tolist()
    assert not kept.description.cost.bounded
    assert kept.description.to_dict()["epsilon"] is None
    with pytest.raises(UsageError):
        randomized_response(table, "x", COLOURS, epsilon=1.0, missing="maybe")


def test_values_outside_the_levels_are_refused_privately():
    with pytest.raises(BadTable, match="mauve") as caught:
        randomized_response(column(["red", "mauve"]), "x", COLOURS, epsilon=1.0)
    assert "mauve" not in caught.value.public_message


def test_pram_rebuilds_its_channel_from_the_manifest():
    matrix = [[0.8, 0.2], [0.3, 0.7]]
    done = pram(column(["a", "b"] * 20), "x", ["a", "b"], matrix)
    rebuilt = channel_of(json.loads(json.dumps(done.description.to_dict())))
    assert rebuilt.matrix == pytest.approx(done.channel.matrix, abs=1e-15)
    assert done.description.cost.epsilon == pytest.approx(math.log(3.5), abs=1e-8)
    identity = pram(column(["a", "b"]), "x", ["a", "b"], [[1, 0], [0, 1]])
    assert identity.table.strings("x") == ["a", "b"]
    assert "No formal guarantee" in identity.description.guarantee


@pytest.mark.parametrize("law", ["band", "laplace"])
def test_noise_stays_within_bounds_on_the_grid_and_follows_its_law(law):
    rows = 50_000
    done = bounded_noise(column([37] * rows), "x", low=0, high=110, step=1, epsilon=8.0, law=law)
    values = done.table.numbers("x")
    assert 0 <= values.min() <= values.max() <= 110
    assert done.table.type("x") == "integer"
    expected = done.channel.matrix[37] * rows
    seen = np.bincount(values.astype(int), minlength=111)
    big = expected > 20
    assert fits(np.append(seen[big], seen[~big].sum()), np.append(expected[big], expected[~big].sum()))
    assert channel_of(done.description.to_dict()).matrix == pytest.approx(done.channel.matrix)


def test_noise_moves_values_to_the_grid_first_and_counts_those():
    done = bounded_noise(column([0.0, 0.5, 0.6, 9.0, -3.0]), "x", low=0, high=2, step=0.5, epsilon=30.0)
    assert done.clamped == 3
    assert done.table.type("x") == "number"
    assert set(done.table.numbers("x") * 2) <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_noise_on_what_it_cannot_have():
    with pytest.raises(BadTable, match="misses 1"):
        bounded_noise(column([1.0, None]), "x", low=0, high=2, epsilon=1.0)
    kept = bounded_noise(column([1.0, None]), "x", low=0, high=2, epsilon=1.0, missing="keep")
    assert kept.table.missing("x").tolist() == [False, True]
    assert not kept.description.cost.bounded
    for settings in (
        {"low": 0, "high": 2, "step": 0.3},
        {"low": 0, "high": 0},
        {"low": 0, "high": 9000},
        {"low": 0, "high": math.inf},
        {"low": 0, "high": 2, "missing": "level"},
        {"low": 0, "high": 2, "law": "gauss"},
    ):
        with pytest.raises(UsageError):
            bounded_noise(column([1.0]), "x", epsilon=1.0, **settings)


def test_rounding_goes_to_the_nearest_multiple():
    assert round_to(column([12, 13, -12, None, 15]), "x", 5).table.strings("x") == [
        "10",
        "15",
        "-10",
        None,
        "15",
    ]
    assert round_to(column([0.24, 0.25, -0.3]), "x", 0.5).table.numbers("x").tolist() == [0.0, 0.5, -0.5]
    with pytest.raises(UsageError):
        round_to(column([1]), "x", 0.5)
    with pytest.raises(UsageError):
        round_to(column([1.0]), "x", 0)


@pytest.mark.parametrize("value", [13, 13.0])
def test_random_rounding_is_unbiased(value):
    rows = 100_000
    rounded = round_to(column([value] * rows), "x", 5, random=True).table.numbers("x")
    assert set(rounded) == {10.0, 15.0}
    ups = int((rounded == 15).sum())
    assert at_least(ups, rows) <= 0.6 <= at_most(ups, rows)


def test_what_is_a_multiple_stays():
    assert round_to(column([10, 15] * 50), "x", 5, random=True).table.strings("x") == ["10", "15"] * 50


def test_shuffling_keeps_every_group_and_nothing_else():
    rng = np.random.default_rng(3)
    groups, values = rng.integers(0, 40, 3000), rng.integers(0, 1000, 3000)
    table = Table(pa.table({"g": groups, "h": groups % 3, "x": values, "y": values}))
    done = shuffle_within(table, "x", within=["g", "h"])
    shuffled = done.table.numbers("x")
    for group in range(40):
        assert sorted(shuffled[groups == group]) == sorted(values[groups == group])
    assert done.table.strings("y") == table.strings("y")
    assert (shuffled == values).mean() < 0.1
    assert "No formal guarantee" in done.description.guarantee
    assert not done.description.cost.bounded
    with pytest.raises(UsageError):
        shuffle_within(table, "x", within=["x"])


def test_shuffling_is_uniform_within_groups():
    """24 orders of 4 values in each of 6,000 groups."""
    groups = np.repeat(np.arange(6000), 4)
    order = np.random.default_rng(1).permutation(24_000)
    table = Table(pa.table({"g": groups[order], "x": np.tile(np.arange(4), 6000)[order]}))
    shuffled = shuffle_within(table, "x", within=["g"]).table.numbers("x").astype(int)
    back = np.argsort(order)
    keys = shuffled[back].reshape(6000, 4) @ np.array([64, 16, 4, 1])
    _, counts = np.unique(keys, return_counts=True)
    assert len(counts) == 24
    assert fits(counts, np.full(24, 250.0))


@pytest.mark.parametrize("random", [False, True])
def test_rounding_beyond_what_a_column_holds_is_refused(random):
    for values, multiple in (([2**63 - 1, 5], 2**61), ([-(2**63), 5], 3 * 2**60), ([1.75e308, 1.0], 1.1e308)):
        with pytest.raises(BadTable, match="too large") as found:
            round_to(Table(pa.table({"x": values})), "x", multiple, random=random)
        assert found.value.private
    with pytest.raises(BadTable, match="too large"):
        round_to(Table(pa.table({"x": [1e308]})), "x", 1e-10, random=random)
    for multiple in (2**63, 2**70, 10**400, math.inf, math.nan):
        with pytest.raises(UsageError):
            round_to(Table(pa.table({"x": [1]})), "x", multiple, random=random)


def test_rounding_of_the_largest_whole_numbers_is_exact():
    table = Table(pa.table({"x": [2**62 + 1, 2**61 - 1, -(2**63)]}))
    assert round_to(table, "x", 2**61).table.column("x").to_pylist() == [2**62, 2**61, -(2**63)]


def test_noise_on_whole_numbers_keeps_to_what_floats_hold():
    with pytest.raises(UsageError, match="2\\^53"):
        bounded_noise(Table(pa.table({"x": [1]})), "x", low=0, high=2.0**64, step=2.0**60, epsilon=1)
