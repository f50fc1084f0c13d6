"""Licence plates and postcodes, by the make-up that each country gives them.

What a pattern proves depends on what else is written like it: `strength` is low where article codes are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from comity.data.pii.finding import Match, Sample

_PLATES: tuple[tuple[str, float, str], ...] = (
    ("British", 0.85, r"[A-Z]{2}\d{2} ?[A-Z]{3}"),
    ("German", 0.85, r"[A-ZÄÖÜ]{1,3}[- ][A-Z]{1,2}[- ]\d{1,4}[EH]?"),
    ("French", 0.85, r"[A-Z]{2}-\d{3}-[A-Z]{2}|\d{1,4}[- ][A-Z]{2,3}[- ]\d{2}"),
    ("Italian", 0.8, r"[A-Z]{2} ?\d{3} ?[A-Z]{2}"),
    ("Spanish", 0.8, r"\d{4}[ -]?[B-DF-HJ-NP-TV-Z]{3}|[A-Z]{1,2}[ -]\d{4}[ -][A-Z]{1,2}"),
    (
        "Dutch",
        0.85,
        r"[A-Z]{2}-\d{2}-\d{2}|\d{2}-\d{2}-[A-Z]{2}|\d{2}-[A-Z]{2}-\d{2}|[A-Z]{2}-\d{2}-[A-Z]{2}|[A-Z]{2}-[A-Z]{2}-\d{2}"
        r"|\d{2}-[A-Z]{2}-[A-Z]{2}|\d{2}-[A-Z]{3}-\d|\d-[A-Z]{3}-\d{2}|[A-Z]{2}-\d{3}-[A-Z]|[A-Z]-\d{3}-[A-Z]{2}"
        r"|[A-Z]{3}-\d{2}-[A-Z]|[A-Z]-\d{2}-[A-Z]{3}|\d-[A-Z]{2}-\d{3}|\d{3}-[A-Z]{2}-\d",
    ),
    ("Danish", 0.8, r"[A-Z]{2} ?\d{2} \d{3}"),
    ("Austrian", 0.7, r"[A-Z]{1,2}-\d{1,5} [A-Z]{1,3}"),
    ("Turkish", 0.85, r"\d{2} [A-Z]{1,3} \d{2,5}"),
    ("Romanian", 0.85, r"[A-Z]{1,2}-\d{2,3}-[A-Z]{3}"),
    ("Czech", 0.8, r"\d[A-Z]\d \d{4}"),
    ("Irish", 0.85, r"\d{2,3}-[A-Z]{1,2}-\d{1,6}"),
    ("Indian", 0.85, r"[A-Z]{2}[ -]?\d{2}[ -]?[A-Z]{1,2}[ -]?\d{4}"),
    ("Ukrainian", 0.8, r"[A-ZА-ЯІ]{2} ?\d{4} ?[A-ZА-ЯІ]{2}"),
    ("Korean", 0.95, r"([가-힣]{2} ?)?\d{2,3} ?[가-힣] ?\d{4}"),
    ("Belgian", 0.85, r"[12]-[A-Z]{3}-\d{3}"),
    ("Brazilian", 0.85, r"[A-Z]{3}[- ]?\d[A-Z]\d{2}"),
    ("Brazilian or American", 0.3, r"[A-Z]{3}[- ]\d{4}"),
    ("Swedish", 0.75, r"[A-Z]{3} ?\d{2}[A-Z0-9]"),
    (
        "Polish",
        0.6,
        r"[A-Z]{2,3} (?=.*\d)[A-Z0-9]{4,5}",
    ),
    (
        "Portuguese",
        0.85,
        r"\d{2}-\d{2}-[A-Z]{2}|[A-Z]{2}-\d{2}-\d{2}|\d{2}-[A-Z]{2}-\d{2}|[A-Z]{2}-\d{2}-[A-Z]{2}",
    ),
    (
        "Russian",
        0.9,
        r"[АВЕКМНОРСТУХABEKMHOPCTYX]( ?\d{3} ?[АВЕКМНОРСТУХABEKMHOPCTYX]{2}|\d{4}) ?\d{2,3}"
        r"|(?=.*[А-Я ])([А-ЯABEKMHOPCTYX]{2} ?\d{3,4} ?\d{2,3}"
        r"|\d{3,4} ?[А-ЯABCDEHKMOPTXY]{1,2}\d? ?\d{0,3} ?\d{2,3})",
    ),
    ("Greek", 0.5, r"[ABEHIKMNOPTXYZΑΒΕΗΙΚΜΝΟΡΤΥΧΖ]{2,3}[ -]\d{4}"),
    ("Japanese", 0.95, r"[一-鿿]{2,4} ?\d{2,3} ?[ぁ-ん] ?[\d・]{1,2}-?[\d・]{1,2}"),
    ("Chinese", 0.95, r"[一-鿿][A-Z][- ·]?[A-Z0-9]{5,6}"),
)
_PLATE_PATTERNS = tuple((country, strength, re.compile(pattern)) for country, strength, pattern in _PLATES)
_AMERICAN = tuple(
    re.compile(pattern)
    for pattern in (
        r"[A-Z]{3}[ -]\d{3}",
        r"\d{3}[ -][A-Z]{3}",
        r"[A-Z]{3}[ -]\d{4}",
        r"\d{3}[ -][A-Z]{2}\d",
        r"\d[A-Z]{3}\d{3}",
        r"[A-Z]{2,3}[ -]?[A-Z]?\d{2,5}",
        r"\d{1,4}[ -]?[A-Z]{1,4}[ -]?\d{0,4}",
        r"\d{2}[A-Z][ -][A-Z]{2}\d",
        r"\d[A-Z]{1,2}[ -][A-Z]{0,2}\d{2,4}",
        r"[A-Z]\d{2}[ -]?\d{3}[A-Z]?|[A-Z]\d{2}[ -]?[A-Z]{3}",
        r"\d{3}[ -]\d{3}|[A-Z]{2}\d[ -]\d[A-Z]{2}",
        r"\d{3}[A-Z][ -]?\d{2}|\d{1,2}-\d{4}[A-Z]|[A-Z]{3}\d[A-Z]?\d?",
    )
)
_NUMBERED = re.compile(r"([^\W\d_]+[-_ ]?)(\d+)")
_SHORT = re.compile(r"[A-Z0-9]{1,4}[ •-]?[A-Z0-9]{2,5}")

_LETTERS = r"(?:TK|ΤΚ|CH|LV|LT|AD|MD|FI|SE|SI|HR|CZ|SK|DK|[ABDFILNS]-)[ -]?"
_POSTCODES: tuple[tuple[str, float, str], ...] = (
    ("British", 0.95, r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"),
    ("Dutch", 0.95, r"[1-9]\d{3} ?[A-Z]{2}"),
    ("Canadian", 0.95, r"[A-Z]\d[A-Z] ?\d[A-Z]\d"),
    ("Polish", 0.9, r"\d{2}-\d{3}"),
    ("Brazilian", 0.95, r"\d{5}-\d{3}"),
    ("Portuguese", 0.45, r"[1-9]\d{3}-\d{3}"),
    ("American", 0.95, r"\d{5}-\d{4}"),
    ("Japanese", 0.85, r"〒?\d{3}-\d{4}"),
    ("Swedish, Czech or Greek", 0.9, rf"({_LETTERS})?\d{{3}} \d{{2}}"),
    ("with a country's letters", 0.9, rf"{_LETTERS}\d{{3}} ?\d{{1,2}}"),
)
_POSTCODE_PATTERNS = tuple(
    (country, strength, re.compile(pattern)) for country, strength, pattern in _POSTCODES
)
_DIGITS = re.compile(r"\d{4,8}")
_DIGITS_OR_LETTERS = re.compile(rf"({_LETTERS})?\d{{4,8}}")


def plates(sample: Sample) -> Iterator[Match]:
    """Licence plates of one country, or the many make-ups of American ones together."""
    if _serial(sample):
        return
    best = Match("licence_plate", 0.0, 0.0)
    for country, strength, pattern in _PLATE_PATTERNS:
        share = sample.share(pattern.fullmatch)
        if share >= 0.95 and strength > best.strength and (strength >= 0.85 or not _one_prefix(sample)):
            best = Match("licence_plate", share, strength, f"written like {country} licence plates")
    if best.strength < 0.6 and not _one_prefix(sample) and (share := sample.share(_is_american)) >= 0.75:
        outlines = len({_outline(value) for value in sample.values})
        if (
            outlines >= 8
            and _mixed(sample)
            and sample.share(_SHORT.fullmatch) >= 0.9
            and sample.average_length <= 8.5
        ):
            best = Match("licence_plate", share, 0.7, "written like American licence plates, in many forms")
    if best.share:
        yield best


def looks_like_plate(value: str) -> bool:
    """Whether a value is written like the plates of some country."""
    known = any(pattern.fullmatch(value) for *_, pattern in _PLATE_PATTERNS)
    return (known or _is_american(value)) and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _mixed(sample: Sample) -> bool:
    """Letters and digits in nearly every value."""
    return sample.share(lambda v: any(map(str.isdigit, v)) and any(map(str.isalpha, v))) >= 0.75


def _serial(sample: Sample) -> bool:
    """Ids that were given out: the same letters, then a number of the same width (`C002721`)."""
    found = Counter(
        (match[1], len(match[2])) for value in sample.values if (match := _NUMBERED.fullmatch(value))
    )
    return max(found.values(), default=0) >= 0.95 * len(sample)


def _one_prefix(sample: Sample) -> bool:
    """Codes of one kind start alike; plates do not, but for those of one town."""
    starts = Counter(value[:2] for value in sample.values)
    return starts.most_common(1)[0][1] >= 0.5 * len(sample)


def _is_american(value: str) -> bool:
    return any(pattern.fullmatch(value) for pattern in _AMERICAN)


def _outline(value: str) -> str:
    return re.sub(r"[A-Z]", "A", re.sub(r"\d", "9", value))


def postcodes(sample: Sample) -> Iterator[Match]:
    """Postcodes by their make-up; bare digits only where leading zeros and the spread speak for them."""
    best = Match("postcode", 0.0, 0.0)
    for country, strength, pattern in _POSTCODE_PATTERNS:
        share = sample.share(pattern.fullmatch)
        loose = share + sample.share(_DIGITS_OR_LETTERS.fullmatch) if share >= 0.15 else share
        if loose >= 0.95 and strength > best.strength:
            words = f"written like postcodes, {country}"
            if country == "British" and sample.share(lambda value: " " in value) < 0.3:
                strength = 0.6  # without the blank between the halves it may be an Italian plate
            best = Match("postcode", min(loose, 1.0), strength if share >= 0.95 else strength - 0.15, words)
    if best.share:
        yield best
    elif sample.share(_DIGITS.fullmatch) >= 0.99 and len({len(value) for value in sample.values}) == 1:
        yield from _bare(sample)


def _bare(sample: Sample) -> Iterator[Match]:
    """Digits of one length: some start with 0 where a country's numbering has low regions, most do not."""
    length = len(sample.values[0])
    zeros = sample.share(lambda value: value.startswith("0"))
    strength = 0.3
    if length == 5 and 0.01 <= zeros <= 0.4 and not _counted(sample):
        strength = 0.6
    if length in (4, 5, 6, 8):
        yield Match("postcode", 1.0, strength, f"{length} digits, as postcodes have")


def _counted(sample: Sample) -> bool:
    """Numbers that count up close to each other."""
    numbers = sorted(int(value) for value in sample.values)
    return numbers[-1] - numbers[0] <= 4 * sample.distinct
