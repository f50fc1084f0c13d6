"""Enrichment at the mediator: the ML party's reference is joined there, so that no provider gets to see it.

The ML party sends the mediator its columns and, in place of the key, one token a provider for each row, made
with a key that it has with that provider alone. Each provider's rows carry the same kind of token of their
own identifier. So the mediator joins without an identifier, and the ML party does not learn which rows
matched: what was joined is generalised with the rest and comes back mixed. A mediator that works with either
end can try keys; the agreement assumes that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.mediated_terms import Terms, token_column
from comity.crypto.sealed import open_sealed, seal_to
from comity.data.ipc import table_from_bytes, table_to_bytes
from comity.data.table import Table
from comity.errors import BadInput
from comity.schema import Column, Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from comity.agreement.clauses import Reference
    from comity.architectures.definition import Seat
    from comity.deidentify import Hierarchy

TABLE = "reference"
PART = "reference"


def _purpose(seat: Seat) -> str:
    return f"reference under {seat.agreement.digest}"


def sealed_reference(seat: Seat, reference: Reference, mediator: str) -> bytes:
    """At the ML party: its reference table with tokens in place of the key, sealed to the mediator.

    Raises:
        BadInput: if it has no such table, or the key repeats in it.
    """
    import pyarrow as pa

    from comity.link import TOKEN_BYTES, LinkageKey, written_alike

    table = Table(seat.table(TABLE), "the reference table")
    keys = table.strings(reference.key)
    written = [written_alike(key) for key in keys if key is not None]
    if len(set(written)) != len(written):
        raise BadInput(
            f"the reference table names the same '{reference.key}' in several rows; keep one row of each"
        )
    columns: dict[str, Any] = {
        name: _typed(table.column(name), column) for name, column in reference.columns.items()
    }
    for provider in seat.providers:
        key = LinkageKey.between(
            seat.key,
            seat.agreement.party(provider).key,
            agreement=seat.agreement.digest,
            use="reference",
        )
        columns[token_column(provider)] = pa.array(key.tokens(keys), pa.binary(TOKEN_BYTES))
    data = table_to_bytes(pa.table(columns))
    return seal_to(seat.agreement.party(mediator).key, data, purpose=_purpose(seat))


@dataclass(frozen=True)
class Joined:
    """At the mediator: the reference, ready to be joined batch by batch.

    Attributes:
        columns: what is added, by name: quasi-identifiers, which the union generalises with the others.
        hierarchies: theirs.
    """

    columns: Mapping[str, Column]
    hierarchies: Mapping[str, Hierarchy]
    _values: pa.Table
    _places: Mapping[str, Mapping[bytes, int]]
    _ml_party: str

    @property
    def fields(self) -> list[pa.Field]:
        """The Arrow fields of what is added: texts, as hierarchies hold them."""
        return [self._values.schema.field(name) for name in self.columns]

    @property
    def description(self) -> dict[str, Any]:
        """For the manifest."""
        return {"tool": "reference", "at": "mediator", "columns": list(self.columns)}

    def join(self, provider: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the reference's columns; they are missing where it has no row for the token."""
        import pyarrow as pa

        places = self._places[provider]
        tokens = batch.column(token_column(self._ml_party)).to_pylist()
        found = pa.array([places.get(token) for token in tokens], pa.int64())
        for name in self.columns:
            values = self._values.column(name).combine_chunks()
            batch = batch.append_column(self._values.schema.field(name), values.take(found))
        return batch


def opened_reference(seat: Seat, terms: Terms, sealed: bytes | None) -> Joined | None:
    """What the ML party sent, opened and checked against the clause; None where the clause has no reference.

    Raises:
        BadInput: if it is missing, or its columns are not those of the clause.
    """
    if terms.reference is None:
        return None
    if sealed is None:
        raise BadInput("the agreement lets the ML party bring a reference, and it brought none")
    import pyarrow as pa

    from comity.deidentify.hierarchies.builders import from_schema

    columns = terms.reference.columns
    table = table_from_bytes(open_sealed(seat.key, sealed, purpose=_purpose(seat)))
    wanted = {*columns, *(token_column(name) for name in seat.providers)}
    if set(table.column_names) != wanted or len(table.column_names) != len(wanted):
        raise BadInput("the reference does not have the columns that were agreed")
    trees = from_schema(Schema(columns=columns), list(columns))
    hierarchies = {name: tree.with_missing() for name, tree in trees.items()}
    values = pa.table({name: _on_leaves(table.column(name), tree) for name, tree in hierarchies.items()})
    places = {
        name: {token: at for at, token in enumerate(table.column(token_column(name)).to_pylist())}
        for name in seat.providers
    }
    return Joined(columns, hierarchies, values, places, seat.ml_party)


def _typed(column: pa.ChunkedArray, declared: Column) -> pa.ChunkedArray:
    import pyarrow as pa

    kind = declared.type
    stored = pa.int64() if kind == "integer" else pa.float64() if kind.is_numeric else pa.string()
    try:
        return column.cast(stored)
    except pa.ArrowException:
        raise BadInput("a column of the reference is not of the type that was agreed") from None


def _on_leaves(column: pa.ChunkedArray, tree: Hierarchy) -> pa.Array:
    """Values as the texts of the hierarchy's leaves.

    Raises:
        BadInput: if it has no leaf for one.
    """
    import pyarrow as pa

    values: Sequence[Any] = column.to_pylist()
    places = np.array(tree.locate(values), dtype=np.int64)
    if (places == -1).any():
        raise BadInput("a value of the reference is outside the bounds or levels that were agreed")
    return pa.array([None if place < 0 else tree.leaves[place] for place in places.tolist()], pa.string())
