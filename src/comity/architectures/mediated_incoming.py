"""What the mediator takes in of one provider: opened piece by piece, checked, written to its own disk.

Nothing that a provider sends is taken on trust: its labels have to stand at the levels that its manifest
states, in the hierarchies that all providers share, and its other columns have to be of the task's types.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.architectures.exchange import receive_share
from comity.architectures.mediated_pieces import receive_pieces
from comity.architectures.mediated_terms import TABLE, Terms, sealing_purpose, token_column
from comity.crypto.sealed import open_sealed
from comity.data.ipc import table_from_bytes
from comity.errors import BadInput
from comity.schema import Role

if TYPE_CHECKING:
    import pyarrow as pa

    from comity.architectures.definition import Seat
    from comity.deidentify import Hierarchy
    from comity.link.tokens import Tokens
    from comity.wire import Channel


@dataclass(frozen=True)
class Incoming:
    """A provider's table at the mediator.

    Attributes:
        path: Parquet, with token columns.
        levels: per quasi-identifier, the level its labels stand at.
        hierarchies: per quasi-identifier, with a leaf for missing values.
    """

    provider: str
    path: Path
    rows: int
    levels: Mapping[str, int]
    hierarchies: Mapping[str, Hierarchy]

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            yield from file.iter_batches(65_536, columns=columns, use_threads=False)

    def tokens(self, party: str) -> Iterator[Tokens]:
        """Tokens that link with another party's, batch by batch."""
        import numpy as np

        name = token_column(party)
        for batch in self.batches([name]):
            column = batch.column(name)
            start = 16 * column.offset
            raw = bytes(column.buffers()[1])[start : start + 16 * len(column)]
            yield np.frombuffer(raw, dtype="<u8").astype(np.uint64).reshape(-1, 2)


def take_in(seat: Seat, channel: Channel, provider: str, terms: Terms, folder: Path) -> Incoming:
    """Receive a provider's table.

    Raises:
        BadInput: if it is not as agreed, in words that hold no value of it.
    """
    import pyarrow.parquet as pq

    first = receive_share(seat, channel, provider, TABLE)
    levels, hierarchies = _manifest(seat, provider, first.parts.get("manifest", b""))
    schema = _schema(seat, provider, terms, list(levels))
    path = folder / f"incoming-{provider}.parquet"
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for number, sealed in enumerate(receive_pieces(channel, first)):
            purpose = sealing_purpose(seat, provider, f"piece {number}")
            opened = table_from_bytes(open_sealed(seat.key, sealed, purpose=purpose))
            table = _fitting(opened, schema, provider, labels=levels)
            rows += table.num_rows
            writer.write_table(table)
    return Incoming(provider, path, rows, levels, hierarchies)


def _manifest(seat: Seat, provider: str, sealed: bytes) -> tuple[dict[str, int], dict[str, Hierarchy]]:
    """Levels and hierarchies that a provider's labels stand at and in."""
    from comity.deidentify import Hierarchy

    plain = open_sealed(seat.key, sealed, purpose=sealing_purpose(seat, provider, "manifest"))
    try:
        entries: dict[str, Any] = json.loads(plain)["quasi_identifiers"]
        levels = {name: entry["level"] for name, entry in entries.items()}
        trees = {name: Hierarchy.from_dict(e["hierarchy"]).with_missing() for name, e in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"the manifest of '{provider}' cannot be read") from None
    known = {n for n in seat.task.features if seat.task.schema[n].role is Role.quasi_identifier}
    if set(levels) != known or any(
        type(level) is not int or not 0 <= level < trees[name].levels for name, level in levels.items()
    ):
        raise BadInput(
            f"the manifest of '{provider}' does not state one level of every quasi-identifier that was agreed"
        )
    return levels, trees


def _schema(seat: Seat, provider: str, terms: Terms, names: list[str]) -> pa.Schema:
    """The columns that a provider's table has at the mediator, all providers' alike but for the tokens."""
    import pyarrow as pa

    from comity.link import TOKEN_BYTES

    columns = seat.task.schema
    fields = [pa.field(name, pa.string()) for name in names]
    for name in (*seat.task.features, seat.task.target):
        if name not in names:
            kind = columns[name].type
            stored = pa.int64() if kind == "integer" else pa.float64() if kind.is_numeric else pa.string()
            fields.append(pa.field(name, stored))
    parties = [name for name in seat.providers if name != provider] if terms.linked else []
    parties += [seat.ml_party] if terms.reference is not None else []
    fields += [pa.field(token_column(party), pa.binary(TOKEN_BYTES)) for party in parties]
    return pa.schema(fields)


def _fitting(table: pa.Table, schema: pa.Schema, provider: str, *, labels: Collection[str]) -> pa.Table:
    """The table in the agreed order and types: how a provider stores a value must not tell who it is."""
    import pyarrow as pa

    if set(table.column_names) != set(schema.names) or len(table.column_names) != len(schema.names):
        raise BadInput(f"the table of '{provider}' does not have the columns that were agreed")
    try:
        return pa.table(
            {
                field.name: column.cast(field.type) if field.name in labels else _plain(column, field)
                for field in schema
                for column in [table.column(field.name)]
            }
        )
    except pa.ArrowException:
        raise BadInput(f"a column of '{provider}' is not of the type that was agreed") from None


def _plain(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """One way of writing a value, and one of leaving it out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from comity.deidentify.hierarchies.hierarchy import MISSING_TEXTS

    compute: Any = pc  # its functions are made when it is imported, which type checkers do not see
    found = column.cast(field.type)
    if pa.types.is_string(field.type):
        gone = compute.is_in(compute.utf8_trim_whitespace(found), value_set=pa.array(MISSING_TEXTS))
        return compute.if_else(gone, pa.scalar(None, pa.string()), found)
    if pa.types.is_floating(field.type):
        return compute.if_else(compute.is_nan(found), pa.scalar(None, field.type), found)
    return found
