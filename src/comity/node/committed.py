"""The commitment to a provider's table `train`: made when it is loaded, in the ledger before the first query.

Beside the table lie `train.commitment.json` (what is published of it) and `train.secret`, which opens it to
an auditor and stays with the provider (0600). The ledger's note of it is written by `comity node load`, or by
the node before it opens the first session or conversation under an agreement that was signed later. Until
something is charged another table may be loaded; afterwards the lineage has its table for good. A table that
gives place to that of a new lineage is kept with its secret under `tables/earlier/`, if answers were given of
it: without them these could not be audited.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.agreement import Agreement
from comity.crypto.commitment import SECRET_SIZE, new_secret
from comity.errors import BadInput, ClauseRefused
from comity.ledger import Account, Commitment, Ledger, PrivacyUnit
from comity.ledger.commitments import commit, first_charge, record, recorded
from comity.node.folder import PartyFolder, write_whole

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 1024


def committed_table(folder: PartyFolder) -> Commitment | None:
    """The commitment to the table `train` that was loaded last; None if there is none.

    Raises:
        BadInput: if its file holds something else.
    """
    path = _commitment_path(folder)
    if not path.is_file():
        return None
    try:
        return Commitment.from_dict(json.loads(path.read_bytes()))
    except (ValueError, OSError):
        raise BadInput(f"{path} holds no commitment; load the table again", private=True) from None


def table_secret(folder: PartyFolder) -> bytes:
    """The secret that opens the commitment to the loaded table. Private.

    Raises:
        BadInput: if there is none.
    """
    return _secret(_secret_path(folder))


def files_of(folder: PartyFolder, commitment: Commitment) -> tuple[Path, bytes]:
    """Where the table of a commitment is, loaded now or earlier, and its secret. Private.

    Raises:
        BadInput: if it is no longer here.
    """
    if committed_table(folder) == commitment:
        return _table_path(folder), table_secret(folder)
    table, secret = _earlier_paths(folder, commitment)
    if not table.is_file():
        raise BadInput(
            f"the table of commitment {commitment.digest.hex()[:16]}... is neither loaded nor in "
            f"{table.parent}: restore it with its secret from a copy",
            private=True,
        )
    return table, _secret(secret)


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes()
    except OSError:
        secret = b""
    if len(secret) != SECRET_SIZE:
        raise BadInput(
            f"the secret of the commitment is not in {path}: load the table again if nothing has been asked "
            "of it yet, or restore the file from a copy",
            private=True,
        )
    return secret


def rows_of(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    """A table's rows in their order, a value by column; a batch at a time."""
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist()


def make_commitment(folder: PartyFolder, table: pa.Table) -> tuple[Commitment, bytes]:
    """Commit to a table about to be loaded, and the secret: that of the present one if it is the same table.

    About 20 microseconds a row of 14 columns.
    """
    with suppress(BadInput):
        known, secret = committed_table(folder), table_secret(folder)
        if known is not None and known == commit(rows_of(table), table.column_names, secret):
            return known, secret
    secret = new_secret()
    return commit(rows_of(table), table.column_names, secret), secret


def keep_commitment(folder: PartyFolder, commitment: Commitment, secret: bytes) -> None:
    """Put a commitment and its secret beside the table."""
    write_whole(_secret_path(folder), secret)
    write_whole(_commitment_path(folder), (json.dumps(commitment.to_dict(), indent=2) + "\n").encode())


def own_agreements(folder: PartyFolder) -> tuple[Agreement, ...]:
    """The agreements kept under which this party is a provider, in force or past."""
    kept = folder.agreements().values()
    return tuple(one for one in kept if any(data.provider == folder.name for data in one.data))


def keep_earlier(
    folder: PartyFolder, agreements: Iterable[Agreement], ledger: Ledger, commitment: Commitment
) -> None:
    """Put the loaded table aside before another one takes its place, if answers were given of it."""
    loaded = committed_table(folder)
    if loaded in (None, commitment) or not _table_path(folder).is_file():
        return
    for account in {_account(folder, agreement) for agreement in agreements}:
        if recorded(ledger, account) == loaded and first_charge(ledger, account) is not None:
            table, secret = _earlier_paths(folder, loaded)
            table.parent.mkdir(mode=0o700, exist_ok=True)
            write_whole(secret, table_secret(folder))
            os.replace(_table_path(folder), table)
            return


def require_bindable(
    folder: PartyFolder, agreement: Agreement, ledger: Ledger, commitment: Commitment
) -> None:
    """Refuse a table that cannot be the one of an agreement's lineage, since another one was asked about.

    Raises:
        ClauseRefused: naming the lineage.
    """
    account = _account(folder, agreement)
    known = recorded(ledger, account)
    if known not in (None, commitment) and first_charge(ledger, account) is not None:
        place = f"data.{folder.name}.lineage"
        raise ClauseRefused(
            f"the ledger commits '{account.lineage}' to another table, of which answers have been given; "
            "what has changed is other data",
            clause=place,
            would_pass=f"a new agreement with another {place}, which replaces this one",
        )


def bind_table(folder: PartyFolder, agreement: Agreement, ledger: Ledger) -> Commitment | None:
    """Write the commitment to the loaded table into the ledger for an agreement's lineage, if it is missing.

    Returns:
        The commitment that answers carry; None where the party is no provider, has loaded no table by
        `comity node load`, or was asked about this lineage before there were commitments.

    Raises:
        ClauseRefused: if answers were given about another table.
    """
    if all(data.provider != folder.name for data in agreement.data):
        return None
    commitment = committed_table(folder)
    account = _account(folder, agreement)
    if commitment is None or ledger.committed(account) == commitment.digest.hex():
        return commitment
    require_bindable(folder, agreement, ledger, commitment)
    if first_charge(ledger, account) is not None:
        return None
    record(ledger, account, commitment)
    return commitment


def _account(folder: PartyFolder, agreement: Agreement) -> Account:
    """Of the lineage: a commitment is the same for every privacy unit."""
    return Account(folder.name, agreement.data_of(folder.name).lineage, PrivacyUnit.label)


def _commitment_path(folder: PartyFolder) -> Path:
    return folder.tables_path / "train.commitment.json"


def _secret_path(folder: PartyFolder) -> Path:
    return folder.tables_path / "train.secret"


def _table_path(folder: PartyFolder) -> Path:
    return folder.tables_path / "train.parquet"


def _earlier_paths(folder: PartyFolder, commitment: Commitment) -> tuple[Path, Path]:
    """Of a table that gave place to another one: its rows and its secret."""
    place, name = folder.tables_path / "earlier", commitment.digest.hex()
    return place / f"{name}.parquet", place / f"{name}.secret"
