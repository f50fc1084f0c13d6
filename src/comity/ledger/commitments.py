"""Commitments: a provider binds itself to its table before the first query, and can be held to it later.

The commitment is a note in the provider's ledger, whose order shows that it came before every charge; the
receipts of later answers carry its digest. It tells nothing of the table. In an audit that both sides have
agreed to, the provider opens the table and the secret to the auditor, who builds the commitment again.
A table that changes is other data: it gets a lineage, an account and a commitment of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

from comity.crypto.commitment import canonical_row, row_salt, sealed_root, size_salt
from comity.errors import BadInput, ClauseRefused, VerificationFailed
from comity.ledger.accounts import Account
from comity.ledger.checkpoints import check_fields
from comity.ledger.entries import Entry
from comity.ledger.ledger import Ledger
from comity.ledger.merkle import Frontier, leaf_hash, verify_inclusion
from comity.ledger.state import COMMITTED
from comity.ledger.tree import Tree


@dataclass(frozen=True)
class Commitment:
    """What is published of a table: 32 bytes, and the names of the columns that they are over.

    Attributes:
        digest: hides rows, values and how many rows there are.
        columns: in the order in which each row was written.
    """

    digest: bytes
    columns: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"digest": self.digest.hex(), "columns": list(self.columns)}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: if it is no commitment.
        """
        check_fields(document, "a commitment", {"digest", "columns"})
        fields = cast("Mapping[str, Any]", document)
        columns = fields["columns"]
        if not isinstance(columns, list) or not all(
            isinstance(c, str) for c in cast("list[object]", columns)
        ):
            raise BadInput("a commitment's columns are names")
        try:
            digest = bytes.fromhex(fields["digest"])
        except (TypeError, ValueError):
            raise BadInput("a commitment's digest is hexadecimal") from None
        if len(digest) != 32:
            raise BadInput("a commitment's digest has 32 bytes")
        return cls(digest, tuple(cast("list[str]", columns)))


@dataclass(frozen=True)
class RowOpening:
    """One row of a committed table, shown without the others.

    It tells the number of rows besides the row itself.
    """

    number: int
    rows: int
    row: bytes
    salt: bytes
    table_salt: bytes
    root: bytes
    path: tuple[bytes, ...]

    def verify(self, commitment: Commitment) -> None:
        """Check that the committed table has this row at this place.

        Raises:
            VerificationFailed: if it does not.
        """
        if sealed_root(self.root, self.rows, self.table_salt) != commitment.digest:
            raise VerificationFailed("the row is of another table than the one committed to")
        verify_inclusion(leaf_hash(self.salt + self.row), self.number, self.rows, self.path, self.root)


def commit(rows: Iterable[Mapping[str, object]], columns: Sequence[str], secret: bytes) -> Commitment:
    """Commit to a table, row by row, in constant memory.

    Args:
        rows: in the order that the table has; each a value by column.
        columns: which of them, in the order in which they are written.
        secret: `crypto.commitment.new_secret()`, kept by the holder beside the table.

    Raises:
        BadTable: if a value has no canonical form.
    """
    frontier = Frontier()
    for number, row in enumerate(rows):
        frontier = frontier.append(leaf_hash(row_salt(secret, number) + canonical_row(row, columns)))
    return Commitment(sealed_root(frontier.root(), frontier.size, size_salt(secret)), tuple(columns))


def check_opened(rows: Iterable[Mapping[str, object]], secret: bytes, commitment: Commitment) -> None:
    """The auditor's side: the opened table is the one that was committed to.

    Raises:
        VerificationFailed: if a value, a row or their order differs.
    """
    if commit(rows, commitment.columns, secret) != commitment:
        raise VerificationFailed(
            "the table opened is not the one that was committed to: a row, the order or the secret differs"
        )


def open_row(
    rows: Iterable[Mapping[str, object]], columns: Sequence[str], secret: bytes, number: int
) -> RowOpening:
    """Show one row of a committed table.

    Raises:
        UsageError: if there is no such row.
    """
    tree, shown = Tree(), b""
    for at, row in enumerate(rows):
        written = canonical_row(row, columns)
        shown = written if at == number else shown
        tree.extend([leaf_hash(row_salt(secret, at) + written)])
    path = tree.inclusion_path(number, tree.size)
    salt, root = row_salt(secret, number), tree.root(tree.size)
    return RowOpening(number, tree.size, shown, salt, size_salt(secret), root, path)


def record(ledger: Ledger, account: Account, commitment: Commitment) -> Entry:
    """Write a commitment into the provider's ledger, before anything is charged on the data.

    The same one again changes nothing. Until the first charge another one may take its place; the last one
    before that charge is the one that counts.

    Raises:
        ClauseRefused: if something was charged on this lineage before.
    """
    known = recorded_entry(ledger, account)
    if known is not None and Commitment.from_dict(known.body["commitment"]) == commitment:
        return known
    charged = first_charge(ledger, account)
    if charged is not None and known is not None:
        raise ClauseRefused(
            "another table is committed to for this data; what has changed is other data",
            clause=f"data.{account.provider}.lineage",
            would_pass="a new lineage, with an account and a commitment of its own",
        )
    if charged is not None:
        raise ClauseRefused(
            f"queries were charged on this data before (seq {charged.seq}): a commitment now would not "
            "bind their answers",
            clause=f"data.{account.provider}.lineage",
            would_pass="a commitment before the first query",
        )
    body = {"what": COMMITTED, "account": str(account), "commitment": commitment.to_dict()}
    return ledger.append("note", {**body, "text": f"committed to the table {_lineage(str(account))}"})


def recorded(ledger: Ledger, account: Account) -> Commitment | None:
    """The commitment to an account's data, if there is one."""
    entry = recorded_entry(ledger, account)
    return None if entry is None else Commitment.from_dict(entry.body["commitment"])


def recorded_entry(ledger: Ledger, account: Account) -> Entry | None:
    """The note of the commitment that counts for an account's data, if there is one."""
    wanted, found = _lineage(str(account)), None
    for entry in ledger.events("note"):
        if is_commitment(entry) and _lineage(entry.body.get("account")) == wanted:
            found = entry
    return found


def is_commitment(entry: Entry) -> bool:
    """Whether an entry is the note of a commitment."""
    return entry.kind == "note" and entry.body.get("what") == COMMITTED


def first_charge(ledger: Ledger, account: Account) -> Entry | None:
    """The first charge on an account's lineage, whatever its privacy unit."""
    wanted = _lineage(str(account))
    charged = (entry for entry in ledger.events("charged") if _lineage(entry.body.get("account")) == wanted)
    return next(charged, None)


def _lineage(account: object) -> str:
    """Provider and lineage, whatever the privacy unit."""
    return str(account).rpartition("/")[0]
