"""Reading a table from wherever it is, into the one typed form of `Table`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.data.faults import Faults
from comity.data.table import Table
from comity.errors import BadTable, UsageError
from comity.schema import ColumnType, Schema

if TYPE_CHECKING:
    import pyarrow as pa

CSV_ENDINGS = (".csv", ".tsv")
PARQUET_ENDINGS = (".parquet", ".pq")
ARROW_ENDINGS = (".arrow", ".feather", ".ipc")


def read_table(
    source: Any, *, schema: Schema | None = None, typed: bool = True, threads: int | None = None
) -> Table:
    """Read a table.

    Args:
        source: a path to a CSV, Parquet or Arrow file; a `postgresql://...?table=` address; a frame (pandas,
            Polars, Arrow, DuckDB, anything narwhals reads); or a `Table`, which is returned unless `schema`
            or `typed` asks for other types.
        schema: its types say how the columns are read. Columns it does not name are read by their values.
        typed: false reads every column as text (missing values are still missing).
        threads: for the engine; by default `COMITY_THREADS`, else the cores of the process.

    Raises:
        BadTable: if it cannot be read, has no rows, or has values that do not fit their column's type.
            Values that do not fit are listed by row and column; that message is private to the holder.
        UsageError: if the source is nothing that holds a table.
        MissingExtra: if the source needs a part that is not installed.
    """
    if isinstance(source, Table):
        if schema is None and typed:
            return source
        return _typed(source.arrow, source.source, schema, typed)
    if isinstance(source, str | os.PathLike):
        return _read_address(os.fspath(source), schema, typed, threads)
    from comity.data.frames import frame_to_arrow

    arrow, shown = frame_to_arrow(source)
    return _typed(arrow, shown, schema, typed)


def _read_address(address: str, schema: Schema | None, typed: bool, threads: int | None) -> Table:
    from comity.data.postgres import is_address, read_postgres

    if is_address(address):
        arrow, shown = read_postgres(address)
        return _typed(arrow, shown, schema, typed)
    if "://" in address:
        raise UsageError(f"{address}: a table is read from a file or from a postgresql:// address")
    path = Path(address)
    _require_readable(path)
    ending = path.suffix.lower()
    if ending in CSV_ENDINGS:
        return _read_csv(path, schema, typed, threads)
    if ending in PARQUET_ENDINGS:
        return _typed(_read_parquet(path), str(path), schema, typed)
    if ending in ARROW_ENDINGS:
        return _typed(_read_arrow(path), str(path), schema, typed)
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


def _read_csv(path: Path, schema: Schema | None, typed: bool, threads: int | None) -> Table:
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
    return _typed(raw, str(path), schema, typed, path)


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
    raw: pa.Table | dict[str, pa.ChunkedArray],
    source: str,
    schema: Schema | None,
    typed: bool,
    path: Path | None = None,
) -> Table:
    """Type every column; one error for the faults of all of them."""
    import pyarrow as pa

    from comity.data.csvfile import check_names, lines_of_rows
    from comity.data.typed import type_column

    if not isinstance(raw, dict):
        check_names(raw.column_names, source)
        raw = dict(zip(raw.column_names, raw.columns, strict=True))
    if len(next(iter(raw.values()))) == 0:
        raise BadTable(f"{source} has column names but no rows")
    columns: dict[str, pa.ChunkedArray] = {}
    faults: list[Faults] = []
    for name in list(raw):
        wanted = _wanted(name, schema) if typed else ColumnType.text
        columns[name], found = type_column(name, raw.pop(name), wanted)
        faults.append(found)
    together = Faults.gather(faults)
    if together.total:
        raise together.error(source, lines_of_rows(path, together.rows) if path else None)
    return Table(pa.table(columns), source, path)


def _wanted(name: str, schema: Schema | None) -> ColumnType | None:
    return schema[name].type if schema is not None and name in schema.columns else None
