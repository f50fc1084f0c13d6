"""JSON read with tolerance: what is missing or of another type is None, and text is taken as hostile.

Control and bidirectional formatting characters are removed and length is capped here; escaping is the
business of whoever prints it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from comity.report import numbers

MAX_TEXT = 600
MAX_NAME = 100

# control, formatting (bidirectional overrides among them), lone surrogates, private use, unassigned
_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_JOINERS = "\u200c\u200d"  # zero-width, but part of how Persian and Indic words are written


def clean_text(value: object, limit: int = MAX_TEXT) -> str:
    """One line of printable text, at most `limit` characters; longer text ends in an ellipsis."""
    text = value if isinstance(value, str) else str(value)
    text = " ".join(text[: 4 * limit].split())
    kept = "".join(c for c in text if unicodedata.category(c) not in _UNPRINTED or c in _JOINERS)
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def text_of(value: object, limit: int = MAX_TEXT) -> str | None:
    return clean_text(value, limit) or None if isinstance(value, str) else None


def number_of(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # no time, size or count is that large; NaN fails the comparison
    return float(value) if abs(value) < 1e18 else None


def mapping_of(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items_of(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def texts_of(value: object) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else items_of(value)
    return tuple(text for item in items if (text := text_of(item)))


def shown(value: object) -> str | None:
    """A scalar or a list of scalars as text; None for anything nested or empty."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return (
            None
            if number_of(value) is None
            else numbers.count(value)
            if isinstance(value, int)
            else numbers.plain(value)
        )
    if isinstance(value, list | tuple):
        parts = [shown(item) for item in value]
        return ", ".join(part for part in parts if part) or None
    return text_of(value)
