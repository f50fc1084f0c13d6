"""Hierarchies of numbers with public bounds: intervals of equal width or at given cuts, and coded ends."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from comity.deidentify.hierarchies.hierarchy import Hierarchy, Label
from comity.deidentify.hierarchies.reading import Numbers
from comity.errors import UsageError

MOST_LEAVES = 100_000
"""An integer range wider than this starts at bins instead of single values."""

_CLOSE = 1e-9
"""An interval's start this close to a coded end, as a part of the range, is that end: rounding set it off."""

Cuts = Sequence[float] | Sequence[Sequence[float]]


def intervals(
    low: float,
    high: float,
    *,
    widths: Sequence[float] | None = None,
    levels: int | None = None,
    cuts: Cuts | None = None,
    bottom: float | None = None,
    top: float | None = None,
    coded_from: int | None = None,
    integer: bool | None = None,
) -> Hierarchy:
    """Intervals of a number with public bounds, each level's made of whole ones of the level below, then "*".

    Args:
        low, high: inclusive public bounds.
        widths: interval widths, rising, each a multiple of the one before; cut at `low + i * width`.
        levels: instead of widths: how many levels of intervals, each twice as wide as the one below.
        cuts: instead of widths: where intervals begin, `[0, 18, 30, 65]`, the bounds themselves may be left
            out; or a list of such lists, finest first, each made of cuts of the one before.
        bottom, top: values at or below (above) become one group, "<= 18" (">= 90"), from level `coded_from`
            on, whatever the width. Values outside low and high are in that group too: they have a leaf, where
            without bottom or top they have no row. Numbers that are not whole have "< 18" and ">= 90".
        coded_from: 0 codes the ends of the values themselves. By default the first level of intervals: 1,
            or 0 where level 0 is made of intervals.
        integer: whether values are whole numbers: level 0 is then the value itself, as long as the range has
            at most 100,000 of them. By default so if both bounds and all widths, cuts and ends are whole.

    Labels write the edges exactly: a value lies within the interval that its label names.

    Raises:
        UsageError: if bounds, widths, cuts or ends contradict each other, or are whole numbers so large
            (above 2^53) that the edges would not be exact.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"intervals need finite bounds with low < high, not {low} and {high}")
    if not math.isfinite(float(high) - float(low)):
        raise UsageError(f"the bounds {low:g} and {high:g} lie further apart than numbers reach; narrow them")
    nested = None if cuts is None else _nested(cuts)
    ends = [end for end in (bottom, top) if end is not None]
    given = (low, high, *(widths or ()), *itertools.chain(*(nested or ())), *ends)
    inexact = [number for number in given if isinstance(number, int) and int(float(number)) != number]
    if inexact:
        raise UsageError(f"{inexact[0]} is no edge that can be held exactly; choose a rounder one")
    whole = integer if integer is not None else all(float(number).is_integer() for number in given)
    _check_ends(low, high, bottom, top, coded_from, whole)
    if whole and high - low < MOST_LEAVES:
        first, last = math.ceil(low), math.floor(high) + 1
        if first >= last - 1:
            raise UsageError(f"there are no two whole numbers between {low:g} and {high:g}")
        line: _Line = _Whole(first, last, bottom, top)
    else:
        line = _Real(low, high, bottom, top)
    starts = (
        _cut_starts(nested, line)
        if nested is not None
        else _width_starts(_widths(low, high, widths, levels, whole), line, low)
    )
    return line.build(starts, isinstance(line, _Whole) if coded_from is None else coded_from)


def _check_ends(
    low: float, high: float, bottom: float | None, top: float | None, coded_from: int | None, whole: bool
) -> None:
    for name, end in (("bottom", bottom), ("top", top)):
        if end is None:
            continue
        if not math.isfinite(end) or not low <= end <= high:
            raise UsageError(f"{name} is {end:g}: it lies between the bounds {low:g} and {high:g}")
        if whole and not float(end).is_integer():
            raise UsageError(f"{name} is {end:g}, and the values are whole numbers")
    if bottom is not None and top is not None and bottom >= top:
        raise UsageError(f"bottom is {bottom:g} and top is {top:g}: bottom lies below top")
    if coded_from is not None and coded_from < 0:
        raise UsageError(f"coded_from is {coded_from}: levels count from 0")


def _nested(cuts: Cuts) -> tuple[tuple[float, ...], ...]:
    """Cuts as one tuple per level, finest first."""
    several = [each for each in cuts if isinstance(each, Sequence)]
    single = [each for each in cuts if not isinstance(each, Sequence)]
    if not cuts or (several and single):
        raise UsageError("cuts is a list of numbers, or a list of lists of numbers, one per level")
    found = tuple(tuple(each) for each in several) or (tuple(single),)
    for row in found:
        if not row or not all(math.isfinite(cut) for cut in row) or list(row) != sorted(set(row)):
            raise UsageError(f"cuts are finite numbers in rising order, not {list(row)}")
    return found


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


def _width_starts(widths: Sequence[float], line: _Line, low: float) -> list[list[float]]:
    """Where intervals begin, per level, finest first."""
    base = math.ceil(low) if isinstance(line, _Whole) else low
    count = math.ceil((line.stop - base) / widths[0] - 1e-9)
    if count > MOST_LEAVES:
        raise UsageError(
            f"the width {widths[0]:g} cuts the range into {count} bins; at most {MOST_LEAVES} are held"
        )
    # above 2^53 not every whole number is a float: the edge that is written has to be the edge that is held
    starts = [float(base + number * widths[0]) for number in range(count)]
    tidy = [base, *(_tidy(start) for start in starts[1:])]
    if all(one < other for one, other in itertools.pairwise([*tidy, line.stop])):
        starts = tidy
    found = []
    for width in widths:
        step = round(width / widths[0])
        found.append([starts[number] for number in range(0, count, step)])
    return found


def _cut_starts(nested: tuple[tuple[float, ...], ...], line: _Line) -> list[list[float]]:
    found = []
    for cuts in nested:
        outside = [cut for cut in cuts if not line.start <= cut <= line.high]
        if outside:
            raise UsageError(
                f"the cut {outside[0]:g} lies outside the bounds {line.start:g} and {line.high:g}"
            )
        if isinstance(line, _Whole) and any(not float(cut).is_integer() for cut in cuts):
            raise UsageError(f"whole numbers need whole cuts, not {list(cuts)}")
        inside = [cut for cut in cuts if line.start < cut < line.stop]
        if found and not set(inside) <= set(found[-1]):
            odd = sorted(set(inside) - set(found[-1]))
            raise UsageError(f"the cut {odd[0]:g} is none of the finer level's: groups would not nest")
        found.append([line.start, *inside])
    return found


@dataclass(frozen=True)
class _Line:
    """The values from `start` up to, not including, `stop` (`_Real`: including, unless the top is coded)."""

    start: float
    stop: float
    bottom: float | None
    top: float | None

    @property
    def high(self) -> float:
        return self.stop

    @property
    def after_bottom(self) -> float:
        """The first value that is not bottom coded; `start` where nothing is."""
        raise UsageError("a line of numbers is whole or real")

    def build(self, starts: list[list[float]], coded_from: int) -> Hierarchy:
        raise UsageError("a line of numbers is whole or real")

    def clipped(self, starts: Sequence[float]) -> list[float]:
        """Starts of intervals, cut where the coded ends meet the rest, on every level: the tree nests."""
        ends = {self.after_bottom, self.top if self.top is not None else self.start}
        ends = {end for end in ends if self.start <= end < self.stop}
        close = (self.stop - self.start) * _CLOSE
        return sorted(ends | {each for each in starts if all(abs(each - end) > close for end in ends)})


@dataclass(frozen=True)
class _Whole(_Line):
    """Whole numbers; `stop` is one above the highest."""

    @property
    def high(self) -> float:
        return self.stop - 1

    @property
    def after_bottom(self) -> float:
        return self.start if self.bottom is None else self.bottom + 1

    def build(self, starts: list[list[float]], coded_from: int) -> Hierarchy:
        first, last = int(self.start), int(self.stop) - 1
        low = None if self.bottom is None else int(self.bottom)
        high = None if self.top is None else int(self.top)
        if coded_from == 0:
            first = first if low is None else low + 1
            last = last if high is None else high - 1
        reading = None
        if low is not None or high is not None:
            reading = Numbers(None if low is None else first - 1, None if high is None else last + 1)
        clipped = [self.clipped(level) for level in starts]
        below = None if low is None else Numbers(below=low).lowest
        above = None if high is None else Numbers(above=high).highest

        def labels(value: int) -> list[Label]:
            row: list[Label] = []
            for level, begins in enumerate(clipped, start=1):
                if low is not None and value <= low and level >= coded_from:
                    row.append(below)
                elif high is not None and value >= high and level >= coded_from:
                    row.append(above)
                else:
                    row.append(self._interval(value, begins))
            return row

        def outer(leaf: str, coded: Label) -> tuple[Label, ...]:
            return (
                leaf,
                *(coded if level >= coded_from else leaf for level in range(1, len(starts) + 1)),
                "*",
            )

        rows: list[tuple[Label, ...]] = [
            (str(value), *labels(value), "*") for value in range(first, last + 1)
        ]
        if reading is not None and reading.lowest is not None:
            rows.insert(0, outer(reading.lowest, below))
        if reading is not None and reading.highest is not None:
            rows.append(outer(reading.highest, above))
        return Hierarchy(tuple(rows), (), reading)

    def _interval(self, value: int, begins: Sequence[float]) -> str:
        at = bisect_right(begins, value) - 1
        first = int(begins[at])
        last = int(begins[at + 1] if at + 1 < len(begins) else self.stop) - 1
        return str(first) if first == last else f"{first}-{last}"


@dataclass(frozen=True)
class _Real(_Line):
    """Numbers of any kind: bins [a, b), the last one with its upper end, unless what is above has a leaf."""

    @property
    def after_bottom(self) -> float:
        return self.start if self.bottom is None else self.bottom

    def build(self, starts: list[list[float]], coded_from: int) -> Hierarchy:
        first = self.after_bottom if coded_from == 0 else self.start
        last = self.top if coded_from == 0 and self.top is not None else self.stop
        if first >= last:
            raise UsageError("nothing is left between bottom and top")
        clipped = [[each for each in self.clipped(level) if first <= each < last] for level in starts]
        edges = [*clipped[0], last]
        words = {edge: _edge_word(edge) for edge in edges}
        below, above = self._coded()
        reading = None
        if below is not None or above is not None:
            reading = Numbers(None if below is None else first, None if above is None else last, whole=False)

        def label(start: float, level: int, begins: Sequence[float]) -> Label:
            if level >= coded_from and self.bottom is not None and start < self.bottom:
                return below
            if level >= coded_from and self.top is not None and start >= self.top:
                return above
            at = bisect_right(begins, start) - 1
            end = begins[at + 1] if at + 1 < len(begins) else last
            closed = end == last and above is None
            return f"[{words[begins[at]]}, {words[end]}{']' if closed else ')'}"

        rows = [
            (*(label(start, level, begins) for level, begins in enumerate(clipped)), "*")
            for start in edges[:-1]
        ]
        for leaf, coded in ((reading and reading.lowest, below), (reading and reading.highest, above)):
            if leaf is not None:
                rows.append((*(coded if level >= coded_from else leaf for level in range(len(starts))), "*"))
        return Hierarchy(tuple(rows), tuple(float(edge) for edge in edges), reading)

    def _coded(self) -> tuple[str | None, str | None]:
        coded = Numbers(self.bottom, self.top, whole=False)
        return coded.lowest, coded.highest


def _tidy(number: float) -> float:
    """0.3 instead of 0.30000000000000004; whole numbers as they are."""
    return number if float(number).is_integer() else float(f"{number:.12g}")


def _edge_word(edge: float) -> str:
    """An edge as text, to its last digit: whole numbers without a point or an exponent while floats hold
    every whole number, others by their shortest text."""
    return str(int(edge)) if float(edge).is_integer() and abs(edge) <= 2**63 else repr(float(edge))
