"""Frames of other libraries, in and out, through narwhals: what comes back is the kind that went in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comity.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from comity.data.table import Table

KINDS = "a path, a postgresql:// address, or a frame (pandas, Polars, Arrow, DuckDB, or what narwhals reads)"


def frame_to_arrow(frame: Any) -> tuple[pa.Table, str]:
    """A frame as an Arrow table, and its kind in words.

    A missing value of the library (pandas: also NaN) becomes a null; a NaN that the library keeps apart
    from missing (Polars, Arrow, DuckDB) stays NaN.

    Raises:
        UsageError: if it is no frame.
        BadTable: if two columns have one name, or a column mixes kinds of values.
    """
    import narwhals as nw
    import pyarrow as pa

    from comity.data.csvfile import check_names
    from comity.errors import BadTable

    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        return frame, "the pyarrow frame"
    kind = f"the {type(frame).__module__.partition('.')[0].strip('_')} frame"
    if kind == "the pandas frame":  # narwhals refuses doubled names without naming them
        check_names([str(name) for name in getattr(frame, "columns", ())], kind)
    try:
        seen = nw.from_native(frame)
    except TypeError:
        raise UsageError(f"a table is {KINDS}; got {type(frame).__name__}") from None
    try:
        if isinstance(seen, nw.LazyFrame):
            arrow = seen.collect(backend="pyarrow").to_native()
        else:
            arrow = seen.to_arrow()
    except (
        pa.ArrowException,
        OverflowError,
        UnicodeError,
    ) as error:  # also of too long a number, half a character
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadTable(f"{kind} has a column of mixed kinds, or values that do not fit one: {said}") from None
    return arrow, kind


def to_native(table: Table, like: Any) -> Any:
    """The table as a frame of the kind of `like`; a pandas index of the same length is kept.

    Raises:
        UsageError: if comity cannot make that kind of frame.
    """
    import narwhals as nw
    import pyarrow as pa

    from comity.data.table import Table

    if isinstance(like, Table):
        return table
    if isinstance(like, pa.RecordBatch):
        return table.arrow.combine_chunks().to_batches()[0]
    try:
        seen = nw.from_native(like)
    except TypeError:
        raise UsageError(f"a table comes back as a frame, not as {type(like).__name__}") from None
    kind = seen.implementation
    if kind.is_pyarrow():
        return table.arrow
    if kind.is_duckdb():
        arrow = table.arrow
        return like.query("comity_table", "select * from arrow") if arrow is not None else like
    if isinstance(seen, nw.DataFrame):
        frame = nw.from_arrow(table.arrow, backend=kind).to_native()
        if kind.is_pandas() and len(like) == len(frame):
            frame.index = like.index
        return frame
    if kind.is_polars():
        return nw.from_arrow(table.arrow, backend=kind).lazy().to_native()
    raise UsageError(f"a table cannot come back as a {kind.value} frame yet; use its .arrow columns instead")
