"""HIPAA's Safe Harbor: which of its eighteen identifiers a table holds (45 CFR 164.514(b)(2)(i), A to R).

A column is matched by the kind of its values (`comity.data.pii`) and by words in its name. Three answers:
`found`; `not found`, which says that neither speaks for it, not that it cannot be there; `needs a human`,
where the rule asks for something the table cannot show. Safe Harbor asks further that the holder has no
actual knowledge that what remains could identify anybody ((b)(2)(ii)): no program answers that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from comity.assess.columns import ColumnAssessment
from comity.assess.hipaa_rules import (
    ELEMENTS,
    Match,
    age_match,
    date_match,
    place_match,
)
from comity.data.hints import hinted, measures
from comity.data.table import Table
from comity.schema import Role

FOUND, NOT_FOUND, ASK = "found", "not found", "needs a human"


@dataclass(frozen=True)
class SafeHarborElement:
    """One of the eighteen.

    Attributes:
        letter: A to R, as the regulation numbers them.
        name: what it is.
        rule: what the regulation asks, in short.
        status: `found`, `not found` or `needs a human`.
        columns: those it was found in, or that a human should look at.
        why: per column, in words; "" if not found.
        free_text_only: whether nothing but free text, which may hold anything, speaks for it.
    """

    letter: str
    name: str
    rule: str
    status: str
    columns: tuple[str, ...]
    why: str
    free_text_only: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "columns": list(self.columns)
        }


def safe_harbor(table: Table, columns: Sequence[ColumnAssessment]) -> tuple[SafeHarborElement, ...]:
    """Check a table against the eighteen identifiers, in the regulation's order.

    Args:
        table: the rows.
        columns: their assessments.
    """
    matches: dict[str, list[Match]] = {element.letter: [] for element in ELEMENTS}
    for column in columns:
        for letter, match in _matches(table, column):
            matches[letter].append(match)
    texts = [column.name for column in columns if any(found.kind == "free_text" for found in column.kinds)]
    return tuple(
        _element(element.letter, element.name, element.rule, matches[element.letter], texts)
        for element in ELEMENTS
    )


_SPECIAL: tuple[tuple[str, Callable[[Table, ColumnAssessment], Match | None]], ...] = (
    ("B", place_match),
    ("C", date_match),
    ("C", age_match),
)


def _matches(table: Table, column: ColumnAssessment) -> list[tuple[str, Match]]:
    """The elements that a column holds, with why; an identifier that matches none else is (R)."""
    kinds = {found.kind: found for found in column.kinds}
    found = [(letter, match) for letter, test in _SPECIAL if (match := test(table, column)) is not None]
    for element in ELEMENTS:
        word = None if _no_identifier(table, column) else hinted(column.name, element.words)
        held = [kinds[kind] for kind in element.kinds if kind in kinds]
        if element.letter == "D" and hinted(column.name, _FAX):
            continue
        if held and (element.letter != "E" or word):
            found.append((element.letter, Match(column.name, f"{column.name}: {held[0].evidence}")))
        elif word and column.distinct:
            found.append((element.letter, Match(column.name, f"{column.name}: '{word}' in its name")))
    if not found and column.proposed_role == Role.identifier and "free_text" not in kinds:
        found.append(("R", Match(column.name, f"{column.name}: {column.evidence}")))
    return found


def _no_identifier(table: Table, column: ColumnAssessment) -> bool:
    """Measures, fractions and answers by yes or no are no identifiers, whatever word their name holds."""
    if measures(column.name) or any(found.kind == "boolean" for found in column.kinds):
        return True
    if not table.type(column.name).is_numeric or hinted(column.name, _DEGREES):
        return False
    numbers = table.numbers(column.name)
    whole = numbers[~np.isnan(numbers)]
    return bool((whole != np.round(whole)).any() or set(whole) <= {0.0, 1.0})


_DEGREES = frozenset({"latitude", "longitude", "geocode"})
_FAX = frozenset({"fax"})


def _element(
    letter: str, name: str, rule: str, matches: Sequence[Match], texts: Sequence[str]
) -> SafeHarborElement:
    certain = [match for match in matches if not match.ask]
    asked = [match for match in matches if match.ask]
    if certain:
        status, shown = FOUND, [*certain, *asked]
    elif asked or texts:
        status = ASK
        shown = [*asked, *(Match(text, f"{text}: free text may hold it", ask=True) for text in texts)]
    else:
        status, shown = NOT_FOUND, []
    return SafeHarborElement(
        letter,
        name,
        rule,
        status,
        tuple(dict.fromkeys(match.column for match in shown)),
        "; ".join(match.why for match in shown),
        free_text_only=status == ASK and not asked,
    )
