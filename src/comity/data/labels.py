"""The target as labels 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from comity.data.table import Table
from comity.errors import BadInput, BadTable
from comity.schema import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN_CLASSES = 10


@dataclass(frozen=True)
class Labels:
    """A binary target.

    Attributes:
        values: (rows,) uint8, 1 for the positive class.
        positive: the value of the target that counts as 1.
        negative: the other values.
    """

    values: NDArray[np.uint8]
    positive: str
    negative: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)


def positive_class(table: Table, target: str, positive: str | None = None) -> str:
    """Which value of the target counts as 1: the given one, else the rarer of two.

    Equally frequent classes: the one that sorts last ("yes" rather than "no", "1" rather than "0").

    Raises:
        BadTable: if the target has one class only; has more than two, and no positive one is named; or has
            no class of the given name.
    """
    codes, levels = table.levels(target)
    if len(levels) < 2:
        only = f"only the value {levels[0]!r}" if levels else "no value"
        raise BadTable(f"{table.source}: the target {target} has {only}; a model needs rows of two classes")
    if positive is not None:
        return _named_class(positive, levels, table, target)
    if len(levels) > 2:
        raise BadTable(_too_many(levels, table, target))
    counts = np.bincount(codes[codes >= 0], minlength=2)
    return levels[0] if counts[0] < counts[1] else levels[1]


def binary_labels(table: Table, target: str, positive: str) -> Labels:
    """The target column as 0 and 1. Every row needs a value there (`check_table` sees to it).

    A table that happens to hold one class only is fine here: `positive` comes from outside. Of numbers it is
    the number that counts: `1`, `1.0` and `1e0` are one.

    Raises:
        BadTable: if a row has no target value, or `positive` is no number though the column holds numbers.
    """
    codes, levels = table.levels(target)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0)) + 1
        raise BadTable(f"{table.source}: row {row} has no value in the target {target}; leave such rows out")
    same = _same_value(table, target, positive)
    hit = np.array([same(level) for level in levels], dtype=np.uint8)
    return Labels(hit[codes], positive, tuple(level for level in levels if not same(level)))


def _same_value(table: Table, target: str, positive: str) -> Callable[[str], bool]:
    """Whether a level is the positive one."""
    if not table.type(target).is_numeric:
        return lambda level: level == positive
    if not _is_number(positive):
        raise BadTable(
            f"{table.source}: {positive!r} is no value of the target {target}, which has numbers",
            private=False,
        )
    return lambda level: float(level) == float(positive)


def require_value(column: Column, target: str, positive: str) -> None:
    """Hold the value that is to count as 1 against the target's schema, before any row is read.

    Raises:
        BadInput: if the target cannot have it. A text, or a category without listed values, may have any.
    """
    if column.type.is_numeric:
        if not _within(column, positive):
            raise BadInput(f"{positive!r} is no value of the target '{target}'; it has {_bounds(column)}")
    elif column.values is not None and positive not in column.values:
        shown = ", ".join(column.values[:_SHOWN_CLASSES])
        more = len(column.values) - _SHOWN_CLASSES
        raise BadInput(
            f"{positive!r} is no value of the target '{target}'; its values are {shown}"
            + (f", ... {more} more" if more > 0 else "")
        )


def _within(column: Column, value: str) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    least = -math.inf if column.min is None else column.min
    most = math.inf if column.max is None else column.max
    return math.isfinite(number) and least <= number <= most


def _bounds(column: Column) -> str:
    least = "" if column.min is None else f" from {column.min:g}"
    return f"numbers{least}" + ("" if column.max is None else f" up to {column.max:g}")


def _named_class(positive: str, levels: tuple[str, ...], table: Table, target: str) -> str:
    """The class the caller means; `1.0` finds `1`."""
    if positive in levels:
        return positive
    if table.type(target).is_numeric and _is_number(positive):
        same = _same_value(table, target, positive)
        if found := next((level for level in levels if same(level)), None):
            return found
    raise BadTable(
        f"{table.source}: {positive!r} is no value of the target {target}; its values are {listed(levels)}"
    )


def _too_many(levels: tuple[str, ...], table: Table, target: str) -> str:
    where = f"{table.source}: the target {target} has {len(levels)} values ({listed(levels)})"
    if len(levels) > _SHOWN_CLASSES and all(_is_number(level) for level in levels):
        return f"{where}; a target has two values: add a column that says whether {target} is above a limit"
    return f"{where}; name the one to tell from all others with --positive VALUE{case_hint(levels)}"


def case_hint(levels: tuple[str, ...]) -> str:
    """What to do of values that only their case tells apart, to stand behind a sentence; else nothing."""
    alike: dict[str, list[str]] = {}
    for level in levels:
        alike.setdefault(level.casefold(), []).append(level)
    doubled = [", ".join(map(repr, group)) for group in alike.values() if len(group) > 1]
    if not doubled:
        return ""
    return (
        f"; values differ in case only ({'; '.join(doubled[:_SHOWN_CLASSES])}): write them alike in the table"
    )


def _is_number(level: str) -> bool:
    try:
        float(level)
    except ValueError:
        return False
    return True


def listed(levels: tuple[str, ...]) -> str:
    """The first values of a target, to read."""
    more = f", ... {len(levels) - _SHOWN_CLASSES} more" if len(levels) > _SHOWN_CLASSES else ""
    return ", ".join(repr(level) for level in levels[:_SHOWN_CLASSES]) + more
