"""Writing a table to a file: whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from comity.data.ipc import rows_alone
from comity.data.table import Table
from comity.errors import BadInput, UsageError


def write_table(table: Table, path: Path) -> None:
    """Write CSV, Parquet or Arrow by the path's ending. The file appears under its name when it is whole.

    A missing value is written as nothing (CSV) or null. An existing file is replaced.

    Raises:
        UsageError: if the ending is none of .csv, .parquet, .arrow.
        BadInput: if the file cannot be written (no folder, no right, disk full); nothing is left behind.
    """
    ending = path.suffix.lower()
    if ending not in (".csv", ".parquet", ".arrow"):
        raise UsageError(f"{path} has no ending that comity writes; use .csv, .parquet or .arrow")
    temporary = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            _write(table, file, ending)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                temporary.unlink()


def _write(table: Table, file, ending: str) -> None:
    import pyarrow as pa

    if ending == ".parquet":
        import pyarrow.parquet as parquet

        parquet.write_table(rows_alone(table.arrow), file, compression="zstd")
    elif ending == ".arrow":
        plain = rows_alone(table.arrow)
        with pa.ipc.new_file(file, plain.schema) as writer:
            writer.write_table(plain)
    else:
        import pyarrow.csv as csv

        csv.write_csv(table.arrow, file, csv.WriteOptions(quoting_style="needed"))
