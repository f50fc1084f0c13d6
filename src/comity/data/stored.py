"""What kind of values a column is stored as, by its type alone: the schema of a frame, never a value of it.

For refusals before anything is charged. A type may be told to anybody, and no record changes it; where the
type depends on values (objects, Python lists, integers that one missing value makes floats) nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from comity.data.column import library_of
from comity.data.table import Table
from comity.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


class Stored(StrEnum):
    """Kinds of stored types."""

    text = "text"
    time = "a date or time"
    number = "numbers"
    truth = "true and false"
    unread = "neither numbers nor words"
    other = "values of no kind that its type tells"


_BY_NUMPY: Final[Mapping[str, Stored]] = {
    "U": Stored.text,
    "S": Stored.text,
    "M": Stored.time,
    "m": Stored.time,
    "b": Stored.truth,
    "i": Stored.number,
    "u": Stored.number,
    "f": Stored.number,
    "c": Stored.unread,
    "V": Stored.unread,
}
_WORDS: Final = ("string", "large_string", "categorical", "enum", "utf8")
_TIMES: Final = ("datetime", "date", "time", "duration")
_UNREAD: Final = ("list", "array", "struct", "binary")


def stored_as(values: Any) -> Stored:
    """What one column, array, series or frame of one column is stored as."""
    import pyarrow as pa

    if hasattr(type(values), "columns") or isinstance(values, Table | pa.Table | pa.RecordBatch):
        kinds = list(columns_stored_as(values).values())
        return kinds[0] if len(kinds) == 1 else Stored.other
    if isinstance(values, list | tuple):
        return Stored.other  # numpy would choose a type by the values
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return _of_arrow(values.type)
    return _of_dtype(getattr(values, "dtype", None))


def columns_stored_as(frame: Any) -> dict[str, Stored]:
    """What each column of a frame is stored as; columns of an array are x0, x1, ...

    A frame whose types cannot be known without reading it has none here.
    """
    import pyarrow as pa

    if isinstance(frame, Table):
        frame = frame.arrow
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return {
            name: _of_arrow(kind) for name, kind in zip(frame.schema.names, frame.schema.types, strict=True)
        }
    if isinstance(frame, np.ndarray):
        width = frame.shape[1] if frame.ndim == 2 else 0
        return dict.fromkeys((f"x{at}" for at in range(width)), _of_dtype(frame.dtype))
    if library_of(frame) == "pandas" and hasattr(frame, "dtypes"):
        # not by narwhals, which looks at the values of a column of objects
        return {str(name): _of_dtype(kind) for name, kind in zip(frame.columns, frame.dtypes, strict=True)}
    return _by_narwhals(frame)


def _by_narwhals(frame: Any) -> dict[str, Stored]:
    import narwhals as nw

    try:
        seen = nw.from_native(frame)
    except TypeError:
        return {}
    if seen.implementation.is_pandas_like():
        return {}
    return {name: _of_name(str(kind)) for name, kind in seen.collect_schema().items()}


def _of_arrow(kind: pa.DataType) -> Stored:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Stored.text
    if pa.types.is_temporal(kind):
        return Stored.time
    if pa.types.is_boolean(kind):
        return Stored.truth
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Stored.number
    nested = pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return Stored.unread if nested or pa.types.is_fixed_size_binary(kind) else Stored.other


def _of_dtype(kind: Any) -> Stored:
    """Of numpy, pandas or Polars."""
    if isinstance(kind, np.dtype):
        return _BY_NUMPY.get(kind.kind, Stored.other)
    arrow = getattr(kind, "pyarrow_dtype", None)
    if arrow is not None:
        return _of_arrow(arrow)
    if library_of(kind) == "pandas" or hasattr(kind, "na_value"):
        if type(kind).__name__ == "StringDtype":
            return Stored.text
        if type(kind).__name__ == "CategoricalDtype":
            return _of_dtype(getattr(kind.categories, "dtype", None))
        numpy_kind = str(getattr(kind, "kind", "O"))
        return _BY_NUMPY.get(numpy_kind, Stored.other)
    return _of_name(str(kind))


def _of_name(name: str) -> Stored:
    """Of a type of Polars or narwhals, by its name: String, Datetime(...), Int64, ..."""
    plain = name.partition("(")[0].lower()
    if plain in _WORDS:
        return Stored.text
    if plain in _TIMES:
        return Stored.time
    if plain == "boolean":
        return Stored.truth
    if plain.startswith(("int", "uint", "float", "decimal")):
        return Stored.number
    if plain in _UNREAD:
        return Stored.unread
    return Stored.other


def require_numbers(kind: Stored, what: str) -> None:
    """Refuse a column that bounds declare to hold numbers and that its type says holds none.

    Raises:
        UsageError: naming it; public, and to be told before a charge.
    """
    if kind is Stored.text:
        raise UsageError(
            f"{what} stored as text where bounds= declare numbers: convert to numbers first, or declare the "
            "levels with categories= where there is such an argument"
        )
    if kind is Stored.time:
        raise UsageError(
            f"{what} stored as dates or times where bounds= declare numbers: convert to numbers first, in "
            "the unit of the bounds (days since a public date, say)"
        )
    if kind is Stored.unread:
        raise UsageError(
            f"{what} stored as lists, records, bytes or complex numbers where bounds= declare numbers: take "
            "one number out of each first"
        )


def require_levels(values: Any, levels: Sequence[Any], what: str) -> None:
    """Refuse levels of another kind than the column's type.

    Text may hold written numbers: of that nothing is said, but for numpy's.

    Raises:
        UsageError: public, and to be told before a charge.
    """
    kind, words = stored_as(values), [isinstance(level, str) for level in levels]
    if kind in (Stored.number, Stored.truth) and any(words):
        raise UsageError(
            f"{what} stored as {kind} where the declared levels are words: declare the levels as {kind} "
            "too, without quotes"
        )
    if isinstance(values, np.ndarray) and kind is Stored.text and not any(words):
        raise UsageError(
            f"{what} stored as text where the declared levels are numbers: declare the levels as words, in "
            "quotes"
        )
