"""The kinds of values that are told apart: a closed list, with what each means and tells of a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Tells(StrEnum):
    """What a value of a kind says of a person."""

    who = "who"
    """It names or reaches one person: an identifier."""

    about = "about"
    """Others may know it of a person: a quasi-identifier."""

    nothing = "nothing"
    """It says nothing of a person by itself."""


@dataclass(frozen=True)
class Kind:
    """A kind: the plural used in evidence, one line of meaning, and what it tells of a person."""

    words: str
    meaning: str
    tells: Tells


def _kinds(tells: Tells, *entries: tuple[str, str, str]) -> dict[str, Kind]:
    return {kind: Kind(words, meaning, tells) for kind, words, meaning in entries}


KINDS = MappingProxyType(
    _kinds(
        Tells.who,
        ("name", "names of people", "a person's full name, with or without a title"),
        ("first_name", "first names", "a given name by itself"),
        ("last_name", "surnames", "a family name by itself"),
        ("user_name", "user names", "an account's name, made of a person's name"),
        ("email", "email addresses", "an email address"),
        ("phone", "phone numbers", "a phone or fax number"),
        ("address", "street addresses", "a street, mostly with a house number"),
        (
            "national_number",
            "national numbers",
            "a number that a state gives a person: identity, tax, insurance",
        ),
        ("iban", "IBAN bank accounts", "a bank account, with its check digits"),
        ("credit_card", "payment card numbers", "a payment card's number, with its check digit"),
        ("licence_plate", "licence plates", "a vehicle's number plate"),
        ("vin", "vehicle identification numbers", "a vehicle's serial number of 17 characters"),
        ("imei", "IMEI device numbers", "a mobile device's serial number, with its check digit"),
        ("web", "web addresses", "the address of a page, which may be a person's"),
        ("ip", "IP addresses", "an address in a network, version 4 or 6"),
        ("mac", "MAC addresses", "a network card's hardware address"),
        ("uuid", "UUIDs", "a universally unique identifier: it finds one row"),
        ("coordinates", "coordinates on a map", "a latitude, a longitude, or both"),
    )
    | _kinds(
        Tells.about,
        ("date_of_birth", "dates of birth", "dates spread over the years in which living people were born"),
        ("age", "ages", "years of life"),
        ("gender", "sexes or genders", "a sex or gender, in words or one letter"),
        ("blood_group", "blood groups", "an ABO group, mostly with its rhesus factor"),
        ("city", "cities and villages", "the name of a city, town or village"),
        ("region", "states and provinces", "the name of a state, province or county"),
        ("country", "countries", "a country's name, in one of some thirty languages, or its ISO code"),
        ("postcode", "postcodes", "a postal code"),
        ("job", "job titles", "an occupation or position"),
        ("company", "companies", "the name of a company or another organisation"),
    )
    | _kinds(
        Tells.nothing,
        ("date", "dates", "a calendar day"),
        ("datetime", "dates with a time", "a calendar day with a time of day"),
        ("time", "times of day", "a time of day"),
        ("month", "months or weekdays", "a month's or weekday's name"),
        ("domain", "domain names", "the name of a site in the Internet"),
        ("bic", "BIC codes", "a bank's code (SWIFT)"),
        ("ean", "article numbers", "a product's EAN, with its check digit"),
        ("isbn", "ISBNs", "a book's number, with its check digit"),
        ("hash", "hash values", "the hexadecimal digest of something"),
        ("colour", "colour codes", "a colour, as a code"),
        ("path", "file paths", "the place of a file"),
        ("user_agent", "user agents", "what a browser says it is"),
        ("version", "version numbers", "a version of something, in parts"),
        ("currency", "currencies", "a currency's name or ISO code"),
        ("amount", "amounts of money", "a number with a currency's sign or code"),
        ("percentage", "percentages", "a number with a percent sign"),
        ("number", "numbers with separators", "a number with a decimal comma or thousands separators"),
        ("boolean", "yes or no", "one of two answers"),
        ("free_text", "sentences", "free text of several words: it may name anybody"),
    )
)
"""Every kind that a `Finding` can have, by name."""
