"""What a statistic tells: frozen, with its interval and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.data.value import level_text
from comity.ledger import Cost, PrivacyUnit, Relation

Floats = NDArray[np.float64]
Key = Any
"""What one figure is of: a level, a bin's (low, high), a share, or a tuple of levels."""


@dataclass(frozen=True)
class Statistic:
    """One noisy figure.

    Attributes:
        name: what it is, in words.
        value: the estimate. Counts and sums are unbiased; a mean, which is a ratio held at public bounds, and
            a quantile, which is one of the candidates, are not.
        low, high: covers, with 95%, the figure that the records held would give without noise.
        cost: what the account was charged, in the ledger's units.
    """

    name: str
    value: float
    low: float
    high: float
    cost: Cost

    @property
    def unit(self) -> PrivacyUnit:
        return self.cost.unit

    @property
    def relation(self) -> Relation:
        return self.cost.relation

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.6g} ({self.low:.6g} to {self.high:.6g}); {paid(self.cost)}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        figures = {"name": self.name, "value": self.value, "low": self.low, "high": self.high}
        return {**figures, "cost": self.cost.to_dict()}


@dataclass(frozen=True, eq=False)
class Statistics(Mapping[Key, Statistic]):
    """Several noisy figures that were paid for together, by key.

    Every interval covers its own figure with 95%; that all of them do at once is less sure.

    Attributes:
        name: what they are, in words.
        keys_: what each figure is of, in order.
        values_, lows, highs: (figures,) as of `Statistic`.
        cost: of all of them together.
    """

    name: str
    keys_: tuple[Key, ...]
    values_: Floats
    lows: Floats
    highs: Floats
    cost: Cost

    def __post_init__(self) -> None:
        for array in (self.values_, self.lows, self.highs):
            array.setflags(write=False)

    @property
    def unit(self) -> PrivacyUnit:
        return self.cost.unit

    @property
    def relation(self) -> Relation:
        return self.cost.relation

    @cached_property
    def _places(self) -> dict[Key, int]:
        return {key: at for at, key in enumerate(self.keys_)}

    def __getitem__(self, key: Key) -> Statistic:
        at = self._places[key]
        figures = float(self.values_[at]), float(self.lows[at]), float(self.highs[at])
        return Statistic(f"{self.name} {key}", *figures, self.cost)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys_)

    def __len__(self) -> int:
        return len(self.keys_)

    def __str__(self) -> str:
        lines = [f"  {key}: {one.value:.6g} ({one.low:.6g} to {one.high:.6g})" for key, one in self.items()]
        return "\n".join([f"{self.name}; all together {paid(self.cost)}", *lines])

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; keys that are tuples become lists, levels that JSON has no form for their text."""
        figures = [
            {"of": _plain(key), "value": value, "low": low, "high": high}
            for key, value, low, high in zip(
                self.keys_, self.values_.tolist(), self.lows.tolist(), self.highs.tolist(), strict=True
            )
        ]
        return {"name": self.name, "figures": figures, "cost": self.cost.to_dict()}


def _plain(key: Key) -> Any:
    if isinstance(key, tuple):
        return [_plain(one) for one in key]
    return key if isinstance(key, str | int | float) else level_text(key)


def paid(cost: Cost) -> str:
    """A cost with its unit and relation, for people."""
    return f"{_words(cost)} per {cost.unit} ({cost.relation})"


def _words(cost: Cost) -> str:
    """As `Cost.words`, a pure epsilon to six digits, rounded up: never below what was spent.

    What was divided among several draws in the ledger's units is a few billionths below what was asked.
    """
    if cost.epsilon is None or cost.delta or not cost.bounded or cost.mechanism == "gaussian":
        return cost.words()
    told = Context(prec=6, rounding=ROUND_CEILING).create_decimal(Decimal(repr(cost.epsilon)))
    return f"epsilon {told.normalize():f}"
