"""Tables as bytes: the Arrow IPC stream format, read back only if it is one, and with no code in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comity.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa


def table_to_bytes(table: pa.Table) -> bytes:
    """An Arrow IPC stream with the table's rows in their order, without metadata of where it came from."""
    import pyarrow as pa

    # a dictionary-encoded column carries every value it was built from, those of rows left out included
    plain = pa.table(
        {
            name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return sink.getvalue().to_pybytes()


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
