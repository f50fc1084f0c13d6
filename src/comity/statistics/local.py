"""Local differential privacy: every record gets noise of its own, before anybody adds records up.

For people who trust nobody with their answer. What one record costs is pure epsilon for changing its value
(change-one): that somebody answered at all is not hidden. Estimates are debiased; for n answers their error
is of the order of n^(1/2), where noise on a sum would do with a constant.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.column import objects
from comity.data.declaration import Charge, checked_levels, is_number
from comity.data.declared import collected, declared_codes
from comity.data.stored import require_levels
from comity.errors import UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, pure, randomized_response
from comity.noise import LARGEST, answers
from comity.statistics.result import Statistics
from comity.statistics.terms import Integers, require_one_each

_Z: Final = 1.959963984540054
_CELLS: Final = 1 << 20
"""So many bits are drawn at once, each out of a word of 8 bytes."""


@dataclass(frozen=True)
class _Local(ABC):
    """Answers of k levels, declared and public; a missing value, or another level, answers as the last one.

    Attributes:
        levels: two or more.
        epsilon: in nats, of every record by itself.
    """

    levels: Sequence[Any]
    epsilon: float

    def __post_init__(self) -> None:
        levels = checked_levels(self.levels, "a local answer")
        if not 2 <= len(levels) <= 1_000:
            raise UsageError(f"levels are 2 to 1,000 values, not {len(levels)}")
        if not is_number(self.epsilon) or not 1e-9 <= float(self.epsilon) <= 30:
            raise UsageError(f"epsilon of a local answer is a number from 1e-9 to 30, not {self.epsilon!r}")
        object.__setattr__(self, "levels", levels)

    @property
    @abstractmethod
    def cost(self) -> Cost:
        """Of one record's answer, for a change of its value."""

    @cached_property
    @abstractmethod
    def chances(self) -> tuple[float, float]:
        """With which an answer names a level: the record's own, and any other one."""

    @abstractmethod
    def answer(self, values: Any, *, charge: Charge | None = None) -> NDArray[Any]:
        """What records say, each with noise of its own."""

    @abstractmethod
    def _named(self, told: NDArray[Any]) -> tuple[Integers, int]:
        """(levels,) how often each was named, and how many records answered."""

    def estimate(self, told: NDArray[Any]) -> Statistics:
        """How many records have each level, from what they said: debiased, so also below 0.

        Intervals are 95% each, by the normal approximation: for 50 answers or more. Costs nothing more.

        Args:
            told: as `answer` gives it.

        Raises:
            UsageError: for what is no answer of these levels.
        """
        counts, records = self._named(told)
        own, other = self.chances
        values = (counts - records * other) / (own - other)
        # records of a level name it with one chance, the others with the other; both are coins of their own
        held = np.clip(values, 0, records)
        spread = np.sqrt(held * own * (1 - own) + (records - held) * other * (1 - other)) / (own - other)
        wide = _Z * spread
        return Statistics("count of", tuple(self.levels), values, values - wide, values + wide, self.cost)

    def _charged_codes(self, values: Any, charge: Charge | None) -> Integers:
        """(records,) places of the values' levels, read after the charge."""
        require_one_each(values)
        require_levels(values, self.levels, "the values are")
        if charge is not None:
            charge(self.cost)
        codes = declared_codes(collected(values), self.levels, "values")
        return np.where(codes < 0, len(self.levels) - 1, codes)


@dataclass(frozen=True)
class RandomizedResponse(_Local):
    """Warner 1965 for k levels: the own level with e^epsilon times the chance of any other one.

    Best for few levels: fewer than 3 e^epsilon + 2 (Wang, Blocki, Li and Jha 2017).
    """

    @property
    def cost(self) -> Cost:
        return randomized_response(
            self.epsilon, len(self.levels), unit=PrivacyUnit.record, relation=Relation.change_one
        )

    @cached_property
    def weights(self) -> Integers:
        """(k, k) chances in units of 2^-62; row: what is so, column: what is said.

        A wrong level's is rounded up, so that no two chances are further apart than e^epsilon.
        """
        k = len(self.levels)
        wrong = math.ceil(LARGEST / (_power(self.epsilon) + k - 1))
        weights = np.full((k, k), wrong, dtype=np.int64)
        np.fill_diagonal(weights, LARGEST - (k - 1) * wrong)
        return weights

    @cached_property
    def chances(self) -> tuple[float, float]:
        return float(self.weights[0, 0]) / LARGEST, float(self.weights[0, 1]) / LARGEST

    def answer(self, values: Any, *, charge: Charge | None = None) -> NDArray[Any]:
        """(records,) one level for each record's.

        Args:
            values: (records,) levels.
            charge: called with one record's cost before the values are read.

        Raises:
            UsageError: for what is not one value per record, or is stored as another kind than the levels;
                public, and so before the charge.
        """
        told = answers(self._charged_codes(values, charge), self.weights)
        return objects(self.levels)[told]

    def _named(self, told: NDArray[Any]) -> tuple[Integers, int]:
        codes = declared_codes(told, self.levels, "answers")
        if (codes < 0).any():
            raise UsageError("an answer names a level that was not declared: these are not its answers")
        return np.bincount(codes, minlength=len(self.levels)).astype(np.int64), len(codes)


@dataclass(frozen=True)
class UnaryEncoding(_Local):
    """Optimised unary encoding (Wang, Blocki, Li and Jha 2017): one bit per level, each with noise.

    The own level's bit is said with 1/2, any other one with 1 / (e^epsilon + 1). Best for many levels: its
    error does not grow with their number.
    """

    @property
    def cost(self) -> Cost:
        return pure(self.epsilon, unit=PrivacyUnit.record, relation=Relation.change_one)

    @cached_property
    def weights(self) -> Integers:
        """(2, 2) chances in units of 2^-62 of a bit to be said 0 or 1; row 1: the own level's.

        Changing the level moves two bits, in all by (1/2 : 1/2) times (1 - q : q) = e^epsilon; q is
        rounded up.
        """
        wrong = math.ceil(LARGEST / (_power(self.epsilon) + 1))
        return np.array([[LARGEST - wrong, wrong], [LARGEST // 2, LARGEST // 2]], dtype=np.int64)

    @cached_property
    def chances(self) -> tuple[float, float]:
        return 0.5, float(self.weights[0, 1]) / LARGEST

    def answer(self, values: Any, *, charge: Charge | None = None) -> NDArray[np.bool_]:
        """(records, levels) bits for each record's level.

        Args:
            values: (records,) levels.
            charge: called with one record's cost before the values are read.

        Raises:
            UsageError: as `RandomizedResponse.answer`.
        """
        codes, k = self._charged_codes(values, charge), len(self.levels)
        told = np.empty((len(codes), k), dtype=np.bool_)
        rows = max(1, _CELLS // k)
        for start in range(0, len(codes), rows):
            own = codes[start : start + rows, None] == np.arange(k)
            bits = answers(own.ravel().astype(np.int64), self.weights)
            told[start : start + rows] = bits.reshape(own.shape).astype(np.bool_)
        return told

    def _named(self, told: NDArray[Any]) -> tuple[Integers, int]:
        bits = np.asarray(told)
        if bits.ndim != 2 or bits.shape[1] != len(self.levels) or bits.dtype.kind != "b":
            raise UsageError(
                f"answers are one row per record, true or false for each of {len(self.levels)} levels"
            )
        return bits.sum(axis=0, dtype=np.int64), len(bits)


def _power(epsilon: float) -> Fraction:
    """e^epsilon, rounded down: an epsilon stands for the decimal it was written as."""
    power = Fraction(Context(prec=50).exp(Decimal(repr(float(epsilon)))))
    return power * (1 - Fraction(1, 10**40))
