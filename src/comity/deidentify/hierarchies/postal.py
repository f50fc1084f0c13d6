"""How countries write postcodes: their pieces from coarse to fine, and one form for every way of writing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from comity.errors import UsageError

_CANADIAN = "ABCEGHJ-NPRSTV-Z"
_UK_AREAS = (
    "AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN "
    "EX FK FY G GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK "
    "ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA "
    "TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE"
)


@dataclass(frozen=True)
class Style:
    """How one country writes postcodes.

    Attributes:
        words: its name in messages.
        pattern: of the code in capitals without spaces and hyphens; its groups are the pieces, coarse first.
        gap: what stands before which piece, by its number.
        digits: how many digits a code has that may have lost its leading zeros as a number; 0: none.
        listed: how many pieces the public list of codes has where it is short enough to be held whole.
        fixed: whether all codes are as long, so that what is hidden can be shown as one "*" a character.
    """

    words: str
    pattern: re.Pattern[str]
    gap: tuple[int, str] = (0, "")
    digits: int = 0
    listed: int = 0
    fixed: bool = True

    @property
    def pieces(self) -> int:
        return self.pattern.groups

    def split(self, value: object) -> tuple[str, ...] | None:
        """The pieces of a code, as it is written properly; None if it is no code of this country.

        Last pieces that people leave out (of ZIP+4, 1012 AB, SW1A 1AA, K1A 0B1) are left out here too.
        """
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        compact = re.sub(r"[\s-]", "", text).upper()
        if self.digits and compact.isascii() and compact.isdigit() and len(compact) >= self.digits - 2:
            compact = compact.zfill(self.digits)
        found = self.pattern.fullmatch(compact)
        if found is None:
            return None
        place, mark = self.gap
        pieces = tuple(
            (mark if at == place else "") + piece for at, piece in enumerate(found.groups()) if piece
        )
        return pieces


def _digits(words: str, count: int, first: str = r"\d") -> Style:
    """Codes of `count` digits: the first one, two and three digits are regions of one another."""
    pieces = [f"({first})", *[r"(\d)"] * 2, rf"(\d{{{count - 3}}})"]
    zeros = count if first == r"\d" else 0
    listed = 4 if count == 4 else 3
    return Style(words, re.compile("".join(pieces), re.ASCII), digits=zeros, listed=listed)


STYLES: Mapping[str, Style] = {
    "at": _digits("Austrian", 4, "[1-9]"),
    "au": _digits("Australian", 4),
    "be": _digits("Belgian", 4, "[1-9]"),
    "ca": Style(
        "Canadian",
        re.compile(rf"([ABCEGHJ-NPRSTVXY])(\d[{_CANADIAN}])(\d[{_CANADIAN}]\d)?", re.ASCII),
        gap=(2, " "),
        listed=2,
    ),
    "ch": _digits("Swiss", 4, "[1-9]"),
    "de": _digits("German", 5),
    "dk": _digits("Danish", 4),
    "es": _digits("Spanish", 5),
    "fr": _digits("French", 5),
    "gb": Style(
        "British",
        re.compile(r"([A-Z]{1,2})(\d[A-Z\d]?)(?:(\d)([A-Z]{2}))?", re.ASCII),
        gap=(2, " "),
        listed=1,
        fixed=False,
    ),
    "it": _digits("Italian", 5),
    "lu": _digits("Luxembourg", 4, "[1-9]"),
    "nl": Style(
        "Dutch", re.compile(r"([1-9])(\d)(\d)(\d)([A-Z]{2})?", re.ASCII), gap=(4, " "), listed=4
    ),
    "no": _digits("Norwegian", 4),
    "us": Style(
        "United States", re.compile(r"(\d)(\d\d)(\d\d)(\d{4})?", re.ASCII), gap=(3, "-"), digits=5, listed=2
    ),
}  # fmt: skip
"""Styles by ISO 3166 country code."""


def style_of(country: str) -> Style:
    """The style of a country by its ISO code; "uk" is read as "gb".

    Raises:
        UsageError: if there is none.
    """
    code = {"uk": "gb"}.get(country.lower(), country.lower())
    if code not in STYLES:
        raise UsageError(
            f"postcodes of {country!r} are not known; known are {', '.join(STYLES)}. "
            "For others use prefix(values)"
        )
    return STYLES[code]


def listed_codes(country: str) -> Iterator[tuple[str, ...]]:
    """Every code that the country's pattern allows, cut to its first `listed` pieces: a public list."""
    style = style_of(country)
    if style is STYLES["gb"]:
        yield from ((area,) for area in _UK_AREAS.split())
        return
    if style is STYLES["ca"]:
        first, letters = "ABCEGHJKLMNPRSTVXY", "ABCEGHJKLMNPRSTVWXYZ"
        yield from ((a, d + b) for a, d, b in itertools.product(first, "0123456789", letters))
        return
    start = 1 if "[1-9]" in style.pattern.pattern else 0
    count = 4 if style.listed == 4 else 3
    for number in range(start * 10 ** (count - 1), 10**count):
        text = str(number).zfill(count)
        yield (text[0], text[1:]) if style is STYLES["us"] else tuple(text)


def cut(pieces: tuple[str, ...], depth: int, style: Style, template: tuple[str, ...]) -> str:
    """The word for all codes that share the first `depth` pieces: 12** for a region of 1234.

    Args:
        template: pieces of a code that has all of them; what is hidden is shown as long as there.
    """
    kept = "".join(pieces[:depth])
    if depth >= len(template):
        return kept
    if not style.fixed:
        return kept + "*"
    return kept + "".join(re.sub(r"[A-Z\d]", "*", piece) for piece in template[depth:])
