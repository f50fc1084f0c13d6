"""Statistics: what they cost, where they lie, and how often their intervals hold the truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import binom

from comity import statistics
from comity.errors import BadTable, BudgetRefused, UsageError
from comity.ledger import Budget, Cost, Ledger, PrivacyUnit, Relation
from comity.statistics import RandomizedResponse, UnaryEncoding

DRAW = np.random.default_rng(5)
AGES = np.clip(DRAW.normal(45, 15, 400), 0, 90)
WARDS = DRAW.choice(["heart", "lung"], size=400, p=[0.7, 0.3])
PEOPLE = DRAW.integers(0, 150, 400)
FRAME = pd.DataFrame({"age": AGES, "ward": WARDS, "person": PEOPLE})
LEVELS = {"ward": ["heart", "lung", "knee"]}
ENDS = (0.0, 90.0)

ASKED: dict[str, Any] = {
    "count": lambda **terms: statistics.count(AGES, **terms),
    "count where": lambda **terms: statistics.count(AGES, where=AGES > 40, **terms),
    "sum": lambda **terms: statistics.sum(AGES, bounds=ENDS, **terms),
    "mean": lambda **terms: statistics.mean(AGES, bounds=ENDS, **terms),
    "histogram": lambda **terms: statistics.histogram(AGES, bounds=ENDS, bins=3, **terms),
    "levels": lambda **terms: statistics.histogram(WARDS, categories=LEVELS["ward"], **terms),
    "group counts": lambda **terms: statistics.group_counts(FRAME, LEVELS, **terms),
    "group sums": lambda **terms: statistics.group_sums(FRAME, LEVELS, "age", bounds=ENDS, **terms),
    "group means": lambda **terms: statistics.group_means(FRAME, LEVELS, "age", bounds=ENDS, **terms),
}
TRUE: dict[str, Any] = {
    "count": [400.0],
    "count where": [float((AGES > 40).sum())],
    "sum": [AGES.sum()],
    "mean": [AGES.mean()],
    "histogram": np.histogram(AGES, bins=3, range=ENDS)[0],
    "levels": [(ward == WARDS).sum() for ward in LEVELS["ward"]],
    "group counts": [(ward == WARDS).sum() for ward in LEVELS["ward"]],
    "group sums": [AGES[ward == WARDS].sum() for ward in LEVELS["ward"]],
    "group means": [AGES[ward == WARDS].mean() for ward in LEVELS["ward"][:2]],
}


def figures(told: Any) -> list[Any]:
    return list(told.values()) if isinstance(told, statistics.Statistics) else [told]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_intervals_hold_the_truth_as_often_as_they_say(name: str, delta: float) -> None:
    """Of 120 intervals of 95% or more: fewer than `binom.ppf(1e-7, n, .95)` hold with probability 1e-7."""
    held, told = 0, 0
    for _ in range(120):
        for one, truth in zip(figures(ASKED[name](epsilon=0.5, delta=delta)), TRUE[name], strict=False):
            held += one.low - 1e-6 * abs(truth) <= truth <= one.high + 1e-6 * abs(truth)
            told += 1
    assert held >= binom.ppf(1e-7, told, 0.95)


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_a_statistic_costs_what_was_asked_for(name: str, delta: float) -> None:
    charged: list[Cost] = []
    told = ASKED[name](epsilon=0.3, delta=delta, charge=charged.append)
    assert charged == [told.cost]
    assert (told.cost.epsilon, told.cost.delta) == (0.3, round(delta * 1e15))
    assert (told.unit, told.relation) == (PrivacyUnit.record, Relation.add_remove)
    assert "per record (add-remove)" in str(told)
    assert told.to_dict()["cost"] == told.cost.to_dict()


@pytest.mark.parametrize("name", [name for name in ASKED if name != "mean"])
def test_outputs_lie_on_a_grid_that_the_values_do_not_move(name: str) -> None:
    """Mironov's attack needs floats whose last bits depend on the value: here every output is a whole number
    of one public step."""
    step = 2.0**-28 * 128 if "sum" in name else 1.0
    if name == "group means":
        return
    for one in figures(ASKED[name](epsilon=0.5)):
        assert (one.value / step).is_integer()
    fine = step * 2.0**-40
    for one in figures(ASKED[name](epsilon=0.5, delta=1e-6)):
        assert (one.value / fine).is_integer()


def test_a_person_has_more_noise_and_a_cap() -> None:
    told = statistics.count(AGES, epsilon=1.0, unit=PEOPLE, max_rows=3)
    assert told.unit == PrivacyUnit.person
    alone = statistics.count(AGES, epsilon=1.0)
    assert told.high - told.low > 2 * (alone.high - alone.low)
    capped = sum(min(3, int((one == PEOPLE).sum())) for one in range(150))
    assert abs(told.value - capped) < 80  # Laplace noise of scale 3: beyond with probability 3e-12
    by_name = statistics.group_counts(FRAME, LEVELS, epsilon=1.0, unit="person", max_rows=3)
    assert by_name.unit == PrivacyUnit.person


class Unreadable:
    """A column none of whose values can be taken."""

    def __len__(self) -> int:
        return 3

    def __array__(self, *_: Any) -> Any:
        raise AssertionError("a value was read")


def test_an_exhausted_account_refuses_before_anything_is_read() -> None:
    with Ledger.open(":memory:") as ledger:
        ledger.open_account("north/patients/record", Budget(1.0, 1e-6))

        def charge(cost: Cost) -> None:
            ledger.charge(cost, account="north/patients/record")

        statistics.quantiles(AGES, bounds=ENDS, epsilon=0.6, charge=charge)
        for ask in ASKED.values():
            with pytest.raises(BudgetRefused):
                ask(epsilon=0.6, charge=charge)
        with pytest.raises(BudgetRefused):
            statistics.mean(Unreadable(), bounds=ENDS, epsilon=0.6, charge=charge)


def test_quantiles_cover() -> None:
    """80 intervals of 95%: fewer than `binom.ppf` at 1e-7 hold with that probability. A median's epsilon of
    .5 leaves it within 60 ranks but for 1001 e^-30."""
    ordered = np.sort(AGES)
    held = near = 0
    for _ in range(40):
        told = statistics.quantiles(AGES, [0.3, 0.5], bounds=ENDS, epsilon=2.0)
        assert told.cost.epsilon is not None
        assert 1.99 < told.cost.epsilon <= 2.0
        for share in (0.3, 0.5):
            truth = ordered[int(share * 400)]
            held += told[share].low - 0.1 <= truth <= told[share].high + 0.1
        near += abs(np.searchsorted(ordered, told[0.5].value) - 200) < 60
    assert held >= binom.ppf(1e-7, 80, 0.95)
    assert near >= 20


def test_quantiles_of_nobody_are_anything() -> None:
    told = statistics.quantiles(np.zeros(0), 0.5, bounds=ENDS, epsilon=1.0, interval=False)
    assert 0 <= told[0.5].value <= 90
    assert (told[0.5].low, told[0.5].high) == ENDS


def test_a_mean_of_a_public_number_says_so() -> None:
    told = statistics.mean(AGES, bounds=ENDS, epsilon=1.0, records=400)
    assert told.relation == Relation.change_one
    assert abs(told.value - AGES.mean()) < 90 * 30 / 400  # 30 scales of the noise: e^-30
    with pytest.raises(UsageError) as refused:
        statistics.mean(AGES, bounds=ENDS, epsilon=1.0, records=399)
    assert refused.value.private


def test_frames_of_both_kinds_and_several_columns() -> None:
    by = {"ward": ["heart", "lung"], "person": [0, 1]}
    for frame in (FRAME, pl.from_pandas(FRAME)):
        told = statistics.group_counts(frame, by, epsilon=50.0)
        assert list(told) == [("heart", 0), ("heart", 1), ("lung", 0), ("lung", 1)]
        truth = ((WARDS == "heart") & (PEOPLE == 1)).sum()
        assert round(told["heart", 1].value) == truth  # wrong with probability 2 e^-50


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: statistics.count(AGES, epsilon=0),
        lambda: statistics.count(AGES, epsilon=1, delta=1),
        lambda: statistics.count(AGES, epsilon=1, max_rows=2),
        lambda: statistics.count(AGES, epsilon=1, where=[True]),
        lambda: statistics.histogram(AGES, epsilon=1),
        lambda: statistics.histogram(AGES, bounds=ENDS, categories=[1, 2], epsilon=1),
        lambda: statistics.histogram(AGES, bins=[3, 2, 1], epsilon=1),
        lambda: statistics.group_counts(FRAME, {}, epsilon=1),
        lambda: statistics.group_counts(FRAME, {"ward": ["a", "a"]}, epsilon=1),
        lambda: statistics.quantiles(AGES, [0.0], bounds=ENDS, epsilon=1),
        lambda: statistics.quantiles(AGES, bounds=ENDS, epsilon=1, grid=[2, 1]),
        lambda: statistics.sum(AGES, bounds=None, epsilon=1),
        lambda: RandomizedResponse(["a"], 1.0),
        lambda: RandomizedResponse(["a", "b"], 0.0),
        lambda: UnaryEncoding(["a", "a"], 1.0),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):
        wrong()


def test_that_there_are_too_many_records_is_the_holder_s_to_know() -> None:
    with pytest.raises(UsageError, match="fewer than") as told:
        statistics.count(range(2**31), epsilon=1.0)
    assert told.value.private


def test_results_are_frozen() -> None:
    told = statistics.histogram(AGES, bounds=ENDS, bins=2, epsilon=1.0)
    with pytest.raises(AttributeError):
        told.cost = None  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        told.values_[0] = 1


@pytest.mark.parametrize("name", ["count", "sum", "mean", "median"])
def test_no_guess_of_membership_beats_the_bound(name: str) -> None:
    """One record more or not, by a fair coin; the adversary guesses by the likelier side, and knows the rest.
    More right guesses than `binom.isf(1e-7)` at e / (1 + e) have probability 1e-7."""
    asked: dict[str, Any] = {
        "count": lambda rows: statistics.count(rows, epsilon=1.0).value > 5.5,
        "sum": lambda rows: statistics.sum(rows, bounds=(0, 1), epsilon=1.0).value > 0.5,
        "mean": lambda rows: statistics.mean(rows, bounds=(0, 1), epsilon=1.0).value > 0.08,
        "median": lambda rows: statistics.quantiles(
            rows, 0.5, bounds=(0, 1), grid=1, epsilon=1.0, interval=False
        )[0.5].value > 0.5,
    }  # fmt: skip
    coins = DRAW.random(800) < 0.5
    rows = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    right = sum(asked[name](rows if coin else rows[:-1]) == coin for coin in coins)
    assert right <= binom.isf(1e-7, 800, math.e / (1 + math.e))


@pytest.mark.parametrize("levels", [[0, 1], [False, True], np.array([0, 1])])
def test_a_histogram_of_levels_that_are_numbers(levels: Any) -> None:
    told = statistics.histogram(np.array([levels[1]] * 500), categories=levels, epsilon=50.0)
    assert [round(told[key].value) for key in told] == [0, 500]  # wrong with probability below 1e-20


def test_a_wrong_column_is_told_before_it_costs_anything() -> None:
    charged: list[Cost] = []
    terms: dict[str, Any] = {"epsilon": 1.0, "charge": charged.append}
    for asked in (
        lambda: statistics.group_counts(FRAME, {"wing": ["a"]}, **terms),
        lambda: statistics.group_counts(FRAME, LEVELS, unit="nobody", **terms),
        lambda: statistics.group_sums(FRAME, LEVELS, "weight", bounds=ENDS, **terms),
        lambda: statistics.group_means(FRAME, LEVELS, "weight", bounds=ENDS, **terms),
    ):
        with pytest.raises(BadTable, match="has no column"):
            asked()
    assert charged == []


def test_persons_with_long_ids_take_each_other_s_places_nowhere() -> None:
    frame = pd.DataFrame({"person": np.arange(2**60, 2**60 + 300), "ward": "lung"})
    for unit in ("person", frame["person"], pl.Series([*frame["person"].tolist()[:-1], None])):
        told = statistics.group_counts(frame, LEVELS, epsilon=50.0, unit=unit)["lung"]
        assert told.value > 298.5  # 300 or 299 people; wrong with probability below 1e-20


@pytest.mark.parametrize(
    "asked",
    [
        lambda: statistics.count({"age": [1, 2]}, epsilon=1.0),
        lambda: statistics.count("abc", epsilon=1.0),
        lambda: statistics.count(np.array(3), epsilon=1.0),
        lambda: statistics.sum([1], bounds=(0, 1), epsilon=10**400),
        lambda: statistics.sum([1], bounds=(0, 10**400), epsilon=1.0),
        lambda: statistics.quantiles([1], None, bounds=(0, 1), epsilon=1.0),  # pyright: ignore[reportArgumentType]
        lambda: statistics.quantiles([1], bounds=(0, 1), grid="ab", epsilon=1.0),
        lambda: statistics.histogram([1], bounds=(0, 1), bins="ab", epsilon=1.0),
        lambda: RandomizedResponse(5, epsilon=1.0),  # pyright: ignore[reportArgumentType]
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_words(asked: Any) -> None:
    with pytest.raises(UsageError):
        asked()


DATES = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")
WORDS = pl.Series(["a", "b"])
TYPED = pl.DataFrame({"sex": ["f", "m"], "age": ["40", "50"], "born": DATES, "person": [1, 2]})
WRONG = {
    "sum of text": lambda **more: statistics.sum(WORDS, bounds=ENDS, **more),
    "mean of dates": lambda **more: statistics.mean(DATES, bounds=ENDS, **more),
    "mean of known": lambda **more: statistics.mean(WORDS, bounds=ENDS, records=2, **more),
    "histogram of text": lambda **more: statistics.histogram(np.array(["a", "b"]), bounds=ENDS, **more),
    "histogram of numbers": lambda **more: statistics.histogram(
        np.array([1, 2]), categories=["1", "2"], **more
    ),
    "quantiles of text": lambda **more: statistics.quantiles(WORDS, bounds=ENDS, **more),
    "group sums of text": lambda **more: statistics.group_sums(
        TYPED, {"sex": ["f", "m"]}, "age", bounds=ENDS, **more
    ),
    "group means of dates": lambda **more: statistics.group_means(
        TYPED.lazy(), {"sex": ["f", "m"]}, "born", bounds=ENDS, **more
    ),
    "where too short": lambda **more: statistics.count([1, 2, 3], where=[True], **more),
    "where of numbers": lambda **more: statistics.count([1, 2], where=np.array([1, 0]), **more),
    "too few ids": lambda **more: statistics.sum([1, 2, 3], bounds=ENDS, unit=["a"], **more),
    "too few ids of groups": lambda **more: statistics.group_counts(
        TYPED, {"sex": ["f", "m"]}, unit=np.array([1]), **more
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_schema_tells_is_refused_before_it_costs_anything(name: str) -> None:
    charged: list[Cost] = []
    with pytest.raises(UsageError, match=r"stored as|one each is needed|there are 1"):
        WRONG[name](epsilon=0.5, charge=charged.append)
    assert charged == []


def test_a_price_is_told_as_it_was_asked_and_never_below_what_was_spent() -> None:
    told = statistics.quantiles(AGES, [0.25, 0.5, 0.75], bounds=ENDS, epsilon=0.5, interval=False)
    assert told.cost.epsilon is not None
    assert told.cost.epsilon < 0.5
    assert "epsilon 0.5 per record" in str(told)
    assert "epsilon 0.123457 per" in str(statistics.count(AGES, epsilon=0.12345601))
    assert "epsilon 120 per" in str(statistics.count(AGES, epsilon=120.0))
