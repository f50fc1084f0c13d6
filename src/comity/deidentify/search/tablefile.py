"""A table in a file, read and written batch by batch: Parquet or CSV."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from comity.errors import BadInput, BadTable, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 131_072
_BUFFER = 2**20


class TableFile:
    """A Parquet or CSV file.

    Attributes:
        schema: the Arrow schema of its rows; a CSV file's columns are all texts, an empty one missing.
    """

    def __init__(self, path: Path, coded: Collection[str] = ()) -> None:
        """Look at a file.

        Args:
            coded: columns wanted as dictionary codes where they are texts.

        Raises:
            UsageError: if the ending is none of .parquet, .pq, .csv, .tsv.
            BadInput: if there is no such file.
            BadTable: if it cannot be read as what its ending says.
        """
        self.path = path
        self._as_csv = path.suffix.lower() in (".csv", ".tsv")
        if not self._as_csv and path.suffix.lower() not in (".parquet", ".pq"):
            raise UsageError(f"{path} has no ending that is read here; use .parquet, .pq, .csv or .tsv")
        if not path.is_file():
            raise BadInput(f"{path} does not exist, or is no file")
        self.schema = self._csv_schema() if self._as_csv else self._parquet_schema()
        self._coded = [name for name in coded if name in self.schema.names]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, in their order.

        Raises:
            BadTable: if what is there cannot be read.
        """
        return self._csv_batches() if self._as_csv else self._parquet_batches()

    def _parquet_schema(self) -> pa.Schema:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        try:
            schema = parquet.read_schema(self.path).remove_metadata()
        except (pa.ArrowException, OSError) as error:
            raise BadTable(f"{self.path} cannot be read as Parquet: {error}") from None
        twice = [name for name in schema.names if schema.names.count(name) > 1]
        if twice:
            raise BadTable(f"{self.path} has several columns named '{twice[0]}'", private=False)
        return schema

    def _parquet_batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        if self._parquet_schema() != self.schema:
            raise BadTable(f"{self.path} changed while it was read; run again on a file at rest")
        texts = [name for name in self._coded if pa.types.is_string(self.schema.field(name).type)]
        try:
            # columns are decoded through small buffers: a file may be one row group of any size
            with parquet.ParquetFile(
                self.path, read_dictionary=texts, pre_buffer=False, buffer_size=_BUFFER
            ) as file:
                yield from file.iter_batches(_BATCH_ROWS, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise BadTable(f"{self.path} cannot be read as Parquet: {error}") from None

    def _csv_schema(self) -> pa.Schema:
        import pyarrow as pa

        from comity.data.csvfile import read_layout

        self._layout = read_layout(self.path)
        return pa.schema([(name, pa.string()) for name in self._layout.names])

    def _csv_batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.compute as pc

        from comity.data.csvfile import read_batches

        compute: Any = pc  # its functions are made when it is imported, which type checkers do not see
        missing = pa.nulls(1, pa.string())[0]
        for batch in read_batches(self.path, self._layout, None):
            texts = [compute.if_else(compute.equal(text, ""), missing, text) for text in batch.columns]
            yield pa.RecordBatch.from_arrays(texts, schema=self.schema)


class TableWriter:
    """Writes batches to an open file as Parquet or CSV. A context: leaving it finishes the file."""

    def __init__(
        self, sink: IO[bytes], schema: pa.Schema, *, as_csv: bool, texts: Collection[str] = ()
    ) -> None:
        """Args:
        schema: of the batches to come.
        texts: columns of dictionary codes that every reader sees as plain texts.

        Raises:
            BadTable: if a CSV file cannot hold a column.
        """
        self.schema = schema
        self._writer = self._csv(sink, schema) if as_csv else self._parquet(sink, schema, texts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write_batch(batch)

    @staticmethod
    def _parquet(sink: IO[bytes], schema: pa.Schema, texts: Collection[str]) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        writer = parquet.ParquetWriter(sink, schema, compression="zstd", store_schema=False)
        # Arrow's own schema beside Parquet's keeps types that Parquet has no like of (durations, time zones,
        # large texts); it is written by hand so that it says texts where codes are given
        told = pa.schema([pa.field(f.name, pa.string()) if f.name in texts else f for f in schema])
        writer.add_key_value_metadata({"ARROW:schema": b64encode(told.serialize().to_pybytes()).decode()})
        return writer

    @staticmethod
    def _csv(sink: IO[bytes], schema: pa.Schema) -> Any:
        import pyarrow as pa
        import pyarrow.csv as csv

        for field in schema:
            try:
                csv.CSVWriter(BytesIO(), pa.schema([field])).close()
            except pa.ArrowException:
                raise BadTable(
                    f"column '{field.name}' holds {field.type}, which a CSV file cannot: write Parquet, or "
                    "leave the column out",
                    private=False,
                ) from None
        return csv.CSVWriter(sink, schema, write_options=csv.WriteOptions(quoting_style="needed"))
