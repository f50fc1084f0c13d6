"""Hierarchies built from public facts: bounds of a number, lists of values, codes with prefixes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from comity.deidentify.hierarchy import Hierarchy, Label
from comity.errors import BadSchema, UsageError
from comity.schema import ColumnType, Schema

MOST_LEAVES = 100_000
"""An integer range wider than this starts at bins instead of single values."""


def flat(values: Iterable[object]) -> Hierarchy:
    """Two levels: the value itself, then "*"."""
    return Hierarchy.from_rows((value, "*") for value in dict.fromkeys(values))


def prefix(values: Iterable[object], *, steps: int | None = None) -> Hierarchy:
    """Masks texts from the right, one character a level, ending in "*": 1234, 123*, 12**, ..., *.

    Args:
        steps: how many characters to mask before the top level; by default all but the first.
    """
    texts = list(dict.fromkeys(str(value) for value in values))
    longest = max((len(text) for text in texts), default=0)
    count = max(0, longest - 1) if steps is None else steps
    if count < 0 or count > longest:
        raise UsageError(f"steps is {steps}: between 0 and {longest} characters can be masked")

    def masked(text: str, hidden: int) -> str:
        kept = longest - hidden
        return text[:kept] + "*" * max(0, len(text) - kept)

    rows: list[list[Label]] = [[text, *(masked(text, n) for n in range(1, count + 1)), "*"] for text in texts]
    return Hierarchy(tuple(tuple(row) for row in rows))


def intervals(
    low: float,
    high: float,
    *,
    widths: Sequence[float] | None = None,
    levels: int | None = None,
    integer: bool | None = None,
) -> Hierarchy:
    """Intervals of a number with public bounds, each level's made of whole ones of the level below, then "*".

    Args:
        low, high: inclusive public bounds.
        widths: interval widths, rising, each a multiple of the one before; cut at `low + i * width`.
        levels: instead of widths: how many levels of intervals, each twice as wide as the one below.
        integer: whether values are whole numbers: level 0 is then the value itself, as long as the range has
            at most 100,000 of them. By default so if both bounds and all widths are whole.

    Raises:
        UsageError: if the bounds or widths contradict each other.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"intervals need finite bounds with low < high, not {low} and {high}")
    whole = (
        integer if integer is not None else all(float(x).is_integer() for x in (low, high, *(widths or ())))
    )
    chosen = _widths(low, high, widths, levels, whole)
    if whole and high - low < MOST_LEAVES:
        start, stop = math.ceil(low), math.floor(high)
        rows = [
            (str(value), *(_integer_label(value, start, stop, int(width)) for width in chosen), "*")
            for value in range(start, stop + 1)
        ]
        return Hierarchy(tuple(rows))
    return _bins(low, high, chosen)


def _widths(
    low: float, high: float, widths: Sequence[float] | None, levels: int | None, whole: bool
) -> tuple[float, ...]:
    if widths is not None and levels is not None:
        raise UsageError("give either widths or levels, not both")
    if widths is None:
        count = 4 if levels is None else levels
        if count < 1:
            raise UsageError(f"levels is {levels}: at least one level of intervals is needed")
        finest = (high - low) / 2**count
        if whole:
            finest = max(2, math.ceil((high - low + 1) / 2**count))
        return tuple(finest * 2**step for step in range(count) if step == 0 or finest * 2**step < high - low)
    if not widths or any(not math.isfinite(width) or width <= 0 for width in widths):
        raise UsageError(f"widths have to be positive numbers, not {list(widths)}")
    if whole and any(not float(width).is_integer() for width in widths):
        raise UsageError(f"whole numbers need whole widths, not {list(widths)}")
    for fine, coarse in itertools.pairwise(widths):
        if coarse <= fine or abs(coarse / fine - round(coarse / fine)) > 1e-9:
            raise UsageError(f"each width is a multiple of the one before it; {coarse:g} is none of {fine:g}")
    return tuple(widths)


def _integer_label(value: int, start: int, stop: int, width: int) -> str:
    first = start + (value - start) // width * width
    last = min(first + width - 1, stop)
    return str(first) if first == last else f"{first}-{last}"


def _bins(low: float, high: float, widths: Sequence[float]) -> Hierarchy:
    count = math.ceil((high - low) / widths[0] - 1e-9)
    if count > MOST_LEAVES:
        raise UsageError(
            f"the width {widths[0]:g} cuts the range into {count} bins; at most {MOST_LEAVES} are held"
        )
    edges = [low + number * widths[0] for number in range(count)] + [high]
    steps = [round(width / widths[0]) for width in widths]
    words = _distinct_words(edges)

    def label(number: int, step: int) -> str:
        first = number // step * step
        last = min(first + step, count)
        return f"[{words[first]}, {words[last]}{']' if last == count else ')'}"

    rows = [(*(label(number, step) for step in steps), "*") for number in range(count)]
    return Hierarchy(tuple(rows), tuple(edges))


def _distinct_words(edges: Sequence[float]) -> list[str]:
    """Edges as texts, with as many digits as it takes to tell them apart."""
    for digits in range(6, 18):
        words = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(words)) == len(words):
            return words
    raise UsageError(f"bins between {edges[0]} and {edges[-1]} are too narrow for their edges to differ")


def from_schema(schema: Schema, names: Sequence[str]) -> dict[str, Hierarchy]:
    """A hierarchy for each column from its public bounds or levels: intervals for numbers, else value and
    "*".

    Raises:
        BadSchema: naming the columns that declare neither.
    """
    found: dict[str, Hierarchy] = {}
    lacking = []
    for name in names:
        column = schema[name]
        if column.type.is_numeric and column.min is not None and column.max is not None:
            if column.min == column.max:
                found[name] = flat([f"{column.min:g}"])
            else:
                found[name] = intervals(column.min, column.max, integer=column.type is ColumnType.integer)
        elif column.values is not None:
            found[name] = flat(column.values)
        else:
            lacking.append(f"{name} ({'min and max' if column.type.is_numeric else 'values'})")
    if lacking:
        raise BadSchema(
            f"quasi-identifiers need a hierarchy, or public bounds or levels in the schema: "
            f"{', '.join(lacking)}"
        )
    return found
