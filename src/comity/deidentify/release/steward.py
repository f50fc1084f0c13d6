"""What the provider's steward is told of a candidate release: it describes raw rows and does not leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor, log10
from typing import Any

from comity.deidentify.utility.choice import Choice
from comity.deidentify.utility.measured import Utility
from comity.deidentify.utility.relax import Warned

STAYS = (
    "This report describes rows that are not released, without noise. It is for the provider's steward: it "
    "must not go with the release. What goes with it is the manifest."
)


@dataclass(frozen=True)
class StewardReport:
    """About one candidate release.

    Attributes:
        rows: counts: `read`, `dropped_as_vulnerable`, `blanked_as_vulnerable`, `scrubbed` (left after these),
            `already_suppressed` (came in so), `taking_part` (of the others, those drawn, where rows are
            sampled), `suppressed`, `released`.
        risk: "before" and "after" (see `comity.assess.Risk`).
        steps: what the column tools counted.
        utility: what the release is still good for.
        choice: how `objective="target"` chose; None for the least loss.
        warning: if too little can be learned, and what to relax; None if enough can.
        notes: further warnings, one line each.
        told: what else it has to know of the protection, one line each.
        unprotected: attacks that the release does not protect from.
    """

    rows: Mapping[str, int]
    risk: Mapping[str, Mapping[str, Any]]
    utility: Utility
    unprotected: Mapping[str, str]
    models: tuple[str, ...]
    smallest_class: int
    steps: tuple[Mapping[str, Any], ...] = ()
    choice: Choice | None = None
    warning: Warned | None = None
    notes: tuple[str, ...] = field(default=())
    told: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "stays": STAYS,
            "rows": dict(self.rows),
            "models": list(self.models),
            "smallest_class": self.smallest_class,
            "risk": {name: dict(found) for name, found in self.risk.items()},
            "steps": [dict(step) for step in self.steps],
            "utility": self.utility.to_dict(),
            "choice": None if self.choice is None else self.choice.to_dict(),
            "warning": None if self.warning is None else self.warning.to_dict(),
            "notes": list(self.notes),
            "told": list(self.told),
            "unprotected": dict(self.unprotected),
        }

    def to_text(self) -> str:
        """In plain words, in sections."""
        joined = [line for step in self.steps for line in _joined(step)]
        sections = [
            *([("What enrichment found", joined)] if joined else []),
            ("Risk that is left", self._risk_lines()),
            ("What the release is good for", self.utility.to_text().splitlines()),
        ]
        if self.choice is not None:
            sections.append(("How levels were chosen", self.choice.to_lines()))
        warnings = [*([self.warning.text] if self.warning is not None else []), *self.notes]
        if warnings:
            sections.append(("Warning", warnings))
        sections.append(
            ("What this does not protect from", [f"{name}: {why}" for name, why in self.unprotected.items()])
        )
        return "\n\n".join("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections)

    def _risk_lines(self) -> list[str]:
        before, after = self.risk["before"], self.risk["after"]
        left_out = self.rows["read"] - self.rows["released"]
        most, mean = percents(after["prosecutor_max"], after["prosecutor_mean"])
        most_before, mean_before = percents(before["prosecutor_max"], before["prosecutor_mean"])
        return [
            f"Every class satisfies: {'; '.join(self.models)}. The smallest has {self.smallest_class:,} "
            f"row{'s' if self.smallest_class != 1 else ''}.",
            "Who knows that somebody is in the table, and all quasi-identifiers of that person, picks the "
            f"right row with probability {most} at most (before: {most_before}) and {mean} on average "
            f"(before: {mean_before}).",
            f"Rows that no other row equals: {after['sample_uniques']:.1%} (before: "
            f"{before['sample_uniques']:.1%}).",
            f"{self.rows['released']:,} of {self.rows['read']:,} rows are released, {left_out:,} "
            f"{'is' if left_out == 1 else 'are'} left out.",
            *self.told,
        ]


def percents(*shares: float) -> list[str]:
    """Shares as percentages with as many digits each, so that the smallest shows two that are not zero."""
    least = min((share for share in shares if share > 0), default=1.0)
    places = min(max(1 - floor(log10(100 * least)), 0), 8)
    return [f"{share:.{places}%}" for share in shares]


def _joined(step: Mapping[str, Any]) -> list[str]:
    """What a join found, in words; nothing for other tools."""
    found = step.get("report")
    if not isinstance(found, Mapping) or "match_rate" not in found:
        return []
    asked = found["matched"] + found["unmatched"]
    return [
        f"{step['name']}: {found['matched']:,} of {asked:,} identifiers were found in the reference "
        f"({found['match_rate']:.0%}); {found['without_identifier']:,} rows have none.",
        *found["warnings"],
    ]
