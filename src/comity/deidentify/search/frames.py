"""Frames in and out: any table that narwhals reads becomes coded columns, and the answer the kind that went

in.

A column is coded once: distinct values, and for each row the position of its value. Everything after that
works on small integers. DuckDB's tables are read in batches, so that texts of a large table never stand in
memory all at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.data.arrays import fixed_width, to_arrow
from comity.deidentify.hierarchies.hierarchy import as_counted
from comity.errors import BadTable, UsageError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Coded:
    """A column as codes: row i holds `values[codes[i]]`; a missing value is None among the values."""

    codes: NDArray[np.int32]
    values: tuple[Any, ...]

    def only(self, rows: NDArray[np.bool_] | None) -> Coded:
        """Some rows of the column; None means all."""
        return self if rows is None else Coded(self.codes[rows], self.values)

    def counted(self) -> Coded:
        """The column as models count a sensitive one: all that stands for a missing value is one value, and
        so are 0.0 and -0.0 (`hierarchy.as_counted`)."""
        codes: dict[Any, int] = {}
        places = [codes.setdefault(as_counted(value), len(codes)) for value in self.values]
        if len(codes) == len(places):
            return Coded(self.codes, tuple(codes))
        return Coded(np.array(places, dtype=np.int32)[self.codes], tuple(codes))


class Frame:
    """A frame of any kind, read by column, and rebuilt with some columns replaced."""

    def __init__(self, frame: Any, vocabularies: Mapping[str, Sequence[str]] | None = None) -> None:
        """Read a frame. `vocabularies`: texts that columns should hold; they only make reading faster."""
        import narwhals as nw

        from comity.data.table import Table

        self._typed: Table | None = frame if isinstance(frame, Table) else None
        native: Any = frame if self._typed is None else self._typed.arrow
        try:
            wrapped: Any = nw.from_native(native)
        except nw.exceptions.DuplicateError:
            raise BadTable(
                "the table has several columns of one name: give each a name of its own", private=False
            ) from None
        except TypeError:
            raise UsageError(
                f"a table of type {type(frame).__name__} is none that can be read; give pandas, Polars, "
                "Arrow or DuckDB"
            ) from None
        self._wrapped_by_caller = isinstance(frame, (nw.DataFrame, nw.LazyFrame))
        self._given = wrapped
        self._eager: Any = (
            wrapped if isinstance(wrapped, nw.DataFrame) else _collected(wrapped, vocabularies or {})
        )
        self._vocabularies = vocabularies or {}
        self.columns: tuple[str, ...] = tuple(self._eager.columns)
        self.rows: int = len(self._eager)

    def coded(self, name: str) -> Coded:
        """Codes of a column.

        Raises:
            BadTable: if there is no such column, or its values are lists or records, or of several types.
        """
        if name not in self.columns:
            raise BadTable(
                f"the table has no column '{name}'; its columns are {', '.join(map(str, self.columns))}",
                private=False,
            )
        if not isinstance(name, str):
            raise BadTable(
                f"the column {name!r} has no text as its name: rename it, "
                "for example frame.columns = [str(name) for name in frame.columns]",
                private=False,
            )
        import pyarrow as pa

        series = self._eager[name]
        words = self._vocabularies.get(name, ())
        try:
            if str(series.dtype) == "Object" and self._given.implementation.is_polars():
                raise pa.ArrowTypeError("Polars hands out addresses of objects")
            if words and self._given.implementation.is_polars():
                column = _polars_codes(series.to_native(), words)
            else:
                column = series.to_arrow()
            require_plain(name, column.type)
            return code_column(column)
        except pa.ArrowException:
            raise BadTable(
                f"column '{name}' holds values of several types, or of one that cannot be compared: make "
                "them all texts, or all numbers",
                private=False,
            ) from None

    def with_labels(self, replaced: Mapping[str, tuple[NDArray[np.integer], Sequence[str | None]]]) -> Any:
        """The frame with columns replaced by texts (codes into labels), as the kind that went in."""
        import narwhals as nw

        if self._typed is not None:
            table = self._typed
            for name, (codes, labels) in replaced.items():
                table = table.with_column(name, label_column(codes, labels))
            return table
        native = nw.to_native(self._eager)
        arrays = {name: coded_labels(codes, labels) for name, (codes, labels) in replaced.items()}
        rebuilt = _rebuilt(native, arrays, self._given.implementation, isinstance(self._given, nw.LazyFrame))
        if self._given.implementation.is_duckdb():
            from comity.deidentify.search.duck import with_types

            rebuilt = with_types(rebuilt, self._given.to_native(), arrays)
        return nw.from_native(rebuilt) if self._wrapped_by_caller else rebuilt

    def only_labels(self, columns: Mapping[str, tuple[NDArray[np.integer], Sequence[str | None]]]) -> Any:
        """A new frame of nothing but texts, as the kind that went in: no row numbers, metadata or lists of
        values come along."""
        import narwhals as nw
        import pyarrow as pa

        table = pa.table({name: label_column(codes, labels) for name, (codes, labels) in columns.items()})
        if self._typed is not None:
            return type(self._typed)(table, self._typed.source)
        rebuilt = _of_kind(table, self._given.implementation, isinstance(self._given, nw.LazyFrame))
        return nw.from_native(rebuilt) if self._wrapped_by_caller else rebuilt


def require_plain(name: str, kind: Any) -> None:
    """Refuse a column whose values are made of values: lists, records, maps.

    Raises:
        BadTable: naming the column and its type.
    """
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_nested(inner):
        raise BadTable(
            f"column '{name}' holds values made of several ({inner}), which cannot be generalised or "
            "counted: put each part into a column of its own, or leave the column out",
            private=False,
        )


def code_column(column: Any) -> Coded:
    """Codes of an Arrow array or chunked array."""
    import pyarrow as pa

    whole = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    chunks = encoded.unify_dictionaries().chunks
    values = (
        [None if value != value else value for value in chunks[0].dictionary.to_pylist()] if chunks else []
    )
    missing = values.index(None) if None in values else len(values)
    codes = [fixed_width(chunk.indices, missing).astype(np.int32, copy=False) for chunk in chunks]
    if encoded.null_count and missing == len(values):
        values.append(None)
    if not codes:
        return Coded(np.zeros(0, np.int32), tuple(values))
    return Coded(codes[0] if len(codes) == 1 else np.concatenate(codes), tuple(values))


def _polars_codes(series: Any, words: Sequence[str]) -> Any:
    """A Polars series in Arrow; Polars codes the expected texts, at a fifth of the cost."""
    import polars as pl

    if series.dtype == pl.String:
        coded = series.cast(pl.Enum(list(dict.fromkeys(words))), strict=False)
        if coded.null_count() == series.null_count():
            return coded.to_arrow()
    return series.to_arrow()


def _collected(lazy: Any, vocabularies: Mapping[str, Sequence[str]]) -> Any:
    """A lazy frame in memory: DuckDB's as coded Arrow, Polars' as its own."""
    import narwhals as nw

    if lazy.implementation.is_duckdb():
        from comity.deidentify.search.duck import coded_table

        return nw.from_native(coded_table(lazy.to_native(), vocabularies), eager_only=True)
    if lazy.implementation.is_polars():
        return lazy.collect()
    raise UsageError(
        f"a lazy table of {lazy.implementation} is not read here; collect it, or read it with DuckDB"
    )


def coded_labels(codes: NDArray[np.integer], labels: Sequence[str | None]) -> pa.DictionaryArray:
    """Codes into labels as Arrow, missing where the label is None."""
    import pyarrow as pa

    gone = np.array([label is None for label in labels])
    texts = text_array(["" if label is None else label for label in labels])
    return pa.DictionaryArray.from_arrays(
        to_arrow(codes.astype(np.int32), gone[codes] if gone.any() else None), texts
    )


def label_column(codes: NDArray[np.integer], labels: Sequence[str | None]) -> pa.ChunkedArray:
    """Codes into labels as an Arrow column of texts."""
    import pyarrow as pa

    return pa.chunked_array([coded_labels(codes, labels).cast(pa.string())])


def text_array(texts: Sequence[str]) -> pa.StringArray:
    """Texts as Arrow, straight through buffers: Arrow's own way loads pandas (see `comity.data.arrays`)."""
    import pyarrow as pa

    raw = [text.encode() for text in texts]
    ends = np.concatenate([[0], np.cumsum([len(text) for text in raw])]).astype(np.int32)
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(ends), pa.py_buffer(b"".join(raw)))


def _of_kind(table: pa.Table, kind: Any, lazy: bool) -> Any:
    """An Arrow table of texts as another kind of frame."""
    import narwhals as nw

    if kind.is_pandas():
        import pandas as pd

        dtype = pd.StringDtype("pyarrow", na_value=np.nan)
        return pd.DataFrame(
            {name: pd.array(table.column(name), dtype=dtype) for name in table.column_names}  # type: ignore[call-overload]
        )
    if kind.is_duckdb():
        import duckdb

        return duckdb.from_arrow(table)
    if kind.is_polars():
        import polars as pl

        made: Any = pl.from_arrow(table)
        return made.lazy() if lazy else made
    if kind.is_pyarrow():
        return table
    return nw.to_native(nw.from_dict(table.to_pydict(), backend=kind))


def _rebuilt(native: Any, arrays: dict[str, pa.DictionaryArray], kind: Any, lazy: bool) -> Any:
    import narwhals as nw
    import pyarrow as pa

    if kind.is_pandas():
        import pandas as pd

        dtype = pd.StringDtype("pyarrow", na_value=np.nan)
        frame = native.copy(deep=False)
        for name, array in arrays.items():
            texts = pd.array(array.cast(pa.string()), dtype=dtype)  # type: ignore[call-overload]
            frame[name] = pd.Series(texts, index=native.index)
        return frame
    if kind.is_polars():
        import polars as pl

        coded = native.with_columns(
            pl.Series(name, pl.from_arrow(array)).cast(pl.String) for name, array in arrays.items()
        )
        return coded.lazy() if lazy else coded
    if isinstance(native, pa.Table):
        for name, array in arrays.items():
            place = native.schema.get_field_index(name)
            native = native.set_column(place, name, array if kind.is_duckdb() else array.cast(pa.string()))
        if kind.is_duckdb():
            import duckdb

            return duckdb.from_arrow(native)
        return native
    wrapped = nw.from_native(native, eager_only=True)
    return nw.to_native(
        wrapped.with_columns(
            *(
                nw.new_series(name, array.to_pylist(), nw.String, backend=kind)
                for name, array in arrays.items()
            )
        )
    )
