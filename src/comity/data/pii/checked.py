"""Numbers with check digits, and numbers of a fixed make-up: bank, card, state, vehicle and article numbers.

A detector with check digits is trusted when nearly all values pass: of random numbers at most one in six
passes the weakest one, so the eight values that are asked for pass it by chance with a
probability below 1e-5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module

from comity.data.pii.finding import Match, Sample
from comity.data.pii.shapes import country_codes

NEARLY_ALL = 0.9
ALL_GIVEN_OUT = 0.98
"""Of numbers without check digits nearly all lie in the ranges that are given out: part numbers do not."""
FIRST_LOOK = 12
"""So many values are tried first: most detectors fail on them and cost no more."""

_CARD = re.compile(
    r"[2-6]\d{3}([ -]?\d{4}){2}[ -]?\d{1,7}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|[2-6]\d{11,18}|1800\d{11}"
)
_AMERICAN = re.compile(
    r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}|9\d{2}-(?:[5-6]\d|7\d|8[0-8]|9[0-24-9])-(?!0000)\d{4}"
)
"""As they are given out, taxpayers' numbers that begin with 9 included."""
_BRITISH = re.compile(r"[A-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-Z]")
_CHINESE = re.compile(r"[1-9]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])\d{3}[\dX]")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{11}[A-HJ-NPR-Z0-9]{2}\d{4}|[A-HJ-NPR-Z0-9]{17}")
_BIC = re.compile(r"[A-Z]{4}([A-Z]{2})[A-Z0-9]{2}([A-Z0-9]{3})?")

_NATIONAL = (
    ("be.nn", "Belgian national numbers"),
    ("nl.bsn", "Dutch citizen numbers"),
    ("fr.nir", "French social security numbers"),
    ("de.idnr", "German tax numbers"),
    ("es.dni", "Spanish identity numbers"),
    ("es.nie", "Spanish identity numbers of foreigners"),
    ("es.nif", "Spanish tax numbers"),
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
    ("gr.amka", "Greek insurance numbers"),
    ("ee.ik", "Estonian personal codes"),
    ("hr.oib", "Croatian identification numbers"),
    ("tr.tckimlik", "Turkish identity numbers"),
    ("ru.inn", "Russian tax numbers"),
    ("br.cpf", "Brazilian taxpayer numbers"),
    ("ca.sin", "Canadian insurance numbers"),
    ("in_.aadhaar", "Indian identity numbers"),
    ("in_.pan", "Indian tax numbers"),
    ("za.idnr", "South African identity numbers"),
    ("kr.rrn", "Korean resident numbers"),
    ("mx.curp", "Mexican population codes"),
    ("cl.rut", "Chilean identity numbers"),
    ("il.idnr", "Israeli identity numbers"),
    ("th.pin", "Thai identity numbers"),
    ("au.tfn", "Australian tax numbers"),
)


def bank_and_card(sample: Sample) -> Iterator[Match]:
    """IBAN, BIC and payment cards."""
    from stdnum import iban

    def is_bic(value: str) -> bool:
        found = _BIC.fullmatch(value)
        return bool(found) and found[1] in country_codes()

    yield from _checked(sample, "iban", iban.is_valid, at_least=0.5)
    yield from _checked(sample, "credit_card", is_card)
    yield from _checked(sample, "bic", is_bic)


def articles(sample: Sample) -> Iterator[Match]:
    """Article and book numbers; device numbers have Luhn's digit and 15 places."""
    from stdnum import ean, imei, isbn

    bare = {len(re.sub(r"[ -]", "", value)) for value in sample.values}
    if bare <= {10, 13} and any(_checked(sample, "isbn", isbn.is_valid)):
        starts = sample.share(lambda value: re.sub(r"\W", "", value).startswith(("978", "979")))
        letter = sample.share(lambda value: value.endswith(("X", "x")))
        if (
            starts >= NEARLY_ALL
            or letter > 0.02
            or (bare == {10} and sample.share(_grouped_book) >= NEARLY_ALL)
        ):
            yield Match("isbn", sample.share(isbn.is_valid), 1.0)
    if bare <= {8, 12, 13, 14}:
        yield from _checked(sample, "ean", ean.is_valid, strength=0.93)
    if bare == {15} or bare == {17}:
        yield from _checked(sample, "imei", imei.is_valid, strength=0.8)


def _grouped_book(value: str) -> bool:
    return value.count("-") == 3


def vehicles(sample: Sample) -> Iterator[Match]:
    """Vehicle numbers: 17 characters without I, O and Q, letters and digits mixed."""

    yield from _checked(sample, "vin", is_vin, at_least=0.95)


def is_card(value: str) -> bool:
    """Whether a value has the form of a payment card's number and its check digit is right."""
    from stdnum import luhn

    return bool(_CARD.fullmatch(value)) and luhn.is_valid(re.sub(r"\D", "", value))


def is_vin(value: str) -> bool:
    """Whether a value has the form of a vehicle's number."""
    return bool(_VIN.fullmatch(value)) and any(map(str.isalpha, value)) and any(map(str.isdigit, value))


def is_american(value: str) -> bool:
    """Whether a value is an American social security number that may have been given out."""
    return bool(_AMERICAN.fullmatch(value))


def is_british(value: str) -> bool:
    """Whether a value has the form of a British insurance number."""
    return bool(_BRITISH.fullmatch(value))


def national(sample: Sample, *, hinted: bool = False) -> Iterator[Match]:
    """Numbers that states give people; the American ones have no check digits and count with their dashes."""
    if (share := sample.share(_AMERICAN.fullmatch)) >= (0.5 if hinted else ALL_GIVEN_OUT):
        yield Match("national_number", share, 0.95, "American social security numbers")
    if (share := sample.share(_BRITISH.fullmatch)) >= (0.5 if hinted else NEARLY_ALL):
        yield Match("national_number", share, 0.9, "British insurance numbers")
    if not 7 <= max(map(len, sample.values)) <= 24 or sample.digits_share < 0.35:
        return
    best = Match("national_number", 0.0, 1.0)
    for match in _checked(sample, "national_number", _is_chinese, words="Chinese identity numbers"):
        best = match
    for module, words in _NATIONAL:
        found = _checked(sample, "national_number", import_module(f"stdnum.{module}").is_valid, words=words)
        for match in found:
            best = max(best, match, key=lambda each: each.share)
    if best.share:
        yield best


def _is_chinese(value: str) -> bool:
    """Region, date of birth, serial number, check digit; retired regions count too."""
    from stdnum.iso7064 import mod_11_2

    return bool(_CHINESE.fullmatch(value)) and mod_11_2.is_valid(value)


def _checked(
    sample: Sample,
    kind: str,
    test: Callable[[str], object],
    *,
    at_least: float = NEARLY_ALL,
    strength: float = 1.0,
    words: str = "",
) -> Iterator[Match]:
    """A match if enough values pass; a few values are tried first."""
    step = max(len(sample) // FIRST_LOOK, 1)
    first = sample.values[::step]
    if sum(1 for value in first if test(value)) < (at_least - 0.25) * len(first):
        return
    share = sample.share(test)
    if share >= at_least:
        yield Match(kind, share, strength, words)
