"""What a commitment to a table is made of: canonical rows, a salt each from one secret, a sealed root.

A row's leaf is over its salt and its canonical JSON; salts are HMAC-SHA256 of the row's number under a secret
of 32 random bytes, so that one value opens the whole table to an auditor and one salt opens one row to
anybody. The commitment itself is SHA-256(0x02 || salt || number of rows || root): it hides the number of
rows, which can be private, as well as the rows. Binding and hiding rest on SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from comity.crypto.canonical import canonical_bytes
from comity.errors import BadTable

SECRET_SIZE = 32
_LARGEST = 2**53 - 1


def new_secret() -> bytes:
    """A secret for one commitment, from the operating system. Who knows it can confirm guesses at rows."""
    return secrets.token_bytes(SECRET_SIZE)


def row_salt(secret: bytes, number: int) -> bytes:
    """The salt of the row with this number, from 0."""
    return hmac.digest(secret, b"comity row salt" + number.to_bytes(8, "big"), "sha256")


def size_salt(secret: bytes) -> bytes:
    """The salt of the commitment itself."""
    return hmac.digest(secret, b"comity table salt", "sha256")


def sealed_root(root: bytes, rows: int, salt: bytes) -> bytes:
    """The commitment to a tree's root and how many rows it is over."""
    return hashlib.sha256(b"\x02" + salt + rows.to_bytes(8, "big") + root).digest()


def canonical_row(row: Mapping[str, object], columns: Sequence[str]) -> bytes:
    """The bytes that are committed to: a list of the columns' values, in the columns' order.

    Raises:
        BadTable: naming the column whose value has no canonical form (private to the holder).
    """
    return canonical_bytes([_canonical(row.get(column), column) for column in columns])


def _canonical(value: object, column: str) -> Any:
    """Values that mean the same give the same JSON; values of two kinds never do."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else {"integer": str(value)}
    if isinstance(value, float):
        if math.isnan(value):
            return None
        # JSON writes 1.0 as 1: that a number is whole is no difference between two tables
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, Decimal):
        return {"decimal": format(value.normalize(), "f")}
    if isinstance(value, datetime | date | time):
        return {"time": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise BadTable(
        f"column '{column}' holds a value of type {type(value).__name__}, which has no canonical form"
    )
