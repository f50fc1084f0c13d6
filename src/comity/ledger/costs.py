"""What mechanisms cost, each as the tightest Renyi curve known for it, rounded up.

Noise multipliers are noise scale divided by sensitivity, the sensitivity taken in the stated unit and
relation. Nothing here draws noise: `comity.noise` draws it and hands the cost over.

Sources: Mironov 2017 (Gaussian, Laplace, randomized response), Bun and Steinke 2016 (zCDP), Canonne,
Kamath and Steinke 2020 (the discrete Gaussian has the Gaussian's curve), Cesar and Rogers 2021
(exponential mechanism), Kairouz, Oh and Viswanath 2015 (an approximate guarantee is a pure one but for an
event of probability delta).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from comity.errors import UsageError
from comity.ledger.currency import (
    FEMTO,
    INFINITY,
    LARGEST,
    MECHANISMS,
    NANO,
    ORDERS,
    Cost,
    PrivacyUnit,
    Relation,
    checked_terms,
    decimal,
    evaluated,
    exact,
    rounded_up,
)
from comity.ledger.implications import in_terms_of

__all__ = [
    "FEMTO",
    "INFINITY",
    "MECHANISMS",
    "NANO",
    "ORDERS",
    "Cost",
    "Number",
    "PrivacyUnit",
    "Relation",
    "approximate",
    "composed",
    "discrete_laplace",
    "exponential",
    "gaussian",
    "in_terms_of",
    "laplace",
    "pure",
    "randomized_response",
    "renyi",
    "without_dp",
    "zcdp",
]

Number = float | int | Fraction | Decimal
"""What a parameter may be; a float stands for its shortest decimal (`currency.exact`)."""


def pure(epsilon: Number, *, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """Any epsilon-differentially-private mechanism, epsilon in nats, 0 or more.

    Randomized response has the highest curve of them all, and that curve is charged:
    epsilon + log((1 + exp(-(2 alpha - 1) epsilon)) / (1 + exp(-epsilon))) / (alpha - 1).
    """
    return Cost(*checked_terms(unit, relation), "pure", _pure_curve(_at_least_0(epsilon, "epsilon")), 0)


def approximate(epsilon: Number, delta: Number, *, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """Any (epsilon, delta)-differentially-private mechanism: pure but for an event of probability delta.

    delta lies in [0, 1) and is charged to the additive part of the budget.
    """
    share = _at_least_0(delta, "delta")
    if share >= 1:
        raise UsageError(f"a delta of {delta} is no guarantee; it must be below 1")
    curve = _pure_curve(_at_least_0(epsilon, "epsilon"))
    mechanism = "approximate" if share else "pure"
    return Cost(*checked_terms(unit, relation), mechanism, curve, rounded_up(share, FEMTO))


def gaussian(noise_multiplier: Number, *, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """Gaussian or discrete Gaussian noise of standard deviation `noise_multiplier` times the L2 sensitivity.

    The curve is alpha / (2 m^2); there is no pure epsilon.
    """
    multiplier = _positive(noise_multiplier, "a noise multiplier")
    return zcdp(1 / (2 * multiplier**2), unit=unit, relation=relation)


def zcdp(rho: Number, *, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """Any rho-zero-concentrated mechanism (Gaussian noise, and sums of it): the curve is rho alpha."""
    share = _at_least_0(rho, "rho")
    finite = [_bounded(rounded_up(share * exact(order, "an order"), NANO)) for order in ORDERS[:INFINITY]]
    return Cost(*checked_terms(unit, relation), "gaussian", (*finite, None if share else 0), 0)


def laplace(noise_multiplier: Number, *, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """Laplace noise of scale `noise_multiplier` times the L1 sensitivity; pure epsilon 1 / noise_multiplier.

    Not for discrete Laplace noise, whose curve lies higher: `discrete_laplace`.
    """
    epsilon = 1 / _positive(noise_multiplier, "a noise multiplier")

    def height(order: Decimal) -> Decimal:
        twice, rate = 2 * order - 1, decimal(epsilon)
        return rate + ((order + (order - 1) * (-twice * rate).exp()) / twice).ln() / (order - 1)

    return Cost(*checked_terms(unit, relation), "laplace", _curve(height, epsilon), 0)


def discrete_laplace(
    parameter: Number, sensitivity: int, *, unit: PrivacyUnit | str, relation: Relation | str
) -> Cost:
    """Integer noise with probability proportional to exp(-parameter |x|), on integers of that L1 sensitivity.

    Exact for a shift of `sensitivity` in one coordinate; since the log of the moment is convex in the
    shift and 0 at 0, no spread over coordinates costs more. Pure epsilon: parameter times sensitivity.
    """
    rate = _positive(parameter, "the noise parameter")
    if type(sensitivity) is not int or sensitivity < 0:
        raise UsageError(
            f"the sensitivity of integer noise is a whole number, 0 or more, not {sensitivity!r}"
        )
    epsilon = rate * sensitivity
    if not sensitivity:
        return pure(0, unit=unit, relation=relation)

    def height(order: Decimal) -> Decimal:
        a, twice = decimal(rate), 2 * order - 1
        q, r = (-a).exp(), (-twice * a).exp()
        tails = (1 + (-twice * a * sensitivity).exp()) / (1 - q)
        between = r * (1 - (-twice * a * (sensitivity - 1)).exp()) / (1 - r)
        return a * sensitivity + ((1 - q) / (1 + q) * (tails + between)).ln() / (order - 1)

    return Cost(*checked_terms(unit, relation), "discrete-laplace", _curve(height, epsilon), 0)


def randomized_response(
    epsilon: Number, values: int = 2, *, unit: PrivacyUnit | str, relation: Relation | str
) -> Cost:
    """One of `values` answers, the true one with exp(epsilon) times the probability of any other one.

    For change-one only: an answer that comes or goes is not protected by what it says.
    """
    rate = _at_least_0(epsilon, "epsilon")
    if values < 2:
        raise UsageError(f"randomized response has two values or more, not {values}")
    terms = checked_terms(unit, relation)
    if terms[1] != Relation.change_one:
        raise UsageError(
            "randomized response hides which value an answer had, not that there is one: change-one"
        )

    def height(order: Decimal) -> Decimal:
        e = decimal(rate)
        moment = 1 + (-(2 * order - 1) * e).exp() + (values - 2) * (-order * e).exp()
        return e + (moment / (1 + (values - 1) * (-e).exp())).ln() / (order - 1)

    return Cost(*terms, "randomized-response", _curve(height, rate), 0)


def exponential(epsilon: Number, *, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """The exponential mechanism (report noisy max with Gumbel noise): probabilities that move by a factor
    within a range of exp(epsilon). It is epsilon^2/8-concentrated besides being epsilon-pure."""
    rate = _at_least_0(epsilon, "epsilon")
    ranged = zcdp(rate**2 / 8, unit=unit, relation=relation).curve
    curve = (_least(a, b) for a, b in zip(ranged, _pure_curve(rate), strict=True))
    return Cost(*checked_terms(unit, relation), "exponential", tuple(curve), 0)


def renyi(
    heights: Iterable[float | None],
    delta: Number = 0,
    *,
    unit: PrivacyUnit | str,
    relation: Relation | str,
) -> Cost:
    """A curve that was worked out elsewhere, in nats at `ORDERS` (None or infinity: unbounded).

    Heights are raised where they fall below an earlier one, since a true curve never falls.
    """
    curve: list[int | None] = []
    for height in heights:
        unbounded = height is None or height == math.inf or (bool(curve) and curve[-1] is None)
        value = (
            None
            if unbounded or height is None
            else _bounded(rounded_up(_at_least_0(height, "a height"), NANO))
        )
        curve.append(None if value is None else max([value, *(x for x in curve[-1:] if x is not None)]))
    share = rounded_up(_at_least_0(delta, "delta"), FEMTO)
    return Cost(*checked_terms(unit, relation), "renyi", tuple(curve), share)


def without_dp(*, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """A release without differential privacy (a k-anonymous table, an exact model): no order bounds it."""
    return Cost(*checked_terms(unit, relation), "none", (None,) * len(ORDERS), 0)


def composed(costs: Iterable[Cost]) -> Cost:
    """Several mechanisms together, each possibly chosen after seeing the answers of those before.

    Raises:
        UsageError: if there are none, or if they are stated in different terms.
    """
    each = list(costs)
    if not each:
        raise UsageError("there is no cost to compose")
    total = each[0]
    for cost in each[1:]:
        total = total + cost
    return total


@lru_cache(maxsize=1024)
def _pure_curve(epsilon: Fraction) -> tuple[int | None, ...]:
    def height(order: Decimal) -> Decimal:
        e = decimal(epsilon)
        return e + ((1 + (-(2 * order - 1) * e).exp()) / (1 + (-e).exp())).ln() / (order - 1)

    return _curve(height, epsilon)


def _curve(height: Callable[[Decimal], Decimal], epsilon: Fraction) -> tuple[int | None, ...]:
    """The curve of a mechanism with a pure epsilon, which no order's height can pass."""
    last = rounded_up(epsilon, NANO)
    finite = (
        min(evaluated(lambda order=order: height(Decimal(repr(order))), up=True), last) if epsilon else 0
        for order in ORDERS[:INFINITY]
    )
    return (*map(_bounded, finite), _bounded(last))


def _bounded(value: int) -> int | None:
    return value if value <= LARGEST else None


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _at_least_0(value: Number, what: str) -> Fraction:
    number = exact(value, what)
    if number < 0:
        raise UsageError(f"{what} must be 0 or more, not {value}")
    return number


def _positive(value: Number, what: str) -> Fraction:
    number = exact(value, what)
    if number <= 0:
        raise UsageError(f"{what} must be above 0, not {value}")
    return number
