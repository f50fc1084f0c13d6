"""What is wrong in a table, and where: faults by row and column, listed for the holder of the table only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from comity.errors import BadTable

LISTED = 20
"""How many faults a message lists before it only counts the rest."""

_SHOWN = 40


def shown(value: object) -> str:
    """A value as a message shows it: quoted, on one line, at most 40 characters."""
    text = str(value)
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


@dataclass(frozen=True, order=True)
class Fault:
    """One value that cannot stand where it does. `row` is the data row, starting at 1."""

    row: int
    column: str
    value: str
    why: str

    def line(self, file_line: int | None) -> str:
        """The fault on one line, with the line of the file where it is known and says more than the row."""
        place = f"row {self.row}" if file_line is None else f"row {self.row} (line {file_line})"
        return f"  {place}, column {self.column}: {shown(self.value)} {self.why}"


@dataclass(frozen=True)
class Faults:
    """All faults of a table: how many there are, and the first ones in the table's order."""

    total: int = 0
    first: tuple[Fault, ...] = ()
    hints: tuple[str, ...] = field(default=())

    @classmethod
    def gather(cls, parts: Iterable[Faults]) -> Self:
        """Faults of several columns as one: sorted by row, cut to the first `LISTED`."""
        kept = list(parts)
        first = sorted(fault for part in kept for fault in part.first)
        hints = dict.fromkeys(hint for part in kept for hint in part.hints)
        return cls(sum(part.total for part in kept), tuple(first[:LISTED]), tuple(hints))

    @property
    def rows(self) -> tuple[int, ...]:
        """The data rows of the faults that are listed."""
        return tuple(fault.row for fault in self.first)

    def error(self, source: str, lines: Mapping[int, int] | None = None) -> BadTable:
        """The error for the holder of the table: at most `LISTED` faults, a count of the rest, remedies.

        Args:
            source: the table, as the holder knows it.
            lines: line of the file for some data rows, where the table came from a CSV file.
        """
        what = "1 value does not fit" if self.total == 1 else f"{self.total} values do not fit"
        listed = [fault.line((lines or {}).get(fault.row)) for fault in self.first]
        if self.total > len(self.first):
            listed.append(f"  ... and {self.total - len(self.first)} more")
        return BadTable("\n".join([f"{source}: {what}", *listed, *self.hints]))
