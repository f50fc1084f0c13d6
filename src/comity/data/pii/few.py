"""Columns of few distinct values, as in the visits of one person: what a single value proves, and the header.

An email address, an account number with check digits or a phone number with its country code is one wherever
it stands, so one value is enough. Names, addresses and numbers without check digits look like other things:
there the header has to say so, or the words have to leave no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module

from comity.data.hints import CERTAIN_NAMES, PERSON_NAMES, is_exactly
from comity.data.pii.checked import is_american, is_british, is_card, is_vin
from comity.data.pii.dates import born_then, dates
from comity.data.pii.finding import Match, Sample
from comity.data.pii.lexicon import word_set, words
from comity.data.pii.names import capitalised, is_given, is_surname, listed_pair, told, without_titles
from comity.data.pii.phones import dialled_digits, is_international, is_national
from comity.data.pii.places import has_street, is_box, is_city, street_end
from comity.data.pii.plates import looks_like_plate
from comity.data.pii.shapes import is_coordinates, patterned

_CERTAIN = (
    "be.nn",
    "fr.nir",
    "it.codicefiscale",
    "es.nif",
    "es.nie",
    "fi.hetu",
    "ch.ssn",
    "mx.curp",
    "cn.ric",
)
"""Numbers that others pass by chance less than once in twenty."""

_CERTAIN_PATTERNS = ("email", "web", "uuid", "mac", "ip", "user_name")
"""Patterns of `shapes` that one value proves."""

_STREET_WORDS = word_set(
    "street st avenue ave road rd lane drive boulevard blvd rue chemin impasse allee quai via viale piazza "
    "calle avenida plaza paseo rua travessa ulica ul οδος улица ул"
)
_NUMBER_OF_HOUSE = re.compile(r"\d{1,4}[a-z]?([-/]\d{1,4}[a-z]?)?", re.IGNORECASE)
_DIGITS_AND_SIGNS = re.compile(r"[\d\s./()+-]{6,24}(\s?(x|ext\.?)\s?\d{1,6})?", re.IGNORECASE)
_NUMBERED = re.compile(r"(?=(?:.*\d){4})[A-Za-z\d][A-Za-z\d ./-]{3,30}")


def few(sample: Sample, header: str, hint: str | None) -> Iterator[Match]:
    """What fewer values than `FEWEST_VALUES` prove, alone and together with the header.

    Args:
        header: the column's name.
        hint: the kind that it suggests (`hints.hinted_kind`).
    """
    yield from (match for match in patterned(sample) if match.kind in _CERTAIN_PATTERNS)
    yield from _numbers(sample)
    yield from _all("phone", sample, is_international, 0.95)
    yield from _all("coordinates", sample, is_coordinates, 1.0)
    yield from _people(sample, header)
    yield from _places(sample)
    for match in dates(sample):
        born = hint == "date_of_birth" and match.kind != "datetime" and born_then(sample)
        yield Match("date_of_birth", match.share, 0.85) if born else Match("date", match.share, 0.9)
    yield from _said(sample, hint)


def _numbers(sample: Sample) -> Iterator[Match]:
    """Numbers with check digits that hardly any other number passes, and those of an unmistakable form."""
    from stdnum import iban

    yield from _all("iban", sample, lambda value: iban.is_valid(value, check_country=False), 1.0)
    yield from _all("credit_card", sample, is_card, 0.9)
    yield from _all("vin", sample, is_vin, 0.8)
    yield from _all("national_number", sample, is_american, 0.95)
    yield from _all("national_number", sample, is_british, 0.9)
    if sample.digits_share >= 0.35:
        for module in _CERTAIN:
            yield from _all("national_number", sample, import_module(f"stdnum.{module}").is_valid, 0.95)


def _people(sample: Sample, header: str) -> Iterator[Match]:
    """Full names whose words are listed at both ends; with a header for names, one listed word is enough."""
    if sample.digits_share > 0.02 or sample.average_length > 45:
        return
    bare = [without_titles(value) for value in sample.words]
    named = is_exactly(header, PERSON_NAMES)
    pairs = sum(1 for value in bare if listed_pair(value)) / len(sample)
    places = sample.share_folded(_is_known_thing)
    if pairs >= 0.8 and (named or (places < 0.5 and sample.share(capitalised) >= 0.8)):
        yield Match("name", pairs, 0.8, "names of people, by lists of names")
    elif named and told(sample).plain < 0.5 and (is_exactly(header, CERTAIN_NAMES) or not places):
        known = sum(1 for value in bare if len(value) > 1 and (is_given(value[0]) or is_surname(value[-1])))
        if known >= 0.5 * len(sample):
            yield Match("name", known / len(sample), 0.7, "words of which some are listed names")


def _places(sample: Sample) -> Iterator[Match]:
    """Street addresses whose street's word leaves no doubt, and listed cities."""
    streets = sum(1 for value in sample.words if _is_street(value)) / len(sample)
    if max(streets, box := sample.share(is_box)) >= 0.5:
        yield Match("address", max(streets, box), 0.9)
    elif sample.share(_is_certain_city) >= 0.8 and sample.distinct > 1:
        yield Match("city", sample.share(_is_certain_city), 0.65)


def _is_street(value: tuple[str, ...]) -> bool:
    worded = any(word in _STREET_WORDS or street_end(word) for word in value)
    return len(value) >= 2 and worded and any(_NUMBER_OF_HOUSE.fullmatch(word) for word in value)


def _is_certain_city(value: str) -> bool:
    """A listed city with a capital, no plain word."""
    folded = " ".join(value.casefold().split())
    return value[:1].isupper() and len(value) >= 4 and is_city(folded) and folded not in words("plain_words")


def _is_known_thing(folded: str) -> bool:
    """A place or an occupation."""
    return (
        is_city(folded)
        or folded in words("regions")
        or folded in words("countries")
        or folded in words("jobs")
    )


def _said(sample: Sample, hint: str | None) -> Iterator[Match]:
    """What the header says, where the values have the shape of it."""
    if hint in _SHAPES:
        yield from _all(hint, sample, _SHAPES[hint], 0.85, at_least=0.5)
    elif hint == "address":
        numbered = sum(1 for value in sample.words if has_street(value) or _has_number(value)) / len(sample)
        if numbered >= 0.5:
            yield Match("address", numbered, 0.8)
    elif hint in ("first_name", "last_name", "name") and sample.digits_share <= 0.02:
        plain = told(sample).plain
        if plain < 0.5 and sample.average_words <= 5:
            yield Match(hint, 1.0, 0.75, "words where the header says names of people")
    elif hint == "city" and sample.share_folded(is_city) >= 0.5:
        yield Match("city", sample.share_folded(is_city), 0.8)
    elif sample.share(is_national) >= 0.5:
        yield Match("phone", sample.share(is_national), 0.75)


def _has_number(value: tuple[str, ...]) -> bool:
    letters = any(len(word) > 2 and word[0].isalpha() for word in value)
    return letters and any(_NUMBER_OF_HOUSE.fullmatch(word) for word in value)


def _is_dialled(value: str) -> bool:
    return bool(_DIGITS_AND_SIGNS.fullmatch(value)) and 6 <= dialled_digits(value) <= 15


def _is_numbered(value: str) -> bool:
    return bool(_NUMBERED.fullmatch(value))


_SHAPES: dict[str, Callable[[str], object]] = {
    "phone": _is_dialled,
    "national_number": _is_numbered,
    "iban": _is_numbered,
    "credit_card": _is_numbered,
    "imei": _is_numbered,
    "vin": _is_numbered,
    "licence_plate": looks_like_plate,
}
"""Per kind that the header says, what a value has to look like."""


def _all(
    kind: str, sample: Sample, test: Callable[[str], object], strength: float, *, at_least: float = 0.8
) -> Iterator[Match]:
    if (share := sample.share(test)) >= at_least:
        yield Match(kind, share, strength)
