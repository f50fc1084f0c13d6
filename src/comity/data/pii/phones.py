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
_DATE = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*")
_GROUPED = re.compile(r"\d{2} \d{4,5}-\d{4}|(?!\d{1,3}( \d{3})+$)\d{1,4}( \d{2,4}){2,4}")
_EAST = re.compile(r"\d{2,4}-\d{2,4}-\d{4}")
_DECIMAL = re.compile(r"[+-]?\d+[.,]\d+")
_PUNCTUATION = re.compile(r"[\s()./–-]")


def phones(sample: Sample, *, hinted: bool = False) -> Iterator[Match]:
    """Phone numbers; without a header most must be written like one or all fit one numbering plan."""
    if sample.digits_share < 0.5 or sample.share(_SHAPE.fullmatch) < (0.5 if hinted else 0.9):
        return
    if sample.share(_DATE.fullmatch) > 0.5 or sample.share(_DECIMAL.fullmatch) > 0.5:
        return
    looked = sample.values[:: max(len(sample) // LOOK, 1)]
    share = _part(looked, lambda value: _looks_dialled(value) and 7 <= _length(value) <= 15)
    valid, plan = _best_plan(looked, fewest=0.5 if hinted else 0.85)
    if max(share, valid) < (0.5 if hinted else NEARLY):
        return
    strength = max(0.8 if hinted else 0.2, _by_plan(looked, plan, valid), _by_writing(looked, valid))
    yield Match("phone", max(valid, share), strength)


def _part(looked: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(1 for value in looked if test(value)) / len(looked)


def _by_plan(looked: Sequence[str], plan: str, valid: float) -> float:
    """Bare digits: plans with few free numbers prove more than those that take nearly every number."""
    return 0.85 if valid >= 0.95 and _taken(plan, max(map(_length, looked))) <= 0.25 else 0.0


def _by_writing(looked: Sequence[str], valid: float) -> float:
    """How much the writing says: abroad, brackets, leading zeros, groups as only phone numbers have."""
    punctuated = _part(looked, lambda value: _PUNCTUATION.search(value.lstrip("+")))
    abroad = _part(looked, lambda value: value.lstrip("(").startswith(("+", "00")))
    zero = _part(looked, lambda value: value.lstrip("(").startswith("0"))
    american = _part(looked, _AMERICAN.fullmatch)
    marked = _part(looked, _marked)
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


def _length(value: str) -> int:
    return sum(map(str.isdigit, re.split("[xe]", value.lower())[0].replace("(0)", "")))


def _best_plan(looked: Sequence[str], fewest: float) -> tuple[float, str]:
    """The share of the values that are valid in one numbering plan, + counting as valid in any."""
    first = looked[:: max(len(looked) // 10, 1)]
    length = max(map(_length, looked))
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

    if _length(value) < 7 or value.count("/") > 1:
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
