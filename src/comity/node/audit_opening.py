"""A provider's table as an audit sees it: its own, or opened to the auditor that the agreement names.

What is opened is the whole table and the secret of its commitment, sealed to the auditor's key, with the
ledger's own entry of the commitment and its proof: which columns it is over, and where it stands.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from comity.agreement import Agreement
from comity.crypto.canonical import canonical_bytes
from comity.crypto.sealed import open_sealed, seal_to
from comity.errors import BadInput, VerificationFailed
from comity.ledger import Account, Ledger, PrivacyUnit
from comity.ledger.commitments import Commitment, is_commitment, recorded_entry
from comity.ledger.openings import Opening
from comity.node.committed import files_of
from comity.node.folder import PartyFolder
from comity.validate.audit_order import AuditOrder, hexadecimal

if TYPE_CHECKING:
    import pyarrow as pa

_PURPOSE: Final = "comity audit "


@dataclass(frozen=True)
class OpenedTable:
    """A provider's table as an audit sees it. Private.

    Attributes:
        table: its rows, in the order that was committed to.
        secret: opens the commitment.
        commitment: from the provider's ledger.
        sequence, ledger: where in which ledger its note stands.
    """

    table: pa.Table
    secret: bytes
    commitment: Commitment
    sequence: int
    ledger: str


def require_whole(table: pa.Table, commitment: Commitment, agreement: Agreement, provider: str) -> None:
    """A commitment binds to the columns that it names: all of the table, and all that were agreed on.

    Raises:
        VerificationFailed: if it leaves some out, or names one twice.
    """
    names = tuple(table.column_names)
    agreed = set(agreement.data_of(provider).columns)
    if tuple(commitment.columns) != names or len(set(names)) != len(names) or not agreed <= set(names):
        raise VerificationFailed(
            f"the commitment of '{provider}' does not bind it to every column that was agreed on: what it "
            "left out could be changed afterwards"
        )


def account_of(agreement: Agreement, provider: str) -> Account:
    """The account whose lineage the commitment is of; it is the same for every privacy unit."""
    return Account(provider, agreement.data_of(provider).lineage, PrivacyUnit.label)


def own_table(folder: PartyFolder, agreement: Agreement, ledger: Ledger) -> OpenedTable:
    """The provider's own table, with the commitment that its ledger holds. Private.

    Raises:
        BadInput: if there is no commitment, or its table or secret is no longer here.
    """
    import pyarrow.parquet as pq

    entry = recorded_entry(ledger, account_of(agreement, folder.name))
    if entry is None:
        raise BadInput(
            f"the ledger holds no commitment to a table of '{folder.name}' under this agreement: load the "
            "table by comity node load before the first query",
            private=True,
        )
    commitment = Commitment.from_dict(entry.body["commitment"])
    place, secret = files_of(folder, commitment)
    head = ledger.checkpoint().ledger.hex()
    table = pq.read_table(place)
    require_whole(table, commitment, agreement, folder.name)
    return OpenedTable(table, secret, commitment, entry.seq, head)


def sealed_table(opened: OpenedTable, ledger: Ledger, order: AuditOrder, agreement: Agreement) -> str:
    """Table, secret and the ledger's note of the commitment, sealed to the order's auditor; base64."""
    note = ledger.opening(opened.sequence).to_dict()
    plain = canonical_bytes({"secret": opened.secret.hex(), "note": note}) + b"\n" + _parquet(opened.table)
    sealed = seal_to(agreement.party(order.auditor).key, plain, purpose=_PURPOSE + order.digest)
    return base64.b64encode(sealed).decode()


def unsealed_table(
    document: object, order: AuditOrder, folder: PartyFolder, agreement: Agreement
) -> tuple[bytes, OpenedTable]:
    """The provider's consent and its table, at the auditor.

    Raises:
        BadInput: if it is no opening.
        VerificationFailed: if it is for another order or party, or its note is not the provider's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not isinstance(document, Mapping) or set(document) != {"order", "consent", "sealed"}:
        raise BadInput("an auditor needs what comity audit open wrote: --opening FILE")
    if document["order"] != order.digest:
        raise VerificationFailed("this opening is for another order than the one given")
    signed = hexadecimal(document["consent"])
    provider = agreement.party(order.provider)
    order.verify({provider.name: signed}, {provider.name: provider.key})
    try:
        sealed = base64.b64decode(document["sealed"], validate=True)
        plain = open_sealed(folder.key, sealed, purpose=_PURPOSE + order.digest)
        header, _, written = plain.partition(b"\n")
        told = json.loads(header)
        secret, note = bytes.fromhex(told["secret"]), Opening.from_dict(told["note"])
        table = pq.read_table(io.BytesIO(written))
    except (ValueError, TypeError, KeyError, AttributeError, pa.ArrowException):
        raise BadInput("what was sealed in the opening is no table with its secret") from None
    entry = note.verify(provider.key)
    account = account_of(agreement, order.provider)
    lineage = str(account).rpartition("/")[0]
    if not is_commitment(entry) or str(entry.body.get("account")).rpartition("/")[0] != lineage:
        raise VerificationFailed("the ledger's entry in the opening is no commitment to this data")
    commitment = Commitment.from_dict(entry.body["commitment"])
    require_whole(table, commitment, agreement, order.provider)
    place = note.inclusion.checkpoint.ledger.hex()
    return signed, OpenedTable(table, secret, commitment, entry.seq, place)


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()
