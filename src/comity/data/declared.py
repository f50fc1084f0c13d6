"""Columns read as they were declared, one record at a time: for what may depend on no other record.

`read` lets a column's values say what kind it is. Where one record more or less must not change how the
others are read, the kind is declared beforehand, and every value is taken for itself: what is not of the kind
is a missing value, in that record and nowhere else, and no error tells of it. What kind a column is stored as
(numbers, text) is public, so an error about that may be told; what has no such kind (lists, columns of
objects) is given to nothing that would choose one by its values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.column import Column, as_numpy, column_of, distinct, floats, library_of, objects
from comity.data.table import Table, no_such_column
from comity.data.value import identity, is_missing, level_text
from comity.errors import BadTable

_LARGEST: Final = float(np.finfo(np.float64).max)
_EAGER: Final = ("builtins", "numpy", "pandas", "pyarrow")
"""Libraries none of whose frames is lazy."""


def column_names(frame: Any) -> tuple[str, ...]:
    """The names of a frame's columns; of an array (records, columns): x0, x1, ... No value is read.

    Raises:
        BadTable: for sparse matrices, arrays that are not two-dimensional and doubled names (all public).
        UsageError: for what is no frame.
    """
    if isinstance(frame, Table):
        return frame.names
    if is_array(frame):
        return tuple(f"x{at}" for at in range(_width(frame)))
    names = tuple(str(name) for name in _named(frame))
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise BadTable(
            f"{_kind(frame)}: two columns are named {twice[0]!r}; rename one of them", private=False
        )
    return names


def is_array(frame: Any) -> bool:
    """Whether features came without names: an array, or a list of records."""
    return isinstance(frame, np.ndarray | list | tuple) or hasattr(frame, "toarray")


def is_lazy(frame: Any) -> bool:
    """Whether a frame has to be read before anybody knows how many records it has."""
    if isinstance(frame, Table) or library_of(frame) in _EAGER:
        return False
    import narwhals as nw

    return isinstance(nw.from_native(frame, pass_through=True), nw.LazyFrame)


def collected(frame: Any) -> Any:
    """A lazy frame, read once; everything else as it is. To be called after the charge.

    Read twice, its rows could come in another order the second time.
    """
    if not is_lazy(frame):
        return frame
    from comity.data.frames import frame_to_arrow

    return frame_to_arrow(frame)[0]


def column_fault(values: Any) -> str | None:
    """Why these are not one value per record, by their type and shape alone; None if they may be."""
    needed = "one value per record is needed, not"
    if values is None or isinstance(values, str | bytes | Mapping | set | frozenset):
        return f"{needed} {type(values).__name__}"
    if _is_frame(values):
        width = len(column_names(values))
        return (
            None
            if width == 1
            else f"one value per record is needed, not a frame of {width} columns: name one"
        )
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple):
        fits = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
        return None if fits else f"{needed} an array of {len(shape)} dimensions"
    if hasattr(values, "__len__") or hasattr(values, "__array__"):
        return None
    return f"{needed} {type(values).__name__}"


def rows_known(values: Any) -> int | None:
    """How many records, where that is known without reading one."""
    if getattr(values, "ndim", 1) == 0 or is_lazy(values):
        return None
    rows = getattr(values, "num_rows", None)
    if isinstance(rows, int):
        return rows
    try:
        return len(values)
    except TypeError:
        return None


def declared_column(frame: Any, name: str) -> Column:
    """One column of a frame or array, as it is stored. To be called after the charge.

    Raises:
        BadTable: if it is not there (public).
    """
    names = column_names(frame)
    if name not in names:
        raise BadTable(str(no_such_column(name, names, _kind(frame))), private=False)
    frame, what = collected(frame), f"column {name}"
    if isinstance(frame, Table):
        return frame.arrow.column(name)
    if is_array(frame):
        return column_of(records_array(frame)[:, names.index(name)], what)
    if library_of(frame) == "pandas":
        return column_of(frame.iloc[:, names.index(name)], what)
    if library_of(frame) == "pyarrow":
        return column_of(frame.column(name), what)
    import narwhals as nw

    seen = nw.from_native(frame, eager_only=True, pass_through=True)
    if isinstance(seen, nw.DataFrame):
        return column_of(seen[name], what)
    from comity.data.frames import frame_to_arrow

    return frame_to_arrow(frame)[0].column(name)


def declared_table(frame: Any, numeric: Mapping[str, bool]) -> Table:
    """The declared columns of a frame or array, as numbers or words. To be called after the charge.

    Args:
        frame: anything narwhals reads, a `Table`, or an array (records, columns) with columns x0, x1, ...
        numeric: for each column wanted, whether it holds numbers; else levels, read as text (`level_text`).

    Raises:
        BadTable: if a column is not there, or is stored as text where numbers were declared (public).
    """
    import pyarrow as pa

    kind, frame = _kind(frame), collected(frame)
    frame = records_array(frame) if is_array(frame) else frame
    columns: dict[str, Any] = {}
    for name, as_numbers in numeric.items():
        column = declared_column(frame, name)
        columns[name] = _numbers(column, f"{kind}: column {name} is") if as_numbers else _words(column)
    return Table(pa.table(columns), source=kind)


def declared_codes(values: Any, levels: Sequence[Any], what: str) -> NDArray[np.int64]:
    """(n,) the place of each value among the levels, -1 for every other value and for missing ones.

    Whether values and levels are of one kind is not looked at: see `stored.require_levels`.

    Raises:
        BadTable: for more than one value per record.
    """
    place: dict[str | None, int] = {level_text(level): at for at, level in enumerate(levels)}
    texts, inverse = distinct(_one_column(values, what))
    return np.array([*(place.get(text, -1) for text in texts), -1], dtype=np.int64)[inverse]


def declared_numbers(values: Any, low: float, high: float, what: str) -> NDArray[np.float64]:
    """(n,) numbers held at the bounds, NaN where missing or no number.

    Raises:
        BadTable: for more than one value per record, and for a column stored as text.
    """
    return np.clip(floats(_one_column(values, what), f"{what} are"), low, high)


def one_dimension(values: Any, what: str) -> NDArray[Any]:
    """One value per record as an array; a frame's column, a list, or an array of one column.

    Whole numbers stay whole where others are missing: as floats, which is what a missing value makes of a
    column of them, ids beyond 2^53 would become one person's.

    Raises:
        BadTable: for other shapes, which are public.
    """
    return as_numpy(_one_column(values, what))


def numbered(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n,) equal numbers for equal values (1 and 1.0, not "1"), and (n,) whether a value is missing."""
    if values.dtype.kind not in "biufUSMm":
        listed, place = values.tolist(), dict[str, int]()
        missing = np.array([is_missing(one) for one in listed], dtype=np.bool_)
        numbers = (place.setdefault(identity(one), len(place)) for one in listed)
        return np.fromiter(numbers, np.int64, len(listed)), missing
    missing = values != values if values.dtype.kind in "fmM" else np.zeros(len(values), dtype=np.bool_)
    return np.unique(values, return_inverse=True)[1].astype(np.int64), np.asarray(missing, dtype=np.bool_)


def records_array(frame: Any) -> NDArray[Any]:
    """(records, columns) an array as it is; a list of records as objects, each value with its own type.

    Raises:
        BadTable: for sparse matrices and other shapes (public), and for records of several lengths (private).
    """
    width = _width(frame)
    if not isinstance(frame, list | tuple):
        return np.asarray(frame)
    if not all(hasattr(record, "__len__") and len(record) == width for record in frame):
        raise BadTable("the records are lists of several lengths: each has one value for every column")
    return objects([value for record in frame for value in record]).reshape(len(frame), width)


def _width(frame: Any) -> int:
    """How many columns an array or a list of records has."""
    if hasattr(frame, "toarray"):
        raise BadTable("sparse features are not read; give a dense array or a frame", private=False)
    shape = _shape(frame) if isinstance(frame, list | tuple) else np.shape(frame)
    if len(shape) != 2:
        raise BadTable(
            f"features have records and columns, not {len(shape)} dimensions; reshape your data to "
            "(records, columns)", private=False,
        )  # fmt: skip
    return int(shape[1])


def _shape(records: Sequence[Any]) -> tuple[int, ...]:
    """Of a list of records, as the first one has it."""
    first = records[0] if len(records) else None
    own = (len(first),) if isinstance(first, list | tuple) else getattr(first, "shape", ())
    return (len(records), *own)


def _named(frame: Any) -> Sequence[Any]:
    """The columns' names as the frame has them; a lazy frame's are known without reading it."""
    if type(frame).__name__ in ("Series", "ChunkedArray"):
        raise BadTable("a frame with named columns is needed, not a single column", private=False)
    if library_of(frame) == "pandas":
        return list(frame.columns)
    if hasattr(frame, "collect_schema"):
        return frame.collect_schema().names()
    # an Arrow table's `columns` are values
    named = getattr(frame, "column_names", None) or getattr(frame, "columns", None)
    if named is not None and all(isinstance(name, str) for name in named):
        return list(named)
    from comity.data.frames import frame_to_arrow

    return frame_to_arrow(frame)[0].column_names


def _one_column(values: Any, what: str) -> Column:
    fault = column_fault(values)
    if fault is not None:
        raise BadTable(f"{what}: {fault}", private=False)
    return declared_column(values, column_names(values)[0]) if _is_frame(values) else column_of(values, what)


def _is_frame(values: Any) -> bool:
    if isinstance(values, np.ndarray | list | tuple):
        return False
    own = type(values)
    return isinstance(values, Table) or any(
        hasattr(own, name) for name in ("collect_schema", "column_names", "columns")
    )


def _kind(frame: Any) -> str:
    if isinstance(frame, Table):
        return frame.source
    if is_array(frame):
        return "the array"
    return f"the {type(frame).__module__.partition('.')[0].strip('_')} frame"


def _numbers(column: Column, what: str) -> Any:
    """As an Arrow column: NaN as missing, infinities as the largest floats, which bounds hold like others."""
    from comity.data.arrays import to_arrow

    numbers = floats(column, what)
    missing = np.isnan(numbers)
    return to_arrow(np.where(missing, 0.0, np.clip(numbers, -_LARGEST, _LARGEST)), missing)


def _words(column: Column) -> Any:
    import pyarrow as pa

    from comity.data.arrays import to_arrow

    if not isinstance(column, np.ndarray) and pa.types.is_string(column.type):
        return column
    texts, inverse = distinct(column)
    return pa.array(texts, pa.string()).take(to_arrow(inverse))
