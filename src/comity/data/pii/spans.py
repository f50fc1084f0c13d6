"""Where a text names somebody on its face: e-mail addresses, phone and account numbers, national numbers, ...

Detectors take a text (as `readable` leaves it) and yield the places they recognise. Numbers with check digits
are tried on every run of groups of digits. Names, which have no shape, are in `names`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Final

REGIONS: Final = ("BE", "NL", "FR", "DE", "GB", "US")
"""Countries whose phone numbers are recognised without their country code."""

NATIONAL: Final[Mapping[str, tuple[int, ...]]] = {
    "be.nn": (11,), "nl.bsn": (9,), "fr.nir": (15,), "de.idnr": (11,), "es.nif": (9,), "es.nie": (9,),
    "it.codicefiscale": (16,), "gb.nhs": (10,), "pl.pesel": (11,), "se.personnummer": (10, 12),
    "fi.hetu": (10, 11), "dk.cpr": (10,), "no.fodselsnummer": (11,), "ch.ssn": (13,), "pt.nif": (9,),
    "at.vnr": (10,), "bg.egn": (10,), "cz.rc": (9, 10), "ro.cnp": (13,), "ie.pps": (8, 9), "br.cpf": (11,),
    "ca.sin": (9,), "in_.aadhaar": (12,), "za.idnr": (13,), "cn.ric": (18,), "mx.curp": (18,),
}  # fmt: skip
"""Modules of python-stdnum whose numbers carry check digits, with how many letters and digits they have."""

CERTAIN: Final = ("be.nn", "fr.nir", "it.codicefiscale", "es.nif", "fi.hetu", "ch.ssn", "cn.ric", "mx.curp")
"""Those that other numbers pass by chance less than once in twenty."""

_TRUNK_ZERO: Final = frozenset({"AT", "AU", "BE", "CH", "DE", "FI", "FR", "GB", "IE", "NL", "NZ", "SE", "ZA"})
"""Countries in which a number without its country code begins with 0."""

_CHARACTERS = r"[\w.+-]"
_DOT = r"(?:\.|\s?[(\[]\s?dot\s?[)\]]\s?|\sdot\s)"
_EMAIL = re.compile(
    rf"{_CHARACTERS}+\s?(?:@|[(\[]\s?(?:at|@)\s?[)\]])\s?[\w-]+(?:{_DOT}[\w-]+)*{_DOT}[^\W\d_]{{2,}}",
    re.IGNORECASE,
)
_URL = re.compile(r"(?:\b(?:https?|ftp)://|\bwww\.)[^\s<>\"']+", re.IGNORECASE)
_IBAN_START = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_RUN = re.compile(r"(?<![\w])\d(?:[ \t./-]{0,3}\d)+(?![\w])")
_CODE = re.compile(r"(?<![\w])[A-Z0-9](?:[./+ -]?[A-Z0-9]){7,40}(?![\w])", re.IGNORECASE)
_FOUR_DIGITS = re.compile(r"\d\D{0,3}\d\D{0,3}\d\D{0,3}\d")
_US_NUMBER = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_GB_INSURANCE = re.compile(
    r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"
)
_IPV4 = re.compile(
    r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d]|\.\d)"
)
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)
_MAC = re.compile(r"(?<![\w:-])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?![\w:-])", re.IGNORECASE)
_WORD = re.compile(r"\S+")
_LONG = re.compile(r"(?<!\d)\d{7,}(?!\d)")
_MONTHS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mrt|maa|mei|okt|mai|dez|jän|mär|"
    "janv|févr|mars|avr|juin|juil|août|déc|ene|abr|ago|dic|gen|mag|giu|lug|set|ott"
)
_PHONE_RUN = re.compile(r"(?<!\w)(?:\+ ?|\()?\d[\d ()./\t-]{5,40}\d(?!\w)")
_GROUP = re.compile(r"(?:\+ ?|\()?\d+")
_FULL_DATE = re.compile(
    r"(?<![\d./-])(?:(?:19|20)\d{2}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2(?:19|20)\d{2})(?![\d./-])"
)
_DATE = re.compile(
    r"(?<![\d])(?:(?:18|19|20)\d{2}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/. ]{1,2}(?:0?[1-9]|1[0-2]|[12]\d|3[01])[-/. ]{1,2}(?:(?:18|19|20)\d{2}"
    r"|\d{2})"
    rf"|(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|er|\.)? (?:de )?(?:{_MONTHS})\w*\.?,? (?:de )?"
    r"(?:18|19|20)\d{2}"
    rf"|(?:{_MONTHS})\w*\.? (?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?,? (?:18|19|20)\d{{2}})(?!\d)",
    re.IGNORECASE,
)
_SAID_NATIONAL = re.compile(
    r"\b(?:bsn|burgerservicenummer|sofi\w*|ssn|social security|national\w*|nhs|niss|insz|rijksregister\w*|cpr"
    r"|personnummer|f[øo]dselsnummer|pesel|egn|identity|tax|steuer\w*|id)\b[\s:#.]*(?:number|no|nr|is)?[\s:#.]*$",
    re.IGNORECASE,
)
_NATIONAL_FORM = re.compile(
    r"\d{6}[- ]\d{4}|\d{3}-\d{2}-\d{4}|\d{2}\.\d{2}\.\d{2}[- ]\d{3}[.-]\d{2}|\d{9}|\d{11}"
)
_BORN = re.compile(
    r"(?:\bborn\b|\bbirth(?:day|date)?\b|\bd\.?o\.?b\b\.?|\bgebor(?:en|te)\w*|\bgeb\b\.?|\bgeburt\w*"
    r"|\bn[ée]e?\b(?: le)?|\bnaissance\b|\bnacid[oa]\b|\bnacimiento\b|\bnat[oa]\b|\bnascita\b)\W{0,4}"
    r"(?:\w{1,4}\W{1,2}){0,2}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, order=True)
class Span:
    """A place in a text, [start, end), and the kind of thing it names."""

    start: int
    end: int
    kind: str


Detector = Callable[[str], Iterable[Span]]


def readable(text: str) -> str:
    """A text without look-alikes: compatibility forms unified (NFKC), invisible characters removed."""
    if text.isascii():
        return text
    unified = unicodedata.normalize("NFKC", text)
    return "".join(char for char in unified if unicodedata.category(char) != "Cf")


def emails(text: str) -> Iterator[Span]:
    """E-mail addresses, also written `jo (at) example (dot) org`."""
    if "@" in text or "at" in text.lower():
        yield from _all(_EMAIL, text, "email")


def web_addresses(text: str) -> Iterator[Span]:
    """Web addresses; a closing full stop or bracket stays outside."""
    for found in _URL.finditer(text):
        yield Span(found.start(), found.start() + len(found.group().rstrip(".,;:!?)]}")), "url")


def ibans(text: str) -> Iterator[Span]:
    """IBANs whose check digits are right; the longest that is, where words follow."""
    valid = import_module("stdnum.iban").is_valid
    for found in _IBAN_START.finditer(text):
        body = found.group()
        for end in range(len(body), 14, -1):
            whole = body[end - 1].isalnum() and (end == len(body) or not body[end].isalnum())
            if whole and valid(body[:end], check_country=False):
                yield Span(found.start(), found.start() + end, "iban")
                break


def cards(text: str) -> Iterator[Span]:
    """Payment card numbers: 13 to 19 digits that begin with 3 to 6 and pass Luhn's check."""
    luhn = import_module("stdnum.luhn")
    for start, end, digits in _subruns(text):
        if 13 <= len(digits) <= 19 and digits[0] in "3456" and luhn.is_valid(digits):
            yield Span(start, end, "card")


def national_numbers(modules: Sequence[str] = tuple(NATIONAL)) -> Detector:
    """A detector of national numbers with check digits, and of American and British ones by their form."""
    tests: dict[int, list[Callable[[str], bool]]] = {}
    for module in modules:
        for length in NATIONAL[module]:
            tests.setdefault(length, []).append(import_module(f"stdnum.{module}").is_valid)

    def find(text: str) -> Iterator[Span]:
        if not _FOUR_DIGITS.search(text):
            return
        yield from _all(_US_NUMBER, text, "national number")
        yield from _all(_GB_INSURANCE, text, "national number")
        for start, end, digits in _subruns(text):
            if any(test(text[start:end]) for test in tests.get(len(digits), ())):
                yield Span(start, end, "national number")
        for start, end, signs in _lettered(text):
            if any(test(text[start:end]) for test in tests.get(signs, ())):
                yield Span(start, end, "national number")

    return find


def addresses_of_machines(text: str) -> Iterator[Span]:
    """IP addresses of both versions."""
    from ipaddress import ip_address

    yield from _all(_IPV4, text, "ip")
    for found in _IPV6.finditer(text):
        try:
            ip_address(found.group())
        except ValueError:
            continue
        if len(found.group()) > 4:
            yield Span(found.start(), found.end(), "ip")


def phones(regions: Sequence[str] = REGIONS) -> Detector:
    """A detector of phone numbers (Google's libphonenumber): with a country code, or of these countries."""
    zero = tuple(region for region in regions if region in _TRUNK_ZERO)
    other = tuple(region for region in regions if region not in _TRUNK_ZERO)

    def is_phone(piece: str) -> bool:
        import phonenumbers

        if piece.startswith(("+", "00")):
            piece, tried = "+" + piece.lstrip("+0"), (None,)
        else:
            tried = zero if piece.lstrip("(").startswith("0") else other
        for region in tried:
            try:
                if phonenumbers.is_valid_number(phonenumbers.parse(piece, region)):
                    return True
            except phonenumbers.NumberParseException:
                continue
        return False

    def find(text: str) -> Iterator[Span]:
        for run in _PHONE_RUN.finditer(text):
            days = [(day.start(), day.end()) for day in _FULL_DATE.finditer(text, run.start(), run.end())]
            groups = [
                (g.start() + run.start(), g.end() + run.start())
                for g in _GROUP.finditer(run.group())
                if not any(start <= g.start() + run.start() < end for start, end in days)
            ]
            # from every group on, also inside a number that was found: two numbers may follow each other
            for first, (start, _) in enumerate(groups):
                for _, end in reversed(groups[first : first + 9]):
                    piece = text[start:end]
                    if (
                        7 <= sum(map(str.isdigit, piece)) <= 15
                        and not _DATE.fullmatch(piece)
                        and is_phone(piece)
                    ):
                        yield Span(start, end, "phone")
                        break

    return find


def codes_of_machines(text: str) -> Iterator[Span]:
    """UUIDs and MAC addresses."""
    yield from _all(_UUID, text, "identifier")
    yield from _all(_MAC, text, "identifier")


def shaped_like(kind: str, text: str) -> bool:
    """Whether a text holds something as long as an IBAN, card or certain national number, valid or not."""
    if kind == "iban":
        return _IBAN_START.search(text) is not None
    if kind == "card":
        return any(13 <= len(digits) <= 19 and digits[0] in "3456" for *_, digits in _subruns(text))
    lengths = {length for module in CERTAIN for length in NATIONAL[module]}
    return any(len(digits) in lengths for *_, digits in _subruns(text)) or any(
        signs in lengths for *_, signs in _lettered(text)
    )


def long_numbers(text: str) -> Iterator[Span]:
    """Any number of seven digits or more in a row: a customer, file or order number leads to somebody too."""
    yield from _all(_LONG, text, "number")


def dates(text: str) -> Iterator[Span]:
    """Full dates, in figures or with the month's name in six languages."""
    yield from _all(_DATE, text, "date")


def birth_dates(text: str) -> Iterator[Span]:
    """Full dates after a word for birth, in six languages."""
    for found in _DATE.finditer(text):
        if _BORN.search(text, max(0, found.start() - 30), found.start()):
            yield Span(found.start(), found.end(), "date of birth")


SHAPES: Final[Mapping[str, Callable[[], Detector]]] = {
    "email": lambda: emails,
    "url": lambda: web_addresses,
    "iban": lambda: ibans,
    "card": lambda: cards,
    "ip": lambda: addresses_of_machines,
    "national number": national_numbers,
    "phone": phones,
    "identifier": lambda: codes_of_machines,
    "date of birth": lambda: birth_dates,
    "number": lambda: long_numbers,
    "date": lambda: dates,
}
"""Detectors by the kind they find, the most telling first."""


def _all(pattern: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    for found in pattern.finditer(text):
        yield Span(found.start(), found.end(), kind)


def _subruns(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and digits of every run of whole groups of digits, the longest first at each start."""
    for run in _RUN.finditer(text):
        groups = [(g.start() + run.start(), g.end() + run.start()) for g in re.finditer(r"\d+", run.group())]
        for first, (start, _) in enumerate(groups):
            for _, end in reversed(groups[first : first + 8]):
                digits = re.sub(r"\D", "", text[start:end])
                if 8 <= len(digits) <= 19:
                    yield start, end, digits


def _lettered(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and number of signs, of one to four words with letters and four digits or more."""
    for found in _CODE.finditer(text):
        if sum(map(str.isdigit, found.group())) < 4:
            continue
        words = [(w.start() + found.start(), w.end() + found.start()) for w in _WORD.finditer(found.group())]
        for first, (start, _) in enumerate(words):
            for _, end in words[first : first + 4]:
                signs = sum(map(str.isalnum, text[start:end]))
                digits = sum(map(str.isdigit, text[start:end]))
                if 8 <= signs <= 18 and 4 <= digits < signs:
                    yield start, end, signs


def told_apart(text: str, spans: Iterable[Span]) -> list[Span]:
    """Spans that do not overlap, in order: those that did are one, of the kind of the longest.

    Of equally long ones the most telling (by `SHAPES`) wins, but a number written as a phone's is a phone
    even if it passes a national number's check digits by chance. Names with only spaces or hyphens between
    them are one too.
    """
    rank = {kind: place for place, kind in enumerate(SHAPES)}
    merged: list[tuple[Span, int]] = []  # with the length of the span that gave the kind
    for span in sorted(_settled(text, spans), key=lambda s: (s.start, -s.end, rank.get(s.kind, len(rank)))):
        length = span.end - span.start
        last, longest = merged[-1] if merged else (Span(0, 0, ""), 0)
        if merged and span.start < last.end:
            better = (length, -rank.get(span.kind, len(rank))) > (longest, -rank.get(last.kind, len(rank)))
            kind, longest = (span.kind, length) if better else (last.kind, longest)
            merged[-1] = (Span(last.start, max(last.end, span.end), kind), longest)
        elif merged and span.kind == last.kind == "name" and not text[last.end : span.start].strip(" -"):
            merged[-1] = (Span(last.start, span.end, "name"), longest)
        else:
            merged.append((span, length))
    return [span for span, _ in merged]


def _settled(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """The spans, a national number that lies where a phone number is written called a phone number."""
    found = list(spans)
    dialled = [span for span in found if span.kind == "phone" and _written_as_phone(text, span)]
    for span in found:
        within = any(phone.start <= span.start and span.end <= phone.end for phone in dialled)
        yield Span(span.start, span.end, "phone") if within and span.kind == "national number" else span


def _written_as_phone(text: str, span: Span) -> bool:
    """Whether a phone number begins as one is dialled, and neither its form nor the words before differ."""
    piece = text[span.start : span.end]
    dialled = piece.startswith(("+", "0", "(")) and not _NATIONAL_FORM.fullmatch(piece)
    return dialled and not said_national(text, span)


def said_national(text: str, span: Span) -> bool:
    """Whether the words before a number call it a national one."""
    return _SAID_NATIONAL.search(text, max(0, span.start - 40), span.start) is not None


@lru_cache(maxsize=8)
def detectors(kinds: tuple[str, ...], regions: tuple[str, ...] = REGIONS) -> tuple[Detector, ...]:
    """The detectors of these kinds, in the order of `SHAPES`."""
    return tuple(
        phones(regions) if kind == "phone" else make() for kind, make in SHAPES.items() if kind in kinds
    )
