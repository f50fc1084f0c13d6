"""A ledger's first entry and its key: whose it is, and what its checkpoints verify with."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, UsageError
from comity.ledger.state import LEDGER_FORMAT, WRITTEN_ORDERS
from comity.ledger.store import Store


def founding_body(owner: str, key: SigningKey) -> dict[str, Any]:
    """The body of the first entry."""
    return {
        "format": LEDGER_FORMAT,
        "owner": owner,
        "key": str(key.verify_key),
        "orders": WRITTEN_ORDERS,
    }


def founding_key(store: Store, key: SigningKey | None) -> SigningKey:
    """The key of a new ledger: the given one, or the one in its key file, made now if there is none.

    Raises:
        UsageError: if a ledger in a database has no key given.
        BadInput: if the key file cannot be made or read.
    """
    if key is not None:
        return key
    if store.name == ":memory:":
        return SigningKey.generate()
    path = _key_path(store)
    if not path.exists():
        _make_key(path)
    return SigningKey.load(path)


def signing_key(store: Store, key: SigningKey | None, known: VerifyKey) -> SigningKey:
    """The key that an existing ledger is continued with.

    Raises:
        BadInput: if it is not the ledger's, or its file is missing.
    """
    if key is None:
        path = _key_path(store)
        if not path.exists():
            raise BadInput(
                f"the ledger {store.name} cannot be continued without its key file {path}; "
                "put it back, or pass key= (comity ledger verify needs none)"
            )
        key = SigningKey.load(path)
    if key.verify_key != known:
        raise BadInput(
            f"the ledger {store.name} is signed with the key {str(known)[:20]}..., "
            f"the key given is {str(key.verify_key)[:20]}...; use the ledger's own"
        )
    return key


def _key_path(store: Store) -> Path:
    if store.path is None:
        raise UsageError(f"the ledger {store.name} has no file to keep a key beside; pass key=")
    return store.path.with_name(store.path.name + ".key")


def _make_key(path: Path) -> None:
    """Write a new key whole or not at all: under another name first, then given its own."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        SigningKey.generate().save(draft)
        for place in (draft, path.parent):
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        with suppress(FileExistsError):
            os.link(draft, path)
    except OSError as error:
        raise BadInput(f"the key file {path} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
