"""Keyed pseudonyms: HMAC-SHA256 under a key per recipient, derived from the provider's master key by HKDF.

The same value gets the same pseudonym in every release to one recipient, and an unrelated one for every other
recipient, so two recipients cannot join their releases by pseudonym. Quasi-identifiers still join them:
pseudonyms are not what protects a release. Without the key a pseudonym can be neither made nor checked;
whoever holds the key can confirm a guess. Keys never leave the provider.

Sources: HMAC (RFC 2104), HKDF (RFC 5869).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from comity.crypto.canonical import canonical_bytes
from comity.errors import UsageError

if TYPE_CHECKING:
    from comity.data import Table

_KEY_BYTES = 32
_PSEUDONYM_BYTES = 20
"""160 bits, 32 characters: two of a trillion values collide with probability under 1e-24."""


@dataclass(frozen=True)
class MasterKey:
    """A provider's master key for pseudonyms: 32 bytes. Its representation never shows them."""

    _raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._raw) != _KEY_BYTES:
            raise UsageError(
                f"a master key for pseudonyms has {_KEY_BYTES} bytes, this one has {len(self._raw)}"
            )

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    def for_recipient(self, recipient: str, *, lineage: str = "") -> RecipientKey:
        """The key for one recipient.

        Args:
            recipient: the recipient's public key as written, or another name that no other recipient has.
            lineage: the dataset lineage; releases of one lineage to one recipient share pseudonyms.
        """
        if not recipient:
            raise UsageError("a recipient's pseudonym key needs the recipient's name or public key")
        info = canonical_bytes({"use": "comity pseudonym key", "recipient": recipient, "lineage": lineage})
        derived = HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(self._raw)
        return RecipientKey(derived)


@dataclass(frozen=True)
class RecipientKey:
    """The key under which one recipient's pseudonyms are made."""

    _raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._raw) != _KEY_BYTES:
            raise UsageError(f"a pseudonym key has {_KEY_BYTES} bytes, this one has {len(self._raw)}")

    def pseudonym(self, value: str, *, domain: str) -> str:
        """32 characters for one value; `domain` keeps equal values of different columns apart."""
        message = canonical_bytes([domain, value])
        mac = hmac.digest(self._raw, message, hashlib.sha256)
        return base64.b32encode(mac[:_PSEUDONYM_BYTES]).decode().lower()

    def pseudonyms(self, values: Sequence[str | None], *, domain: str) -> list[str | None]:
        """Pseudonyms of values; a missing value stays missing."""
        known: dict[str, str] = {}
        found: list[str | None] = []
        for value in values:
            if value is not None and value not in known:
                known[value] = self.pseudonym(value, domain=domain)
            found.append(None if value is None else known[value])
        return found


def pseudonymise(
    table: Table, columns: Sequence[str], key: RecipientKey, *, domains: dict[str, str] | None = None
) -> Table:
    """Replace columns by pseudonyms.

    Args:
        domains: per column, a name shared by columns whose equal values should stay equal; by default the
            column.

    Raises:
        BadTable: if there is no such column.
    """
    import pyarrow as pa

    for name in columns:
        domain = (domains or {}).get(name, name)
        found = key.pseudonyms(table.strings(name), domain=domain)
        table = table.with_column(name, pa.chunked_array([pa.array(found, pa.string())]))
    return table
