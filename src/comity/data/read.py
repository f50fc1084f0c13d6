"""Reading a table from wherever it is, into the one typed form of `Table`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.data.faults import Faults
from comity.data.table import Table
from comity.errors import BadTable, UsageError
from comity.schema import ColumnType, Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from comity.data.decimals import Marks

CSV_ENDINGS = (".csv", ".tsv")
PARQUET_ENDINGS = (".parquet", ".pq")
ARROW_ENDINGS = (".arrow", ".feather", ".ipc")


@dataclass(frozen=True)
class _Raw:
    """A source's columns before they are typed.

    Attributes:
        columns: taken out one by one, so that memory holds each of them once.
        source, path: as of `Table`.
        separator: of a CSV file: what its numbers look like depends on it.
        marks: of a CSV file: the columns whose numbers have commas, or points that are worth a word.
    """

    columns: dict[str, pa.ChunkedArray]
    source: str
    path: Path | None = None
    separator: str | None = None
    marks: dict[str, Marks] = field(default_factory=dict[str, "Marks"])

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))


def read_table(
    source: Any,
    *,
    schema: Schema | None = None,
    typed: bool = True,
    texts: Collection[str] = (),
    threads: int | None = None,
) -> Table:
    """Read a table.

    Args:
        source: a path to a CSV, Parquet or Arrow file; a `postgresql://...?table=` address; a frame (pandas,
            Polars, Arrow, DuckDB, anything narwhals reads); or a `Table`, which is returned unless `schema`
            or `typed` asks for other types.
        schema: its types say how the columns are read. Columns it does not name are read by their values.
        typed: false reads every column as text (missing values are still missing).
        texts: columns of a CSV file that are read as text, whatever their values, where no schema
            names them.
        threads: for the engine; by default `COMITY_THREADS`, else the cores of the process.

    Raises:
        BadTable: if it cannot be read, has no rows, or has values that do not fit their column's type.
            Values that do not fit are listed by row and column; that message is private to the holder.
        UsageError: if the source is nothing that holds a table.
        MissingExtra: if the source needs a part that is not installed.
    """
    if isinstance(source, Table) and schema is None and typed:
        return source
    raw = _loaded(source, threads)
    wanted = {name: _wanted(name, schema) if typed else ColumnType.text for name in raw.columns}
    if raw.separator is not None:
        wanted |= {name: wanted[name] or ColumnType.text for name in texts if name in wanted}
    columns: dict[str, pa.ChunkedArray] = {}
    faults: list[Faults] = []
    for name, kind in wanted.items():
        columns[name], found = _typed(name, raw, raw.columns.pop(name), kind)
        faults.append(found)
    _require_none(faults, raw)
    return _table(columns, raw)


def read_shown(source: Any, schema: Schema | None = None) -> tuple[Table, tuple[str, ...]]:
    """Read a table to look at: as `read_table`, but a column with values that do not fit becomes text.

    Returns:
        The table, and the columns that are text for that reason. None that the schema names is.

    Raises:
        As `read_table`.
    """
    raw = _loaded(source, None)
    columns: dict[str, pa.ChunkedArray] = {}
    faults: dict[str, Faults] = {}
    for name in list(raw.columns):
        values, wanted = raw.columns.pop(name), _wanted(name, schema)
        columns[name], found = _typed(name, raw, values, wanted)
        if found.total:
            faults[name] = found
            raw.marks.pop(name, None)
            if wanted is None:
                columns[name], _ = _typed(name, raw, values, ColumnType.text)
    if any(_wanted(name, schema) is not None for name in faults):
        _require_none(list(faults.values()), raw)
    return _table(columns, raw), tuple(faults)


def _loaded(source: Any, threads: int | None) -> _Raw:
    """Whatever holds a table, as columns that are not typed yet.

    Raises:
        BadTable: also if there are no rows, or the names cannot be used.
    """
    if isinstance(source, Table):
        raw = _of_arrow(source.arrow, source.source)
    elif isinstance(source, str | os.PathLike):
        raw = _at_address(os.fspath(source), threads)
    else:
        from comity.data.frames import frame_to_arrow

        raw = _of_arrow(*frame_to_arrow(source))
    if raw.rows == 0:
        raise BadTable(f"{raw.source} has column names but no rows")
    return raw


def _of_arrow(arrow: pa.Table, source: str) -> _Raw:
    from comity.data.csvfile import check_names

    check_names(arrow.column_names, source)
    return _Raw(dict(zip(arrow.column_names, arrow.columns, strict=True)), source)


def _at_address(address: str, threads: int | None) -> _Raw:
    from comity.data.postgres import is_address, read_postgres

    if is_address(address):
        return _of_arrow(*read_postgres(address))
    if "://" in address:
        raise UsageError(f"{address}: a table is read from a file or from a postgresql:// address")
    path = Path(address)
    _require_readable(path)
    ending = path.suffix.lower()
    if ending in CSV_ENDINGS:
        return _read_csv(path, threads)
    if ending in PARQUET_ENDINGS:
        return _of_arrow(_read_parquet(path), str(path))
    if ending in ARROW_ENDINGS:
        return _of_arrow(_read_arrow(path), str(path))
    known = ", ".join([*CSV_ENDINGS, *PARQUET_ENDINGS, *ARROW_ENDINGS])
    raise BadTable(f"{path} ends in {path.suffix or 'nothing'}; a table's file ends in one of {known}")


def _require_readable(path: Path) -> None:
    """Open the file once, for an error in words."""
    if path.is_dir():
        raise BadTable(f"{path} is a folder; give the path of one file in it")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise BadTable(f"{path} does not exist; check the path (from {Path.cwd()})") from None
    except OSError as error:
        raise BadTable(f"{path} cannot be read: {error.strerror}") from None


def _read_csv(path: Path, threads: int | None) -> _Raw:
    from comity.data.csvfile import read_batches, read_layout

    layout = read_layout(path)
    columns: list[list[pa.Array]] = [[] for _ in layout.names]
    for batch in read_batches(path, layout, threads):
        for parts, values in zip(columns, batch.columns, strict=True):
            parts.append(values.dictionary_encode())  # typing then costs per distinct value
    import pyarrow as pa

    from comity.data.typed import CODED

    raw = {
        name: pa.chunked_array(parts, type=CODED) for name, parts in zip(layout.names, columns, strict=True)
    }
    return _Raw(raw, str(path), path, layout.separator)


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        return parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise BadTable(f"{path} is not a whole Parquet file: {str(error).splitlines()[0]}") from None


def _read_arrow(path: Path) -> pa.Table:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            try:
                return pa.ipc.open_file(file).read_all()
            except pa.ArrowInvalid:
                file.seek(0)
                return pa.ipc.open_stream(file).read_all()
    except (pa.ArrowException, OSError) as error:
        raise BadTable(f"{path} is not a whole Arrow file: {str(error).splitlines()[0]}") from None


def _typed(
    name: str, raw: _Raw, values: pa.ChunkedArray, wanted: ColumnType | None
) -> tuple[pa.ChunkedArray, Faults]:
    """One column typed, and what in it does not fit. What its commas are is added to `raw.marks`."""
    from comity.data.typed import type_column

    if raw.separator is None:
        return type_column(name, values, wanted)
    from comity.data.decimals import reason, with_points

    values, marks = with_points(values, raw.separator, wanted)
    column, faults = type_column(name, values, wanted)
    if marks is None:
        return column, faults
    raw.marks[name] = marks
    why = reason(marks, raw.separator)
    if why is not None and faults.total:
        faults = replace(faults, hints=(*faults.hints, f"  column {name}: {why}"))
    return column, faults


def _require_none(faults: list[Faults], raw: _Raw) -> None:
    """One error for the faults of all columns."""
    from comity.data.csvfile import lines_of_rows

    together = Faults.gather(faults)
    if together.total:
        raise together.error(raw.source, lines_of_rows(raw.path, together.rows) if raw.path else None)


def _table(columns: Mapping[str, pa.ChunkedArray], raw: _Raw) -> Table:
    """The typed columns as a table, with what its holder should know of how they were read."""
    import pyarrow as pa

    table = Table(pa.table(dict(columns)), raw.source, raw.path)
    if not raw.marks or raw.separator is None:
        return table
    from comity.data.decimals import notes

    types = {name: table.type(name) for name in raw.marks}
    return replace(table, notes=notes(raw.marks, types, raw.source, raw.separator))


def _wanted(name: str, schema: Schema | None) -> ColumnType | None:
    return schema[name].type if schema is not None and name in schema.columns else None
