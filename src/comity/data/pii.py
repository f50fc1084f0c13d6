"""Values that name a person or reach one: detectors, and how much of a column each one recognises.

A detector with check digits is trusted when nearly all values pass; random numbers pass the weakest one in
one case of six, so the eight values that are asked for pass it by chance with a probability below 1e-5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from comity.data.hints import CONTACTS, PERSON_NUMBERS, hinted

SAMPLE = 400
"""At most this many distinct values of a column are looked at."""

FEWEST_VALUES = 8
NEARLY_ALL = 0.9
MOST = 0.5

_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[a-zA-Z]{2,}")
_WEB = re.compile(r"(https?://|www\.)\S+", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.IGNORECASE)
_CARD = re.compile(r"[3-6]\d{3}([ -]?\d{4}){2}[ -]?\d{1,7}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}")
_US_NUMBER = re.compile(r"\d{3}-\d{2}-\d{4}")
_PHONE_SHAPE = re.compile(r"(\+|00|0|\()[\d\s()./-]{6,20}|[2-9]\d{2}[-. ]\d{3}[-. ]\d{4}")
_PERSON = re.compile(r"[^\W\d_][\w'’.-]*(,? [^\W\d_][\w'’.-]*){1,3}")
_COORDINATES = re.compile(r"-?\d{1,2}\.\d{3,}\s*[,;]\s*-?\d{1,3}\.\d{3,}")

_NATIONAL_NUMBERS = (
    ("be.nn", "Belgian national numbers"),
    ("nl.bsn", "Dutch citizen numbers"),
    ("fr.nir", "French social security numbers"),
    ("de.idnr", "German tax numbers"),
    ("es.nif", "Spanish identity numbers"),
    ("it.codicefiscale", "Italian tax codes"),
    ("gb.nhs", "British NHS numbers"),
    ("pl.pesel", "Polish national numbers"),
    ("se.personnummer", "Swedish personal numbers"),
    ("fi.hetu", "Finnish personal codes"),
    ("dk.cpr", "Danish citizen numbers"),
    ("no.fodselsnummer", "Norwegian birth numbers"),
    ("ch.ssn", "Swiss social security numbers"),
    ("pt.nif", "Portuguese tax numbers"),
    ("at.vnr", "Austrian insurance numbers"),
    ("bg.egn", "Bulgarian personal numbers"),
    ("cz.rc", "Czech birth numbers"),
    ("ro.cnp", "Romanian personal codes"),
    ("ie.pps", "Irish public service numbers"),
    ("br.cpf", "Brazilian taxpayer numbers"),
    ("ca.sin", "Canadian insurance numbers"),
    ("in_.aadhaar", "Indian identity numbers"),
    ("za.idnr", "South African identity numbers"),
    ("cn.ric", "Chinese identity numbers"),
    ("mx.curp", "Mexican population codes"),
)
_PHONE_REGIONS = ("BE", "NL", "FR", "DE", "GB", "US", "IT", "ES", "CH", "AT")


@dataclass(frozen=True)
class Finding:
    """A kind of personal data in a column, and the share of the values looked at that are of that kind."""

    kind: str
    words: str
    share: float

    def __str__(self) -> str:
        return f"{self.share:.0%} of its values are {self.words}"


def find_pii(header: str, values: Sequence[str]) -> tuple[Finding, ...]:
    """The kinds of personal data that most of the values are, the most common kind first.

    Args:
        header: the column's name; it lowers what is asked of phone and national numbers.
        values: distinct values; fewer than `FEWEST_VALUES` prove nothing, of many `SAMPLE` are looked at.
    """
    if len(values) < FEWEST_VALUES:
        return ()
    step = max(len(values) / SAMPLE, 1.0)
    sample = [values[int(at * step)] for at in range(min(len(values), SAMPLE))]
    found = [finding for detector in _DETECTORS if (finding := detector(header, sample)) is not None]
    return tuple(sorted(found, key=lambda finding: -finding.share))


def _share(sample: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(1 for value in sample if test(value)) / len(sample)


def _pattern(
    kind: str, words: str, pattern: re.Pattern[str], _: str, sample: Sequence[str]
) -> Finding | None:
    share = _share(sample, pattern.fullmatch)
    return Finding(kind, words, share) if share >= MOST else None


def _ip_address(_: str, sample: Sequence[str]) -> Finding | None:
    from ipaddress import ip_address

    def is_address(value: str) -> bool:
        try:
            ip_address(value)
        except ValueError:
            return False
        return "." in value or ":" in value

    share = _share(sample, is_address)
    return Finding("ip", "IP addresses", share) if share >= MOST else None


def _iban(_: str, sample: Sequence[str]) -> Finding | None:
    from stdnum import iban

    share = _share(sample, iban.is_valid)
    return Finding("iban", "IBAN bank accounts", share) if share >= MOST else None


def _credit_card(_: str, sample: Sequence[str]) -> Finding | None:
    from stdnum import luhn

    def is_card(value: str) -> bool:
        return bool(_CARD.fullmatch(value)) and luhn.is_valid(re.sub(r"\D", "", value))

    share = _share(sample, is_card)
    return Finding("credit_card", "payment card numbers", share) if share >= NEARLY_ALL else None


def _national_number(header: str, sample: Sequence[str]) -> Finding | None:
    """National numbers with check digits; the American one has none and counts only with its dashes."""
    enough = MOST if hinted(header, PERSON_NUMBERS) else NEARLY_ALL
    if (share := _share(sample, _US_NUMBER.fullmatch)) >= enough:
        return Finding("national_number", "American social security numbers", share)
    longest = max(len(value) for value in sample)
    if not 8 <= longest <= 24:
        return None
    best = Finding("national_number", "", 0.0)
    for module, words in _NATIONAL_NUMBERS:
        share = _share(sample, import_module(f"stdnum.{module}").is_valid)
        if share > best.share:
            best = Finding("national_number", words, share)
    return best if best.share >= enough else None


def _phone_number(header: str, sample: Sequence[str]) -> Finding | None:
    """Phone numbers: written like one (+, leading 0, brackets, groups), or digits under a phone's header."""
    import phonenumbers

    any_digits = hinted(header, CONTACTS) is not None

    def is_phone(value: str) -> bool:
        if not (_PHONE_SHAPE.fullmatch(value) or (any_digits and re.fullmatch(r"[\d\s()+./-]{7,20}", value))):
            return False
        for region in (None,) if value.startswith("+") else _PHONE_REGIONS:
            try:
                if phonenumbers.is_valid_number(phonenumbers.parse(value, region)):
                    return True
            except phonenumbers.NumberParseException:
                continue
        return False

    share = _share(sample, is_phone)
    return Finding("phone", "phone numbers", share) if share >= (MOST if any_digits else NEARLY_ALL) else None


def _person_name(_: str, sample: Sequence[str]) -> Finding | None:
    """Two to four capitalised words, nearly every value, most of them starting and ending differently."""

    def is_name(value: str) -> bool:
        return bool(_PERSON.fullmatch(value)) and all(word[0].isupper() for word in value.split())

    share = _share(sample, is_name)
    endings = len({value.split()[-1] for value in sample}) / len(sample)
    if share >= NEARLY_ALL and endings >= MOST and len(sample) >= 2 * FEWEST_VALUES:
        return Finding("name", "written like names of people", share)
    return None


_DETECTORS: tuple[Callable[[str, Sequence[str]], Finding | None], ...] = (
    partial(_pattern, "email", "email addresses", _EMAIL),
    partial(_pattern, "web", "web addresses", _WEB),
    partial(_pattern, "uuid", "UUIDs", _UUID),
    partial(_pattern, "mac", "MAC addresses", _MAC),
    partial(_pattern, "coordinates", "coordinates on a map", _COORDINATES),
    _ip_address,
    _iban,
    _credit_card,
    _national_number,
    _phone_number,
    _person_name,
)
