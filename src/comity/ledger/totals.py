"""Totals: sums of costs per (unit, relation), what a budget still admits, and how both are shown.

What is admitted is decided in whole numbers (`admits`). What is shown is a reading of the same numbers:
the epsilon spent is the least over the open orders that the sums so far give at the budget's delta. It
describes sums; the guarantee against questions chosen along the way is the budget's (`accounts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from comity.ledger.accounts import Budget
from comity.ledger.currency import FEMTO, INFINITY, NANO, ORDERS, Cost, PrivacyUnit, Relation

_NOTHING: Final = (0,) * len(ORDERS)


@dataclass(frozen=True)
class Total:
    """The sum of charged costs in one unit and relation.

    Attributes:
        curve: sums in 1e-9 nats per order, None where unbounded.
        delta: sum of additive deltas in 1e-15.
        charges: how many costs are in it.
        without: how many releases say nothing in this unit and relation (no differential privacy at all, or
            a guarantee about a finer unit): any at all, and the total is none.
    """

    unit: PrivacyUnit
    relation: Relation
    curve: tuple[int | None, ...] = _NOTHING
    delta: int = 0
    charges: int = 0
    without: int = 0

    def after(self, cost: Cost) -> Total:
        """The total with one more cost, stated in the same terms; an unbounded one is listed beside."""
        if not cost.bounded:
            return Total(self.unit, self.relation, self.curve, self.delta, self.charges, self.without + 1)
        curve = tuple(
            None if a is None or b is None else a + b for a, b in zip(self.curve, cost.curve, strict=True)
        )
        return Total(self.unit, self.relation, curve, self.delta + cost.delta, self.charges + 1, self.without)

    def within(self, budget: Budget) -> bool:
        """Whether some open order is inside its own budget and the additive deltas inside theirs."""
        return self.delta <= budget.additive_units and any(
            height is not None and height <= cap
            for height, cap in ((self.curve[place], cap) for place, cap in budget.caps)
        )

    def admits(self, cost: Cost, budget: Budget) -> bool:
        """Whether `cost`, stated in the same terms, may be added. A cost without a bound never may."""
        return cost.bounded and self.after(cost).within(budget)

    def spent(self, budget: Budget) -> tuple[float, float]:
        """(epsilon, delta) of the sums, by the open order that gives the least epsilon at the budget's delta.

        Epsilon is infinite where no open order bounds the sums.
        """
        whole = round(budget.epsilon * NANO)
        best, best_place = math.inf, INFINITY
        for place, cap in budget.caps:
            height = self.curve[place]
            # what the conversion adds at this order is epsilon - B_alpha
            if height is not None and height + whole - cap < best:
                best, best_place = height + whole - cap, place
        curve_share = 0 if best_place == INFINITY else round(budget.delta * FEMTO) - budget.additive_units
        return best / NANO, (self.delta + curve_share) / FEMTO

    def words(self, budget: Budget) -> str:
        """The total as a person reads it; `none` where a release says nothing in these terms."""
        epsilon, delta = self.spent(budget)
        bounded = (
            f"epsilon {epsilon:.6g}, delta {delta:g}" if epsilon < math.inf else "no bound at the open orders"
        )
        counted = f"{bounded} in {self.charges} charge{'s' * (self.charges != 1)}"
        if not self.without:
            return counted
        beside = f"{self.without} release{'s' * (self.without != 1)} with no guarantee"
        return f"none: {beside} per {self.unit}, {self.relation} (beside {counted})"


@dataclass(frozen=True)
class Spent:
    """What has been spent of an account.

    Attributes:
        budget: the account's budget.
        total: the account's own total, in its unit and relation.
        others: the same data's totals in all other terms.
    """

    budget: Budget
    total: Total
    others: tuple[Total, ...]

    @property
    def epsilon(self) -> float:
        """What `total` comes to at the budget's delta (`Total.spent`)."""
        return self.total.spent(self.budget)[0]

    @property
    def delta(self) -> float:
        return self.total.spent(self.budget)[1]

    @property
    def charges(self) -> int:
        return self.total.charges

    @property
    def none(self) -> bool:
        """Whether some release says nothing in the account's terms, so that there is no total guarantee."""
        return self.total.without > 0

    def words(self) -> str:
        """The account's total as a person reads it."""
        return self.total.words(self.budget)


@dataclass(frozen=True)
class Remaining:
    """What one more charge of an account may cost, stated in one unit and relation.

    Attributes:
        epsilon, delta: the largest (epsilon, delta') that one more approximate (or pure) charge may have.
        gaussian: the least noise multiplier that one more Gaussian charge may have, infinite for none.
    """

    unit: PrivacyUnit
    relation: Relation
    epsilon: float
    delta: float
    gaussian: float

    def approximate(self) -> tuple[float, float]:
        """The largest (epsilon, delta') still admitted, delta' through the additive part.

        For a plan whose events are all fixed before its first answer: calibrate it to this pair.
        """
        return self.epsilon, self.delta

    def noise_multiplier(self) -> float:
        """The least noise multiplier (standard deviation / sensitivity) of one more Gaussian charge."""
        return self.gaussian

    def words(self) -> str:
        noise = (
            f"; Gaussian noise of multiplier {self.gaussian:.6g} or more" if self.gaussian < math.inf else ""
        )
        return f"epsilon {self.epsilon:.10g}, delta {self.delta:g}{noise}"


@dataclass(frozen=True)
class Constraint:
    """One budget that a charge must stay within, and the total it would add to.

    `steps` is how many neighbouring steps of the charge's terms make one of the total's (1 or 2), 0 where
    no number does and nothing can be admitted.
    """

    name: str
    budget: Budget
    total: Total
    steps: int

    def room_for_delta(self, epsilon: float) -> float:
        """The largest additive delta of one more charge with this epsilon."""
        left = max(self.budget.additive_units - self.total.delta, 0)
        if self.steps == 2:
            left = math.floor(left / (1 + math.exp(min(epsilon, 40.0))) * (1 - 1e-9))
        return left / FEMTO


def largest_epsilon(constraints: Sequence[Constraint], admitted: Callable[[int], bool]) -> float:
    """The largest pure epsilon that all constraints admit; `admitted` decides exactly, in units of 1e-9."""
    estimate = min((_room_for_epsilon(constraint) for constraint in constraints), default=0.0)
    return _boundary(math.floor(estimate * NANO), admitted) / NANO


def least_multiplier(constraints: Sequence[Constraint], admitted: Callable[[float], bool]) -> float:
    """The least Gaussian noise multiplier that all constraints admit, to about 1e-12; infinite for none."""
    multiplier = max((_room_for_gaussian(constraint) for constraint in constraints), default=math.inf)
    step = 1e-15
    while math.isfinite(multiplier) and not admitted(multiplier):
        multiplier *= 1 + step
        step *= 2
        if step > 1e-3:  # the room is smaller than the rounding of one charge
            return math.inf
    return multiplier


def _room_for_epsilon(constraint: Constraint) -> float:
    best = 0.0
    for place, height in _room(constraint):
        if place == INFINITY:
            best = max(best, height / constraint.steps)
        elif height > 0:
            best = max(best, _inverse_pure(ORDERS[place], height) / constraint.steps)
    return best


def _room_for_gaussian(constraint: Constraint) -> float:
    squares = [
        ORDERS[place] * constraint.steps**2 / (2 * height)
        for place, height in _room(constraint)
        if place != INFINITY and height > 0
    ]
    return math.sqrt(min(squares)) if squares else math.inf


def _room(constraint: Constraint) -> list[tuple[int, float]]:
    """(place, height left in nats) of every open order that is still alive."""
    if constraint.total.delta > constraint.budget.additive_units:
        return []
    sums = constraint.total.curve
    left = ((place, sums[place], cap) for place, cap in constraint.budget.caps)
    return [(place, (cap - height) / NANO) for place, height, cap in left if height is not None]


def _inverse_pure(order: float, height: float) -> float:
    """The epsilon whose pure curve has this height at this order, in floating point."""
    low, high = 0.0, height + 2.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle + _log_ratio(order, middle) / (order - 1) > height:
            high = middle
        else:
            low = middle
    return low


def _log_ratio(order: float, epsilon: float) -> float:
    return math.log1p(math.exp(-(2 * order - 1) * epsilon)) - math.log1p(math.exp(-epsilon))


def _boundary(guess: int, admitted: Callable[[int], bool]) -> int:
    """The largest whole number that is admitted, by galloping from a guess; 0 if none is."""
    step = 1
    if guess > 0 and not admitted(guess):
        high = guess
        while (low := max(guess - step, 0)) > 0 and not admitted(low):
            high, step = low, step * 4
    else:
        low = max(guess, 0)
        while admitted(high := low + step):
            low, step = high, step * 4
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if admitted(middle) else (low, middle)
    return low
