"""How a raw value is read before it is looked up in a hierarchy: a closed list of rules, as data.

A hierarchy of days has one leaf per day; "31/3/2024", "2024-03-31T08:00" and a date object are all that
leaf. The rule travels with the hierarchy (JSON), so that new rows are read as the first ones were.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from comity.deidentify.hierarchies import days
from comity.deidentify.hierarchies.postal import style_of
from comity.errors import BadInput, UsageError

_DIGITS = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def number_of(value: object) -> float | None:
    """The finite number that a value is or writes; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # what has no number ends in the except
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def exact_number_of(value: object) -> float | int | None:
    """As `number_of`, but whole numbers of any size keep all their digits: floats stop at 2^53."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    return number_of(value)


def number_word(number: float) -> str:
    """A number as text, exactly: 18, 0.5."""
    if isinstance(number, Integral):
        return str(int(number))
    return str(int(number)) if float(number).is_integer() and abs(number) <= 2**53 else repr(float(number))


@dataclass(frozen=True)
class Numbers:
    """Numbers, with a leaf for all that lie at or outside a public bound.

    Attributes:
        below, above: the bounds; None: there is no such leaf, and what lies outside has no row.
        whole: whole numbers: 18 is in "<= 18" and in ">= 18". Else "< 18" holds what is truly below, and
            ">= 18" begins at the bound, so that the two meet without a gap.
    """

    kind: ClassVar[str] = "numbers"

    below: float | None = None
    above: float | None = None
    whole: bool = True

    @property
    def lowest(self) -> str | None:
        """The leaf of what lies below."""
        if self.below is None:
            return None
        return f"{'<=' if self.whole else '<'} {number_word(self.below)}"

    @property
    def highest(self) -> str | None:
        """The leaf of what lies above."""
        return None if self.above is None else f">= {number_word(self.above)}"

    @property
    def outer(self) -> int:
        """How many leaves hold what lies outside: 0, 1 or 2."""
        return (self.below is not None) + (self.above is not None)

    def leaf(self, value: object) -> str | None:
        """The leaf's text, or None where the value is no number (of the right kind) or lies inside bins."""
        number = number_of(value)
        if number is None or (self.whole and not number.is_integer()):
            return None
        if self.below is not None and (number <= self.below if self.whole else number < self.below):
            return self.lowest
        if self.above is not None and number >= self.above:
            return self.highest
        return str(int(number)) if self.whole else None

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "below": self.below, "above": self.above, "whole": self.whole}


@dataclass(frozen=True)
class Dates:
    """Dates (see `days`), one leaf per `unit`; `day_first`: how 03/04/2024 is meant."""

    kind: ClassVar[str] = "dates"

    unit: str = "day"
    day_first: bool = True

    def __post_init__(self) -> None:
        days.rank(self.unit)

    def leaf(self, value: object) -> str | None:
        """The leaf's text, None where the value names no date."""
        found = days.first_day_of(value, self.unit, day_first=self.day_first)
        return None if found is None else days.label(found, self.unit)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "unit": self.unit, "day_first": self.day_first}


@dataclass(frozen=True)
class Postcodes:
    """Postcodes of a country in capitals, with the space where it belongs, cut to their first `pieces`."""

    kind: ClassVar[str] = "postcodes"

    country: str
    pieces: int

    def __post_init__(self) -> None:
        if not 1 <= self.pieces <= style_of(self.country).pieces:
            raise UsageError(f"a postcode of {self.country!r} has no {self.pieces} pieces")

    def leaf(self, value: object) -> str | None:
        """The leaf's text, None where the value is no postcode of the country."""
        found = style_of(self.country).split(value)
        return None if found is None else "".join(found[: self.pieces])

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "country": self.country, "pieces": self.pieces}


Reading = Numbers | Dates | Postcodes

_FIELDS: Mapping[str, tuple[type[Any], Mapping[str, tuple[type, ...]]]] = {
    "numbers": (
        Numbers,
        {"below": (int, float, type(None)), "above": (int, float, type(None)), "whole": (bool,)},
    ),
    "dates": (Dates, {"unit": (str,), "day_first": (bool,)}),
    "postcodes": (Postcodes, {"country": (str,), "pieces": (int,)}),
}


def reading_from_dict(document: object) -> Reading:
    """Read `to_dict`'s form of any of the rules.

    Raises:
        BadInput: for anything else.
    """
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(kind, str) or kind not in _FIELDS:
        raise BadInput(f"how values are read is an object whose 'kind' is one of {', '.join(_FIELDS)}")
    made, fields = _FIELDS[kind]
    given = {name: value for name, value in document.items() if name != "kind"}
    if set(given) != set(fields):
        raise BadInput(
            f"reading {kind} takes exactly {', '.join(fields)}, not {', '.join(given) or 'nothing'}"
        )
    for name, types in fields.items():
        value = given[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise BadInput(f"reading {kind}: {name} is {value!r}, which it cannot be")
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInput(f"reading {kind}: {name} is not finite")
    try:
        return made(**given)
    except UsageError as error:
        raise BadInput(str(error)) from None
