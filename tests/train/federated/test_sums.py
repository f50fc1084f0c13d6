"""The sum is exact under every drop-out pattern that the threshold allows, and stays closed under the
others."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from comity.errors import PartyFailed
from comity.train.federated.clients import (
    KEYS,
    MASKED,
    REVEAL,
    ROUND_STAGES,
    SETUP,
    SHARES,
    SURVIVORS,
    TAKE,
    TRAIN,
)
from comity.train.federated.memory import Assembly, assemble
from comity.train.federated.records import arrays_of
from comity.train.federated.servers import run_server, secure_steps

ROUNDS = 2
PLACES = [(stage, -1) for stage in SETUP] + [(stage, at) for at in range(ROUNDS) for stage in ROUND_STAGES]


class Sums:
    """A conversation that asks for nothing and keeps what is opened."""

    def __init__(self) -> None:
        self.opened: list[np.ndarray] = []

    def question(self, number: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        return {}, {"what": "a vector"}

    def answer(self, number: int, sums: np.ndarray, survivors: int) -> None:
        self.opened.append(sums)


def vector(name: str, number: int, length: int = 5) -> np.ndarray:
    """Whole numbers over the whole range that sums have room for, other ones for each member and round."""
    draw = np.random.default_rng([ord(name), number])
    return draw.integers(-(2**60), 2**60, size=length, dtype=np.int64)


def play(members: int, threshold: int, gone: Mapping[str, tuple[str, int]]) -> tuple[Sums, Assembly]:
    """Run all rounds; `gone` says before which answer a member drops out."""
    names = "abcdefg"[:members]
    together = assemble(
        {name: lambda number, arrays, config, name=name: vector(name, number) for name in names},
        rounds=ROUNDS,
        threshold=threshold,
        drops=lambda name, stage, number: gone.get(name) == (stage, number),
    )
    sums = Sums()
    run_server(together.grid, together.secure, secure_steps(together.secure, sums), {}, ROUNDS)
    return sums, together


def expected(members: int, gone: Mapping[str, tuple[str, int]]) -> list[np.ndarray]:
    """The sum per round over those whose masked vector came."""
    totals = []
    for number in range(ROUNDS):
        total = np.zeros(5, dtype=np.int64)
        for name in "abcdefg"[:members]:
            stage, at = gone.get(name, (REVEAL, ROUNDS))
            sent = at > number or (at == number and stage != TRAIN)
            total += vector(name, number) if sent else 0
        totals.append(total)
    return totals


@st.composite
def patterns(draw: st.DrawFn) -> tuple[int, int, dict[str, tuple[str, int]]]:
    members = draw(st.integers(3, 7))
    threshold = draw(st.integers(members // 2 + 1, members))
    count = draw(st.integers(0, members - threshold))
    who = draw(st.permutations("abcdefg"[:members]))[:count]
    return members, threshold, {name: draw(st.sampled_from(PLACES)) for name in who}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(patterns())
def test_the_sum_is_exact_under_drop_outs(pattern: tuple[int, int, dict[str, tuple[str, int]]]) -> None:
    members, threshold, gone = pattern
    sums, _ = play(members, threshold, gone)
    for opened, total in zip(sums.opened, expected(members, gone), strict=True):
        assert np.array_equal(opened, total)


@pytest.mark.parametrize("where", PLACES, ids=lambda where: f"{where[0]}@{where[1]}")
def test_one_of_three_may_drop_out_anywhere(where: tuple[str, int]) -> None:
    for name in "ac":
        sums, _ = play(3, 2, {name: where})
        for opened, total in zip(sums.opened, expected(3, {name: where}), strict=True):
            assert np.array_equal(opened, total)


@pytest.mark.parametrize("where", PLACES, ids=lambda where: f"{where[0]}@{where[1]}")
def test_below_the_threshold_nothing_of_the_round_opens(where: tuple[str, int]) -> None:
    names = "abcde"
    together_gone = dict.fromkeys(names[:2], where)
    sums = Sums()
    together = assemble(
        {name: lambda number, arrays, config, name=name: vector(name, number) for name in names},
        rounds=ROUNDS,
        threshold=4,
        drops=lambda name, stage, number: together_gone.get(name) == (stage, number),
    )
    with pytest.raises(PartyFailed, match="3 of 5 members are left and the threshold is 4"):
        run_server(together.grid, together.secure, secure_steps(together.secure, sums), {}, ROUNDS)
    assert len(sums.opened) == max(where[1], 0)


def test_two_drop_outs_at_all_pairs_of_places() -> None:
    """Pairs of places for one pair of five; Hypothesis varies who, where and how many."""
    for one, two in product(PLACES[::3], PLACES[1::3]):
        gone = {"b": one, "e": two}
        sums, _ = play(5, 3, gone)
        for opened, total in zip(sums.opened, expected(5, gone), strict=True):
            assert np.array_equal(opened, total)


def words(value: int, length: int = 1 << 15) -> list[np.ndarray]:
    """What the server gets of each member of three whose vectors are all the same number."""
    together = assemble(
        {name: lambda n, a, c: np.full(length, value, dtype=np.int64) for name in "abc"},
        rounds=1,
        threshold=3,
    )
    sums = Sums()
    run_server(together.grid, together.secure, secure_steps(together.secure, sums), {}, 1)
    assert (sums.opened[0] == 3 * value).all()
    return [arrays_of(content)[MASKED] for _, stage, content in together.seen if stage == TRAIN]


@pytest.mark.parametrize("value", [0, 2**61, -1])
def test_the_servers_view_of_one_masked_vector_is_uniform(value: int) -> None:
    """Chi-squared over bytes, two-sided, of every member's words, of neighbours' differences and of two
    members' differences (sums of two would be masked no less): 7 tests of 1e-8 each way and 3 values, so a
    false alarm has a probability below 21 * 2e-8 = 4.2e-7."""
    seen = words(value)
    looked_at = [*seen, *(np.diff(each) for each in seen), seen[0] - seen[1]]
    for each in looked_at:
        counts = np.bincount(each.astype("<u8").view(np.uint8), minlength=256)
        statistic = float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
        assert chi2.ppf(1e-8, 255) < statistic < chi2.isf(1e-8, 255)


def test_the_uniformity_test_sees_what_is_not_masked() -> None:
    counts = np.bincount(np.arange(1 << 15, dtype="<u8").view(np.uint8), minlength=256)
    assert float(((counts - counts.mean()) ** 2 / counts.mean()).sum()) > chi2.isf(1e-8, 255)


def test_no_two_members_or_rounds_share_words() -> None:
    _, together = play(4, 3, {})
    sent = [arrays_of(content)[MASKED] for _, stage, content in together.seen if stage == TRAIN]
    for one, two in combinations(sent, 2):
        assert not (one == two).any()


def test_stages_come_in_their_order() -> None:
    _, together = play(3, 3, {})
    of_one = [stage for name, stage, _ in together.seen if name == "a"]
    assert of_one == [KEYS, SHARES, TAKE, TRAIN, SURVIVORS, REVEAL, TRAIN, SURVIVORS, REVEAL]
