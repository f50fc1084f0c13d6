"""The currency of every account: a Renyi curve in whole numbers, and a delta beside it.

A cost says how far one mechanism can move an adversary's belief about one privacy unit: at every order of
`ORDERS` an upper bound on the Renyi divergence between what it may answer on two neighbouring tables, in
units of 1e-9 nats, and an additive delta' in units of 1e-15 for mechanisms that have one. Both are rounded
up, so that sums never undercharge; both stay below 2^53, so that RFC 8785 writes them exactly.

Why these orders. A budget opens few orders (`accounts.Budget`): each one open costs a share of delta. The
list must therefore hold an order close to the best one of any budget, and no more is asked of it. Spacing
alpha - 1 by the square root of 2 does so from epsilon 0.003 to 100 (delta 1e-9 to 1e-5): against the best
real order, Gaussian noise grows by 0.5% on average and 1.6% at most; spaced by 2, by 1.8% and 6.2%. A charge
takes 300 bytes for it. tests/ledger/test_orders.py measures it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, Self, cast

from comity.errors import BadInput, UsageError

_FINITE: Final = (
    *(1.5, 1.7, 2.0, 2.4, 3.0, 3.8, 5.0, 6.7, 9.0, 12.0, 17.0, 24.0, 33.0, 46.0, 65.0, 91.0),
    *(129.0, 182.0, 257.0, 363.0, 513.0, 725.0, 1025.0, 1449.0, 2049.0, 2897.0, 4097.0, 5794.0),
    *(8193.0, 11586.0, 16385.0),
)
ORDERS: Final[tuple[float, ...]] = (*_FINITE, math.inf)
"""The Renyi orders of every curve, ascending; the last is infinity, where the curve is pure epsilon."""

INFINITY: Final = len(_FINITE)
"""The place of the infinite order in a curve."""

NANO: Final = 10**9
"""Curve units per nat."""

FEMTO: Final = 10**15
"""Delta units per 1."""

LARGEST: Final = 2**53 - 1
"""The largest whole number that RFC 8785 writes exactly."""

MECHANISMS: Final = frozenset(
    {
        "pure",
        "approximate",
        "gaussian",
        "laplace",
        "discrete-laplace",
        "randomized-response",
        "exponential",
        "renyi",
        "composed",
        "none",
    }
)
"""The closed list of what a cost may be of; `none` is a release without differential privacy."""

_PRECISE: Final = Context(prec=60, Emin=-(10**12), Emax=10**12, rounding=ROUND_CEILING)
_MARGIN: Final = Decimal("1e-40")


class PrivacyUnit(StrEnum):
    """What one neighbour differs in: one label, one record, one person's rows, all of a party's rows."""

    label = "label"
    record = "record"
    person = "person"
    party = "party"


class Relation(StrEnum):
    """How neighbours differ: one unit takes another value, or one unit comes or goes."""

    change_one = "change-one"
    add_remove = "add-remove"


def exact(value: float | int | Fraction | Decimal, what: str) -> Fraction:
    """A number as a fraction; a float stands for the shortest decimal that reads back as it.

    So 0.1 is one tenth, ten of which make 1, as whoever wrote it meant.

    Raises:
        UsageError: for NaN and infinities, naming `what` it was given for.
    """
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(repr(float(value))) if isinstance(value, float) else Fraction(value)
    except (ValueError, OverflowError, TypeError):
        raise UsageError(f"{what} must be a finite number, not {value!r}") from None


def rounded_up(value: Fraction, units: int) -> int:
    """`value` in whole units, rounded up."""
    return math.ceil(value * units)


def rounded_down(value: Fraction, units: int) -> int:
    """`value` in whole units, rounded down."""
    return math.floor(value * units)


def evaluated(formula: Callable[[], Decimal], *, up: bool) -> int:
    """A formula of exponentials and logarithms in nats, in 60 digits, rounded outwards to curve units."""
    with localcontext(_PRECISE):
        value = formula() * NANO
        margin = (abs(value) + 1) * _MARGIN
        if up:
            return int((value + margin).to_integral_value(ROUND_CEILING))
        return int((value - margin).to_integral_value(ROUND_FLOOR))


def decimal(value: Fraction) -> Decimal:
    """A fraction in the precision that `evaluated` works in; to be called inside its formula."""
    return Decimal(value.numerator) / Decimal(value.denominator)


def checked_terms(unit: PrivacyUnit | str, relation: Relation | str) -> tuple[PrivacyUnit, Relation]:
    """The unit and relation of a guarantee, from their names too.

    Raises:
        BadInput: for unknown names, and for a label that comes or goes.
    """
    try:
        terms = PrivacyUnit(unit), Relation(relation)
    except ValueError as error:
        units, relations = ", ".join(PrivacyUnit), ", ".join(Relation)
        raise BadInput(f"{error}; units: {units}; relations: {relations}") from None
    if terms == (PrivacyUnit.label, Relation.add_remove):
        raise BadInput("a label does not come or go, it changes: state label costs as change-one")
    return terms


@dataclass(frozen=True)
class Cost:
    """What one mechanism costs. `curve[i]` belongs to `ORDERS[i]`, None where the divergence is unbounded.

    Values: `curve` in 1e-9 nats, non-decreasing, None only from some order on; `delta` in 1e-15, at most 1.
    Two costs add up when their mechanisms may be chosen adaptively (Mironov 2017, Proposition 1; the
    additive part: `accounts`).

    Raises:
        BadInput: if the values are not a cost.
    """

    unit: PrivacyUnit
    relation: Relation
    mechanism: str
    curve: tuple[int | None, ...]
    delta: int

    def __post_init__(self) -> None:
        unit, relation = checked_terms(self.unit, self.relation)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "relation", relation)
        if self.mechanism not in MECHANISMS:
            raise BadInput(f"'{self.mechanism}' is not a mechanism; one of: {', '.join(sorted(MECHANISMS))}")
        if len(self.curve) != len(ORDERS):
            raise BadInput(f"a cost has {len(ORDERS)} orders, this one has {len(self.curve)}")
        floor = 0
        for order, value in zip(ORDERS, self.curve, strict=True):
            height = LARGEST + 1 if value is None else value
            if height < floor or (value is not None and value > LARGEST):
                raise BadInput(
                    f"the cost at order {order:g} is {value}: a Renyi curve starts at 0, never falls"
                )
            floor = height
        if not 0 <= self.delta <= FEMTO:
            raise BadInput(
                f"a cost's delta lies between 0 and {FEMTO} (that is, 1), this one is {self.delta}"
            )

    @property
    def bounded(self) -> bool:
        """Whether any order bounds it; if not, it is no guarantee at all in this unit and relation."""
        return self.curve[0] is not None and self.delta < FEMTO

    @property
    def epsilon(self) -> float | None:
        """The pure epsilon (with `delta` beside it), None if there is none, as for Gaussian noise."""
        last = self.curve[INFINITY]
        return None if last is None else last / NANO

    def __add__(self, other: Cost) -> Cost:
        """Both mechanisms, the second possibly chosen after seeing the first one's answer."""
        if (self.unit, self.relation) != (other.unit, other.relation):
            raise UsageError(
                f"a cost per {self.unit} ({self.relation}) and one per {other.unit} ({other.relation}) "
                "do not add up; state both in the same terms first (in_terms_of)"
            )
        curve = tuple(
            None if a is None or b is None or a + b > LARGEST else a + b
            for a, b in zip(self.curve, other.curve, strict=True)
        )
        delta = min(self.delta + other.delta, FEMTO)
        return Cost(self.unit, self.relation, _joint(self, other), curve, delta)

    def times(self, count: int) -> Cost:
        """The cost of `count` such mechanisms, each possibly chosen after the answers before it."""
        if count < 0:
            raise UsageError(f"a mechanism runs 0 times or more, not {count}")
        curve = tuple(
            0 if not count else None if x is None or x * count > LARGEST else x * count for x in self.curve
        )
        mechanism = self.mechanism if count == 1 or self.mechanism in ("gaussian", "none") else "composed"
        return Cost(self.unit, self.relation, mechanism, curve, min(self.delta * count, FEMTO))

    def words(self) -> str:
        """The cost as a person reads it: `epsilon 0.5`, `Gaussian noise of multiplier 2`, ..."""
        if not self.bounded:
            return "no guarantee"
        beside = f" and delta {self.delta / FEMTO:g}" if self.delta else ""
        if self.mechanism == "gaussian" and self.curve[_WIDE]:
            multiplier = math.sqrt(ORDERS[_WIDE] * NANO / (2 * (self.curve[_WIDE] or 1)))
            return f"Gaussian noise of multiplier {multiplier:.6g}{beside}"
        if self.epsilon is None:
            return (
                f"a Renyi curve of {(self.curve[_WIDE] or 0) / NANO:.6g} at order {ORDERS[_WIDE]:g}{beside}"
            )
        return f"epsilon {self.epsilon:.10g}{beside}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: strings, whole numbers and nulls."""
        return {
            "unit": str(self.unit),
            "relation": str(self.relation),
            "mechanism": self.mechanism,
            "curve": list(self.curve),
            "delta": self.delta,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form; unknown or missing keys and other types are refused.

        Raises:
            BadInput: if it is not a cost.
        """
        if set(document) != {"unit", "relation", "mechanism", "curve", "delta"}:
            raise BadInput(f"a cost has unit, relation, mechanism, curve, delta; this has {sorted(document)}")
        curve, delta, mechanism = document["curve"], document["delta"], document["mechanism"]
        if type(curve) is not list or type(delta) is not int or type(mechanism) is not str:
            raise BadInput("a cost's curve is a list, its delta a whole number, its mechanism a string")
        values = cast("list[object]", curve)
        if not all(value is None or type(value) is int for value in values):
            raise BadInput("a cost's curve holds whole numbers and nulls only")
        heights = cast("list[int | None]", values)
        return cls(document["unit"], document["relation"], mechanism, tuple(heights), delta)


_WIDE: Final = ORDERS.index(17.0)  # where words() reads a curve


def _joint(first: Cost, second: Cost) -> str:
    """The mechanism of two together: Gaussians stay Gaussian (their curves stay lines through zero)."""
    if not (first.bounded and second.bounded):
        return "none"
    if not any(second.curve) and None not in second.curve and not second.delta:
        return first.mechanism
    if not any(first.curve) and None not in first.curve and not first.delta:
        return second.mechanism
    return "gaussian" if first.mechanism == second.mechanism == "gaussian" else "composed"
