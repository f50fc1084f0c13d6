"""The price of a job of statistics: its noise, held against an independent accountant, and attacked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import pld_privacy_accountant
from hypothesis import given
from hypothesis import strategies as st

from comity.attack.label import infer_labels
from comity.cleanroom.job import Blocks, Job, Kind, Output
from comity.cleanroom.lot import Lot
from comity.cleanroom.price import RoomPrice, multiplier, whole_vectors
from comity.cleanroom.statistic import Answer, answer
from comity.errors import BadInput, UsageError
from comity.ledger import PrivacyUnit, Relation, gaussian_noise_multiplier

EPSILON, DELTA = 1.0, 9e-7
ALONE, TEN = Lot(1.0, 100), Lot.of_all(10)
SHARED = Lot(0.2, 10, alone=False, together=16)


def job(length: int = 3, number: int | None = None, **more: Any) -> Job:
    outputs = (Output("told", length, norm=1.0),)
    settings: dict[str, Any] = {
        "title": "t",
        "source": "",
        "columns": ("age",),
        "kind": Kind.statistic,
        "outputs": outputs,
        "parameters": {},
        "blocks": Blocks(number=number),
    }
    return Job(**(settings | more))


def price(**more: Any) -> RoomPrice:
    return RoomPrice.of(job(**more), EPSILON, DELTA, PrivacyUnit.record)


@pytest.mark.parametrize(
    ("epsilon", "drawn"), [(0.05, 0.05), (0.05, 0.9), (0.3, 0.3), (1.0, 0.05), (1.0, 0.9)]
)
def test_noise_of_a_lot_is_that_of_an_independent_accountant(epsilon: float, drawn: float) -> None:
    """dp-accounting's loss distributions, in steps of 1e-4, pessimistic: they find at most a little more."""
    scale = multiplier(epsilon, 1e-6, drawn)
    accountant = pld_privacy_accountant.PLDAccountant(value_discretization_interval=1e-4)
    accountant.compose(dp_event.PoissonSampledDpEvent(drawn, dp_event.GaussianDpEvent(scale)))
    assert accountant.get_epsilon(1e-6) == pytest.approx(epsilon, rel=0.005, abs=2e-4)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
def test_without_a_lot_it_is_the_analytic_gaussian(epsilon: float) -> None:
    assert multiplier(epsilon, 1e-6, 1.0) == pytest.approx(gaussian_noise_multiplier(epsilon, 1e-6), rel=1e-4)


def test_fewer_units_drawn_need_less_noise() -> None:
    scales = [multiplier(EPSILON, DELTA, drawn) for drawn in (0.01, 0.1, 0.5, 1.0)]
    assert scales == sorted(scales)
    for wrong in ((0.0, 1e-6, 1.0), (1.0, 0.0, 1.0), (1.0, 1e-6, 0.0), (1.0, 1e-6, 1.1)):
        with pytest.raises(UsageError):
            multiplier(*wrong)


def test_the_cost_states_unit_and_relation() -> None:
    cost = price().cost
    assert (cost.unit, cost.relation) == (PrivacyUnit.record, Relation.add_remove)
    # 5% of epsilon goes to the count of units where a lot draws them
    assert price(number=10).deviation(1.0, 1.0, TEN) > 1.9 * price().deviation(1.0, 1.0, ALONE) * 0.95
    with pytest.raises(UsageError, match="too small"):
        RoomPrice.of(job(), 1.0, 1e-13, PrivacyUnit.record)


entries = st.floats(allow_nan=True, allow_infinity=True) | st.floats(1e-323, 1e-150) | st.just(1e308)
vectors = st.lists(st.lists(entries, min_size=3, max_size=3), min_size=0, max_size=6)


@given(vectors, st.integers(-90, 90), st.integers(-300, 300), st.sampled_from([ALONE, TEN, SHARED]))
@pytest.mark.hypothesis
def test_no_vector_moves_the_sum_by_more_than_its_norm(
    drawn: list[list[float]], norm: int, scale: int, lot: Lot
) -> None:
    """The exact sums, noise taken away: whatever a block gives, however small or large, its part is cut."""
    quiet, norm_of_block = _Quiet.of(job(), EPSILON, DELTA, PrivacyUnit.record), lot.cut(10.0**norm)
    with np.errstate(over="ignore", invalid="ignore"):
        given_ = np.array(drawn, dtype=np.float64).reshape(len(drawn), 3) * 10.0**scale
    whole = quiet.noisy(given_, 10.0**norm, 1.0, lot)
    for gone in range(len(given_)):
        less = quiet.noisy(np.delete(given_, gone, axis=0), 10.0**norm, 1.0, lot)
        assert np.linalg.norm((whole - less) / norm_of_block) <= 1.0 + 1e-12


@pytest.mark.parametrize("entry", [1e-195, 1e-320, 1e-160, 3.0, 1e160, 1.7e308])
@pytest.mark.parametrize("norm", [1e-100, 1.0, 1e100])
def test_a_cut_is_a_cut_where_squares_underflow_or_overflow(entry: float, norm: float) -> None:
    """The root of the sum of squares is 0 or infinite for some of these, which would cut nothing."""
    whole = whole_vectors(np.array([[entry, -entry, 0.0], [0.0, np.nan, entry]]), norm)
    assert np.sqrt(np.square(whole[0].astype(np.float64)).sum()) <= 2**26
    assert not whole[1].any()
    if entry > norm:
        assert whole[0, 0] == -whole[0, 1] > 0.99 * 2**26 / math.sqrt(2)


def test_norms_and_shares_beyond_all_reason_are_refused_before_a_charge() -> None:
    for norm in (1e-200, 1e200, 0.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="a norm above 0"):
            job(outputs=(Output("told", 3, norm=norm),))
    with pytest.raises(BadInput, match="share"):
        job(outputs=(Output("told", 3, norm=1.0, share=1e-30),))


class _Quiet(RoomPrice):
    """The same without noise."""

    def noisy(self, vectors: Any, norm: float, part: float, lot: Lot) -> Any:
        from unittest import mock

        with mock.patch("comity.noise.add_discrete_gaussian", lambda values, sigma: values):
            return super().noisy(vectors, norm, part, lot)


def test_places_hold_all_units() -> None:
    """They do but for a chance of 1e-9 each time: three times, false alarm 3e-9."""
    for units in (0, 5, 10_000):
        counted = price().count(units)
        assert price().room(counted) >= units
        assert abs(counted - units) < 20 * 35 / EPSILON


def canary(lot: Lot, number: int | None) -> Any:
    """Guess from what leaves whether a coin-flip record was there that moves the sum by all that it may."""
    used = price(length=1, number=number)
    move = float(lot.moved)

    def draw(count: int) -> Any:
        return np.array([used.noisy(np.zeros((0, 1)), 1.0, 1.0, lot) for _ in range(count)])

    return infer_labels(draw, np.array([move]), epsilon=EPSILON, delta=1e-6, trials=2_000, seed=3)


@pytest.mark.parametrize(("lot", "number"), [(ALONE, None), (TEN, 10)])
def test_a_job_that_gives_all_it_may_for_one_record_stays_under_the_bound(
    lot: Lot, number: int | None
) -> None:
    """2,000 trials. The best guess reaches 0.10, the bound is 0.46: the upper end of the interval would have
    to be 14 deviations (of 0.022) off, so the false-alarm rate is far below 1e-6."""
    found = canary(lot, number)
    assert found.bound is not None
    assert found.advantage < found.bound
    assert found.high < found.bound


def test_noise_covers_a_record_that_turns_the_vector_of_its_block_round() -> None:
    """Drawn with its probability, it makes what is minus the most that leaves plus the most: exact sums."""
    quiet, lot = _Quiet.of(job(), EPSILON, DELTA, PrivacyUnit.record), SHARED
    before = quiet.noisy(np.array([[-1e9, 0.0, 0.0]]), 3.0, 1.0, lot)
    after = quiet.noisy(np.array([[1e9, 0.0, 0.0]]), 3.0, 1.0, lot)
    moved = float(np.linalg.norm(after - before))
    assert moved == pytest.approx(2 * 3.0 * math.sqrt(16), rel=1e-6)
    assert quiet.deviation(3.0, 1.0, lot) >= quiet.multiplier(lot.drawn) * moved
    # a seventh of the privacy needs noise that is wider by the root of seven
    assert quiet.deviation(3.0, 1 / 7, lot) == pytest.approx(quiet.deviation(3.0, 1.0, lot) * math.sqrt(7))


def test_low_bits_tell_nothing() -> None:
    """A job that hides a record in the low bits of its output: noise covers the whole grid.

    1,000 answers of tables that differ in the low bits of one vector. The parity of the noisy whole number is
    a fair coin for both: 125 off of 1,000 is 7.9 deviations, false alarm below 1e-14.
    """
    used = price(length=1)
    unit = (1 << 26) / 1.0
    hidden = [np.array([[0.25]]), np.array([[0.25 + 1 / unit]])]
    for table in hidden:
        answers = [used.noisy(table, 1.0, 1.0, ALONE)[0] * unit for _ in range(1_000)]
        odd = sum(round(value) % 2 for value in answers)
        assert abs(odd - 500) < 125


def test_an_answer_is_read_back(sandboxed: None, rooms: Any) -> None:
    source = "def run(rows, parameters):\n    return {'told': [len(rows['age']) / 10]}\n"
    asked = rooms.blocks(source)
    units = np.arange(30)
    found, ran = answer(
        asked, {}, np.full((30, 1), 40.0), units, RoomPrice.of(asked, 3.0, 1e-6, PrivacyUnit.record)
    )
    body, parts = found.to_message()
    read = Answer.from_message(asked, body, parts)
    assert read.sums["told"].tolist() == found.sums["told"].tolist()
    assert (read.drawn, read.units, read.together) == (found.drawn, found.units, 1)
    assert ran.rows == ran.gave.sum()
    assert ran.gave.sum() == (30 if found.drawn == 1.0 else ran.gave.sum())
    # 30 tenths, noise of deviation below 3: 40 away is more than 12 deviations
    assert abs(read.sums["told"][0] - 3.0) < 40
    wrong: list[tuple[Any, Any]] = [
        ({**body, "drawn": 0.0}, parts),
        ({**body, "units": "many"}, parts),
        ({**body, "together": 0}, parts),
        ({**body, "deviations": {"told": -1.0}}, parts),
        (body, {}),
        (body, {"told": b"123"}),
        (body, {"told": np.array([math.nan]).tobytes()}),
        (body, {"told": np.zeros(2).tobytes()}),
    ]
    for bad in wrong:
        with pytest.raises(BadInput):
            Answer.from_message(asked, *bad)


@pytest.mark.parametrize("number", [None, 7])
def test_persons_are_blocks_with_all_their_rows(number: int | None, sandboxed: None, rooms: Any) -> None:
    from comity.cleanroom.blocks import places_by_lot, places_of_each, run_blocks

    source = "def run(rows, parameters):\n    return {'told': [len(rows['age'])]}\n"
    units = np.array([0, 0, 1, 2, 2, 2, -1])
    lots = (places_of_each if number is None else places_by_lot)(3, 7, 1.0)
    places = np.where(units >= 0, lots[units], -1)
    ran = run_blocks(rooms.blocks(source), {}, np.full((7, 1), 40.0), places, 7)
    assert ran.vectors["told"].sum() == 6.0
    if number is None:
        assert sorted(ran.vectors["told"].ravel().tolist()) == [0, 0, 0, 0, 1, 2, 3]
