"""What a comparison measured, as far as advice depends on it. See CONTRACT for the document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from comity.errors import BadInput

USEFUL: Final = 0.5
"""From this share of the gap between alone and pooled on, an architecture counts as useful."""

USELESS: Final = 0.1
"""Below this share it counts as no better than what the ML party can do alone."""


SLIGHT: Final = 0.02
"""A gap between alone and pooled below this is too small to say who closes how much of it."""

PROTECTS_LITTLE: Final = 10.0
"""An epsilon above this is said to protect little: Ponomareva et al. 2023 ("How to DP-fy ML")
call up to 1 strong, up to 10 reasonable, and more weak at best."""

_GUESSED: Final[Mapping[str, str]] = {
    "canary": "whether one record was in the table",
    "label": "one record's label",
}
"""Attacks on the record that is the easiest to guess, with what they guess; half are right by chance."""


@dataclass(frozen=True)
class Measured:
    """One result of a comparison.

    Attributes:
        gap_closed: share of the gap between alone and pooled; None where there was no gap to close.
        above: attacks whose interval lies above the bound that was promised.
        attacks: the advantage of each attack that was measured, in [-1, 1].
        error: why it did not run to its end; "" if it did.
    """

    architecture: str
    mode: str | None
    epsilon: float | None
    auc: float | None
    gap_closed: float | None
    wall_s: float | None
    bytes_sent: int | None
    above: tuple[str, ...]
    error: str
    attacks: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        privacy, utility = result.get("privacy") or {}, result.get("utility") or {}
        cost, error = result.get("cost") or {}, result.get("error")
        attacks = privacy.get("attacks") or {}
        return cls(
            architecture=str(result["architecture"]),
            mode=result.get("mode"),
            epsilon=_number(privacy.get("epsilon")),
            auc=_number(utility.get("auc")),
            gap_closed=_number(utility.get("gap_closed")),
            wall_s=_number(cost.get("wall_s")),
            bytes_sent=cost.get("bytes_sent"),
            above=tuple(name for name, attack in attacks.items() if _above(attack)),
            error="" if error is None else str(error.get("message", error)),
            attacks={
                name: advantage
                for name, attack in attacks.items()
                if (advantage := _number(attack.get("advantage"))) is not None
            },
        )

    @property
    def no_better(self) -> bool:
        """Whether it ran and taught no more than the ML party knew alone."""
        return not self.error and self.gap_closed is not None and self.gap_closed < USELESS

    @property
    def useless(self) -> bool:
        """Whether it failed, leaked more than promised, or taught no more than the ML party knew."""
        return bool(self.error or self.above) or self.no_better

    @property
    def useful(self) -> bool:
        """Whether it closed half of the gap, and leaked no more than promised."""
        return not self.useless and (self.gap_closed or 0) >= USEFUL

    @property
    def weakness(self) -> str:
        """In plain words, why its epsilon protects little; "" where it is not so large, or there is none."""
        if self.epsilon is None or self.epsilon <= PROTECTS_LITTLE:
            return ""
        told = (
            f"epsilon {self.epsilon:g} protects little: what is told may raise the odds of a guess about one "
            f"record e^{self.epsilon:g}-fold, about {_large(self.epsilon)} times. Above {PROTECTS_LITTLE:g} "
            "such a bound counts as weak at best (Ponomareva et al. 2023)"
        )
        tried = [
            f"the {name} attack guessed {_GUESSED[name]}, and was right {50 + 50 * advantage:.1f} of 100 "
            "times; 50 are chance"
            for name, advantage in self.attacks.items()
            if name in _GUESSED
        ]
        return "; in the comparison ".join([told, *tried[:1]])

    def outcome(self) -> str:
        """What it taught, for a list by epsilon: its AUC, and how much of the gap it closed."""
        if self.error:
            return f"it did not run to its end ({self.error})"
        told = [] if self.auc is None else [f"AUC {self.auc:.3f}"]
        if self.gap_closed is not None:
            told.append(f"{self.gap_closed:.0%} of the gap closed")
            if self.no_better:
                told.append("worse than alone" if self.gap_closed < 0 else "no better than alone")
        if self.above:
            told.append(f"the attack {', '.join(self.above)} lies ABOVE its bound")
        return ", ".join(told) or "nothing was measured"

    def words(self) -> str:
        """What was measured, in one line."""
        if self.error:
            return f"it did not run to its end ({self.error})"
        at = "" if self.epsilon is None else f" at epsilon {self.epsilon:g}"
        at += " (which protects little)" if self.weakness else ""
        told = [] if self.auc is None else [f"AUC {self.auc:.3f}{at}"]
        if self.gap_closed is not None:
            told.append(f"{self.gap_closed:.0%} of the gap between alone and pooled closed")
            if self.no_better:
                told.append("which counts as no better than alone")
        if self.wall_s is not None:
            told.append(f"{self.wall_s:.1f} s")
        if self.above:
            told.append(f"the attack {', '.join(self.above)} lies ABOVE its bound")
        return ", ".join(told) or "nothing was measured"

    def to_dict(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return told | {"above": list(self.above), "attacks": dict(self.attacks)}


@dataclass(frozen=True)
class Results:
    """The results of one comparison.

    Attributes:
        providers: how many took part.
        gap: AUC of pooled less that of alone; None where one of them is not there.
    """

    rows: tuple[Measured, ...]
    providers: int
    gap: float | None

    @classmethod
    def of(cls, document: Any) -> Self:
        """Read the document of `comity compare --json`.

        Raises:
            BadInput: if it is not one.
        """
        try:
            rows = tuple(Measured.of(result) for result in document["results"])
            providers = len(document["inputs"]["providers"])
            rows += tuple(_held_back(one) for one in document["skipped"] if one.get("withheld"))
            gap = _gap(document.get("references") or {})
        except (KeyError, TypeError, AttributeError, ValueError):
            raise BadInput(
                "these are no results of a comparison; make them with: comity compare ... --json FILE"
            ) from None
        if gap is not None and gap < SLIGHT:
            rows = tuple(replace(row, gap_closed=None) for row in rows)
        return cls(rows, providers, gap)

    @property
    def slight(self) -> bool:
        """Whether all raw rows together teach hardly more than the ML party knows alone."""
        return self.gap is not None and self.gap < SLIGHT

    def best(self, architecture: str, mode: str | None) -> Measured | None:
        """Its result in this mode: one that leaked more than promised, else the useful one of the smallest
        epsilon, else the one that learned most. What broke its bound at one epsilon is proven at none."""
        rows = self._of(architecture, mode)
        return next((row for row in rows if row.above), _best(rows))

    def sweep(self, architecture: str, mode: str | None) -> tuple[Measured, ...]:
        """Its results in this mode that have an epsilon, the smallest first."""
        found = [(row.epsilon, row) for row in self._of(architecture, mode) if row.epsilon is not None]
        return tuple(row for _, row in sorted(found, key=lambda each: each[0]))

    def needed(self, architecture: str, mode: str | None) -> float | None:
        """The smallest epsilon at which it closed half of the gap; None where none did, or it has none."""
        best = self.best(architecture, mode)
        return best.epsilon if best is not None and best.useful else None

    def _of(self, architecture: str, mode: str | None) -> list[Measured]:
        own = [row for row in self.rows if row.architecture == architecture]
        # what was held back in the default mode is listed without one
        return [row for row in own if row.mode == mode or (row.error and row.mode is None)]

    def answers(self) -> dict[str, tuple[str, str]]:
        """The questions that these results answer, each with its answer and the evidence."""
        told = {"providers": (_count(self.providers), f"{self.providers} took part in the comparison")}
        release = self.best("direct-release", None)
        if release is not None and release.gap_closed is not None and not release.error:
            answer = "yes" if release.gap_closed >= USEFUL else "no"
            told["suits"] = (answer, f"comity compare, direct-release: {release.words()}")
        leaking = {(row.architecture, row.mode) for row in self.rows if row.above}
        noisy = [
            row
            for row in self.rows
            if row.epsilon is not None
            and row.gap_closed is not None
            and (row.architecture, row.mode) not in leaking
        ]
        best = _best(noisy)
        if best is not None:
            answer = "no" if (best.gap_closed or 0) < USELESS else "yes"
            told["enough"] = (answer, f"comity compare, {best.architecture}: {best.words()}")
        return told


def _best(rows: Sequence[Measured]) -> Measured | None:
    """The useful one of the smallest epsilon (of several, what taught most), else what taught most of all."""
    useful = [row for row in rows if row.useful]
    if useful:
        return min(useful, key=lambda row: (row.epsilon or 0, -(row.gap_closed or 0)))
    return max(rows, key=lambda row: (not row.error, row.gap_closed or 0), default=None)


def _large(epsilon: float) -> str:
    """e^epsilon for people: 20 million is no clearer than a power of ten."""
    return f"{math.exp(epsilon):,.0f}" if epsilon < math.log(1e6) else f"10^{epsilon / math.log(10):.0f}"


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError("a figure is a number")


def _count(providers: int) -> str:
    return {1: "one", 2: "two"}.get(providers, "many")


def _held_back(skipped: Mapping[str, Any]) -> Measured:
    """An architecture that ran and let nothing out: a provider's own check held it back."""
    name, mode = str(skipped["architecture"]), skipped.get("mode")
    return Measured(name, mode, None, None, None, None, None, (), str(skipped["reason"]))


def _gap(references: Mapping[str, Any]) -> float | None:
    alone, pooled = ((references.get(name) or {}).get("auc") for name in ("alone", "pooled"))
    return None if alone is None or pooled is None else float(pooled) - float(alone)


def _above(attack: Mapping[str, Any]) -> bool:
    low, bound = attack.get("low"), attack.get("bound")
    return low is not None and bound is not None and low > bound


def count_of(providers: Sequence[Any]) -> str:
    """The answer to `providers` for so many of them."""
    return _count(len(providers))
