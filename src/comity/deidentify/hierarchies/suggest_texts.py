"""Proposed hierarchies of texts: dates, postcodes, words with an order, codes with prefixes, categories."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import date

from comity.data.hints import words_of
from comity.deidentify.hierarchies import days
from comity.deidentify.hierarchies.builders import dates, flat, ordered, postcodes, prefix
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.hierarchies.periods import MOST_DAYS
from comity.deidentify.hierarchies.postal import STYLES, style_of
from comity.deidentify.hierarchies.scales import bands_in_order, in_order
from comity.deidentify.hierarchies.suggest_numbers import Proposal

NEARLY_ALL = 0.95
"""A kind of text is recognised if this share of the distinct values is of it."""

COMMON = (0.01, 0.05, 0.2)
"""A category rarer than this share of rows joins the others, level by level."""

FEW = 2
MOST_CATEGORIES = 200
"""A column with more distinct texts is grouped by how they begin."""

_CODE = re.compile(r"[A-Za-z]{0,4}[-./ ]?\d[\w./-]*", re.ASCII)
_LONGEST_CODE = 16
_BY_LETTERS = ("nl", "gb", "ca")
_ZIP = frozenset({"zip", "zipcode"})
_POSTAL = _ZIP | {"postcode", "postcodes", "postal", "plz", "cap", "postnummer", "postleitzahl"}
_YEARS = frozenset(
    {"year", "yob", "birthyear", "jaar", "geboortejaar", "jahr", "geburtsjahr", "annee", "born"}
)


def from_dates(values: Sequence[object], *, day_first: bool) -> Proposal | None:
    """Years rounded outwards, and as many units as the range is long; None if the values are no dates."""
    best, first = [], day_first
    for order in (day_first, not day_first):
        found = [day for value in values if (day := days.day_of(value, day_first=order)) is not None]
        if len(found) > len(best):
            best, first = found, order
        if len(found) == len(values):
            break
    if not values or len(best) < NEARLY_ALL * len(values):
        return None
    low, high = min(best).year, max(best).year
    span = high - low
    if span > 20:
        low, high = max(1, low // 10 * 10), high // 10 * 10 + 9
    units = ["day", "month", "quarter", "year"] if span > 1 else ["day", "week", "month", "quarter", "year"]
    units += ["5 years"] if span > 5 else []
    units += ["decade"] if span > 10 else []
    high = min(high, date.max.year)
    if (high - low + 1) * 366 >= MOST_DAYS:
        units = units[1:]
    tree = dates(date(low, 1, 1), date(high, 12, 31), levels=units, day_first=first)
    reason = f"dates: {', '.join(units)}, over the whole years {low} to {high}"
    if any(days.day_of(value, day_first=not first) not in (None, day) for value, day in _read(values, first)):
        reason += f"; 03/04 is read as {'day and month' if first else 'month and day'}: check that"
    if len(best) < len(values):
        reason += f". {len(values) - len(best)} of {len(values)} values are no dates and have no row"
    return Proposal(tree, reason, True)


def _read(values: Sequence[object], first: bool) -> list[tuple[object, object]]:
    return [(value, days.day_of(value, day_first=first)) for value in values]


def from_years(header: str, values: Sequence[object]) -> Proposal | None:
    """Years of birth and the like, by header and range; None if they are none."""
    if not _YEARS & set(words_of(header)):
        return None
    texts = [str(int(value)) if isinstance(value, float) else str(value) for value in values]
    if not all(re.fullmatch(r"(1[89]|20)\d\d", text, re.ASCII) for text in texts):
        return None
    low, high = min(map(int, texts)) // 10 * 10, max(map(int, texts)) // 10 * 10 + 9
    tree = dates(low, high, levels=("year", "5 years", "decade", "20 years"))
    return Proposal(tree, f"years: by 5, 10 and 20, over the whole decades {low} to {high}", True)


def from_postcodes(header: str, values: Sequence[object], *, public: bool) -> Proposal | None:
    """Postcodes by their letters, or by the header where they are digits; None if they are none."""
    country = _country(header, values)
    if country is None:
        return None
    style = style_of(country)
    held = [value for value in values if style.split(value) is not None]
    odd = len(values) - len(held)
    words = f"postcodes in the {style.words} way"
    if country not in (*_BY_LETTERS, "us"):
        words += ", which other countries with as many digits share"
    if odd:
        words += f". {odd} of {len(values)} values are none and have no row"
    if style.listed == style.pieces:
        return Proposal(postcodes(country), f"{words}; every code of that form has a leaf", False)
    return Proposal(postcodes(country, held), words, not public)


def _country(header: str, values: Sequence[object]) -> str | None:
    named = _POSTAL & set(words_of(header))
    kinds = list(_BY_LETTERS)
    if named:
        four = sum(len(str(value).removesuffix(".0")) == 4 for value in values) >= NEARLY_ALL * len(values)
        kinds += ["be", "au"] if four else ["us", "de"] if named & _ZIP else ["de", "us"]
    for country in kinds:
        style = STYLES[country]
        split = [style.split(value) for value in values]
        fits = sum(pieces is not None for pieces in split)
        whole = sum(pieces is not None and len(pieces) == style.pieces for pieces in split)
        lettered = country not in _BY_LETTERS or whole >= (0.5 if named else NEARLY_ALL) * len(values)
        if lettered and fits >= NEARLY_ALL * len(values):
            return country
    return None


def from_order(values: Sequence[str], *, public: bool) -> Proposal | None:
    """Neighbours on a known scale, or bands of numbers; None if the values are neither."""
    if len(values) <= FEW:
        return None
    scale = in_order(values)
    if scale is not None:
        name, found = scale
        return Proposal(ordered(found), f"words in the order of {name}: neighbours by 2, 4, 8", not public)
    bands = bands_in_order(values)
    if bands is not None:
        return Proposal(ordered(bands), "bands of numbers, in order: neighbours by 2, 4, 8", not public)
    return None


def from_codes(values: Sequence[str], *, public: bool) -> Proposal | None:
    """Codes by prefix: only the lengths at which groups grow; None if the values are no codes."""
    if len(values) <= FEW or not all(
        len(value) <= _LONGEST_CODE and _CODE.fullmatch(value) for value in values
    ):
        return None
    return _by_prefix(values, prefix(values), "codes, by prefix", public)


def _by_prefix(values: Sequence[str], whole: Hierarchy, words: str, public: bool) -> Proposal | None:
    kept, groups = [0], len(values)
    for level in range(1, whole.levels - 1):
        count = len(whole.labels[level])
        if len(kept) > 1 and count == groups:
            kept[-1] = level  # the same groups by a shorter prefix
        elif 1 < count <= 0.7 * groups:
            kept.append(level)
            groups = count
    if len(kept) == 1:
        return None
    rows = tuple((*(row[level] for level in kept), "*") for row in whole.rows)
    sizes = ", ".join(str(len(whole.labels[level])) for level in kept[1:])
    return Proposal(Hierarchy(rows), f"{words}: {sizes} groups", not public)


def from_categories(counts: Mapping[str, int], *, public: bool) -> Proposal:
    """Rare values join "other", level by level; many values are grouped by how they begin."""
    values = list(counts)
    if public:
        return Proposal(
            flat(values), "a category with public levels and no order: value, then everything", False
        )
    if len(values) <= FEW:
        return Proposal(flat(values), f"{len(values)} value{'s' if len(values) > 1 else ''} in all", True)
    if len(values) > MOST_CATEGORIES:
        grouped = _by_prefix(values, _beginnings(values), "many texts, by how they begin", False)
        if grouped is not None:
            return grouped
    return _by_frequency(counts)


def _beginnings(values: Sequence[str]) -> Hierarchy:
    """Texts cut after the beginning that all of them share and 4, 3, 2 and 1 more characters."""
    low, high = min(values), max(values)  # what the first and the last in order share, all share
    shared = sum(
        1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    )
    return Hierarchy(
        tuple((value, *(value[: shared + more] + "*" for more in (4, 3, 2, 1)), "*") for value in values)
    )


def _by_frequency(counts: Mapping[str, int]) -> Proposal:
    total = sum(counts.values())
    taken = {*counts}
    other = next(name for name in ("other", "all other", "any other", "(other)") if name not in taken)
    levels, shares = [], []
    for share in COMMON:
        common = {value for value, count in counts.items() if count >= share * total}
        before = levels[-1] if levels else {*counts}
        if 1 < len(common) < len(before) and len(before - common) > (not levels):
            levels.append(common)
            shares.append(share)
    if not levels:
        return Proposal(flat(counts), "a category without an order, no value rare", True)
    rows = [(value, *(value if value in common else other for common in levels), "*") for value in counts]
    said = ", then ".join(f"{share:.0%}" for share in shares)
    reason = f"a category without an order: values of fewer rows than {said} are '{other}'"
    return Proposal(Hierarchy(tuple(rows)), reason, True)
