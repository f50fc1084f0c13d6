"""The eighteen identifiers of HIPAA's Safe Harbor, and the rules of those that depend on the values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from comity.assess.columns import ColumnAssessment
from comity.data.hints import hinted, measures, words_of
from comity.data.pii.lexicon import fold, word_set, words
from comity.data.pii.places import is_city
from comity.data.table import Table

OLDEST = 89
"""Ages above this are to be put together as 90 or older."""

_ZIP3 = re.compile(r"\d{3}([*xX#_]{2}|00)?")


@dataclass(frozen=True)
class Element:
    """An identifier: the words in a column's name and the kinds of values that speak for it."""

    letter: str
    name: str
    rule: str
    words: frozenset[str]
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    """A column that holds an identifier, or, with `ask`, may hold it."""

    column: str
    why: str
    ask: bool = False


def _terms(text: str) -> frozenset[str]:
    return frozenset(" ".join(term.split()) for term in text.split(",")) - {""}


REMOVE = "remove"
ELEMENTS: tuple[Element, ...] = (
    Element(
        "A",
        "names",
        REMOVE,
        _terms("full name, first name, last name, surname, firstname, lastname, maiden name, patient name"),
        ("name", "first_name", "last_name"),
    ),
    Element(
        "B",
        "geographic subdivisions smaller than a state",
        "remove; the first three digits of a ZIP code may stay where more than 20,000 people live in all ZIP "
        "codes that begin with them, and become 000 elsewhere",
        _terms("address, street, precinct, tract, neighbourhood, neighborhood, geocode, latitude, longitude"),
        ("address", "city", "coordinates"),
    ),
    Element(
        "C",
        "elements of dates other than the year, and ages over 89",
        "keep only the year of dates about a person; put ages over 89, and years that show one, together as "
        "90 or older",
        frozenset(),
    ),
    Element(
        "D", "telephone numbers", REMOVE, _terms("phone, telephone, mobile, cell phone, gsm"), ("phone",)
    ),
    Element("E", "fax numbers", REMOVE, _terms("fax"), ("phone",)),
    Element("F", "email addresses", REMOVE, _terms("email, e mail, mail address"), ("email",)),
    Element("G", "social security numbers", REMOVE, _terms("ssn, social security"), ("national_number",)),
    Element("H", "medical record numbers", REMOVE, _terms("mrn, medical record, patient id, chart number")),
    Element(
        "I",
        "health plan beneficiary numbers",
        REMOVE,
        _terms(
            "beneficiary, health plan, member id, insurance number, insurance id, policy number, medicare"
        ),
    ),
    Element(
        "J",
        "account numbers",
        REMOVE,
        _terms("account number, account id, account no, bank account, iban, card number, credit card"),
        ("iban", "credit_card"),
    ),
    Element(
        "K",
        "certificate and licence numbers",
        REMOVE,
        _terms(
            "certificate, passport, driver license, drivers license, driver licence, driving licence, "
            "license number, licence number, license no, licence no"
        ),
    ),
    Element(
        "L",
        "vehicle identifiers, licence plates included",
        REMOVE,
        _terms("vin, license plate, licence plate, number plate, plate number, vehicle id"),
        ("licence_plate", "vin"),
    ),
    Element(
        "M",
        "device identifiers and serial numbers",
        REMOVE,
        _terms("device id, device serial, serial number, serial no, imei, udi, implant, pacemaker"),
        ("imei", "mac"),
    ),
    Element("N", "web addresses", REMOVE, _terms("url, website, homepage, web page"), ("web",)),
    Element("O", "Internet protocol addresses", REMOVE, _terms("ip, ip address"), ("ip",)),
    Element(
        "P",
        "biometric identifiers",
        REMOVE,
        _terms("fingerprint, voiceprint, biometric, biometrics, retina, voice print, finger print"),
    ),
    Element(
        "Q",
        "full-face photographs and comparable images",
        REMOVE,
        _terms("photo, photograph, picture, portrait, selfie, face image"),
    ),
    Element(
        "R",
        "any other unique number, characteristic or code",
        "remove; a code for re-identification may stay if it is not made from the person's data and the key "
        "is not disclosed (164.514(c))",
        _terms("uuid, guid, pseudonym"),
        ("uuid", "user_name", "hash"),
    ),
)
"""The identifiers of 45 CFR 164.514(b)(2)(i), in its order."""

_POSTCODES = _terms("zip, zipcode, zip code, postcode, postal, postal code, post code, plz")
_SMALL_PLACES = _terms(
    "city, town, village, municipality, county, district, gemeente, stad, ort, borough, ward"
)
_LARGE_PLACES = _terms("province, region")
_BIRTHDAYS = _terms("birthdate, birthday, birth date, birth year, dob, yob, geburtsdatum, geboortedatum")
_EVENTS = _terms("birth, born, admission, discharge, death, deceased, visit, arrival, encounter, surgery")
_CALENDAR = frozenset({"date", "day", "month", "year", "time"})
_UNITS = {
    "months": 12.0,
    "month": 12.0,
    "mo": 12.0,
    "weeks": 52.18,
    "week": 52.18,
    "days": 365.25,
    "day": 365.25,
}
_AGES = frozenset({"age", "leeftijd", "alter", "ages", "edad"})


_LOOKED_AT = 400
_DIRECTIONS = word_set("north south east west central centre center noord zuid oost nord sud est ouest")


def _per_year(name: str) -> float:
    """How many of an age's unit make a year."""
    return next((_UNITS[word] for word in words_of(name) if word in _UNITS), 1.0)


def place_match(table: Table, column: ColumnAssessment) -> Match | None:
    """(B): postcodes by how many digits are left, places by their name, regions for a human."""
    kinds = {found.kind for found in column.kinds}
    name = column.name
    if "postcode" in kinds or hinted(name, _POSTCODES):
        values = table.levels(name)[1]
        if values and all(_ZIP3.fullmatch(value) for value in values):
            return Match(
                name,
                f"{name}: three digits are left; whether 20,000 people live there needs a census table",
                True,
            )
        return Match(name, f"{name}: postcodes of more than three digits")
    if (word := hinted(name, _SMALL_PLACES)) and not no_places(table, name):
        return Match(name, f"{name}: '{word}' in its name, smaller than a state")
    if word := hinted(name, _LARGE_PLACES):
        return Match(name, f"{name}: '{word}' in its name; a state may stay, a smaller region may not", True)
    return None


def no_places(table: Table, name: str) -> bool:
    """Whether a column's values are plain words, few of them places: a ward may be one of a hospital."""
    if table.type(name).is_numeric:
        return False
    values = [fold(value) for value in table.levels(name)[1][:_LOOKED_AT]]
    places = sum(1 for value in values if _is_place(value))
    plain = sum(1 for value in values if any(word in words("plain_words") for word in value.split()))
    return 5 * places < len(values) and 3 * plain >= 2 * len(values)


def _is_place(folded: str) -> bool:
    if folded in words("plain_words") and folded not in _DIRECTIONS:
        return False
    return (
        folded in _DIRECTIONS or is_city(folded) or folded in words("regions") or folded in words("countries")
    )


def date_match(table: Table, column: ColumnAssessment) -> Match | None:
    """(C): dates must go but for the year; a year of birth may show an age over 89."""
    name, kinds = column.name, {found.kind: found for found in column.kinds}
    for kind in ("date_of_birth", "date", "datetime"):
        if kind in kinds:
            return Match(name, f"{name}: {kinds[kind].evidence}")
    birthday = hinted(name, _BIRTHDAYS)
    word = birthday or hinted(name, _EVENTS)
    if word is None or not column.distinct or measures(name):
        return None
    if table.type(name).is_numeric:
        numbers = table.numbers(name)
        if np.nanmin(numbers) >= 1800 and np.nanmax(numbers) <= 2200:
            return Match(name, f"{name}: years; one of birth may show an age over {OLDEST}", ask=True)
    # 'birth' alone may stand for a place or a weight of birth, 'death' for yes or no
    calendar = birthday or _CALENDAR & set(words_of(name))
    return Match(name, f"{name}: '{word}' in its name") if calendar else None


def age_match(table: Table, column: ColumnAssessment) -> Match | None:
    """(C): ages over 89, by their values; in years unless the name says months, weeks or days."""
    name = column.name
    says_age = bool(_AGES & set(words_of(name))) or any(found.kind == "age" for found in column.kinds)
    if not says_age or not column.distinct:
        return None
    if not table.type(name).is_numeric:
        return Match(name, f"{name}: ages that are no plain numbers; look for any over {OLDEST}", ask=True)
    old = int((table.numbers(name) / _per_year(name) > OLDEST).sum())
    return Match(name, f"{name}: {old:,} rows have an age over {OLDEST}") if old else None
