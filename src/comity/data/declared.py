"""Columns read as they were declared, one record at a time: for what may depend on no other record.

`read` lets a column's values say what kind it is. Where one record more or less must not change how the
others are read, the kind is declared beforehand, and every value is taken for itself: what is not of the kind
is a missing value, in that record and nowhere else, and no error tells of it. What kind a column is stored as
(numbers, text) is public, so an error about that may be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.data.table import Table, no_such_column
from comity.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

_LARGEST = float(np.finfo(np.float64).max)


def column_names(frame: Any) -> tuple[str, ...]:
    """The names of a frame's columns; of an array (records, columns): x0, x1, ...

    Raises:
        BadTable: for sparse matrices and arrays that are not two-dimensional (shapes are public).
        UsageError: for what is no frame.
    """
    if isinstance(frame, Table):
        return frame.names
    if is_array(frame):
        return tuple(f"x{at}" for at in range(_two_dimensions(frame).shape[1]))
    # a lazy frame's columns are known without reading it; an Arrow table's `columns` are values
    schema = frame.collect_schema().names() if hasattr(frame, "collect_schema") else None
    named = schema or getattr(frame, "column_names", None) or getattr(frame, "columns", None)
    if named is not None and all(isinstance(name, str) for name in named):
        return tuple(named)
    from comity.data.frames import frame_to_arrow

    return tuple(frame_to_arrow(frame)[0].column_names)


def is_array(frame: Any) -> bool:
    """Whether features came without names: an array, or a list of records."""
    return isinstance(frame, np.ndarray | list | tuple) or hasattr(frame, "toarray")


def declared_table(frame: Any, numeric: Mapping[str, bool]) -> Table:
    """The declared columns of a frame or array, as numbers or words.

    Args:
        frame: anything narwhals reads, a `Table`, or an array (records, columns) with columns x0, x1, ...
        numeric: for each column wanted, whether it holds numbers; else levels, read as text (`level_text`).

    Raises:
        BadTable: if a column is not there, or is stored as text where numbers were declared (public).
    """
    import pyarrow as pa

    if isinstance(frame, Table):
        arrow, source = frame.arrow, frame.source
    elif is_array(frame):
        return _array_table(_two_dimensions(frame), numeric)
    else:
        from comity.data.frames import frame_to_arrow

        arrow, source = frame_to_arrow(frame)
    columns: dict[str, Any] = {}
    for name, as_numbers in numeric.items():
        if name not in arrow.column_names:
            raise _public(no_such_column(name, arrow.column_names, source))
        column = arrow.column(name)
        columns[name] = _numbers(column, name, source) if as_numbers else _words(column)
    return Table(pa.table(columns), source=source)


def declared_codes(values: Any, levels: Sequence[Any], what: str) -> NDArray[np.int64]:
    """(n,) the place of each value among the levels, -1 for every other value and for missing ones.

    Raises:
        BadTable: for more than one value per record, and for words where the levels are numbers or the other
            way round (how a column is stored is public).
    """
    array = one_dimension(values, what)
    if array.dtype.kind == "O" and all(isinstance(level, str) for level in levels):
        pass  # a column of words may hold missing ones
    elif array.dtype.kind in "biuf" and any(isinstance(level, str) for level in levels):
        raise BadTable(f"{what} are numbers where the declared levels are words", private=False)
    elif array.dtype.kind in "US" and not any(isinstance(level, str) for level in levels):
        raise BadTable(f"{what} are words where the declared levels are numbers", private=False)
    place = {level_text(level): at for at, level in enumerate(levels)}
    distinct, inverse = _distinct(array)
    codes = [-1 if _is_missing(value) else place.get(level_text(value), -1) for value in distinct]
    return np.asarray(codes, dtype=np.int64)[inverse] if len(array) else np.zeros(0, dtype=np.int64)


def declared_numbers(values: Any, low: float, high: float, what: str) -> NDArray[np.float64]:
    """(n,) numbers held at the bounds, NaN where missing or no number.

    Raises:
        BadTable: for more than one value per record, and for a column stored as text.
    """
    array = one_dimension(values, what)
    if array.dtype.kind in "US":
        raise BadTable(f"{what} are words where bounds declare numbers", private=False)
    return np.clip(_floats(array), low, high)


def one_dimension(values: Any, what: str) -> NDArray[Any]:
    """One value per record as an array; a frame's column, a list, or an array of one column.

    Raises:
        BadTable: for other shapes, which are public.
    """
    array = _array(values, what)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise BadTable(f"{what} are one value per record, not an array of {array.ndim} dimensions",
                       private=False)  # fmt: skip
    return array


def exact_ids(values: Any, what: str) -> NDArray[Any]:
    """As `one_dimension`, for ids: whole numbers stay whole where others are missing.

    As floats, which is what a missing value makes of a column of them, ids beyond 2^53 would become one
    person's, and whose rows count would depend on other people's.
    """
    array = one_dimension(values, what)
    listed = getattr(values, "to_pylist", None) or getattr(values, "to_list", None)
    if array.dtype.kind == "f" and listed is not None:
        return _objects(listed())
    if isinstance(values, list | tuple) and not any(isinstance(value, list | tuple) for value in values):
        return _objects(values)
    return array


def numbered(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n,) equal numbers for equal values (1 and 1.0, not "1"), and (n,) whether a value is missing."""
    if values.dtype.kind == "O":
        listed, place = values.tolist(), dict[str, int]()
        missing = np.array([_is_missing(one) for one in listed], dtype=np.bool_)
        numbers = (place.setdefault(_identity(one), len(place)) for one in listed)
        return np.fromiter(numbers, np.int64, len(listed)), missing
    missing = values != values if values.dtype.kind in "fmM" else np.zeros(len(values), dtype=np.bool_)
    return np.unique(values, return_inverse=True)[1].astype(np.int64), np.asarray(missing, dtype=np.bool_)


def _identity(value: object) -> str:
    """One text for equal values only: whole numbers of any size stay exact."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Integral):
        return f"n{_whole(int(value))}"
    return f"s{value}" if isinstance(value, str) else f"n{value}"


def level_text(value: object) -> str:
    """The one way a level is written: 3 and 3.0 as "3", True as "True", a word as it is.

    Whole numbers are written exactly, however large; every value has a text.
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, Integral):
        return _whole(int(value))
    if isinstance(value, Real):
        number = _float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def _whole(number: int) -> str:
    # Python refuses to write more than some thousand decimal digits
    return str(number) if number.bit_length() < 10_000 else hex(number)


def _array(values: Any, what: str) -> NDArray[Any]:
    """Values as an array, of objects where a list mixes words with other values."""
    import pyarrow as pa

    if isinstance(values, pa.Array):
        return values.to_numpy(zero_copy_only=False)
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    except ValueError:  # of a list of lists of several lengths
        raise BadTable(f"{what} are one value per record, not lists of several", private=False) from None
    mixed = isinstance(values, list | tuple) and array.ndim == 1 and array.dtype.kind in "US"
    if mixed and not all(isinstance(value, str | bytes) for value in values):
        return _objects(values)
    return array


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    return np.fromiter(values, dtype=object, count=len(values))


def _array_table(array: NDArray[Any], numeric: Mapping[str, bool]) -> Table:
    import pyarrow as pa

    from comity.data.arrays import to_arrow

    names = tuple(f"x{at}" for at in range(array.shape[1]))
    columns: dict[str, Any] = {}
    for name, as_numbers in numeric.items():
        if name not in names:
            raise _public(no_such_column(name, names, "the array"))
        values = array[:, names.index(name)]
        if as_numbers:
            if values.dtype.kind in "US":
                raise BadTable(f"column {name} is text where bounds declare numbers", private=False)
            columns[name] = _finite(_floats(values))
        else:
            distinct, inverse = _distinct(values)
            words = pa.array([None if _is_missing(one) else level_text(one) for one in distinct], pa.string())
            columns[name] = words.take(to_arrow(inverse.astype(np.int64)))
    return Table(pa.table(columns), source="the array")


def _numbers(column: pa.ChunkedArray, name: str, source: str) -> pa.Array:
    import pyarrow as pa

    from comity.data.arrays import fixed_width, valid

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.float64())
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_temporal(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise BadTable(f"{source}: column {name} is {kind} where bounds declare numbers; declare its levels "
                       "with categories= instead", private=False)  # fmt: skip
    floats = column.cast(pa.float64(), safe=False)
    return _finite(np.where(valid(floats), fixed_width(floats, np.nan), np.nan).astype(np.float64))


def _words(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa

    from comity.data.arrays import to_arrow
    from comity.data.table import dictionary_codes

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    codes, distinct = dictionary_codes(column)
    written = [None if _is_missing(value) else level_text(value) for value in distinct.to_pylist()]
    missing = codes < 0
    return pa.array([*written, None], pa.string()).take(
        to_arrow(np.where(missing, len(written), codes).astype(np.int64))
    )


def _finite(numbers: NDArray[np.float64]) -> pa.Array:
    """Numbers with NaN as missing and infinities as the largest floats, which bounds hold like any other."""
    from comity.data.arrays import to_arrow

    missing = np.isnan(numbers)
    return to_arrow(np.where(missing, 0.0, np.clip(numbers, -_LARGEST, _LARGEST)), missing)


def _floats(values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind == "O":
        return np.array([_float(value) for value in values.tolist()], dtype=np.float64)
    raise BadTable(f"values of kind {values.dtype} are neither numbers nor words", private=False)


def _float(value: Any) -> float:
    if not isinstance(value, Real):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return _LARGEST if bool(value > 0) else -_LARGEST  # pyright: ignore[reportOperatorIssue]


def _distinct(values: NDArray[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    """The different values and (n,) each one's place among them."""
    if values.dtype.kind != "O":
        distinct, inverse = np.unique(values, return_inverse=True)
        return distinct.tolist(), inverse
    place: dict[str, int] = {}
    found: list[Any] = []
    inverse = np.empty(len(values), dtype=np.int64)
    for at, value in enumerate(values.tolist()):
        key = "" if _is_missing(value) else f"={level_text(value)}"
        if key not in place:
            place[key] = len(found)
            found.append(None if not key else value)
        inverse[at] = place[key]
    return found, inverse


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA is neither equal nor unequal to itself
        return True


def _two_dimensions(frame: Any) -> NDArray[Any]:
    if hasattr(frame, "toarray"):
        raise BadTable("sparse features are not read; give a dense array or a frame", private=False)
    array = np.asarray(frame)
    if array.ndim != 2:
        raise BadTable(
            f"features have records and columns, not {array.ndim} dimensions; reshape your data to "
            "(records, columns)", private=False,
        )  # fmt: skip
    return array


def _public(error: BadTable) -> BadTable:
    """Which columns there are is public."""
    return BadTable(str(error), private=False)
