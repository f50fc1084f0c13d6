"""One charge for all that a job gives out: how epsilon is divided, and that no more is spent than that.

The gate charges one cost for the job. Its program's outputs together and each declared statistic get a part
of epsilon by their shares, in whole billionths, rounded down; the parts add up (basic composition), and delta
goes to the program alone, since statistics have Laplace noise or the exponential mechanism, which need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from comity.cleanroom.job import Job
from comity.errors import ComityError, UsageError
from comity.ledger import Cost
from comity.ledger.currency import INFINITY, NANO, exact, rounded_down


@dataclass(frozen=True)
class Parts:
    """The parts of epsilon: of the program's outputs together (0 without any), and of each statistic."""

    program: float
    statistics: tuple[float, ...]

    @classmethod
    def of(cls, job: Job, epsilon: float) -> Self:
        """Of this job.

        Raises:
            UsageError: if a part is less than a billionth.
        """
        if not job.statistics:
            return cls(epsilon, ())
        shares = [exact(sum(output.share for output in job.outputs), "a share")]
        shares += [exact(one.share, "a share") for one in job.statistics]
        whole = exact(epsilon, "epsilon") / sum(shares, Fraction(0))
        program, *statistics = (rounded_down(whole * share, NANO) / NANO for share in shares)
        if (job.outputs and not program) or not all(statistics):
            raise UsageError(
                f"epsilon {epsilon:g} is too small for the job '{job.title}': a part of it is below a "
                "billionth; declare fewer statistics, or shares that are closer to each other"
            )
        return cls(program, tuple(statistics))


class Purse:
    """What was charged for a job, from which everything that is computed takes its cost first."""

    def __init__(self, charged: Cost) -> None:
        self._charged = charged
        self._spent = [0, 0]

    @property
    def spent(self) -> tuple[float, float]:
        """Epsilon and delta taken so far."""
        return self._spent[0] / NANO, self._spent[1] / 1e15

    def take(self, cost: Cost) -> None:
        """Take a cost, before a record is read for it.

        Raises:
            ComityError: if it is of another unit or relation than was charged, or more than is left.
        """
        epsilon, charged = cost.curve[INFINITY], self._charged.curve[INFINITY]
        alike = (cost.unit, cost.relation) == (self._charged.unit, self._charged.relation)
        if epsilon is None or charged is None or not alike:
            raise ComityError("a clean room's statistic costs something else than was charged for its job")
        spent = [self._spent[0] + epsilon, self._spent[1] + cost.delta]
        if spent[0] > charged or spent[1] > self._charged.delta:
            raise ComityError("a clean room's statistics would cost more than was charged for their job")
        self._spent = spent
