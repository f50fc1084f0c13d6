"""Street addresses in texts: a street's word with a house number beside it, in a dozen languages.

A street without a number and a house number without a street's word are left: both stand in ordinary texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from comity.data.pii.spans import Span

_CAPITAL: Final = "[A-ZÀ-ÖØ-ÞŁŚŻŹĆ]"
_WORD: Final = rf"{_CAPITAL}[\w'’.-]*"
_PARTICLES: Final = (
    r"(?:(?:de|du|des|la|le|les|l['’]|d['’]|del|della|dei|di|da|do|dos|das|van|den|der|el|los|las)\s?)"
)
_HOUSE: Final = r"\d{1,4}(?:\s?[a-zA-Z]\b)?(?:[/-]\d{1,4})?(?:,?\s(?:bus|box|bte|boîte|apt\.?)\s?\w{1,4})?"
_TOWN: Final = (
    rf"(?:,?\s+(?:[A-Z]{{1,2}}-)?\d{{4,5}}(?:\s?[A-Z]{{2}}\b)?(?:\s+{_WORD}(?:[ -]{_CAPITAL}[\w'’-]+)?)?)?"
)
_AHEAD: Final = (
    r"(?:[Rr]ue|[Aa]venue|[Bb]oulevard|[Bb]d\.?|[Cc]hemin|[Pp]lace|[Ii]mpasse|[Aa]llée|[Qq]uai|[Vv]ia|[Vv]iale|[Pp]iazza|"
    r"[Cc]orso|[Cc]alle|[Aa]venida|[Aa]vda\.?|[Pp]laza|[Pp]aseo|[Rr]ua|[Tt]ravessa|[Uu]lica|[Uu]l\.|[Aa]leja|[Aa]l\.)"
)
_JOINED: Final = re.compile(
    rf"\b(?:{_CAPITAL}[\w'’-]*\s)?"
    r"(?:(?i:[^\W\d_][\w'’-]+(?:straat|laan|steenweg|strasse|straße|gasse|gatan|vägen|gade|katu))"
    rf"|{_CAPITAL}[\w'’-]+(?:str\.|plein|dreef|weg|gracht|kade|singel|platz|allee|ring|damm|ufer|vej|veien|tie)"
    rf"|{_CAPITAL}[\w'’-]+[ -](?:Straße|Strasse|Str\.|Straat|Laan|Plein|Weg|Allee|Platz)),?\s+{_HOUSE}{_TOWN}"
)
_NUMBER_LAST: Final = re.compile(
    rf"\b{_AHEAD}\s+(?!E?-?[Mm]ail|SMS|Fax|Phone){_PARTICLES}{{0,3}}{_WORD}(?:\s{_PARTICLES}{{0,2}}{_WORD}){{0,3}},?\s+{_HOUSE}{_TOWN}"
)
_NUMBER_FIRST: Final = re.compile(
    rf"\b\d{{1,4}}(?:\s?(?:bis|ter|[a-zA-Z])\b)?,?\s+{_AHEAD}\s+{_PARTICLES}{{0,3}}{_WORD}(?:[\s-]{_PARTICLES}{{0,2}}{_WORD}){{0,3}}{_TOWN}"
)
_ENGLISH: Final = re.compile(
    rf"\b\d{{1,5}}[a-zA-Z]?\s+(?:{_WORD}\s+){{1,3}}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|"
    r"Place|Pl|Square|Sq|Terrace|Way|Close|Crescent|Gardens|Grove|Hill|Parkway|Pkwy|Highway)\b\.?"
)
_BOX: Final = re.compile(
    r"\b(?:p\.?\s?o\.?\s?box|postbus|postfach|bo[iî]te postale|apartado de correos|casella postale)"
    r"\s?\d{1,6}",
    re.IGNORECASE,
)


def street_addresses(text: str) -> Iterator[Span]:
    """Streets with a house number, a postcode and town behind it included; post office boxes."""
    if not any(char.isdigit() for char in text):
        return
    for pattern in (_JOINED, _NUMBER_LAST, _NUMBER_FIRST, _ENGLISH, _BOX):
        for found in pattern.finditer(text):
            yield Span(found.start(), found.end(), "address")
