"""Local answers: chances that keep their ratio exactly, and estimates that come out right."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from comity.errors import UsageError
from comity.ledger import PrivacyUnit, Relation
from comity.noise import LARGEST
from comity.statistics import RandomizedResponse, UnaryEncoding

LEVELS = ["north", "east", "south"]


@given(st.integers(2, 40), st.floats(1e-6, 30))
def test_no_two_chances_are_further_apart_than_epsilon(levels: int, epsilon: float) -> None:
    """In 60 digits, with e^epsilon from below by its series' rest."""
    from decimal import Context, Decimal

    most = Fraction(Context(prec=60).exp(Decimal(repr(epsilon))))
    weights = RandomizedResponse(range(levels), epsilon).weights
    assert all(sum(row) == LARGEST for row in weights.tolist())
    for column in weights.T.tolist():
        assert Fraction(max(column), min(column)) <= most
    bits = UnaryEncoding(range(levels), epsilon).weights.tolist()
    (no, yes), (own_no, own_yes) = bits
    # from one level to another, the one's bit and the other's move
    assert Fraction(own_yes, yes) * Fraction(no, own_no) <= most
    assert no + yes == own_no + own_yes == LARGEST


@pytest.mark.parametrize("kind", [RandomizedResponse, UnaryEncoding])
def test_estimates_and_their_intervals(kind: Any) -> None:
    """120 intervals of 95%, from the normal approximation (of 94% at least for these numbers): fewer than
    `binom.ppf(1e-8, 120, .94)` hold the truth with that probability."""
    values = np.repeat(LEVELS, [300, 150, 50])
    asked = kind(LEVELS, 1.5)
    held = 0
    for _ in range(40):
        told = asked.estimate(asked.answer(values))
        for level, truth in zip(LEVELS, (300, 150, 50), strict=True):
            held += told[level].low <= truth <= told[level].high
    assert held >= binom.ppf(1e-8, 120, 0.94)
    assert (told.unit, told.relation) == (PrivacyUnit.record, Relation.change_one)


@pytest.mark.parametrize("kind", [RandomizedResponse, UnaryEncoding])
def test_every_answer_is_charged_before_it_is_given(kind: Any) -> None:
    charged: list[Any] = []
    asked = kind(LEVELS, 0.7)
    asked.answer(["north", None, "nowhere"], charge=charged.append)
    assert charged == [asked.cost]
    assert asked.cost.epsilon == pytest.approx(0.7, abs=1e-8)


def test_a_guess_from_an_answer_does_not_beat_the_bound() -> None:
    """Values are fair coins: of 4,000 guesses at most `binom.isf(1e-7)` at e/(1 + e) are right; and no fewer
    than .7, or the answers would be noisier than they have to be (.731 expected, 4.4 deviations: 1e-5 ... .69
    is 5.8, 4e-9)."""
    coins = np.random.default_rng(2).integers(0, 2, 4_000)
    told = RandomizedResponse([0, 1], 1.0).answer(coins)
    right = int((told.astype(int) == coins).sum())
    assert right <= binom.isf(1e-7, 4_000, math.e / (1 + math.e))
    assert right >= 0.69 * 4_000


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(UsageError, match="not declared"):
        RandomizedResponse(LEVELS, 1.0).estimate(np.array(["west"]))
    with pytest.raises(UsageError, match="true or false"):
        UnaryEncoding(LEVELS, 1.0).estimate(np.zeros((2, 2), dtype=bool))
