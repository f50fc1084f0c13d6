"""Microaggregation against plain implementations of its sources."""

from __future__ import annotations

import json
import math
from collections import Counter
from statistics import mean, median

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import Table
from comity.deidentify.columns import grouping
from comity.deidentify.columns.aggregate import aggregate_within
from comity.deidentify.columns.grouping import mdav, optimal_groups
from comity.deidentify.columns.microaggregate import microaggregate
from comity.errors import BadTable, UsageError


def plain_mdav(points: list[tuple[float, ...]], k: int) -> list[int]:
    """MDAV-generic (Domingo-Ferrer and Torra 2005), row by row; ties go to the earlier row."""
    groups: dict[int, int] = {}
    left = list(range(len(points)))

    def far(centre) -> int:
        return max(left, key=lambda row: (distance(points[row], centre), -row))

    def distance(a, b) -> float:
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    def take(centre) -> None:
        number = len(set(groups.values()))
        for row in sorted(left, key=lambda row: (distance(points[row], centre), row))[:k]:
            groups[row] = number
            left.remove(row)

    def centre():
        return tuple(sum(c) / len(left) for c in zip(*(points[row] for row in left), strict=True))

    while len(left) >= 3 * k:
        first = points[far(centre())]
        second = points[far(first)]
        take(first)
        take(second)
    if len(left) >= 2 * k:
        take(points[far(centre())])
    number = len(set(groups.values()))
    groups |= dict.fromkeys(left, number)
    return [groups[row] for row in range(len(points))]


whole = st.integers(-8, 8)


@given(st.integers(2, 4), st.lists(st.tuples(whole, whole), min_size=4, max_size=40))
def test_mdav_is_the_published_algorithm(k, points):
    # 16 n keeps means of the whole numbers exact, so that ties are ties for both
    scaled = [tuple(float(x) * math.lcm(*range(1, 41)) for x in point) for point in points]
    groups = mdav(np.array(scaled), k)
    assert groups.tolist() == plain_mdav(scaled, k)
    sizes = Counter(groups.tolist()).values()
    assert k <= min(sizes) <= max(sizes) <= 2 * k - 1 or len(points) < 2 * k


def cost(values: list[float], runs: list[list[float]]) -> float:
    return sum(sum((v - mean(run)) ** 2 for v in run) for run in runs)


def best_cost(values: list[float], k: int) -> float:
    """Over all partitions of the sorted values into runs of k or more."""
    best = {0: 0.0}
    for end in range(1, len(values) + 1):
        options = [best[s] + cost(values, [values[s:end]]) for s in best if end - s >= k]
        if options:
            best[end] = min(options)
    return best[len(values)]


@given(st.integers(2, 4), st.lists(st.integers(-50, 50).map(float), min_size=4, max_size=16))
def test_one_column_reaches_the_optimum(k, values):
    groups = optimal_groups(np.array(values), k)
    runs = [
        [v for v, g in zip(values, groups, strict=True) if g == number] for number in set(groups.tolist())
    ]
    assert cost(values, runs) == pytest.approx(best_cost(sorted(values), k), abs=1e-6)
    assert k <= min(map(len, runs)) <= max(map(len, runs)) <= 2 * k - 1


def people(rows: int, seed: int = 1) -> Table:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    return Table(
        pa.table(
            {
                "age": age,
                "pay": np.round(rng.lognormal(10, 0.5, rows) + 100 * age, 2),
                "grade": rng.choice(["low", "mid", "high"], rows).tolist(),
                "job": rng.choice(["baker", "clerk", "smith", None], rows).tolist(),
                "ill": rng.choice(["no", "yes"], rows).tolist(),
            }
        )
    )


def test_every_combination_of_aggregated_columns_occurs_k_times():
    table = people(500)
    columns = ["age", "pay", "grade", "job"]
    done = microaggregate(table, columns, k=7, orders={"grade": ["low", "mid", "high"]})
    rows = list(zip(*(done.table.strings(name) for name in columns), strict=True))
    assert min(Counter(rows).values()) >= 7
    assert done.smallest >= 7
    assert done.largest <= 13
    assert done.table.type("age") == "integer"
    assert done.table.strings("ill") == table.strings("ill")
    assert 0 < done.loss < 1
    assert json.dumps(done.description)
    again = microaggregate(table, columns, k=7, orders={"grade": ["low", "mid", "high"]})
    assert again.table.equals(done.table)


def test_values_are_their_group_s_mean_median_and_mode():
    table = people(60)
    done = microaggregate(table, ["pay", "grade", "job"], k=4, orders={"grade": ["low", "mid", "high"]})
    for group in range(done.number):
        here = np.flatnonzero(done.groups == group)
        pays = table.numbers("pay")[here]
        assert done.table.numbers("pay")[here] == pytest.approx(np.full(len(here), pays.mean()))
        ranks = sorted(["low", "mid", "high"].index(table.strings("grade")[row] or "") for row in here)
        assert {done.table.strings("grade")[row] for row in here} == {
            ["low", "mid", "high"][ranks[(len(ranks) - 1) // 2]]
        }
        jobs = Counter(job for row in here if (job := table.strings("job")[row]) is not None)
        if jobs:
            most = min(job for job, count in jobs.items() if count == max(jobs.values()))
            assert {done.table.strings("job")[row] for row in here} == {most}


def test_loss_is_the_share_of_the_sum_of_squares_within():
    table = people(300)
    done = microaggregate(table, ["pay"], k=5, method="optimal")
    pay, new = table.numbers("pay"), done.table.numbers("pay")
    assert done.loss == pytest.approx(((pay - new) ** 2).sum() / ((pay - pay.mean()) ** 2).sum())
    assert done.column_loss == {"pay": pytest.approx(done.loss)}
    assert done.loss <= microaggregate(table, ["pay"], k=5).loss + 1e-12
    everything = microaggregate(Table(pa.table({"x": [1.0, 2, 3]})), ["x"], k=3)
    assert everything.loss == pytest.approx(1.0)
    assert microaggregate(Table(pa.table({"x": [2.0] * 9})), ["x"], k=3).loss == 0.0


def test_columns_are_scaled():
    table = people(200)
    done = microaggregate(table, ["age", "pay"], k=5)
    arrow = table.arrow.set_column(1, "pay", pa.array(table.numbers("pay") * 1024))
    assert microaggregate(Table(arrow), ["age", "pay"], k=5).groups.tolist() == done.groups.tolist()


def test_large_tables_are_halved_first(monkeypatch):
    monkeypatch.setattr(grouping, "PART", 100)
    points = np.random.default_rng(2).normal(size=(1003, 2))
    sizes = np.bincount(mdav(points, 6))
    assert (sizes.min(), sizes.max() <= 11) == (6, True)


@pytest.mark.slow
def test_thirty_thousand_rows_take_seconds():
    points = np.random.default_rng(0).normal(size=(30_162, 3))
    sizes = np.bincount(mdav(points, 10))
    assert (sizes.min(), sizes.max() < 20, sizes.sum()) == (10, True, 30_162)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"k": 1}, UsageError),
        ({"k": 3, "method": "best"}, UsageError),
        ({"k": 3, "how": "mode"}, UsageError),
        ({"k": 3, "columns": []}, UsageError),
        ({"k": 3, "method": "optimal", "columns": ["age", "pay"]}, UsageError),
        ({"k": 3, "orders": {"grade": ["low", "mid"]}, "columns": ["grade"]}, BadTable),
        ({"k": 21}, BadTable),
        ({"k": 3, "columns": ["nothing"]}, BadTable),
    ],
)
def test_what_cannot_be_aggregated_is_refused(settings, error):
    with pytest.raises(error):
        microaggregate(people(20), **{"columns": ["age"], **settings})


def test_missing_numbers_are_refused_with_a_remedy():
    with pytest.raises(BadTable, match="fill them in"):
        microaggregate(Table(pa.table({"x": [1, None, 3]})), ["x"], k=2)


values = st.lists(st.one_of(st.none(), st.integers(-9, 9).map(float)), max_size=25)


@given(values, st.data(), st.sampled_from(["mean", "median", "mode"]))
def test_aggregates_within_classes(numbers, data, how):
    classes = data.draw(st.lists(st.integers(-1, 3), min_size=len(numbers), max_size=len(numbers)))
    done = aggregate_within(np.array(classes, dtype=np.int64), numbers, how)
    for at, ours in zip(classes, done.values.tolist(), strict=True):
        here = [v for c, v in zip(classes, numbers, strict=True) if c == at and v is not None]
        if at < 0 or not here:
            assert math.isnan(ours)
            continue
        most = max(Counter(here).values())
        modes = [v for v, n in Counter(here).items() if n == most]
        assert ours == pytest.approx({"mean": mean(here), "median": median(here), "mode": min(modes)}[how])
    squares = sum(
        (v - n) ** 2
        for c, v, n in zip(classes, numbers, done.values.tolist(), strict=True)
        if v is not None and c >= 0
    )
    assert done.within == pytest.approx(squares)


def test_intervals_and_texts_within_classes():
    done = aggregate_within(np.array([0, 0, 1, -1, 2]), [18, 25.5, None, 3, 7], "interval")
    assert done.values.tolist() == ["[18, 25.5]", "[18, 25.5]", None, None, "[7, 7]"]
    assert aggregate_within(np.array([0, 0, 0, -1]), ["b", "a", None, "a"], "mode").values.tolist() == [
        "a", "a", "a", None,
    ]  # fmt: skip
    with pytest.raises(UsageError, match="texts"):
        aggregate_within(np.array([0]), ["b"], "mean")
    with pytest.raises(UsageError, match="how is"):
        aggregate_within(np.array([0]), [1], "sum")
    with pytest.raises(UsageError):
        aggregate_within(np.array([0, 1]), [1], "mean")


@pytest.mark.parametrize("k", [2.5, 2.0, "2", True, None, 1])
def test_k_is_a_whole_number(k):
    with pytest.raises(UsageError, match="whole number k"):
        microaggregate(people(20), ["age"], k=k)


def test_numbers_that_means_would_spoil_are_refused():
    for values in ([2**53 + 1, 2**53 + 3] * 3, [2**63 - 1] * 6, [1e308, 1.5e308] * 3, [1e160, 0.0] * 3):
        with pytest.raises(BadTable, match=r"beyond 2\^53|too large") as found:
            microaggregate(Table(pa.table({"x": values})), ["x"], k=np.int64(2))
        assert found.value.private


def test_intervals_are_written_to_the_last_digit():
    assert aggregate_within(np.zeros(2, int), [2**53 - 1, 2**53], "interval").values[0] == (
        "[9007199254740991, 9007199254740992]"
    )
