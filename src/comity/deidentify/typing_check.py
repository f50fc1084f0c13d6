"""The last look at a table before it leaves: every value fits its declared type, no identifier survives.

It knows nothing of how the table was made. What it finds is private: it names columns and counts, and the
steward alone sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from comity.errors import BadTable
from comity.schema import Column, Schema

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


def typing_check(table: Table, expected: Expected, schema: Schema) -> None:
    """Refuse a table in which something is not as declared.

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
    if findings:
        raise BadTable("the table may not leave: " + "; ".join(findings))


def _labels(table: Table, name: str, allowed: Collection[str | None]) -> list[str]:
    codes, levels = table.levels(name)
    known = set(allowed)
    odd = np.array([level not in known for level in levels] + [None not in known])
    count = int(odd[codes].sum())
    return [f"'{name}' holds {count} values that are no label of its released level"] if count else []


_PSEUDONYM = re.compile(r"[a-z2-7]{32}")


def _pseudonyms(table: Table, name: str) -> list[str]:
    odd = sum(value is not None and not _PSEUDONYM.fullmatch(value) for value in table.strings(name))
    return [f"'{name}' holds {odd} values that are no pseudonym"] if odd else []


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
    codes, levels = table.levels(name)
    findings = []
    for kind, looks_like in PATTERNS.items():
        hit = np.array([looks_like(level) for level in levels] + [False])
        if hit.any():
            findings.append(f"'{name}' holds {int(hit[codes].sum())} values that look like {kind}")
    return findings


def _luhn(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    if not re.fullmatch(r"\d{13,19}", digits):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _iban(text: str) -> bool:
    plain = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", plain):
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.search(text) is not None


PATTERNS: Mapping[str, Callable[[str], bool]] = {
    "an e-mail address": _matches(r"[^\s@]+@[^\s@]+\.[A-Za-z]{2,}"),
    "an international telephone number": _matches(
        r"(?<!\d)(\+|00)[1-9]\d{0,2}[ ./-]?(\(?\d{1,4}\)?[ ./-]?){2,5}\d{2,4}(?!\d)"
    ),
    "an IP address": _matches(
        r"(?<![\d.])((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"
    ),
    "an IBAN": _iban,
    "a payment card number": _luhn,
    "a United States social security number": _matches(
        r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"
    ),
    "a UUID": _matches(r"(?i)(?<![0-9a-f])[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-f])"),
}
"""What an identifier looks like on its face; the wider search, with evidence, is `comity.assess`."""
