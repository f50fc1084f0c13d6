"""The JSON object of one architecture's run, with the keys that CONTRACT fixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comity.architectures.definition import Architecture, Guarantee, Options
from comity.attack.result import AttackResult


@dataclass(frozen=True)
class Utility:
    """How good the model is on rows that nobody had. None where there is no figure.

    `rows_used` is a number of rows, counted where they lie. `rows_estimated` is what the ML party itself
    knows of it where the number is private: a noisy count with its 95% interval (value, low, high).
    """

    auc: float | None
    accuracy: float | None
    rows_used: int | None
    model: str | None = None
    rows_estimated: Mapping[str, float | None] | None = None
    start_auc: float | None = None


@dataclass(frozen=True)
class Cost:
    """All parties' processes together: seconds, CPU-seconds, bytes, MiB."""

    wall_s: float
    startup_s: float
    cpu_s: float
    bytes_sent: int
    peak_rss_mb: float
    messages: int

    @classmethod
    def of(cls, reports: Mapping[str, Mapping[str, Any]], *, wall_s: float, startup_s: float) -> Cost:
        """Add up what the parties' processes report. Peaks add up too: the processes run at the same time.

        A program in a sandbox is no child that the system counts for the party; what it cost stands in the
        party's figures, and so do the bytes that an engine sent past the channel.
        """
        costs = [report["cost"] for report in reports.values()]
        figures = [report.get("figures", {}) for report in reports.values()]
        boxes = [figure.get("sandbox", {}) for figure in figures]
        return cls(
            wall_s=wall_s,
            startup_s=startup_s,
            cpu_s=sum(cost["cpu_s"] for cost in costs) + sum(box.get("cpu_s", 0.0) for box in boxes),
            bytes_sent=sum(cost["bytes_sent"] for cost in costs)
            + sum(figure.get("engine_bytes", 0) for figure in figures),
            peak_rss_mb=sum(cost["peak_rss_mb"] for cost in costs)
            + sum(box.get("peak_rss_mb", 0.0) for box in boxes),
            messages=sum(cost["messages"] for cost in costs),
        )


@dataclass(frozen=True)
class Ends:
    """What the gap is measured between.

    Attributes:
        alone: a model on the seed rows; split by columns these have the columns of all providers already.
        pooled: the better model on all raw rows.
        by_columns: whether the data is split by columns.
        own: then: what the provider with the target learns from its own columns.
    """

    alone: Utility | None
    pooled: Utility | None
    by_columns: bool = False
    own: Utility | None = None

    def gap_closed_own(self, utility: Utility | None) -> dict[str, float | None]:
        """Split by columns: the share of the gap that starts at the target's holder's own columns."""
        return {"gap_closed_own": gap_closed(utility, self.own, self.pooled)} if self.by_columns else {}


@dataclass(frozen=True)
class Result:
    """One architecture at one setting, measured.

    `figures` is what each party's program says of its run; `left_out` the columns that what it releases does
    not have, each with the reason.
    """

    architecture: Architecture
    options: Options
    guarantee: Guarantee
    utility: Utility | None
    cost: Cost | None
    attacks: Mapping[str, AttackResult]
    error: Mapping[str, Any] | None = None
    attacks_note: str | None = None
    figures: Mapping[str, Mapping[str, Any]] | None = None
    left_out: Mapping[str, str] | None = None

    def to_dict(self, ends: Ends) -> dict[str, Any]:
        """The CONTRACT form; `ends` are those of the gap."""
        utility = self.utility or Utility(None, None, None)
        exposure = self.architecture.exposure(self.options.mode)
        words = self.architecture.words(self.options.mode)
        document: dict[str, Any] = {
            "architecture": self.architecture.name,
            "mode": self.options.mode or (self.architecture.modes[0] if self.architecture.modes else None),
            "summary": self.architecture.summary,
            "in_words": None if words is None else words.to_dict(),
            "utility": {
                "auc": utility.auc,
                "accuracy": utility.accuracy,
                "gap_closed": gap_closed(self.utility, ends.alone, ends.pooled),
                **ends.gap_closed_own(self.utility),
                "start_auc": utility.start_auc,
                "rows_used": utility.rows_used,
                "model": utility.model,
                "rows_estimated": None if utility.rows_estimated is None else dict(utility.rows_estimated),
            },
            "privacy": {
                **self.guarantee.to_dict(),
                "attacks": {name: attack.to_dict() for name, attack in self.attacks.items()},
                "attacks_note": self.attacks_note,
            },
            "cost": _cost_dict(self.cost),
            "cost_note": self.architecture.cost_note(self.figures or {}) or None,
            "left_out": [{"column": name, "why": why} for name, why in (self.left_out or {}).items()],
            "figures": {party: dict(told) for party, told in (self.figures or {}).items()},
            "trust": [{"party": trust.party, "assumption": trust.assumption} for trust in exposure.trust],
            "seen_by": {role: list(seen) for role, seen in exposure.seen_by.items()},
        }
        if self.error is not None:
            document["error"] = dict(self.error)
        return document


_SMALLEST_GAP = 0.01


def gap_closed(utility: Utility | None, alone: Utility | None, pooled: Utility | None) -> float | None:
    """(auc - alone) / (pooled - alone); None where a figure is missing or the gap is under 0.01."""
    if utility is None or alone is None or pooled is None:
        return None
    if utility.auc is None or alone.auc is None or pooled.auc is None:
        return None
    gap = pooled.auc - alone.auc
    if gap < _SMALLEST_GAP:
        return None
    return (utility.auc - alone.auc) / gap


def _cost_dict(cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return dict.fromkeys(("wall_s", "startup_s", "cpu_s", "bytes_sent", "peak_rss_mb", "messages"))
    return {
        "wall_s": round(cost.wall_s, 3),
        "startup_s": round(cost.startup_s, 3),
        "cpu_s": round(cost.cpu_s, 3),
        "bytes_sent": cost.bytes_sent,
        "peak_rss_mb": round(cost.peak_rss_mb, 1),
        "messages": cost.messages,
    }
