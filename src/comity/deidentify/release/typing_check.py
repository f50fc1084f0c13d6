"""The last look at a table before it leaves: every value fits its declared type, no identifier survives.

It knows nothing of how the table was made. What it finds is private: it names columns and counts, and the
steward alone sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from comity.data.pii import find_pii
from comity.data.pii.spans import (
    CERTAIN,
    Detector,
    addresses_of_machines,
    cards,
    codes_of_machines,
    emails,
    ibans,
    national_numbers,
    readable,
    shaped_like,
)
from comity.deidentify.columns.pseudonymise import pseudonym_kind
from comity.deidentify.release.survivors import surviving
from comity.errors import BadTable
from comity.schema import Column, Role, Schema

if TYPE_CHECKING:
    from comity.data import Table


@dataclass(frozen=True)
class Expected:
    """What a released table may hold.

    Attributes:
        labels: per generalised column, the only texts it may hold.
        pseudonyms: columns of pseudonyms.
        columns: the other columns, with their schema.
    """

    labels: Mapping[str, Collection[str | None]]
    pseudonyms: Sequence[str]
    columns: Mapping[str, Column]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.pseudonyms, *self.labels, *self.columns)


def typing_check(table: Table, expected: Expected, schema: Schema, *, source: Table | None = None) -> None:
    """Refuse a table in which something is not as declared.

    Args:
        schema: of the table before; its identifiers are what is looked for with `source`.
        source: the table before, if no identifier value of it may stand anywhere in the released one.

    Raises:
        BadTable: private; one line per finding.
    """
    findings: list[str] = []
    strays = [name for name in table.names if name not in expected.names]
    lacking = [name for name in expected.names if name not in table]
    findings += [f"column '{name}' was not declared for release" for name in strays]
    findings += [f"column '{name}' is declared and absent" for name in lacking]
    for name in table.names:
        if name in expected.labels:
            findings += _labels(table, name, expected.labels[name])
        elif name in expected.pseudonyms:
            findings += _pseudonyms(table, name)
        elif name in expected.columns:
            findings += _typed(table, name, expected.columns[name])
    if source is not None:
        identifiers = [name for name in schema.named(Role.identifier) if name in source]
        # declared levels are public facts, and pseudonyms have a shape of their own
        public = [name for name, column in expected.columns.items() if column.values is not None]
        findings += surviving(source, identifiers, table, except_for=(*expected.pseudonyms, *public))
    if findings:
        raise BadTable("the table may not leave: " + "; ".join(findings))


def _labels(table: Table, name: str, allowed: Collection[str | None]) -> list[str]:
    codes, levels = table.levels(name)
    known = set(allowed)
    odd = np.array([level not in known for level in levels] + [None not in known])
    count = int(odd[codes].sum())
    return [f"'{name}' holds {count} values that are no label of its released level"] if count else []


def _pseudonyms(table: Table, name: str) -> list[str]:
    """All of one kind: keyed, or reversible."""
    kinds = [pseudonym_kind(value) for value in table.levels(name)[1]]
    odd = kinds.count(None)
    if odd:
        return [f"'{name}' holds {odd} values that are no pseudonym"]
    return [f"'{name}' mixes keyed and reversible pseudonyms"] if len(set(kinds)) > 1 else []


def _typed(table: Table, name: str, column: Column) -> list[str]:
    findings = []
    if column.type.is_numeric != table.type(name).is_numeric:
        return [f"'{name}' is declared {column.type} and is not"]
    if column.type.is_numeric:
        numbers = table.numbers(name)
        known = numbers[~np.isnan(numbers)]
        low = -np.inf if column.min is None else column.min
        high = np.inf if column.max is None else column.max
        outside = int(((known < low) | (known > high)).sum())
        if outside:
            findings.append(f"'{name}' holds {outside} values outside its declared bounds")
        declared = column.min is not None and column.max is not None
    else:
        codes, levels = table.levels(name)
        declared = column.values is not None
        allowed = set(column.values or levels)
        odd = np.array([level not in allowed for level in levels] + [False])
        if odd.any():
            findings.append(
                f"'{name}' holds {int(odd[codes].sum())} values that are none of its declared levels"
            )
    if not declared:  # declared levels and bounds are public; anything else is looked at
        findings += _identifiers(table, name)
    return findings


def _identifiers(table: Table, name: str) -> list[str]:
    """Values with the face of an identifier, anywhere in a text; and columns of a kind that names people."""
    codes, levels = table.levels(name)
    findings: list[str] = []
    text = not table.type(name).is_numeric
    texts = [readable(level) for level in levels] if text else list(levels)
    for kind, looks_like in PATTERNS.items():
        if not text and kind not in NUMBERS:
            continue
        hit = np.array([looks_like(level) for level in texts] + [False])
        if hit.any() and not _by_chance(kind, int(hit.sum()), texts):
            findings.append(f"'{name}' holds {int(hit[codes].sum())} values that look like {kind}")
    if text and not findings:
        kinds = [found for found in find_pii("", texts) if found.kind in TELLING and found.confidence >= 0.8]
        findings += [f"'{name}' looks like a column of {found.words}" for found in kinds[:1]]
    return findings


def _by_chance(kind: str, hits: int, texts: Sequence[str]) -> bool:
    """Whether check digits are right in less than half of the distinct values that have their length.

    One of ten article numbers passes for a payment card; nearly all payment cards do.
    """
    return kind in CHECKED and 2 * hits < sum(shaped_like(CHECKED[kind], text) for text in texts)


TELLING: Final = frozenset(
    {
        "email",
        "phone",
        "national_number",
        "iban",
        "credit_card",
        "ip",
        "mac",
        "uuid",
        "coordinates",
        "vin",
        "imei",
    }
)
"""Kinds of `comity.data.pii` that refuse a column as a whole; names are left to `surviving`, since words for
places, products and jobs are written like them."""


def _finds(detector: Detector) -> Callable[[str], bool]:
    return lambda text: next(iter(detector(text)), None) is not None


def _any_of(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.search(text) is not None


PATTERNS: Final[Mapping[str, Callable[[str], bool]]] = {
    "an e-mail address": _finds(emails),
    "an international telephone number": _any_of(
        r"(?<!\w)(\+[1-9]\d{0,2}[ ./-]?|00[1-9]\d{0,2}[ ./-])(\(?\d{1,4}\)?[ ./-]?){2,5}\d{2,4}(?!\w)"
    ),
    "an IP address": _finds(addresses_of_machines),
    "an IBAN": _finds(ibans),
    "a payment card number": _finds(cards),
    "a United States social security number": _any_of(
        r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"
    ),
    "a national number with check digits": _finds(national_numbers(CERTAIN)),
    "a UUID or hardware address": _finds(codes_of_machines),
}
"""What an identifier looks like on its face, inside a text too; the wider search is `comity.assess`."""

CHECKED: Final[Mapping[str, str]] = {
    "an IBAN": "iban",
    "a payment card number": "card",
    "a national number with check digits": "national number",
}
"""The patterns that rest on check digits, which other numbers pass now and then, with their kind."""

NUMBERS: Final = frozenset({"a payment card number"})
"""The patterns that a column of numbers is searched for; the others are written with letters or signs."""
