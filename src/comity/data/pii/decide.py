"""From what the detectors say of a column to its kinds: the evidence weighed, with the header's hint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from comity.data.hints import hinted_kind
from comity.data.pii.checked import articles, bank_and_card, national, vehicles
from comity.data.pii.dates import dates
from comity.data.pii.few import few
from comity.data.pii.finding import FEWEST_VALUES, Finding, Match, Sample
from comity.data.pii.kinds import KINDS, Tells
from comity.data.pii.names import people, user_names
from comity.data.pii.phones import phones
from comity.data.pii.places import addresses, cities, countries, regions
from comity.data.pii.plates import plates, postcodes
from comity.data.pii.shapes import closed_sets, patterned
from comity.data.pii.text import sentences
from comity.data.pii.work import companies, jobs

SURE_ENOUGH = 0.5
"""Confidence from which on a finding is one."""

SOME_VALUES = 40
"""Kinds that words tell are less sure with fewer distinct values."""

_ALL: tuple[Callable[[Sample], Iterator[Match]], ...] = (
    patterned,
    bank_and_card,
    articles,
    vehicles,
    dates,
    plates,
    postcodes,
    countries,
    regions,
    addresses,
    companies,
    jobs,
    cities,
    people,
    user_names,
    sentences,
)


def find_kinds(header: str, values: Sequence[str], *, least: float = SURE_ENOUGH) -> tuple[Finding, ...]:
    """What the values of a column are, the surest kind first; empty for plain numbers, categories and text.

    Args:
        header: the column's name; it raises the confidence in the kind it suggests and lowers that in others.
        values: distinct values, as text; fewer than `FEWEST_VALUES` prove what one value proves (an email
            address, check digits), kinds that have few values, and what the header says if they look like it.
        least: findings that are less sure are left out.
    """
    sample = Sample(values)
    if not len(sample):
        return ()
    hint = hinted_kind(header)
    detectors: list[Callable[[Sample], Iterator[Match]]] = [closed_sets]
    if sample.distinct < FEWEST_VALUES:
        detectors.append(partial(few, header=header, hint=hint))
    else:
        detectors.extend(_ALL)
        detectors += [
            partial(national, hinted=hint == "national_number"),
            partial(phones, hinted=hint == "phone"),
        ]
    best: dict[str, Finding] = {}
    for match in (match for detector in detectors for match in detector(sample)):
        found = _weighed(match, hint, sample.distinct)
        if found.kind not in best or found.confidence > best[found.kind].confidence:
            best[found.kind] = found
    sure = [found for found in best.values() if found.confidence >= least]
    return tuple(sorted(sure, key=lambda found: (-found.confidence, -found.share, found.kind)))


def find_pii(header: str, values: Sequence[str]) -> tuple[Finding, ...]:
    """The kinds that name or reach a person (`Tells.who`), the surest first; see `find_kinds`."""
    found = find_kinds(header, values)
    if found and found[0].tells is not Tells.who:
        return ()
    return tuple(each for each in found if each.tells is Tells.who)


def _weighed(match: Match, hint: str | None, distinct: int) -> Finding:
    """Confidence = strength, less for values that do not match and for few values; the header moves it."""
    sure = match.strength * (0.75 + 0.25 * match.share)
    if FEWEST_VALUES <= distinct < 2 * FEWEST_VALUES and match.strength < 0.9:
        sure *= 0.9
    if match.kind in _WORDED and FEWEST_VALUES <= distinct < SOME_VALUES:
        few = distinct < SOME_VALUES / 2
        sure *= (0.7 if match.kind in ("name", "company") else 0.5) if few else 0.85
    why = ""
    if hint == match.kind or hint in _NEAR.get(match.kind, ()):
        sure, why = 1 - 0.4 * (1 - sure), "and its name says so"
    elif hint is not None and match.strength < 1.0:
        sure, why = 0.7 * sure, f"but its name suggests {KINDS[hint].words}"
    words = match.words or KINDS[match.kind].words
    return Finding(match.kind, words, match.share, round(min(max(sure, 0.0), 1.0), 3), why)


_WORDED = ("name", "first_name", "last_name", "user_name", "city", "job", "company")
"""Kinds told by words: gems, trees and planets are also names, and categories have few values."""

_NEAR = {
    "name": ("first_name", "last_name"),
    "first_name": ("name",),
    "last_name": ("name",),
    "date_of_birth": ("date",),
    "date": ("date_of_birth",),
    "uuid": ("user_name",),
}
"""Kinds whose header does not speak against another."""
