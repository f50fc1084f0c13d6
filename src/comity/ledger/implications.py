"""What a cost per one unit and relation says about another.

    change-one per party     =>  change-one per person  =>  change-one per record  =>  change-one per label
    add-remove per unit      =>  change-one of that unit and of every finer one, at two steps
    add-remove per unit      =>  add-remove of every finer unit, at two steps
    anything per label       =>  nothing else

Two steps, because a changed record is one taken out and another put in, and a person who loses a record is
that person taken out and put back without it. What two steps cost depends on the mechanism:

- Gaussian noise: the sensitivity at most doubles, the whole curve is multiplied by 4 (PRIVACY.md: rho
  implies 4 rho). The exponential mechanism: its range doubles.
  Laplace noise: its sensitivity doubles.
- A pure epsilon doubles; the finite orders are those of any 2 epsilon mechanism.
- With an additive delta: (2 epsilon, (1 + exp(epsilon)) delta), where there is an epsilon.
- Any other curve: the weak triangle inequality (Mironov 2017, Proposition 11), the best over its split,
  of which Proposition 2 (order 2 alpha, three times) is a case. None where the orders do not reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Final

from comity.ledger.currency import (
    FEMTO,
    INFINITY,
    LARGEST,
    NANO,
    ORDERS,
    Cost,
    PrivacyUnit,
    Relation,
    checked_terms,
    decimal,
    evaluated,
    exact,
)

TERMS: Final = tuple(
    (unit, relation)
    for unit in PrivacyUnit
    for relation in Relation
    if (unit, relation) != (PrivacyUnit.label, Relation.add_remove)
)
"""Every (unit, relation) that a cost can be stated in."""

_COARSENESS: Final = {unit: rank for rank, unit in enumerate(PrivacyUnit)}


def steps(stated: tuple[PrivacyUnit, Relation], wanted: tuple[PrivacyUnit, Relation]) -> int | None:
    """How many neighbouring steps in `stated` terms make one in `wanted` terms: 1, 2, or None."""
    if stated == wanted:
        return 1
    if stated[0] is PrivacyUnit.label or _COARSENESS[stated[0]] < _COARSENESS[wanted[0]]:
        return None
    if stated[1] is Relation.add_remove:
        return 2
    return 1 if wanted[1] is Relation.change_one else None


@lru_cache(maxsize=4096)
def in_terms_of(cost: Cost, unit: PrivacyUnit | str, relation: Relation | str) -> Cost:
    """The cost that `cost` implies per another unit and relation; unbounded (`bounded` false) if none."""
    terms = checked_terms(unit, relation)
    count = steps((cost.unit, cost.relation), terms)
    if count is None or not cost.bounded:
        return Cost(*terms, "none", (None,) * len(ORDERS), 0)
    if count == 1:
        return Cost(*terms, cost.mechanism, cost.curve, cost.delta)
    mechanism, curve, delta = _two_steps(cost)
    return Cost(*terms, mechanism if curve[0] is not None else "none", curve, delta)


Curve = tuple[int | None, ...]


def _two_steps(cost: Cost) -> tuple[str, Curve, int]:
    from comity.ledger.costs import exponential, laplace, pure  # costs re-exports in_terms_of

    last = cost.curve[INFINITY]
    whole = None if last is None else Fraction(2 * last, NANO)
    if cost.delta:
        if whole is None or (delta := _group_delta(cost)) >= FEMTO:
            return "none", (None,) * len(ORDERS), 0
        return "approximate", pure(whole, unit=cost.unit, relation=cost.relation).curve, delta
    if cost.mechanism == "gaussian":
        return "gaussian", tuple(_kept(None if x is None else 4 * x) for x in cost.curve), 0
    if whole is None:
        return "renyi", _triangle(cost.curve), 0
    if cost.mechanism == "exponential":
        return "exponential", exponential(whole, unit=cost.unit, relation=cost.relation).curve, 0
    if cost.mechanism == "laplace":
        return "laplace", laplace(1 / whole, unit=cost.unit, relation=cost.relation).curve, 0
    doubled = pure(whole, unit=cost.unit, relation=cost.relation).curve
    if cost.mechanism == "pure":
        return "pure", doubled, 0
    return "renyi", _rising(_least(a, b) for a, b in zip(doubled, _triangle(cost.curve), strict=True)), 0


def _group_delta(cost: Cost) -> int:
    """(1 + exp(epsilon)) delta, rounded up; at most FEMTO."""
    epsilon = Fraction(cost.curve[INFINITY] or 0, NANO)
    if epsilon > 40:  # exp(40) times the smallest delta passes 1
        return FEMTO
    factor = evaluated(lambda: 1 + decimal(epsilon).exp(), up=True)
    return min(FEMTO, ceil(Fraction(cost.delta * factor, NANO)))


def _triangle(curve: Curve) -> Curve:
    """D_b(P||Q) <= (b - 1/p)/(b - 1) D_pb(P||R) + D_q(b - 1/p)(R||Q), 1/p + 1/q = 1, the best p per order."""
    exact_orders = [exact(order, "an order") for order in ORDERS[:INFINITY]]
    found: list[int | None] = [None] * len(ORDERS)
    last = curve[INFINITY]
    found[INFINITY] = None if last is None else _kept(2 * last)
    for place, b in enumerate(exact_orders):
        for far, a in enumerate(exact_orders[place + 1 :], start=place + 1):  # a = p b
            other = _at_or_above(b * (a - 1) / (a - b), exact_orders)
            first, second = curve[far], curve[other]
            if first is None or second is None:
                continue
            weight = b * (a - 1) / (a * (b - 1))
            found[place] = _least(found[place], _kept(ceil(weight * first) + second))
        if last is not None:  # p to infinity
            found[place] = _least(found[place], _kept(ceil(b / (b - 1) * last) + (curve[place] or 0)))
    return _rising(found)


def _rising(curve: Iterable[int | None]) -> Curve:
    """The same bounds lowered where a higher order's bound is lower: a true curve never falls."""
    values = list(curve)
    for place in range(len(values) - 2, -1, -1):
        values[place] = _least(values[place], values[place + 1])
    return tuple(values)


def _at_or_above(order: Fraction, orders: list[Fraction]) -> int:
    return next((place for place, at in enumerate(orders) if at >= order), INFINITY)


def _kept(value: int | None) -> int | None:
    return value if value is not None and value <= LARGEST else None


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
