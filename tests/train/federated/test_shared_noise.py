"""The sum carries the noise that the guarantee needs, and the account what the grid and the parts cost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from comity import noise
from comity.errors import UsageError
from comity.ledger import PrivacyUnit
from comity.ledger.calibration import gaussian_delta
from comity.mechanism import Sums
from comity.train.federated.shared_noise import SharedNoise

CAP = 1 << 24
RELEASES = (Sums(200, CAP, CAP, 0.2), Sums(400, CAP, CAP, 0.4, 2))
NOISE = SharedNoise(1.0, 9e-7, PrivacyUnit.record, RELEASES, members=5, threshold=4, colluders=1)
ROUNDS = range(3)


def test_what_is_left_after_drop_outs_and_colluders_is_what_the_guarantee_needs() -> None:
    """threshold - colluders parts are left in the worst case; all rounds together are one Gaussian
    mechanism."""
    inverse = grid = 0.0
    for number, share in zip(ROUNDS, (0.2, 0.4, 0.4), strict=True):
        needed, part = NOISE.needed(number), NOISE.part(number)
        assert part.scale**2 * (NOISE.threshold - NOISE.colluders) >= needed.scale**2
        assert part.shift == needed.shift
        assert NOISE.carried(number, 5) ** 2 == pytest.approx(NOISE.excess * needed.deviation**2)
        assert needed.deviation == pytest.approx(NOISE.multiplier * CAP / math.sqrt(share))
        inverse += (CAP / needed.deviation) ** 2
        size = NOISE.release(number).dimensions
        grid += noise.discretisation_delta(needed.scale, size, NOISE.epsilon)
    assert gaussian_delta(inverse**-0.5, NOISE.epsilon) + grid <= NOISE.delta
    assert grid < 1e-3 * NOISE.delta
    assert NOISE.excess == pytest.approx(5 / 3)


def test_a_lone_member_adds_what_one_holder_would() -> None:
    """One implementation of the accounting: the same list of releases, the same noise."""
    from comity.mechanism import gaussian

    alone = replace(NOISE, members=1, threshold=1, colluders=0)
    assert alone.calibrated == gaussian(RELEASES, NOISE.epsilon, NOISE.delta)


def test_the_cost_is_the_whole_session_once() -> None:
    cost = NOISE.cost
    assert (cost.unit, cost.relation) == ("record", "add-remove")
    assert cost.delta >= round(NOISE.delta * 1e15)
    person = replace(
        NOISE, unit=PrivacyUnit.person, releases=tuple(replace(one, l2=3 * one.l2) for one in RELEASES)
    )
    assert person.needed(0).deviation == pytest.approx(3 * NOISE.needed(0).deviation)
    assert person.cost.unit == "person"


def test_a_members_part_has_the_stated_scale_and_cannot_leave_its_room() -> None:
    """Two-sided chi-squared of 20,000 draws at 1e-7 each way; a false alarm has probability 2e-7."""
    part = NOISE.part(0)
    drawn = NOISE.add_part(0, np.zeros(20_000, dtype=np.int64)) / part.scale
    statistic = float((drawn**2).sum())
    assert chi2.ppf(1e-7, 20_000) < statistic < chi2.isf(1e-7, 20_000)
    far = np.abs(NOISE.add_part(0, np.array([2**61, -(2**61)], dtype=np.int64))).max()
    room = (RELEASES[0].largest_sum // 5) << part.shift
    assert far < room + 40 * part.scale
    assert 5 * (room + 40 * part.scale) < 2**63


def test_opened_sums_are_read_in_their_own_units() -> None:
    sums = np.arange(5, dtype=np.int64)
    assert NOISE.read(1, sums << NOISE.needed(1).shift).tolist() == sums.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"colluders": 4},
        {"threshold": 6},
        {"epsilon": 0.0},
        {"epsilon": math.inf},
        {"delta": 0.0},
    ],
)
def test_terms_that_protect_nobody_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(NOISE, **change)


def test_a_delta_too_small_for_the_grid_is_refused() -> None:
    many = (Sums(1 << 30, CAP, 1 << 30, times=1 << 10),)
    with pytest.raises(UsageError, match="too small for 1099511627776 sums"):
        _ = replace(NOISE, delta=1e-15, releases=many, epsilon=16.0).multiplier
    with pytest.raises(UsageError, match="there is none"):
        _ = replace(NOISE, releases=()).multiplier
