"""Generalisation hierarchies: for each value of a column, what it becomes one level up, and the next.

The layout is ARX's: one row per value (leaf), the first column the value, each next column one level up.
`share` of a label is the part of the hierarchy's rows that it covers; it is what generalisation costs. A
hierarchy is public: it is written down before the data is seen, or travels with the release.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from comity.crypto.canonical import digest
from comity.deidentify.hierarchies.reading import Numbers, Reading, exact_number_of, reading_from_dict
from comity.errors import BadInput

Label = str | None
"""A label; None stands for a missing value, which is a leaf of its own."""

MISSING_TEXTS = ("?", "NA", "")
"""Texts that mean "missing". A hierarchy that has one of them as a leaf puts missing values there."""

_SHOWN = 5


def is_missing(value: object) -> bool:
    """Whether a raw value stands for a missing one: None, a float or decimal that is no number, or one of
    `MISSING_TEXTS`."""
    if isinstance(value, str):
        return value.strip() in MISSING_TEXTS
    return value is None or value != value


def as_counted(value: Any) -> Any:
    """A raw value of a sensitive column as models count it: None where it is missing, 0.0 for -0.0."""
    if is_missing(value):
        return None
    return value + 0.0 if isinstance(value, float) else value


@dataclass(frozen=True)
class Hierarchy:
    """Rows of a hierarchy, leaf first, top last.

    Attributes:
        rows: one tuple per leaf, all of the same length; `rows[i][0]` is the leaf, unique.
        edges: for numbers cut into bins, the bins' ends: leaf i holds the numbers in [edges[i], edges[i+1]),
            the last one its upper end too. Empty where values are looked up by their text.
        reading: how a value that is no leaf's text is read to find its leaf (dates, postcodes, numbers
            outside the bounds); None where texts and edges say it all.

    Raises:
        BadInput: if rows are missing, of unequal length, repeat a leaf, or a label splits going up.
    """

    rows: tuple[tuple[Label, ...], ...]
    edges: tuple[float, ...] = field(default=())
    reading: Reading | None = None

    def __post_init__(self) -> None:
        check_rows(self.rows)
        outer = self.reading.outer if isinstance(self.reading, Numbers) else 0
        binned = len(self.rows) - any(row[0] is None for row in self.rows) - outer
        if self.edges and (len(self.edges) != binned + 1 or list(self.edges) != sorted(set(self.edges))):
            raise BadInput(f"{binned} bins need {binned + 1} edges in rising order")

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[object]]) -> Self:
        """From rows of anything that has a text form; None stays a missing value."""
        return cls(tuple(tuple(None if cell is None else str(cell) for cell in row) for row in rows))

    @classmethod
    def read_csv(cls, path: str | Path, separator: str | None = ";") -> Self:
        """Read ARX's layout: no header, one row per value, each next column one level up.

        Args:
            separator: what stands between columns; None finds out which of ";", tab and "," it is.

        Raises:
            BadInput: if the file cannot be read or is no hierarchy, naming the line and column.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise BadInput(f"the hierarchy file {path} does not exist") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the hierarchy file {path} cannot be read as UTF-8 text: {error}") from None
        try:
            lines = _lines(text, _separator(text) if separator is None else separator)
            check_rows([row for _, row in lines], [f"line {number}" for number, _ in lines])
            return cls(tuple(row for _, row in lines))
        except (BadInput, csv.Error) as error:
            raise BadInput(f"{path}: {error}") from None

    def write_csv(self, path: str | Path, separator: str = ";") -> None:
        """Write ARX's layout; a missing value becomes an empty cell.

        The layout has rows alone: `edges` and `reading` stay behind, `to_dict` keeps them.
        """
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=separator, lineterminator="\n").writerows(
                ["" if cell is None else cell for cell in row] for row in self.rows
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        document: dict[str, Any] = {"rows": [list(row) for row in self.rows]}
        if self.edges:
            document["edges"] = list(self.edges)
        if self.reading is not None:
            document["reading"] = self.reading.to_dict()
        return document

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read `to_dict`'s form.

        Raises:
            BadInput: for anything else, the public form of an opaque hierarchy among it.
        """
        if isinstance(document, dict) and document.get("opaque") is True:
            raise BadInput(
                "this hierarchy is opaque: what its letters stand for is known to the provider alone. Raw "
                "rows cannot be generalised with it; ask the provider to map them with its key"
            )
        if not isinstance(document, dict) or not set(document) <= {"rows", "edges", "reading"}:
            raise BadInput(
                "a hierarchy is written as an object with 'rows', for bins 'edges', and for dates and the "
                "like 'reading'"
            )
        rows, edges = document.get("rows"), document.get("edges", [])
        if not isinstance(rows, list) or not isinstance(edges, list):
            raise BadInput("a hierarchy's 'rows' and 'edges' are lists")
        for row in rows:
            if not isinstance(row, list) or not all(cell is None or isinstance(cell, str) for cell in row):
                raise BadInput("each row of a hierarchy is a list of texts, or null for a missing value")
        if not all(isinstance(edge, (int, float)) and not isinstance(edge, bool) for edge in edges):
            raise BadInput("a hierarchy's edges are numbers")
        reading = reading_from_dict(document["reading"]) if "reading" in document else None
        return cls(tuple(tuple(row) for row in rows), tuple(float(edge) for edge in edges), reading)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form: names the hierarchy in a manifest."""
        return digest(self.to_dict())

    @property
    def levels(self) -> int:
        """How many levels there are; level 0 is the value itself."""
        return len(self.rows[0])

    @property
    def leaves(self) -> tuple[Label, ...]:
        return tuple(row[0] for row in self.rows)

    @property
    def texts(self) -> list[str]:
        """The leaves that are no missing value."""
        return [row[0] for row in self.rows if row[0] is not None]

    @cached_property
    def labels(self) -> tuple[tuple[Label, ...], ...]:
        """The distinct labels of each level, in order of first appearance."""
        return tuple(tuple(dict.fromkeys(row[level] for row in self.rows)) for level in range(self.levels))

    @cached_property
    def codes(self) -> tuple[NDArray[np.int32], ...]:
        """For each level, an array over leaves: the position in `labels[level]` of what the leaf becomes."""
        found = []
        for level, labels in enumerate(self.labels):
            position = {label: code for code, label in enumerate(labels)}
            found.append(np.array([position[row[level]] for row in self.rows], dtype=np.int32))
        return tuple(found)

    @cached_property
    def covered(self) -> tuple[NDArray[np.int64], ...]:
        """For each level, an array over leaves: how many leaves share the label that the leaf becomes."""
        return tuple(np.bincount(codes).astype(np.int64)[codes] for codes in self.codes)

    def share(self, value: Label, level: int) -> float:
        """Leaves mapped to the label `value` at `level`, divided by the rows of the hierarchy.

        Raises:
            BadInput: if there is no such level, or no such label at it.
        """
        if not 0 <= level < self.levels:
            raise BadInput(f"the hierarchy has levels 0 to {self.levels - 1}, not {level}")
        if value not in self.labels[level]:
            raise BadInput(f"{value!r} is no label of level {level} of the hierarchy")
        code = self.labels[level].index(value)
        return int((self.codes[level] == code).sum()) / len(self.rows)

    @cached_property
    def position(self) -> dict[Label, int]:
        """Leaf to its row number."""
        return {leaf: number for number, leaf in enumerate(self.leaves)}

    def with_missing(self) -> Hierarchy:
        """This hierarchy with a leaf for missing values, itself if it has one.

        The new leaf stays missing at every level, except that it joins the top label where there is only one.
        """
        return self._whole

    @cached_property
    def _whole(self) -> Hierarchy:
        if self._missing >= 0:
            return self
        top: Label = self.labels[-1][0] if len(self.labels[-1]) == 1 and self.levels > 1 else None
        return replace(self, rows=(*self.rows, (*[None] * (self.levels - 1), top)))

    def locate(self, values: Sequence[object]) -> list[int]:
        """Row numbers of values; -1 for a value that the hierarchy does not hold, -2 for a missing one.

        Numbers are found by their shortest text (39.0 as "39.0", then as "39"), or by their bin; dates and
        the like as `reading` says.
        """
        return [self._locate(value) for value in values]

    def _locate(self, value: object) -> int:
        if value is None or (not isinstance(value, str) and value != value):
            return self._missing
        for text in texts_of(value):
            if text in self.position:
                return self.position[text]
        if isinstance(value, str) and value.strip() in MISSING_TEXTS:
            return self._missing
        if self.reading is not None:
            leaf = self.reading.leaf(value)
            if leaf is not None and leaf in self.position:
                return self.position[leaf]
        return self._bin(value) if self.edges else -1

    @cached_property
    def _missing(self) -> int:
        """The row of missing values; -2 if there is none."""
        return next((self.position[text] for text in (None, *MISSING_TEXTS) if text in self.position), -2)

    def _bin(self, value: object) -> int:
        number = exact_number_of(value)
        if number is None or not self.edges[0] <= number <= self.edges[-1]:
            return -1
        return min(bisect_right(self.edges, number) - 1, len(self.edges) - 2)

    def absent(self, values: Iterable[object]) -> list[str]:
        """The distinct values that the hierarchy does not hold, as texts in order of first appearance."""
        distinct = list(dict.fromkeys(values))
        return [str(value) for value, row in zip(distinct, self.locate(distinct), strict=True) if row == -1]

    def generalise(self, values: Sequence[object], level: int) -> list[Label]:
        """What values become at a level: re-applies a hierarchy to new rows.

        Raises:
            BadInput: private, naming the values that the hierarchy does not hold; or for a level it has not.
        """
        if not 0 <= level < self.levels:
            raise BadInput(f"the hierarchy has levels 0 to {self.levels - 1}, not {level}")
        whole = self.with_missing()
        found = whole.locate(values)
        if -1 in found:
            raise BadInput(f"the hierarchy has no row for {shown(self.absent(values))}", private=True)
        return [whole.rows[row][level] for row in found]


def check_rows(rows: Sequence[Sequence[Label]], places: Sequence[str] = ()) -> None:
    """Refuse rows that are no hierarchy; `places` are words for where each one stands ("line 7").

    Raises:
        BadInput: if there are none, they differ in length, repeat a leaf, or a label has two parents.
    """
    if not rows or not rows[0]:
        raise BadInput("a hierarchy needs at least one row, with the value in its first column")

    def place(number: int) -> str:
        return places[number] if places else f"row {number + 1} of the hierarchy"

    width = len(rows[0])
    seen: dict[Label, int] = {}
    for number, row in enumerate(rows):
        if len(row) != width:
            raise BadInput(
                f"{place(number)} has {len(row)} columns, the first has {width}: each row needs one column "
                "for every level"
            )
        if row[0] in seen:
            raise BadInput(
                f"{place(number)}, column 1 repeats the value {row[0]!r} of {place(seen[row[0]])}: each "
                "value has one row"
            )
        seen[row[0]] = number
    for level in range(1, width):
        above: dict[Label, int] = {}
        for number, row in enumerate(rows):
            earlier = above.setdefault(row[level - 1], number)
            if rows[earlier][level] != row[level]:
                raise BadInput(
                    f"{place(number)}, column {level + 1} puts {row[level - 1]!r} (level {level - 1}) under "
                    f"{row[level]!r}, {place(earlier)} under {rows[earlier][level]!r}: a label has one parent"
                )


def _lines(text: str, separator: str) -> list[tuple[int, tuple[str, ...]]]:
    """Rows of a CSV text that are not blank, each with the number of the line that it ends on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return [(reader.line_num, tuple(row)) for row in reader if row]


def _separator(text: str) -> str:
    """Which of ";", tab and "," cuts every row into the same number of columns, at least two."""
    found = {}
    for mark in (";", "\t", ","):
        widths = {len(row) for _, row in _lines(text, mark)}
        if len(widths) == 1 and min(widths) > 1:
            return mark
        found[mark] = widths
    guess = next((mark for mark, widths in found.items() if max(widths, default=0) > 1), None)
    if guess is None:
        raise BadInput(
            "no line has ';', a tab or ',' between columns: a hierarchy has a value and its groups"
        )
    return guess


def texts_of(value: object) -> tuple[str, ...]:
    """The texts under which a hierarchy may hold a value, best first."""
    if isinstance(value, bool):
        return (str(value), str(value).lower())
    if isinstance(value, float) and value.is_integer():
        return (repr(float(value)), str(int(value)))
    return (str(value),)


def shown(values: Sequence[str]) -> str:
    """A few values in words: `3 values: 'a', 'b', 'c'`."""
    head = ", ".join(repr(value) for value in values[:_SHOWN])
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return f"{len(values)} value{'s' if len(values) != 1 else ''}: {head}{more}"
