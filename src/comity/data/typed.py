"""From what a source delivers to typed columns, by the same rules whatever the source is.

A value is stripped of blanks around it; empty, `?` and `NA` are missing. A column is numeric if at least
half of the values that are not missing read as numbers; every other value in it, and a literal `NaN` or
`inf`, is then a fault, listed by row and column. Numeric columns are `integer` if all their values are
whole, else `number`; a column without any value is text. Two kinds of digits are not numbers but codes,
and stay text, because reading them as numbers would change them: fixed-width digits of which some start
with 0 (`02139`), and digits beyond 18 places. A schema overrules all of this: its types say how a column
is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.types as kinds

from comity.data.arrays import booleans, fixed_width, to_arrow, valid
from comity.data.faults import LISTED, Fault, Faults
from comity.data.table import dictionary_codes
from comity.errors import BadTable
from comity.schema import ColumnType

if TYPE_CHECKING:
    from numpy.typing import NDArray

pc: Any = pyarrow.compute  # its functions are made at import, so no type checker sees them

CODED = pa.dictionary(pa.int32(), pa.string())
"""Strings as codes into distinct strings without a null among them: what the CSV reader delivers."""

MISSING = ("", "?", "NA")
"""How a missing value may be written. Nothing else is taken for one."""

_MISSING = r"\A(\?|NA)?\z"
_NUMBER = r"\A[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"
_WHOLE = r"\A[+-]?\d{1,18}\z"
_DIGITS = r"\A\d+\z"
_NOT_FINITE = r"(?i)\A[+-]?(nan|inf|infinity)\z"
_EXACT = 2.0**53
_CHUNK = 1 << 20

HINT_MISSING = "  a missing value is written as nothing, ? or NA"
HINT_TEXT = "  to keep a column of numbers as text, give a schema that says type: category or type: text"


def type_column(
    name: str, raw: pa.ChunkedArray, wanted: ColumnType | None = None
) -> tuple[pa.ChunkedArray, Faults]:
    """One column as `int64`, `float64` or `string`, and what in it does not fit.

    Args:
        name: the column, for faults and errors.
        raw: the values as the source has them: strings, numbers, booleans, dates, dictionaries.
        wanted: the schema's type; without one the values decide.

    Returns:
        The typed column (faulty values are null in it) and the faults.

    Raises:
        BadTable: if the column holds something that is not a single value per row (lists, bytes, ...).
    """
    if wanted is None and raw.null_count == len(raw):  # nothing tells the type
        return pa.chunked_array([pa.nulls(len(raw), pa.string())]), Faults()
    plain = raw if raw.type == CODED else _plain(name, raw)
    if plain.type == CODED or kinds.is_string(plain.type):
        return _from_strings(name, plain, wanted)
    if wanted is not None and not wanted.is_numeric:
        column, faults = _from_numbers(name, plain, None)
        return as_strings(column), faults
    return _from_numbers(name, plain, wanted)


def as_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A typed column as text; numbers as `as_text` writes them."""
    from comity.data.table import as_text

    if kinds.is_string(column.type):
        return column
    codes, values = dictionary_codes(column)
    return _decode(codes, pa.array([as_text(value) for value in values.to_pylist()], type=pa.string()))


def _plain(name: str, raw: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without dictionaries, views, decimals and dates: string, integer or float."""
    stored = raw.type
    if isinstance(stored, pa.UuidType):
        return _uuids(raw)
    if isinstance(stored, pa.BaseExtensionType):
        return _plain(name, pa.chunked_array([chunk.storage for chunk in raw.chunks], stored.storage_type))
    if kinds.is_dictionary(stored):
        return _plain(name, raw.cast(stored.value_type))
    if kinds.is_string(stored) or kinds.is_floating(stored):
        return raw
    if kinds.is_integer(stored):
        return _wide_integers(raw)
    if kinds.is_decimal(stored):
        return raw.cast(pa.float64())
    if kinds.is_timestamp(stored) and stored.tz is None:
        return _dates(raw)
    textual = kinds.is_large_string(stored) or kinds.is_string_view(stored) or kinds.is_boolean(stored)
    point_in_time = kinds.is_timestamp(stored) or kinds.is_date(stored) or kinds.is_time(stored)
    if textual or point_in_time:
        return raw.cast(pa.string())
    raise BadTable(
        f"column {name} holds {stored}, which is not one plain value per row; "
        "split it into columns of numbers or text, or leave it out"
    )


def _uuids(raw: pa.ChunkedArray) -> pa.ChunkedArray:
    """UUIDs as text."""
    return pa.chunked_array([pa.array([None if v is None else str(v) for v in raw.to_pylist()], pa.string())])


def _dates(raw: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as text, as coarse as they are: a day if all are midnight, else seconds, else all digits."""
    for coarse in (pa.date32(), pa.timestamp("s"), pa.timestamp("us")):
        rounded = raw.cast(coarse, safe=False)
        if rounded.cast(raw.type).equals(raw):
            return rounded.cast(pa.string())
    return raw.cast(pa.string())


def _wide_integers(raw: pa.ChunkedArray) -> pa.ChunkedArray:
    """Integers of any width as int64, or as strings of digits where they are too long for that."""
    if raw.type != pa.uint64():
        return raw.cast(pa.int64())
    top = pc.max(raw).as_py()
    return raw.cast(pa.string() if top is not None and top >= 2**63 else pa.int64())


def _from_strings(
    name: str, raw: pa.ChunkedArray, wanted: ColumnType | None
) -> tuple[pa.ChunkedArray, Faults]:
    """Type a column of strings. The work is done once per distinct value, not once per row."""
    codes, distinct = dictionary_codes(raw)
    if distinct.null_count:  # somebody else's dictionary
        codes, distinct = dictionary_codes(raw.cast(pa.string()))
    values = pc.utf8_trim_whitespace(distinct)
    known = ~booleans(pc.match_substring_regex(values, _MISSING))
    if wanted is None:
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        numeric = _reads_as_numbers(values, counts, known)
    else:
        numeric = wanted.is_numeric
    if not numeric:
        return _decode(np.where(np.append(known, False)[codes], codes, -1), values), Faults()
    return _parse(name, codes, values, known, wanted)


def _reads_as_numbers(values: pa.Array, counts: NDArray[np.int64], known: NDArray[np.bool_]) -> bool:
    """Whether a column of strings is numeric: half of its values read as numbers, and they are not codes."""
    number = booleans(pc.match_substring_regex(values, _NUMBER))
    number |= booleans(pc.match_substring_regex(values, _NOT_FINITE))
    present = int(counts[known].sum())
    if present == 0 or 2 * int(counts[number & known].sum()) < present:
        return False
    return not _are_codes(values.filter(to_arrow(known)))


def _are_codes(values: pa.Array) -> bool:
    """Whether all values are digits that a number would change: fixed width with zeros first, or too long."""
    if not pc.all(pc.match_substring_regex(values, _DIGITS)).as_py():
        return False
    lengths = pc.min_max(pc.utf8_length(values)).as_py()
    if lengths["max"] > 18:
        return True
    fixed = lengths["min"] == lengths["max"] > 1
    return fixed and bool(pc.any(pc.starts_with(values, "0")).as_py())


def _parse(
    name: str,
    codes: NDArray[np.int32],
    values: pa.Array,
    known: NDArray[np.bool_],
    wanted: ColumnType | None,
) -> tuple[pa.ChunkedArray, Faults]:
    """Numbers out of strings; faults for what is none."""
    number = booleans(pc.match_substring_regex(values, _NUMBER)) & known
    parsed = np.full(len(values), np.nan)
    readable = values.filter(to_arrow(number))
    parsed[number] = fixed_width(pc.cast(readable, pa.float64()), np.nan)
    endless = booleans(pc.match_substring_regex(values, _NOT_FINITE)) & known
    whys = [
        (known & ~number & ~endless, "is not a number"),
        (endless, "is not a finite number"),
        (np.isinf(parsed), "is too large for a number"),
    ]
    good = np.isfinite(parsed)
    whole = good & (np.abs(np.where(good, parsed, 0)) <= _EXACT) & (parsed == np.floor(parsed))
    exact = booleans(pc.match_substring_regex(values, _WHOLE)) & known
    if wanted is ColumnType.integer:
        whys.append((good & ~whole & ~exact, "is not a whole number"))
    faults = _faults(name, codes, values, whys)
    integer = wanted is ColumnType.integer or (wanted is None and bool(np.all((whole | exact)[good])))
    if integer:
        numbers = np.where(whole, parsed, 0).astype(np.int64)
        digits = pc.replace_substring(values.filter(to_arrow(exact)), "+", "")
        numbers[exact] = fixed_width(pc.cast(digits, pa.int64()), 0)
        return _decode(codes, to_arrow(numbers, ~(whole | exact))), faults
    return _decode(codes, to_arrow(parsed + 0.0, ~good)), faults


def _from_numbers(
    name: str, raw: pa.ChunkedArray, wanted: ColumnType | None
) -> tuple[pa.ChunkedArray, Faults]:
    """Type a column that arrives as integers or floats."""
    if kinds.is_string(raw.type):  # integers beyond 64 bits arrive as digits
        return _from_strings(name, raw, wanted)
    if kinds.is_integer(raw.type):
        return (raw.cast(pa.float64(), safe=False) if wanted is ColumnType.number else raw), Faults()
    present = valid(raw)
    values = fixed_width(raw.cast(pa.float64()), np.nan).astype(np.float64)
    good = present & np.isfinite(values)
    whole = good & (np.abs(np.where(good, values, 0)) <= _EXACT) & (values == np.floor(values))
    whys = [(present & ~np.isfinite(values), "is not a finite number")]
    if wanted is ColumnType.integer:
        whys.append((good & ~whole, "is not a whole number"))
    faults = _faults(name, np.arange(len(values), dtype=np.int64), values, whys)
    if wanted is ColumnType.integer or (wanted is None and good.any() and bool(np.all(whole[good]))):
        return pa.chunked_array([to_arrow(np.where(whole, values, 0).astype(np.int64), ~whole)]), faults
    return pa.chunked_array([to_arrow(values + 0.0, ~good)]), faults


def _faults(
    name: str,
    codes: NDArray[np.integer],
    values: pa.Array | NDArray[np.float64],
    whys: list[tuple[NDArray[np.bool_], str]],
) -> Faults:
    """Faults of the rows whose value is marked, each with its reason."""
    reason = np.full(len(values) + 1, -1, dtype=np.int8)
    for at, (marked, _) in enumerate(whys):
        reason[:-1][marked] = at
    of_row = reason[codes]
    rows = np.flatnonzero(of_row >= 0)
    first = tuple(
        Fault(int(row) + 1, name, str(values[int(codes[row])]), whys[of_row[row]][1]) for row in rows[:LISTED]
    )
    return Faults(len(rows), first, (HINT_MISSING, HINT_TEXT) if len(rows) else ())


def _decode(codes: NDArray[np.int32], values: pa.Array) -> pa.ChunkedArray:
    """Codes (-1: missing) back to values, in chunks that no string column outgrows."""
    parts = []
    for start in range(0, len(codes), _CHUNK):
        part = codes[start : start + _CHUNK]
        parts.append(values.take(to_arrow(part, part < 0)))
    return pa.chunked_array(parts, type=values.type)
