"""What texts of several words hold: phone numbers, IBANs and the like in notes, by their share of rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module

from comity.data.pii.finding import Finding
from comity.data.pii.kinds import KINDS, Tells
from comity.data.pii.spans import (
    CERTAIN,
    SHAPES,
    Detector,
    Span,
    national_numbers,
    readable,
    said_national,
    told_apart,
)

LOOKED_AT = 1000
"""At most this many distinct texts of a column are searched."""

MANY = 0.05
"""Share of rows from which on what they hold is sure; below, some may hold it by chance."""

FEWEST_TEXTS = 8
_LONG_TEXT = 40
_LOWER = re.compile(r"[^\W\d_]{2,}")
_SEPARATE = re.compile(r"[^\W_]\S* +\S*[^\W_]")
_KIND_OF = {
    "email": "email",
    "url": "web",
    "iban": "iban",
    "card": "credit_card",
    "ip": "ip",
    "national number": "national_number",
    "phone": "phone",
    "identifier": "uuid",
    "date of birth": "date_of_birth",
    "date": "date",
}
"""From the kinds of `spans` to those of `KINDS`."""

_OFTEN = {"nl.bsn": 9, "gb.nhs": 10, "pl.pesel": 11, "no.fodselsnummer": 11, "br.cpf": 11, "de.idnr": 11}
"""National numbers that are written in one, whose check digits others pass by chance, with their length."""

_NEARLY_ALL = 0.9


def find_within(values: Sequence[str], rows: Sequence[int]) -> tuple[Finding, ...]:
    """What the texts of a column hold, what names a person first; empty if they are no texts of words.

    A finding's share is of the rows with a value, however often a text is repeated. "free_text" is among
    them where the texts are long or hold anything. A sample is searched: what is rare may be missed.

    Args:
        values: distinct values.
        rows: how many rows have each.
    """
    step = max(len(values) / LOOKED_AT, 1.0)
    picked = [int(at * step) for at in range(min(len(values), LOOKED_AT))]
    texts = [(readable(values[at]), int(rows[at])) for at in picked]
    total = sum(count for _, count in texts)
    if not total or not _worded([text for text, _ in texts], 3, 1):
        return ()
    held: Counter[str] = Counter()
    national = _mostly_national([text for text, _ in texts])
    for text, count in texts:
        kinds = _kinds_in(text) | ({"national_number"} if text in national else set())
        held.update(dict.fromkeys(kinds, count))
    found = [_finding(kind, count / total) for kind, count in held.items()]
    found.sort(key=lambda each: (each.tells is not Tells.who, -each.share, each.kind))
    long = sum(len(text) for text, _ in texts) >= _LONG_TEXT * len(texts)
    prose = (len(values) >= FEWEST_TEXTS or long) and _worded([text for text, _ in texts], 5, 2)
    if not found and not prose:
        return ()
    text = Finding("free_text", KINDS["free_text"].words, 1.0, 0.8, "texts of many words")
    who = [each for each in found if each.tells is Tells.who]
    return (*who, text, *found[len(who) :])


def _finding(kind: str, share: float) -> Finding:
    return Finding(kind, KINDS[kind].words, share, 0.95 if share >= MANY else 0.8, within=True)


def _worded(texts: Sequence[str], fewest: int, lower: int) -> bool:
    """On average so many words, so many of them in lower case, and no more in capitals than those."""
    texts = [text.lower() if text.isupper() else text for text in texts]
    words = [word for text in texts for word in text.split()]
    small = sum(1 for word in words if _LOWER.match(word) and word[0].islower() and "@" not in word)
    later = sum(1 for text in texts for word in text.split()[1:] if word[0].isupper())
    return len(words) >= fewest * len(texts) and small >= max(lower * len(texts), later)


@lru_cache(maxsize=1)
def _detectors() -> tuple[Detector, ...]:
    named = (kind for kind in SHAPES if kind in _KIND_OF and kind != "national number")
    return (*(SHAPES[kind]() for kind in named), national_numbers(CERTAIN), _said_national)


def _said_national(text: str) -> Iterator[Span]:
    """Numbers with any national check digits after a word that says so."""
    return (span for span in _any_national()(text) if said_national(text, span))


@lru_cache(maxsize=1)
def _any_national() -> Detector:
    return national_numbers()


def _kinds_in(text: str) -> set[str]:
    spans = told_apart(text, (span for find in _detectors() for span in find(text)))
    return {_KIND_OF[span.kind] for span in spans}


def _mostly_national(texts: Sequence[str]) -> frozenset[str]:
    """Texts whose number passes check digits that one in ten passes by chance, where nearly all do."""
    best: frozenset[str] = frozenset()
    for module, length in _OFTEN.items():
        run = re.compile(rf"(?<![\w.,+-])(?!0)\d{{{length}}}(?![\w-])")
        numbers = {text: found.group() for text in texts if (found := run.search(text))}
        if len(set(numbers.values())) < FEWEST_TEXTS:
            continue
        valid = import_module(f"stdnum.{module}").is_valid
        passed = frozenset(text for text, number in numbers.items() if valid(number))
        if len(passed) >= _NEARLY_ALL * len(numbers) and len(passed) > len(best):
            best = passed
    return best
