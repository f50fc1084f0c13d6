"""Feedback: the answer to a question about scores, as a record and as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from comity.ledger import Cost, Remaining

_HEADS: Final = ("metric", "estimate", "95% interval")
_MOST_ROWS: Final = 60


@dataclass(frozen=True, repr=False)
class Feedback:
    """The answer to a question about scores. Printed, it is a table of metrics, cost and what is left.

    Attributes:
        estimates: by metric (see `metrics`, `classes`, `regression`); by metric and group where groups were
            asked for.
        intervals: likewise, 95% intervals (low, high) that cover what the labels held would give exactly.
        cost: what it was charged, relation change-one; nothing for a question asked before.
        left: what one more answer may cost.
        groups: public facts about the groups asked about: sizes, score edges, mean scores.
        repeated: whether it is an earlier answer, given again.
        epsilon, delta: the guarantee of this answer by itself, as far as it is known.
    """

    estimates: Mapping[str, Any]
    intervals: Mapping[str, Any]
    cost: Cost
    left: Remaining
    groups: Mapping[Any, Any]
    repeated: bool = False
    epsilon: float | None = None
    delta: float | None = None

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Metric (and group, bin or cell), estimate and interval of each number told, in words."""
        return [
            row
            for metric, estimate in self.estimates.items()
            for row in _rows(metric, estimate, self.intervals.get(metric))
        ]

    @property
    def price(self) -> str:
        """What it cost, in words."""
        told = "" if self.epsilon is None else f"epsilon {self.epsilon:g}"
        told += "" if self.delta is None else f", delta {self.delta:g}"
        if self.repeated:
            return f"nothing: an earlier answer{' of ' * bool(told)}{told}, given again"
        return told or self.cost.words()

    def __str__(self) -> str:
        rows = self.rows
        table = [_HEADS, *rows[:_MOST_ROWS]]
        widths = [max(len(row[at]) for row in table) for at in range(3)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table
        ]
        if len(rows) > _MOST_ROWS:
            lines.append(f"... and {len(rows) - _MOST_ROWS} more, in .estimates and .intervals")
        notes = [f"{name}: {words}" for name, words in self._notes()]
        return "\n".join(line.rstrip() for line in (*lines, *notes))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same table for a notebook."""
        head = "".join(f"<th>{name}</th>" for name in _HEADS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows[:_MOST_ROWS]
        )
        more = len(self.rows) - _MOST_ROWS
        rest = f"<p>... and {more} more, in .estimates and .intervals</p>" if more > 0 else ""
        notes = "<br>".join(f"{name}: {escape(words)}" for name, words in self._notes())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}<p>{notes}</p>"

    def _notes(self) -> Iterator[tuple[str, str]]:
        yield "cost", f"{self.price} (unit {self.cost.unit}, {self.cost.relation})"
        yield "left", self.left.words()


def _rows(name: str, estimate: Any, interval: Any) -> Iterator[tuple[str, str, str]]:
    """The rows of one metric: one of a number, one each of a mapping's and a list's entries."""
    if isinstance(estimate, Mapping):
        for key, one in estimate.items():
            yield from _rows(f"{name} {key}", one, None if interval is None else interval[key])
    elif isinstance(estimate, list):
        for at, one in enumerate(estimate):
            yield from _rows(f"{name} {at}", one, None if interval is None else interval[at])
    elif estimate is None:
        yield name, "not defined", ""
    else:
        yield (
            name,
            _word(estimate),
            "" if interval is None else f"{_word(interval[0])} to {_word(interval[1])}",
        )


def _word(value: Any) -> str:
    """Four digits behind the point, or five in all for large and tiny numbers."""
    number = float(value)
    return f"{number:.4f}" if number == 0 or 1e-3 <= abs(number) < 1e3 else f"{number:.5g}"
