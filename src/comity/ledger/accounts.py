"""Accounts and their budgets: the Renyi filter of Feldman and Zrnic (2021), a union over the open orders.

A budget (epsilon, delta) sets `delta_additive` aside for the additive part and opens a few finite orders,
m of them, and infinity. Every open order alpha has a budget of its own, the largest height that still
gives (epsilon, delta_a) with delta_a = (delta - delta_additive) / m (Canonne, Kamath and Steinke 2020):

    B_alpha = epsilon + (log(delta_a) + log(alpha)) / (alpha - 1) - log((alpha - 1) / alpha),
    B_infinity = epsilon.

A charge is admitted while the sum of charged curves stays within B_alpha at some open order, and the sum of
charged deltas within delta_additive. Then whatever is asked, in whatever order, with every question chosen
after the answers before it, all answers together are (epsilon, delta)-differentially private:

1. Without additive parts. For an open order alpha let A_alpha be the same conversation, stopped before the
   first charge that would pass B_alpha. Its sum of heights stays within B_alpha on every path, so it is
   (alpha, B_alpha)-Renyi private in spite of adaptive costs (Feldman and Zrnic 2021, Theorem 3.1). The
   conversion bounds the hockey-stick divergence: P(S) - e^epsilon Q(S) <= delta_a for every event S of
   A_alpha's transcripts; for infinity P(S) <= e^epsilon Q(S).
2. Sort the transcripts of the real conversation by the first order still alive when it stops: E_alpha. Sums
   only grow, so on E_alpha the order was alive all along, and the real conversation and A_alpha coincide.
   Hence P(S) = sum P_alpha(S and E_alpha) <= sum (e^epsilon Q_alpha(S and E_alpha) + delta_a)
   = e^epsilon Q(S) + m delta_a. Infinity adds no delta. An order that is not open is never alive.
3. A mechanism with an additive delta' answers, on neighbours, like a pair that obeys its curve except in
   an event of probability delta' (Kairouz, Oh and Viswanath 2015). The chance that such an event ever
   happens is at most the sum of deltas on the path, so at most delta_additive; without one, 1. and 2. hold
   for the paths weighted by at most 1. In total delta_additive + m delta_a = delta.

Which orders to open. Every open order costs a share of delta and gains nothing where another one is better,
so opening all is dear: at (1, 1e-6) Gaussian noise must be 16% above the best single order's. A budget
opens three: the one that admits most Gaussian noise and those of about twice and four times it, which
serve when part of the budget went to pure mechanisms. That costs 5% for Gaussians alone (measured:
tests/ledger/test_orders.py). The choice depends on the budget alone and is written in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Self, cast

from comity.errors import BadInput, UsageError
from comity.ledger.currency import (
    FEMTO,
    INFINITY,
    NANO,
    ORDERS,
    PrivacyUnit,
    Relation,
    checked_terms,
    decimal,
    evaluated,
    exact,
    rounded_down,
)

DEFAULT_LINEAGE: Final = "default"


@dataclass(frozen=True)
class Account:
    """(provider, dataset lineage, privacy unit): what is spent of it is spent for the data's lifetime.

    Written `provider/lineage/unit`.
    """

    provider: str
    lineage: str
    unit: PrivacyUnit

    def __post_init__(self) -> None:
        for what, name in (("provider", self.provider), ("lineage", self.lineage)):
            if not name or name != name.strip() or "/" in name or not name.isprintable() or len(name) > 200:
                raise BadInput(f"the {what} of an account is a printable name without '/', not {name!r}")
        try:
            object.__setattr__(self, "unit", PrivacyUnit(self.unit))
        except ValueError:
            raise BadInput(f"'{self.unit}' is no privacy unit; one of: {', '.join(PrivacyUnit)}") from None

    def __str__(self) -> str:
        return f"{self.provider}/{self.lineage}/{self.unit}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `provider/lineage/unit`; where left out, the lineage is `default` and the unit `record`.

        Raises:
            BadInput: if it is not an account.
        """
        parts = text.split("/")
        if len(parts) > 3:
            raise BadInput(f"an account is written provider/lineage/unit, not {text!r}")
        provider, lineage, unit = (*parts, *("", DEFAULT_LINEAGE, PrivacyUnit.record)[len(parts) :])
        return cls(provider, lineage, cast("PrivacyUnit", unit))  # checked and converted there


@dataclass(frozen=True)
class Budget:
    """The (epsilon, delta) that all charges of an account together stay within.

    Attributes:
        epsilon: in nats, 0 or more; rounded down to 1e-9.
        delta: in [0, 1); rounded down to 1e-15.
        delta_additive: the part of delta for additive deltas; None: half of it.
        relation: None: change-one for labels, add-remove for everything else.
        orders: the finite orders to open, out of `ORDERS`; None: the three the module describes.

    Raises:
        UsageError: for values out of range.
    """

    epsilon: float
    delta: float
    delta_additive: float | None = None
    relation: Relation | None = None
    orders: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        epsilon = _floored(self.epsilon, NANO, "a budget's epsilon")
        delta = _floored(self.delta, FEMTO, "a budget's delta")
        object.__setattr__(self, "epsilon", epsilon)
        object.__setattr__(self, "delta", delta)
        if not delta < 1:
            raise UsageError(f"a budget's delta must be below 1, not {self.delta}")
        if self.delta_additive is not None:
            additive = _floored(self.delta_additive, FEMTO, "a budget's additive delta")
            object.__setattr__(self, "delta_additive", additive)
            if additive > delta:
                raise UsageError(f"the additive part {additive:g} is more than the whole delta {delta:g}")
        if self.orders is not None and not set(self.orders) <= set(ORDERS[:INFINITY]):
            raise UsageError(f"orders must be among {', '.join(f'{order:g}' for order in ORDERS[:INFINITY])}")

    def settled(self, unit: PrivacyUnit, *, additive_share: Fraction = Fraction(1, 2)) -> Budget:
        """The same budget with nothing left to default: its additive part, relation and orders filled in.

        Raises:
            BadInput: for a label that comes or goes.
        """
        relation = self.relation
        if relation is None:
            relation = Relation.change_one if unit is PrivacyUnit.label else Relation.add_remove
        additive = self.delta_additive
        if additive is None:
            additive = math.floor(_units(self.delta, FEMTO) * additive_share) / FEMTO
        settled = replace(self, relation=checked_terms(unit, relation)[1], delta_additive=additive)
        orders = _best_orders(settled) if self.orders is None else tuple(sorted(set(self.orders)))
        return replace(settled, orders=orders)

    def is_what(self, asked: Budget, unit: PrivacyUnit) -> bool:
        """Whether this settled budget is the one asked for; orders that were not asked for may be any.

        So that a later version that would open other orders does not take the same budget for another one.
        """
        if asked.orders is None:
            asked = replace(asked, orders=self.orders)
        return asked.settled(unit) == self

    @property
    def additive_units(self) -> int:
        """The cap on the sum of additive deltas, in 1e-15."""
        return _units(self.delta_additive or 0.0, FEMTO)

    @property
    def additive_share(self) -> Fraction:
        """Which part of delta is set aside for additive deltas."""
        whole = _units(self.delta, FEMTO)
        return Fraction(self.additive_units, whole) if whole else Fraction(0)

    @property
    def caps(self) -> tuple[tuple[int, int], ...]:
        """(place in `ORDERS`, the order's own budget in 1e-9 nats, rounded down) of every open order."""
        return _caps(self)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form of a settled budget, in whole numbers of 1e-9 (epsilon) and 1e-15 (delta)."""
        return {
            "epsilon": _units(self.epsilon, NANO),
            "delta": _units(self.delta, FEMTO),
            "delta_additive": self.additive_units,
            "relation": str(self.relation),
            "orders": [f"{order:g}" for order in self.orders or ()],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: if it is not a budget.
        """
        if set(document) != {"epsilon", "delta", "delta_additive", "relation", "orders"}:
            raise BadInput(f"this is no budget, it has {sorted(document)}")
        try:
            return cls(
                document["epsilon"] / NANO,
                document["delta"] / FEMTO,
                document["delta_additive"] / FEMTO,
                Relation(document["relation"]),
                tuple(float(order) for order in document["orders"]),
            )
        except (TypeError, ValueError, UsageError) as error:
            raise BadInput(f"this is no budget: {error}") from None

    def words(self) -> str:
        return f"epsilon {self.epsilon:.10g}, delta {self.delta:g}"


@lru_cache(maxsize=1024)
def _caps(budget: Budget) -> tuple[tuple[int, int], ...]:
    finite = [ORDERS.index(order) for order in budget.orders or ()]
    left = _units(budget.delta, FEMTO) - budget.additive_units
    caps = [(place, _cap(budget, place, Fraction(left, FEMTO * len(finite)))) for place in finite if left > 0]
    return (*((place, cap) for place, cap in caps if cap >= 0), (INFINITY, _units(budget.epsilon, NANO)))


def _cap(budget: Budget, place: int, share: Fraction) -> int:
    def height() -> Decimal:
        alpha = Decimal(repr(ORDERS[place]))
        epsilon = decimal(Fraction(_units(budget.epsilon, NANO), NANO))
        return epsilon + (decimal(share) * alpha).ln() / (alpha - 1) - ((alpha - 1) / alpha).ln()

    return evaluated(height, up=False)


def _best_orders(budget: Budget) -> tuple[float, ...]:
    """The order that admits most Gaussian noise, and those whose alpha - 1 is 2 and 4 times as large."""
    share = (_units(budget.delta, FEMTO) - budget.additive_units) / FEMTO / 3
    if share <= 0:
        return ()

    def admitted(order: float) -> float:
        height = budget.epsilon + math.log(share * order) / (order - 1) - math.log1p(-1 / order)
        return height / order

    best = max(range(INFINITY), key=lambda place: admitted(ORDERS[place]))
    places = [place for place in (best, best + 2, best + 4) if place < INFINITY]
    return tuple(ORDERS[place] for place in places if admitted(ORDERS[place]) > 0)


def _units(value: float, units: int) -> int:
    return rounded_down(exact(value, "a budget"), units)


def _floored(value: float, units: int, what: str) -> float:
    number = exact(value, what)
    if number < 0:
        raise UsageError(f"{what} must be 0 or more, not {value}")
    return rounded_down(number, units) / units
