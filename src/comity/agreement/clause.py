"""What every clause is: the limits of one architecture; what has no clause is not allowed.

A clause holds limits: a plan passes if it asks for no more. `epsilon` and `delta` are the most that this
architecture may spend of each provider's account under this agreement. `retention_days` is how long
recipients may keep what they got; 0 means until the run ends.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import (
    Field,
    model_validator,
)

from comity.agreement.term import Delta, Epsilon, Flag, Share, Term, fault


class Clause(Term):
    """Limits of one architecture."""

    architecture: ClassVar[str]

    retention_days: Annotated[int, Field(strict=True, ge=0, le=36_500)] = 365

    @property
    def spending_limit(self) -> tuple[float, float] | None:
        """(epsilon, delta) it may spend per provider; None where nothing of it has differential privacy."""
        return None


class Charged(Clause):
    """All that leaves has differential privacy."""

    epsilon: Epsilon
    delta: Delta

    @property
    def spending_limit(self) -> tuple[float, float] | None:
        return (self.epsilon, self.delta)


class MaybeExact(Clause):
    """What leaves has differential privacy, unless the agreement says by name that it has none."""

    epsilon: Epsilon | None = None
    delta: Delta | None = None
    unsafe_exact: Flag = False
    attempts: Annotated[int, Field(strict=True, ge=1, le=3)] = 3

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.epsilon is None) != (self.delta is None):
            raise fault("epsilon and delta come together")
        if (self.epsilon is None) != self.unsafe_exact:
            raise fault("set epsilon and delta, or 'unsafe_exact: true' to go without")
        return self

    @property
    def spending_limit(self) -> tuple[float, float] | None:
        return None if self.epsilon is None or self.delta is None else (self.epsilon, self.delta)


class Anonymous(Clause):
    """A table without differential privacy: k-anonymous, checked and attacked before it leaves.

    Attributes:
        k: smallest class of rows alike in all quasi-identifiers.
        suppression: share of rows that may be left out to reach it.
        l: distinct values of each sensitive column in every class (distinct l-diversity).
        t: largest distance of a class's sensitive values from all rows' (t-closeness).
        attempts: tries per table and release; a refusal of a release without DP is itself a disclosure.
    """

    k: Annotated[int, Field(strict=True, ge=2, le=10**9)]
    suppression: Share
    l: Annotated[int, Field(strict=True, ge=2, le=10**9)] | None = None  # noqa: E741  # its name in the literature
    t: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    attempts: Annotated[int, Field(strict=True, ge=1, le=3)] = 3


ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
