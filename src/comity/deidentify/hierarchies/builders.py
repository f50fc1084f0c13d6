"""Hierarchies built from public facts: lists of values, their order, codes with prefixes, schemas.

Numbers are built in `numbers`, dates in `periods`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from comity.deidentify.hierarchies.hierarchy import Hierarchy, shown
from comity.deidentify.hierarchies.numbers import MOST_LEAVES, intervals
from comity.deidentify.hierarchies.periods import dates
from comity.deidentify.hierarchies.postal import Style, cut, listed_codes, style_of
from comity.deidentify.hierarchies.reading import Postcodes, number_word
from comity.errors import BadSchema, UsageError
from comity.schema import Column, ColumnType, HierarchyRule, Schema

__all__ = [
    "MOST_LEAVES",
    "dates",
    "flat",
    "from_schema",
    "intervals",
    "mask",
    "ordered",
    "postcodes",
    "prefix",
]


def flat(values: Iterable[object]) -> Hierarchy:
    """Two levels: the value itself, then "*"."""
    return Hierarchy.from_rows((value, "*") for value in dict.fromkeys(values))


def prefix(values: Iterable[object], *, steps: int | None = None) -> Hierarchy:
    """Masks texts from the right, one character a level, ending in "*": 1234, 123*, 12**, ..., *.

    Args:
        steps: how many characters to mask before the top level; by default all but the first.
    """
    return mask(values, steps=steps)


def mask(
    values: Iterable[object], *, side: str = "right", char: str = "*", steps: int | None = None
) -> Hierarchy:
    """Masks texts one character a level, ending in "*".

    Args:
        side: "right" hides the last characters first and lines texts up at their beginning (1234, 123*, ...);
            "left" hides the first ones and lines texts up at their end (1234, *234, ...).
        char: what stands for a hidden character.
        steps: how many characters to mask before the top level; by default all but one.

    Raises:
        UsageError: if an argument is out of range.
    """
    texts = [str(value) for value in _distinct(values)]
    if side not in ("left", "right"):
        raise UsageError(f"side is {side!r}: characters are masked from the 'left' or the 'right'")
    if len(char) != 1:
        raise UsageError(f"char is {char!r}: it is one character")
    longest = max(len(text) for text in texts)
    count = max(0, longest - 1) if steps is None else steps
    if count < 0 or count > longest:
        raise UsageError(f"steps is {steps}: between 0 and {longest} characters can be masked")

    def masked(text: str, hidden: int) -> str:
        kept = min(longest - hidden, len(text))
        gone = char * (len(text) - kept)
        return text[:kept] + gone if side == "right" else gone + text[len(text) - kept :]

    return Hierarchy(
        tuple((text, *(masked(text, hidden) for hidden in range(1, count + 1)), "*") for text in texts)
    )


def ordered(
    values: Iterable[object],
    groups: Mapping[str, Sequence[object]] | Sequence[Mapping[str, Sequence[object]]] | None = None,
) -> Hierarchy:
    """Values in an order that means something, neighbours grouped, then "*".

    Args:
        values: in their order, lowest first.
        groups: the name of each group with its values; or a list of such levels, finest first, where a level
            groups the names of the one before. Every value is in one group, and a group holds neighbours. By
            default neighbours are grouped by 2, 4, 8 and so on, named "first to last".

    Raises:
        UsageError: if groups leave a value out, hold one twice, or skip over one.
    """
    texts = [str(value) for value in _distinct(values)]
    levels: list[list[str]] = [texts]
    if groups is None:
        size = 2
        while size < len(texts):
            levels.append([_span(texts, at // size * size, size) for at in range(len(texts))])
            size *= 2
    else:
        for named in [groups] if isinstance(groups, Mapping) else groups:
            levels.append(_grouped(levels[-1], named, texts))
    return Hierarchy(tuple((*row, "*") for row in zip(*levels, strict=True)))


def _span(texts: Sequence[str], first: int, size: int) -> str:
    last = min(first + size, len(texts)) - 1
    return texts[first] if first == last else f"{texts[first]} to {texts[last]}"


def _grouped(below: Sequence[str], named: Mapping[str, Sequence[object]], texts: Sequence[str]) -> list[str]:
    """The group of each value, for the labels one level below."""
    group_of: dict[str, str] = {}
    for name, members in named.items():
        if isinstance(members, str):
            raise UsageError(f"the group {name!r} is a list of values, not a text")
        for member in map(str, members):
            if member in group_of:
                raise UsageError(f"{member!r} is in two groups, {group_of[member]!r} and {name!r}")
            group_of[member] = name
    strays = [member for member in group_of if member not in below]
    if strays:
        raise UsageError(f"the groups name {shown(strays)}, which the level below does not have")
    lacking = [label for label in dict.fromkeys(below) if label not in group_of]
    if lacking:
        raise UsageError(f"no group holds {shown(lacking)}: every value has one")
    found = [group_of[label] for label in below]
    runs = [name for name, _ in itertools.groupby(found)]
    if len(runs) != len(set(runs)):
        split = next(name for name in runs if runs.count(name) > 1)
        raise UsageError(f"the group {split!r} skips over values: a group of ordered values holds neighbours")
    for name in set(found) & set(texts):
        if found.count(name) > 1 or texts[found.index(name)] != name:
            raise UsageError(f"the group {name!r} has the name of a value: give it another")
    return found


def postcodes(
    country: str, values: Iterable[object] | None = None, *, pieces: int | None = None
) -> Hierarchy:
    """Postcodes in the way of a country, the last pieces hidden first, ending in "*".

    Spaces, hyphens, capitals and zeros that a number has lost do not matter: "1012ab" is "1012 AB".

    Args:
        country: ISO code: "nl" (1012 AB, 1012 **, 101* **, ...), "gb" (SW1A 1AA, SW1A 1*, SW1A*, SW*), "us"
            (ZIP+4, ZIP, three digits, one), "be", "ca", "de", "fr" and others (see
            `comity.deidentify.hierarchies.postal.STYLES`).
        values: the codes to hold. Without: every code that the country's form allows, a public list, cut to
            the pieces that can be listed (four digits; the first three of five; "K1A" for Canada; "SW" for
            Britain): codes written in full find the leaf of their beginning.
        pieces: how many pieces a leaf has, fewer than the code itself.

    Raises:
        UsageError: if the country is not known, or values are no codes of it.
    """
    style = style_of(country)
    most = style.pieces if values is not None else style.listed
    depth = most if pieces is None else pieces
    if not 1 <= depth <= most:
        raise UsageError(f"{style.words} postcodes can have leaves of 1 to {most} pieces here, not {pieces}")
    codes = list(listed_codes(country)) if values is None else _codes(style, values)
    codes = list(dict.fromkeys(code[:depth] for code in codes))
    template = max(codes, key=len)
    rows = [
        ("".join(code), *(cut(code, at, style, template) for at in range(len(template) - 1, 0, -1)), "*")
        for code in codes
    ]
    name = "gb" if country.lower() == "uk" else country.lower()
    return Hierarchy(tuple(rows), (), Postcodes(name, depth))


def _codes(style: Style, values: Iterable[object]) -> list[tuple[str, ...]]:
    split = {str(value): style.split(value) for value in _distinct(values)}
    odd = [text for text, code in split.items() if code is None]
    if odd:
        raise UsageError(f"{shown(odd)} are no {style.words} postcodes")
    return [code for code in split.values() if code is not None]


def _distinct(values: Iterable[object]) -> list[object]:
    """Distinct values in order; a missing one is left out, since it has no text to build from."""
    found = [value for value in dict.fromkeys(values) if value is not None]
    if not found:
        raise UsageError("a hierarchy is built from at least one value")
    return found


def from_schema(schema: Schema, names: Sequence[str]) -> dict[str, Hierarchy]:
    """A hierarchy for each column from its public bounds or levels: intervals for numbers, else value and
    "*"; or by the rule that the schema gives. A file that it names instead is the caller's to read.

    Raises:
        BadSchema: naming the columns that declare neither, or whose rule cannot be followed.
    """
    found: dict[str, Hierarchy] = {}
    lacking = []
    for name in names:
        column = schema[name]
        if isinstance(column.hierarchy, HierarchyRule):
            found[name] = _by_rule(name, column, column.hierarchy)
        elif column.type.is_numeric and column.min is not None and column.max is not None:
            if column.min == column.max:
                found[name] = flat([number_word(column.min)])
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


def _by_rule(name: str, column: Column, rule: HierarchyRule) -> Hierarchy:
    try:
        return _built(column, rule)
    except UsageError as error:
        raise BadSchema(f"the hierarchy of column '{name}' cannot be built: {error}") from None


def _built(column: Column, rule: HierarchyRule) -> Hierarchy:
    if rule.dates is not None:
        given = rule.dates
        return dates(given.first, given.last, levels=given.levels, day_first=given.day_first)
    if rule.postcodes is not None:
        return postcodes(rule.postcodes.country, column.values)
    if rule.intervals is not None:
        if column.min is None or column.max is None:
            raise UsageError("intervals need the column's public bounds, min and max")
        return intervals(
            column.min,
            column.max,
            **rule.intervals.model_dump(exclude_none=True),
            integer=column.type is ColumnType.integer,
        )
    if column.values is None:
        raise UsageError("this kind of hierarchy needs the column's public values")
    return (
        ordered(column.values)
        if rule.ordered is not None
        else prefix(column.values, steps=rule.prefix.steps if rule.prefix else None)
    )
