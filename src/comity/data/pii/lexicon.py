"""Word lists of names, places and occupations in some thirty languages, read when they are first needed.

The lists hold words, not people; their origin and licences stand in `words/README.md`. All words are folded:
lower case, without accents, so that "MÜLLER", "Müller" and "Muller" are one.
"""

from __future__ import annotations

import gzip
import unicodedata
from functools import lru_cache
from importlib import resources

_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe", "’": "'", "ı": "i"})


def fold(text: str) -> str:
    """Lower case, without accents and vowel signs, one space between words."""
    text = text.casefold()
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text.translate(_LETTERS))
        text = unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))
    return " ".join(text.split())


@lru_cache(maxsize=16)
def words(name: str) -> frozenset[str]:
    """One list: given_names, surnames, cities, countries, regions, months, currencies, jobs, plain_words."""
    packed = (resources.files("comity.data.pii") / "words" / f"{name}.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode("utf-8").splitlines())


def word_set(text: str) -> frozenset[str]:
    """Words between blanks, folded."""
    return frozenset(map(fold, text.split()))
