"""Dates, with or without a time, and dates of birth by how they are spread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from comity.data.pii.finding import Match, Sample
from comity.data.pii.lexicon import words

_TIME = (
    r"(?:[T ]\s?|, )\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:[ap]\.?m\.?)?\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_YEAR_FIRST = r"(?P<y1>\d{4})(?P<s1>[-/.])(?P<a1>\d{1,2})(?P=s1)(?P<b1>\d{1,2})"
_YEAR_LAST = r"(?P<a2>\d{1,2})(?P<s2>[-/.])\s?(?P<b2>\d{1,2})(?P=s2)\s?(?P<y2>\d{4}|\d{2})"
_BARE = r"(?P<y3>(?:19|20)\d{2})(?P<a3>0[1-9]|1[0-2])(?P<b3>0[1-9]|[12]\d|3[01])"
_EAST = r"(?P<y4>\d{4})[年년]\s?(?P<a4>\d{1,2})[月월]\s?(?P<b4>\d{1,2})[日일]"
_NUMERIC = re.compile(rf"(?:{_YEAR_FIRST}|{_YEAR_LAST}|{_BARE}|{_EAST})(?P<time>{_TIME})?", re.IGNORECASE)
_WORDED = re.compile(
    r"(?:[^\W\d_]+\.?,? )?(?:(?P<d1>\d{1,2})(?:st|nd|rd|th|er|º|\.)?[ -]"
    r"(?:de |of )?(?P<m1>[^\W\d_]+)\.?,?[ -](?:de )?"
    r"(?P<y1>\d{4}|\d{2})|(?P<m2>[^\W\d_]+)\.? (?P<d2>\d{1,2})(?:st|nd|rd|th)?,? (?P<y2>\d{4}))"
    rf"(?P<time>{_TIME})?",
    re.IGNORECASE,
)
_MONTH_OF_YEAR = re.compile(
    r"(0?[1-9]|1[0-2])[-/.](19|20)\d{2}|(19|20)\d{2}[-/.](0[1-9]|1[0-2])"
    r"|Q[1-4][ /-]?(19|20)\d{2}|(19|20)\d{2}[ /-]?Q[1-4]",
    re.IGNORECASE,
)
_WORDED_MONTH = re.compile(r"([^\W\d_]+)\.?[ ,/-]{1,2}((?:19|20)\d{2}|'?\d{2})")
OLDEST = 1900
BORN_EARLY = 1965
EARLY_SHARE = 0.05


def dates(sample: Sample) -> Iterator[Match]:
    """Dates, dates with a time, and dates of birth."""
    if sample.digits_share < 0.15:
        return
    if (share := sample.share(_is_month_of_year)) >= 0.8:
        yield Match("date", share, 0.9, "months or quarters of a year")
        return
    read = [found for value in sample.values if (found := _read(value)) is not None]
    share = len(read) / len(sample)
    if share < 0.8:
        return
    timed = sum(1 for _, time in read if time) / len(read)
    years = [year for year, _ in read]
    if timed >= 0.5:
        yield Match("datetime", share, 0.98)
    elif _born(years):
        yield Match("date_of_birth", share, 0.75)
    else:
        yield Match("date", share, 0.97)


def _is_month_of_year(value: str) -> bool:
    worded = _WORDED_MONTH.fullmatch(value)
    return bool(_MONTH_OF_YEAR.fullmatch(value)) or (worded is not None and _is_month(worded[1]))


def _read(value: str) -> tuple[int, bool] | None:
    """The year and whether there is a time, if the value is a date that exists."""
    if found := _NUMERIC.fullmatch(value):
        for at in "1234":
            if found[f"y{at}"]:
                year, one, two = int(found[f"y{at}"]), int(found[f"a{at}"]), int(found[f"b{at}"])
                return _existing(year, one, two, bool(found["time"]))
    if (found := _WORDED.fullmatch(value)) and _is_month(found["m1"] or found["m2"]):
        day = int(found["d1"] or found["d2"])
        return _existing(int(found["y1"] or found["y2"]), 1, day, bool(found["time"]))
    return None


def _existing(year: int, one: int, two: int, timed: bool) -> tuple[int, bool] | None:
    if not (1 <= min(one, two) <= 12 and 1 <= max(one, two) <= 31):
        return None
    year = year if year >= 100 else year + (1900 if year > 40 else 2000)
    return (year, timed) if 1000 <= year <= 2500 else None


def _is_month(word: str) -> bool:
    from comity.data.pii.lexicon import fold

    folded = fold(word)
    return folded in words("months") or f"{folded}." in words("months")


def born_then(sample: Sample) -> bool:
    """Whether every date lies where a living person's birth may."""
    years = [found[0] for value in sample.values if (found := _read(value)) is not None]
    return bool(years) and min(years) >= OLDEST and max(years) <= date.today().year


def _born(years: list[int]) -> bool:
    """Spread over a lifetime, from long ago to not after today: dates of invoices or visits are not."""
    early = sum(1 for year in years if year < BORN_EARLY) / len(years)
    this = date.today().year
    return min(years) >= OLDEST and this >= max(years) > this - 45 and early >= EARLY_SHARE
