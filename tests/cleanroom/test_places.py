"""How many blocks are run and how many units share one: by public numbers and a noisy count alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from comity.cleanroom import statistic
from comity.cleanroom.blocks import Ran
from comity.cleanroom.job import Blocks, Job, Kind, Output
from comity.cleanroom.places import choose, most_places
from comity.cleanroom.price import RoomPrice
from comity.errors import BadInput
from comity.ledger import PrivacyUnit


def job(together: int = 64, most: int = 2_000, **more: Any) -> Job:
    settings: dict[str, Any] = {
        "title": "t",
        "source": "",
        "columns": ("age",),
        "kind": Kind.statistic,
        "outputs": (Output("told", 100, norm=1.0),),
        "parameters": {},
        "blocks": Blocks(most=most, together=together),
    }
    return Job(**(settings | more))


def lot_of(counted: int, epsilon: float = 1.0, together: int = 64, most_rows: int = 1) -> Any:
    asked = job(together)
    return choose(asked, RoomPrice.of(asked, epsilon, 1e-6, PrivacyUnit.record), counted, most_rows)


def test_small_tables_and_small_epsilons_are_heard_one_unit_at_a_time() -> None:
    for counted, epsilon in ((-5, 1.0), (0, 1.0), (500, 1.0), (12_000, 0.1)):
        assert lot_of(counted, epsilon).alone
    assert lot_of(500).drawn == 1.0


def test_large_tables_are_heard_in_the_same_time() -> None:
    """More units share a block the more there are; the places, and so the answer's time, stay."""
    heard = {counted: lot_of(counted) for counted in (12_000, 100_000, 333_333, 10_000_000)}
    shared = [lot.together for lot in heard.values()]
    assert shared == sorted(shared)
    assert shared[-1] == 64
    assert heard[333_333].drawn * 333_333 > 100_000
    assert all(lot.places <= 2_000 for lot in heard.values() if not lot.alone)


def test_no_block_has_more_rows_than_the_job_declares() -> None:
    assert lot_of(333_333, together=1).alone
    assert lot_of(333_333, together=10).together == 8
    # ten rows of a person count: six persons fill a block
    assert lot_of(333_333, most_rows=10).together == 4
    assert lot_of(333_333, most_rows=100).alone


def test_the_lot_with_the_least_error_is_taken() -> None:
    """Its twin: every lot, by the same formula as in words."""
    asked = job()
    price = RoomPrice.of(asked, 1.0, 1e-6, PrivacyUnit.record)
    for counted in (20_000, 200_000):
        found = choose(asked, price, counted, 1)
        errors = {}
        for together in (2, 4, 8, 16, 32, 64):
            drawn = min(1.0, 2_000 * together / counted)
            noise = price.multiplier(drawn) * 2 * together**0.5
            errors[together] = 1 / (counted * drawn) + 100 * noise**2 / (counted * drawn) ** 2
        assert found.together == min(errors, key=lambda together: errors[together])


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 3.0])
@pytest.mark.parametrize("together", [1, 64])
def test_no_count_makes_more_places_than_were_foreseen(epsilon: float, together: int) -> None:
    """So the latest first time of an answer follows from the job alone."""
    asked = job(together)
    price = RoomPrice.of(asked, epsilon, 1e-6, PrivacyUnit.record)
    for counted in (-100_000, 0, 1_999, 2_000, 2_001, 5_000, 10_000, 123_457, 1_000_000, 1 << 40):
        lot = choose(asked, price, counted, 1)
        assert 1 <= lot.places <= most_places(asked)
        # places for all that there can be, for that count, and 6 deviations more
        room = price.room(counted)
        expected = room * lot.drawn
        if lot.alone:
            assert lot.places >= min(room, expected + 6 * (expected * (1 - lot.drawn)) ** 0.5)
    assert most_places(job(blocks=Blocks(number=7))) == 7
    with pytest.raises(BadInput, match="how many blocks"):
        choose(job(blocks=Blocks(number=7)), price, 5, 1)


@pytest.mark.parametrize("units", [100, 100_000])
def test_places_and_time_follow_from_the_count_that_was_told(
    units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tables that differ in everything but the noisy count leave at the same time, with as much noise."""
    left: list[float] = []
    monkeypatch.setattr(statistic, "leave_at", lambda begun, first: left.append(first))
    monkeypatch.setattr(RoomPrice, "count", lambda self, units: 50_000)
    asked = job()

    def nothing(job: Job, parameters: Any, matrix: Any, places: Any, number: int) -> Ran:
        assert places.shape == (len(matrix),)
        assert places.max() < number
        return Ran.failed(job, number, "")

    monkeypatch.setattr(statistic, "run_blocks", nothing)
    price = RoomPrice.of(asked, 1.0, 1e-6, PrivacyUnit.record)
    found, _ = statistic.answer(asked, {}, np.zeros((units, 1)), np.arange(units), price)
    lot = choose(asked, price, 50_000, 1)
    assert (found.drawn, found.units, found.together) == (lot.drawn, 50_000, lot.together)
    assert found.together > 1
    assert found.deviations["told"] == price.deviation(1.0, 1.0, lot)
    assert left == [statistic.leaves_after(lot.places, 0.005)]
