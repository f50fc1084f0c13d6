"""One column of anything, its values each read by itself.

A column keeps the type that it is stored as, where it has one: numbers in numpy, Arrow's types. Where it has
none (lists, objects) or where one value more could change it (numbers that a missing one turns into floats),
it is an array of objects. It is never given to anything that chooses a type by looking at its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.value import as_float, is_missing, level_text, plain
from comity.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

_LIBRARIES: Final = ("pandas", "polars", "pyarrow", "numpy", "narwhals")

Column = Any
"""(n,) a numpy array, or an Arrow array in chunks."""


def library_of(value: Any) -> str:
    """Whose frame or column this is: pandas, polars, pyarrow, numpy, narwhals, also of a class made from one
    of theirs; otherwise its module's first name."""
    named = [base.__module__.partition(".")[0] for base in type(value).__mro__]
    return next((name for name in named if name in _LIBRARIES), named[0])


def column_of(values: Any, what: str) -> Column:
    """One value per record; a column of a frame, a list, or an array of one column.

    Raises:
        BadTable: for other shapes, which are public.
    """
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        return values
    if isinstance(values, pa.Array):
        return pa.chunked_array([values])
    if isinstance(values, list | tuple):
        return objects([one[0] if isinstance(one, list | tuple) and len(one) == 1 else one for one in values])
    library = library_of(values)
    if library == "narwhals" and hasattr(values, "to_native"):
        return column_of(values.to_native(), what)
    if library == "polars" and hasattr(values, "to_arrow"):
        if str(values.dtype).startswith("Object"):
            return objects(values.to_list())
        return column_of(values.to_arrow(), what)
    array = _array(values, what)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise BadTable(f"{what} are one value per record, not an array of {array.ndim} dimensions",
                       private=False)  # fmt: skip
    return array


def objects(values: Sequence[Any]) -> NDArray[Any]:
    """(n,) values as they are; numpy alone would make lists of them rows."""
    return np.fromiter(values, dtype=object, count=len(values))


def as_numpy(column: Column) -> NDArray[Any]:
    """(n,) a column as numpy has it: as objects, unless they are numbers of which none is missing."""
    if isinstance(column, np.ndarray):
        return column
    import pyarrow as pa

    kind = column.type
    if column.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return column.to_numpy(zero_copy_only=False)
    return objects(_listed(column))


def floats(column: Column, what: str) -> NDArray[np.float64]:
    """(n,) numbers, NaN where missing or no number.

    Raises:
        BadTable: for a column whose type says that it holds none (public), naming the type.
    """
    if not isinstance(column, np.ndarray):
        return _arrow_floats(column, what)
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    if column.dtype.kind == "O":
        return np.array([as_float(value) for value in column.tolist()], dtype=np.float64)
    raise _no_numbers(column.dtype, what)


def distinct(column: Column) -> tuple[list[str | None], NDArray[np.int64]]:
    """The different texts of a column, None for missing values, and (n,) each value's place among them.

    One text may stand there twice.
    """
    if not isinstance(column, np.ndarray):
        found, inverse = _arrow_distinct(column)
    elif column.dtype.kind in "biufUSMm":
        unique, inverse = np.unique(column, return_inverse=True)
        found = [plain(value) for value in unique]
    else:
        return _object_texts(column)
    return [None if is_missing(value) else level_text(value) for value in found], inverse.astype(np.int64)


def _object_texts(column: NDArray[Any]) -> tuple[list[str | None], NDArray[np.int64]]:
    place: dict[str | None, int] = {}
    inverse = np.empty(len(column), dtype=np.int64)
    for at, value in enumerate(column.tolist()):
        text = None if is_missing(value) else level_text(value)
        inverse[at] = place.setdefault(text, len(place))
    return list(place), inverse


def _arrow_distinct(column: pa.ChunkedArray) -> tuple[list[Any], NDArray[np.int64]]:
    import pyarrow as pa

    from comity.data.table import dictionary_codes

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return [None], np.zeros(len(column), dtype=np.int64)
    try:
        codes, values = dictionary_codes(column)
    except pa.ArrowNotImplementedError:  # of lists and records
        return _listed(column), np.arange(len(column))
    return [*_listed(values), None], np.where(codes < 0, len(values), codes).astype(np.int64)


def _listed(column: Any) -> list[Any]:
    """As Python values; each one that Python has none for (a year 30,000) by itself as its text."""
    try:
        return column.to_pylist()
    except Exception:  # whatever one value raises, the others are read
        return [_python(value) for value in column]


def _python(value: Any) -> Any:
    try:
        return value.as_py()
    except Exception:
        return f"{value.type} {getattr(value, 'value', '')}"


def _arrow_floats(column: pa.ChunkedArray, what: str) -> NDArray[np.float64]:
    import pyarrow as pa

    from comity.data.arrays import fixed_width, valid

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise _no_numbers(kind, what)
    numbers = column.cast(pa.float64(), safe=False)
    return np.where(valid(numbers), fixed_width(numbers, np.nan), np.nan).astype(np.float64)


def _no_numbers(kind: Any, what: str) -> BadTable:
    return BadTable(
        f"{what} stored as {kind} where bounds declare numbers: convert to numbers first, or declare the "
        "levels with categories= where there is such an argument", private=False,
    )  # fmt: skip


def _array(values: Any, what: str) -> NDArray[Any]:
    """Values of pandas, numpy and others, with a type that no value of them chose."""
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(values.astype(object), None)
    if isinstance(values, np.ndarray):
        return values
    own = getattr(values, "dtype", None)
    if library_of(values) == "pandas" and not isinstance(own, np.dtype):
        return np.asarray(values, dtype=object)
    try:
        return np.asarray(values)
    except ValueError:  # of rows of several lengths
        raise BadTable(f"{what} are one value per record, not lists of several", private=False) from None
