"""Tables as bytes: the Arrow IPC stream format, read back only if it is one, and with no code in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comity.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa


def table_to_bytes(table: pa.Table) -> bytes:
    """An Arrow IPC stream with the table's rows in their order, without metadata of where it came from."""
    import pyarrow as pa

    plain = rows_alone(table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return sink.getvalue().to_pybytes()


def rows_alone(table: pa.Table) -> pa.Table:
    """The same rows in new memory that holds nothing else; dictionary-encoded columns as their values.

    Arrow's memory can hold more than what is read from it, and a stream copies it as it is: every value of a
    dictionary, the text beside a slice, and what stood where a value was made missing.
    """
    import numpy as np
    import pyarrow as pa

    from comity.data.arrays import to_arrow

    columns: dict[str, pa.ChunkedArray] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):  # `take` does not know them
            column = column.cast(pa.string() if pa.types.is_string_view(kind) else pa.binary())
        columns[name] = column
    plain = pa.table(columns)
    # by batches: what is taken out of several chunks of text at once may be too much for its offsets
    taken = [batch.take(to_arrow(np.arange(batch.num_rows))) for batch in plain.to_batches()]
    return pa.Table.from_batches(taken, plain.schema)


def table_from_bytes(data: bytes) -> pa.Table:
    """The table in an Arrow IPC stream, validated.

    Raises:
        BadInput: if the bytes are not one whole, valid stream.
    """
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(data) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, EOFError, ValueError):
        raise BadInput(
            "a table arrived that is not a valid Arrow stream; ask its sender to send it again"
        ) from None
    return table
