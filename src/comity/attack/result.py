"""What an attack measured: one frozen object for every attack, so that reports can compare them.

An attack is a lower bound on leakage: an advantage near zero says that this adversary learned nothing, not
that none could. The control is the same adversary run where nothing can leak (held-out rows, shuffled
labels); an advantage means something only where it exceeds its control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from comity.errors import BadInput


@dataclass(frozen=True)
class AttackResult:
    """One attack's outcome.

    Attributes:
        name: what was attacked: "membership", "label", "attribute", "linkage", ...
        advantage: success above guessing, in [-1, 1]; 0 is a blind guess, 1 is certainty.
        low, high: ends of the 95% confidence interval of `advantage`.
        bound: what the guarantee allows at most, for the same unit and relation; None where none holds.
        control: the same adversary's advantage where nothing can leak; None where it was not run.
        trials: how many guesses the figures rest on.
    """

    name: str
    advantage: float
    low: float
    high: float
    bound: float | None = None
    control: float | None = None
    trials: int = 0

    def __post_init__(self) -> None:
        for field in ("advantage", "low", "high", "bound", "control"):
            value = getattr(self, field)
            if value is not None and not math.isfinite(value):
                raise BadInput(f"attack '{self.name}': {field} is {value}, it has to be a finite number")
        if not self.low <= self.high:
            raise BadInput(f"attack '{self.name}': the interval [{self.low:g}, {self.high:g}] is empty")
        if self.trials < 0:
            raise BadInput(f"attack '{self.name}': trials is {self.trials}, it cannot be negative")

    @property
    def within_bound(self) -> bool | None:
        """Whether the interval lies under the bound; None without a bound."""
        return None if self.bound is None else self.high <= self.bound

    def to_dict(self) -> dict[str, Any]:
        """What `comity compare` prints under `privacy.attacks`, with control and trials beside it."""
        return {
            "advantage": self.advantage,
            "low": self.low,
            "high": self.high,
            "bound": self.bound,
            "control": self.control,
            "trials": self.trials,
        }
