"""Phone numbers: valid in a numbering plan, or written as only phone numbers are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from comity.data.pii.finding import Match, Sample

PLANS = re.findall(
    r"\w+",
    "US GB DE FR NL BE ES IT PL PT BR SE CH AT GR RU JP CN DK NO FI CZ HU RO TR MX IE AU IN KR UA SK HR",
)
NEARLY = 0.9
LOOK = 60
"""So many values are parsed: a numbering plan costs about 0.1 ms a number."""

_SHAPE = re.compile(r"\(?[+\d][\d\s()./–-]{5,22}\d(\s?(x|ext\.?)\s?\d{1,6})?", re.IGNORECASE)
_AMERICAN = re.compile(
    r"(\+?1[-. ]?|001[-. ]?)?(\(\d{3}\)\s?|\d{3}[-. ]?)\d{3}[-. ]?\d{4}(\s?(x|ext\.?)\s?\d{1,6})?",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|[12]\d{3}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ].*)?"
    r"|(?:1[89]|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
)
_GROUPED = re.compile(r"\d{2} \d{4,5}-\d{4}|(?!\d{1,3}( \d{3})+$)\d{1,4}( \d{2,4}){2,4}")
_EAST = re.compile(r"\d{2,4}-\d{2,4}-\d{4}")
_DECIMAL = re.compile(r"[+-]?\d+[.,]\d+")
_PUNCTUATION = re.compile(r"[\s()./–-]")
_TRUNK_BARE = re.compile(r"0[1-9]\d{7,9}")
_SHORTEST_TRUNK = 9
"""Digits of a number that begins with the trunk's 0: shorter ones are codes more often."""


def phones(sample: Sample, *, hinted: bool = False) -> Iterator[Match]:
    """Phone numbers; without a header most must be written like one or all fit one numbering plan."""
    if sample.digits_share < 0.5 or sample.share(_SHAPE.fullmatch) < (0.5 if hinted else 0.9):
        return
    if sample.share(_DATE.fullmatch) > 0.5 or sample.share(_DECIMAL.fullmatch) > 0.5:
        return
    looked = sample.values[:: max(len(sample) // LOOK, 1)]
    share = _part(looked, lambda value: _looks_dialled(value) and 7 <= dialled_digits(value) <= 15)
    valid, plan = _best_plan(looked, fewest=0.5 if hinted else 0.85)
    if max(share, valid) < (0.5 if hinted else NEARLY):
        return
    strength = max(0.8 if hinted else 0.2, _by_plan(looked, plan, valid), _by_writing(looked, valid))
    yield Match("phone", max(valid, share), strength)


def is_international(value: str) -> bool:
    """Whether one value is a phone number with its country code."""
    import phonenumbers

    if (
        not value.startswith(("+", "00"))
        or not _SHAPE.fullmatch(value)
        or not 8 <= dialled_digits(value) <= 17
    ):
        return False
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse("+" + value.lstrip("+0"), None))
    except phonenumbers.NumberParseException:
        return False


def is_national(value: str) -> bool:
    """Whether one value is written in groups with the trunk's 0, and valid in a numbering plan."""
    if (
        not value.lstrip("(").startswith("0")
        or len(_PUNCTUATION.findall(value)) < 2
        or not _looks_dialled(value)
    ):
        return False
    return dialled_digits(value) >= _SHORTEST_TRUNK and any(_valid(value, plan) for plan in PLANS)


def _part(looked: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(1 for value in looked if test(value)) / len(looked)


def _by_plan(looked: Sequence[str], plan: str, valid: float) -> float:
    """Bare digits: plans with few free numbers prove more than those that take nearly every number."""
    if valid >= 0.95 and _taken(plan, max(map(dialled_digits, looked))) <= 0.25:
        return 0.85
    # numbers padded with zeros would begin with several
    trunk = valid >= 0.85 and _part(looked, _TRUNK_BARE.fullmatch) >= 0.95 and len(set(map(len, looked))) <= 2
    return 0.75 if trunk else 0.0


def _by_writing(looked: Sequence[str], valid: float) -> float:
    """How much the writing says: abroad, brackets, leading zeros, groups as only phone numbers have."""
    punctuated = _part(looked, lambda value: _PUNCTUATION.search(value.lstrip("+")))
    abroad = _part(looked, lambda value: value.lstrip("(").startswith(("+", "00")))
    zero = _part(looked, lambda value: value.lstrip("(").startswith("0"))
    american = _part(looked, _AMERICAN.fullmatch)
    marked = _part(looked, _marked)
    if abroad < NEARLY and zero >= 0.5 and _part(looked, _is_short) >= 0.5:
        return 0.0
    if abroad >= NEARLY or (valid >= 0.85 and (abroad >= 0.3 or (punctuated >= 0.3 and zero >= 0.5))):
        return 0.95
    if american >= NEARLY and _part(looked, lambda value: _PUNCTUATION.search(value)) >= 0.5:
        return 0.85
    if punctuated >= 0.3 and abroad + zero >= 0.85:
        return 0.85
    if zero >= 0.3 and _part(looked, _EAST.fullmatch) >= NEARLY:
        return 0.75
    if punctuated >= 0.3 and _part(looked, lambda value: _marked(value) or _GROUPED.fullmatch(value)) >= 0.5:
        return 0.75 if marked >= 0.2 or valid >= 0.85 else 0.0
    return 0.0


def _is_short(value: str) -> bool:
    return dialled_digits(value) < _SHORTEST_TRUNK


def _marked(value: str) -> bool:
    """Written as only phone numbers are: abroad, with a bracket, a leading 0 or an extension."""
    return value.startswith(("+", "0", "(")) or "x" in value.lower()


def _looks_dialled(value: str) -> bool:
    return (
        bool(_SHAPE.fullmatch(value))
        and not _DATE.fullmatch(value)
        and not _DECIMAL.fullmatch(value)
        and value.count("/") < 2
    )


def dialled_digits(value: str) -> int:
    """The digits of a number, without those of an extension."""
    return sum(map(str.isdigit, re.split("[xe]", value.lower())[0].replace("(0)", "")))


def _best_plan(looked: Sequence[str], fewest: float) -> tuple[float, str]:
    """The share of the values that are valid in one numbering plan, + counting as valid in any."""
    first = looked[:: max(len(looked) // 10, 1)]
    length = max(map(dialled_digits, looked))
    fitting: list[tuple[float, float, str]] = []
    for each in PLANS:
        if sum(1 for value in first if _valid(value, each)) < (fewest - 0.2) * len(first):
            continue
        share = sum(1 for value in looked if _valid(value, each)) / len(looked)
        if share >= fewest:
            fitting.append((_taken(each, length), share, each))
            if fitting[-1][0] <= 0.25 or any(value.startswith("+") for value in first):
                break
    if not fitting:
        return 0.0, ""
    _, share, plan = min(fitting, key=lambda entry: (entry[0], -entry[1]))
    return share, plan


def _valid(value: str, region: str) -> bool:
    import phonenumbers

    if dialled_digits(value) < 7 or value.count("/") > 1:
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(value, region))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=256)
def _taken(plan: str, length: int) -> float:
    """Of random bare numbers of some length that do not start with 0, how many are valid in a plan."""
    least = 10 ** (length - 1)
    tried = [str(least + at * (9 * least) // 100 + at * 7919 % 997) for at in range(100)]
    return sum(1 for value in tried if _valid(value, plan)) / len(tried)
