"""Raw identifier values that still stand somewhere in a released table: as a cell, or inside a text.

Short values say nothing when they are found (a customer number 12 in a column of ages), so:

- values of eight letters and digits or more that are not digits alone are looked for everywhere, at any place
  of any text ("x-alice.johnson-7");
- values of five to seven, and digits alone from five on, are looked for in texts of several words only, and
  between signs that do not continue them: a customer number 12345 inside 123456 is another number.

Case, accents, spaces and punctuation do not count. A column of numbers is one of identifiers when half of its
distinct values are, of eight digits or more: single ones coincide. Texts are looked through as one array of
bytes, eight at a time, for the beginnings of all values at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.pii.lexicon import fold

if TYPE_CHECKING:
    from comity.data import Table

FEWEST_SIGNS: Final = 5
"""Shorter values are not looked for."""

MANY_SIGNS: Final = 8
"""From here on values with letters are looked for at any place."""

_WORD = re.compile(r"[^\W_]+")
_FEWEST_NUMBERS: Final = 8


def surviving(
    source: Table, identifiers: Sequence[str], released: Table, *, except_for: Collection[str] = ()
) -> list[str]:
    """One line per identifier column of `source` whose values stand in a column of `released`.

    Args:
        except_for: released columns that are not looked at (pseudonyms, whose shape is checked instead).
    """
    findings: list[str] = []
    columns = [_Column(released, name) for name in released.names if name not in except_for]
    for identifier in identifiers:
        values = {compact(level) for level in source.levels(identifier)[1]}
        anywhere = {v for v in values if len(v) >= MANY_SIGNS and not v.isdigit()}
        whole = {v for v in values - anywhere if len(v) >= FEWEST_SIGNS}
        for column in columns:
            if column.numeric:
                hit = column.equal({v for v in values if len(v) >= MANY_SIGNS})
            else:
                hit = column.holding(anywhere) | column.wordwise(whole)
            count = column.rows(hit)
            if count:
                findings.append(
                    f"'{column.name}' holds values of the identifier '{identifier}' in {count} rows"
                )
    return findings


def compact(text: str) -> str:
    """Letters and digits alone, without case and accents."""
    return "".join(_WORD.findall(fold(text)))


class _Column:
    """A released column's distinct values, folded once for all identifiers."""

    def __init__(self, table: Table, name: str) -> None:
        self.name = name
        self.numeric = table.type(name).is_numeric
        self._codes, levels = table.levels(name)
        self._words = [_WORD.findall(fold(level)) for level in levels]

    def rows(self, hit: NDArray[np.bool_]) -> int:
        """How many rows have one of these distinct values."""
        return int(np.append(hit, False)[self._codes].sum())

    def equal(self, values: Collection[str]) -> NDArray[np.bool_]:
        """Numbers that are one of the values, if at least half of eight or more are."""
        hit = np.array(["".join(words) in values for words in self._words], dtype=bool)
        return hit if len(hit) >= _FEWEST_NUMBERS and 2 * hit.sum() >= len(hit) else np.zeros_like(hit)

    def holding(self, values: Collection[str]) -> NDArray[np.bool_]:
        """Whether a text holds one of the compact values, of eight bytes or more, at any place."""
        found = np.zeros(len(self._words), dtype=bool)
        if not values or not self._words:
            return found
        heads: dict[int, list[bytes]] = {}
        for value in map(str.encode, values):
            heads.setdefault(int(np.frombuffer(value[:8], dtype=np.uint64)[0]), []).append(value)
        ordered = np.sort(np.fromiter(heads, dtype=np.uint64, count=len(heads)))
        starts, body, packed = self._packed
        at = np.searchsorted(ordered, packed)
        candidates = np.flatnonzero(ordered[np.minimum(at, len(ordered) - 1)] == packed)
        owners = np.searchsorted(starts, candidates, side="right") - 1
        for place, owner in zip(candidates.tolist(), owners.tolist(), strict=True):
            if not found[owner]:
                found[owner] = any(body.startswith(value, place) for value in heads[int(packed[place])])
        return found

    def wordwise(self, values: Collection[str]) -> NDArray[np.bool_]:
        """Whether a text of three words or more holds one of the values as one to four of its words."""
        longest = max(map(len, values), default=0)
        found = (
            len(words) >= 3 and any(piece in values for piece in _pieces(words, longest))
            for words in (self._words if values else ())
        )
        return np.fromiter(found, dtype=bool) if values else np.zeros(len(self._words), dtype=bool)

    @cached_property
    def _packed(self) -> tuple[NDArray[np.int64], bytes, NDArray[np.uint64]]:
        """Where each text starts, all texts as bytes, and the eight bytes at each place as one number."""
        pieces = ["".join(words).encode() for words in self._words]
        body = b"\n".join(pieces) + b"\n" * 8
        starts = np.cumsum([0, *(len(piece) + 1 for piece in pieces)])
        windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(body, dtype=np.uint8), 8)
        return starts, body, np.ascontiguousarray(windows).view(np.uint64)[:, 0]


def _pieces(words: Sequence[str], longest: int) -> Iterator[str]:
    for first in range(len(words)):
        piece = ""
        for word in words[first : first + 4]:
            piece += word
            if len(piece) > longest:
                break
            yield piece
