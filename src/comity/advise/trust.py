"""Who is trusted with what, and what each role sees, in the architecture's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrustTable:
    """An architecture's trust table.

    Attributes:
        summary: the architecture in one sentence; "" if this comity does not have it.
        trust: (role, assumption) pairs.
        seen_by: per role what its process receives.
        in_words: what it protects, against whom and at what price, where the architecture says so.
        unavailable: why it cannot run on this machine, with what mends it; "" if it can.
    """

    architecture: str
    mode: str | None
    summary: str = ""
    trust: tuple[tuple[str, str], ...] = ()
    seen_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    in_words: Mapping[str, str] = field(default_factory=dict[str, str])
    unavailable: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "summary": self.summary,
            "assumptions": [{"party": party, "assumption": words} for party, words in self.trust],
            "seen_by": {role: list(things) for role, things in self.seen_by.items()},
            "in_words": dict(self.in_words),
            "unavailable": self.unavailable,
        }


def trust_of(architecture: str, mode: str | None) -> TrustTable:
    """The trust table of an architecture in a mode; empty where this comity does not have it."""
    from comity.architectures import find, names

    if architecture not in names():
        return TrustTable(architecture, mode)
    found = find(architecture)
    exposure = found.exposure(mode)
    words = found.words(mode)
    return TrustTable(
        architecture,
        mode,
        summary=found.summary,
        trust=tuple((one.party, one.assumption) for one in exposure.trust),
        seen_by=exposure.seen_by,
        in_words={} if words is None else words.to_dict(),
        unavailable=found.unavailable() or "",
    )
