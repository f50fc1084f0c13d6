"""Numbers with a decimal comma in CSV files: what they are read as, and what their holder is told of it.

A file is separated by semicolons where the comma is the decimal mark, so a number with one comma has
decimals there: `3,5` is 3.5, `1.234,5` is 1234.5, and `1,234` is 1.234, a little more than one. Tabs separate
the files of every country, so there a column whose every comma could group thousands as well (one to three
digits before it, three behind it) is left as it is. So is, in any file, a column that also has numbers with a
decimal point, or with several commas. All of it is by column, never by value: a column's numbers are written
in one way. Whether a column is one of numbers is then decided as without commas (`typed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from comity.data.arrays import booleans, to_arrow
from comity.data.table import dictionary_codes
from comity.schema import ColumnType

if TYPE_CHECKING:
    from numpy.typing import NDArray

pc: Any = pyarrow.compute  # its functions are made at import, so no type checker sees them

CONVENTION = ";"
"""Separates the values of files whose numbers have a decimal comma."""

EITHER = "\t"
"""Separates the values of files whose numbers have a comma or a point."""

_SIGN, _POWER = r"\A[+-]?", r"([eE][+-]?\d+)?\z"
_GROUP = r"[.'’ \x{a0}\x{202f}]"
_COMMA = rf"{_SIGN}(\d+|\d{{1,3}}({_GROUP}\d{{3}})+)?,\d+{_POWER}"
_POINT = rf"{_SIGN}(\d+\.\d*|\.\d+){_POWER}"
_WHOLE = rf"{_SIGN}\d+{_POWER}"
_SEVERAL = r"\A[+-]?\d+(,\d+){2,}(\.\d*)?\z|\A[+-]?\d{1,3}(,\d{3})+\.\d*\z"
_MISSING = r"\A(\?|NA)?\z"
_AS_THOUSANDS = r"\A[+-]?[1-9]\d{0,2},\d{3}\z"
_POINT_AS_THOUSANDS = r"\A[+-]?[1-9]\d{0,2}\.\d{3}\z"


class Marks(StrEnum):
    """How the numbers of one column are written."""

    commas = "decimal commas"
    perhaps_thousands = "commas that were read as decimal ones and could group thousands"
    undecided = "commas that could be either"
    both = "decimal commas and decimal points"
    several = "several commas in one value"
    unusual = "decimal commas in a file whose separator does not speak for them"
    points_as_thousands = "points that could group thousands"

    @property
    def read(self) -> bool:
        """Whether the commas were read as decimal ones."""
        return self in (Marks.commas, Marks.perhaps_thousands)


@dataclass(frozen=True)
class _Kinds:
    """(distinct values,) booleans: what each one is. A value is one of them at most."""

    missing: NDArray[np.bool_]
    comma: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    point: NDArray[np.bool_]
    several: NDArray[np.bool_]

    @classmethod
    def of(cls, values: pa.Array) -> _Kinds:
        shapes = (_MISSING, _COMMA, _WHOLE, _POINT, _SEVERAL)
        return cls(*(_matching(values, shape) for shape in shapes))

    @property
    def number(self) -> NDArray[np.bool_]:
        return self.comma | self.whole | self.point | self.several


def with_points(
    raw: pa.ChunkedArray, separator: str, wanted: ColumnType | None
) -> tuple[pa.ChunkedArray, Marks | None]:
    """A column of a CSV file with decimal points for its decimal commas, if that is what they are.

    Args:
        raw: strings as codes (`typed.CODED`).
        separator: the file's.
        wanted: the schema's type; a column that is to be text stays as it is.

    Returns:
        The column, changed or as it came; and how its numbers are written, if that is worth telling.
    """
    if wanted is not None and not wanted.is_numeric:
        return raw, None
    if not _any(raw, _COMMA) and not _any(raw, _SEVERAL):  # before the work of making one of its parts
        return raw, Marks.points_as_thousands if separator != "," and _grouped_by_points(raw) else None
    codes, distinct = dictionary_codes(raw)
    values = pc.utf8_trim_whitespace(distinct)
    kinds = _Kinds.of(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    if wanted is None and 2 * counts[kinds.number].sum() < counts[~kinds.missing].sum():
        return raw, None  # a text: a few of its values happen to be numbers
    marks = _marks(values, kinds, separator)
    if not marks.read:
        return raw, marks
    changed = pa.DictionaryArray.from_arrays(to_arrow(codes, codes < 0), _pointed(values, kinds.comma))
    return pa.chunked_array([changed]), marks


def _marks(values: pa.Array, kinds: _Kinds, separator: str) -> Marks:
    """What the commas of a column of numbers are."""
    if kinds.several.any():
        return Marks.several
    if kinds.point.any():
        return Marks.both
    if separator not in (CONVENTION, EITHER):
        return Marks.unusual
    if not _matching(values.filter(to_arrow(kinds.comma)), _AS_THOUSANDS).all():
        return Marks.commas
    return Marks.perhaps_thousands if separator == CONVENTION else Marks.undecided


def _grouped_by_points(raw: pa.ChunkedArray) -> bool:
    """Whether there are numbers with points, and every one of them could group thousands."""
    found = False
    for chunk in raw.chunks:
        values = pc.utf8_trim_whitespace(chunk.dictionary)
        pointed = values.filter(to_arrow(_matching(values, _POINT)))
        found |= len(pointed) > 0
        if not _matching(pointed, _POINT_AS_THOUSANDS).all():
            return False
    return found


def _pointed(values: pa.Array, comma: NDArray[np.bool_]) -> pa.Array:
    """The values, those with a decimal comma with a point instead and without groups."""
    plain = pc.replace_substring_regex(values, _GROUP, "")
    return pc.if_else(to_arrow(comma), pc.replace_substring(plain, ",", "."), values)


def _any(raw: pa.ChunkedArray, shape: str) -> bool:
    """Whether any distinct value has this shape."""
    return any(_matching(pc.utf8_trim_whitespace(chunk.dictionary), shape).any() for chunk in raw.chunks)


def _matching(values: pa.Array, shape: str) -> NDArray[np.bool_]:
    return booleans(pc.match_substring_regex(values, shape))


_REMEDY = "write all its numbers with a decimal point and without groups of thousands"
_NAMED = {",": "commas", ";": "semicolons", "\t": "tabs"}


def reason(marks: Marks, separator: str) -> str | None:
    """Why a column's commas were not read as decimal ones, and what to do; None if they were."""
    if marks is Marks.undecided:
        return (
            f"in a file separated by {_NAMED[separator]} 1,234 may be 1.234 or 1234: write it with a decimal "
            "point, or without the comma"
        )
    if marks is Marks.both:
        return f"it has numbers with a decimal comma and others with a decimal point: {_REMEDY}"
    if marks is Marks.several:
        return f"some of its values have several commas (1,234,567): if they are numbers, {_REMEDY}"
    if marks is Marks.unusual:
        return (
            f"a decimal comma is read in files separated by semicolons or tabs, and this one is separated by "
            f"{_NAMED[separator]}: {_REMEDY}"
        )
    return None


def notes(
    found: Mapping[str, Marks], types: Mapping[str, ColumnType], source: str, separator: str
) -> dict[str, str]:
    """What the holder of a file should know of how its numbers were read, by column; no value of it.

    Args:
        found: the columns with something to tell.
        types: as which type each of them was read in the end.
        source: the file.
    """
    commas = any(marks.read for marks in found.values())
    told: dict[str, str] = {}
    for name, marks in found.items():
        where = f"column {name} of {source}"
        why = reason(marks, separator)
        if marks is Marks.commas:
            told[name] = f"{where} has decimal commas: 3,5 is read as 3.5"
        elif marks is Marks.perhaps_thousands:
            told[name] = (
                f"{where} has three digits behind every comma: 1,234 is read as 1.234, as in all files "
                "separated by semicolons; if its commas group thousands, write 1234"
            )
        elif marks is Marks.points_as_thousands and (commas or separator == ";"):
            beside = ", and other columns have decimal commas" if commas else ""
            told[name] = (
                f"{where} has three digits behind every point{beside}: 1.234 is read as a little more than "
                "one; if its points group thousands, write 1234"
            )
        elif why is not None and types[name] is ColumnType.text:
            told[name] = f"{where} has numbers with commas and is read as text, since {why}"
    return told
