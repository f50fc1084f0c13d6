"""Keyed pseudonyms under a key per recipient, derived from the provider's master key by HKDF.

Two kinds. HMAC-SHA256 pseudonyms lead back to nobody, not even for the provider, except by trying every
value. Reversible ones (AES-SIV) are ciphertexts that the provider's key opens, where an answer has to be
returned to a person. AES-SIV is deterministic, so equal values get equal pseudonyms, and it is authenticated,
so that a pseudonym of another key, recipient or domain is refused and not opened to something else. Values
are padded to blocks of `PAD` bytes: a reversible pseudonym tells how many blocks its value fills, and nothing
else of its length. Whoever needs no way back should use HMAC: a key that leaks later then opens nothing by
itself.

The same value gets the same pseudonym in every release to one recipient, and an unrelated one for every other
recipient, so two recipients cannot join their releases by pseudonym. Quasi-identifiers still join them:
pseudonyms are not what protects a release. Without the key a pseudonym can be neither made nor checked;
whoever holds the key can confirm a guess. Keys never leave the provider.

Sources: HMAC (RFC 2104), HKDF (RFC 5869), AES-SIV (RFC 5297).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from comity.crypto.canonical import canonical_bytes
from comity.errors import UsageError, VerificationFailed

if TYPE_CHECKING:
    from comity.data import Table

_KEY_BYTES = 32
_PSEUDONYM_BYTES = 20
"""160 bits, 32 characters: two of a trillion values collide with probability under 1e-24."""

PAD: Final = 32
"""Values fill whole blocks of so many bytes, one of which marks the end: up to 31 bytes all look alike."""

REVERSIBLE: Final = "rev-"
"""What a reversible pseudonym begins with."""

_TAG_BYTES = 16
_SHAPE = re.compile(r"[a-z2-7]{32}")
_REVERSIBLE_SHAPE = re.compile(rf"{REVERSIBLE}[a-z2-7]+")


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

    def reversible(self, value: str, *, domain: str) -> str:
        """A pseudonym that `open` leads back: `rev-` and 77 characters for up to 31 bytes, 51 more a block.

        Raises:
            UsageError: for text that UTF-8 cannot hold.
        """
        try:
            plain = value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"a value of '{domain}' is not valid text (UTF-8); correct it first") from None
        padded = plain + b"\x80" + bytes(-(len(plain) + 1) % PAD)
        sealed = self._cipher().encrypt(padded, [canonical_bytes([domain])])
        return _written(sealed)

    def open(self, pseudonym: str, *, domain: str) -> str:
        """The value behind a reversible pseudonym.

        Raises:
            UsageError: for what is no reversible pseudonym, HMAC ones among them.
            VerificationFailed: if another key, recipient, lineage or domain made it, or it was changed.
        """
        if pseudonym_kind(pseudonym) != "reversible":
            raise UsageError(
                f"this is no reversible pseudonym: those begin with '{REVERSIBLE}'. Others cannot be opened; "
                "compare them with the pseudonyms of the values in question"
            )
        body = pseudonym.removeprefix(REVERSIBLE).upper()
        try:
            sealed = base64.b32decode(body + "=" * (-len(body) % 8))
            if _written(sealed) != pseudonym:  # the last character has bits to spare
                raise InvalidTag
            padded = self._cipher().decrypt(sealed, [canonical_bytes([domain])])
        except (InvalidTag, ValueError, binascii.Error):
            raise VerificationFailed(
                f"this pseudonym cannot be opened in the domain '{domain}': it was made with another master "
                "key, for another recipient or lineage, in another domain, or it was changed since"
            ) from None
        return padded.rstrip(b"\x00").removesuffix(b"\x80").decode()

    def pseudonyms(
        self, values: Sequence[str | None], *, domain: str, reversible: bool = False
    ) -> list[str | None]:
        """Pseudonyms of values; a missing value stays missing."""
        make = self.reversible if reversible else self.pseudonym
        known: dict[str, str] = {}
        found: list[str | None] = []
        for value in values:
            if value is not None and value not in known:
                known[value] = make(value, domain=domain)
            found.append(None if value is None else known[value])
        return found

    def _cipher(self) -> AESSIV:
        info = canonical_bytes({"use": "comity reversible pseudonyms"})
        key = HKDF(algorithm=hashes.SHA256(), length=64, salt=None, info=info).derive(self._raw)
        return AESSIV(key)


def _written(sealed: bytes) -> str:
    return REVERSIBLE + base64.b32encode(sealed).decode().rstrip("=").lower()


def pseudonym_kind(text: str) -> str | None:
    """ "keyed" or "reversible", by shape; None for what is no pseudonym."""
    if _SHAPE.fullmatch(text):
        return "keyed"
    if not _REVERSIBLE_SHAPE.fullmatch(text):
        return None
    sealed = (len(text) - len(REVERSIBLE)) * 5 // 8
    whole = sealed > _TAG_BYTES and (sealed - _TAG_BYTES) % PAD == 0
    return "reversible" if whole and len(text) - len(REVERSIBLE) == -(-sealed * 8 // 5) else None


def pseudonymise(
    table: Table,
    columns: Sequence[str],
    key: RecipientKey,
    *,
    domains: dict[str, str] | None = None,
    reversible: Collection[str] = (),
) -> Table:
    """Replace columns by pseudonyms.

    Args:
        reversible: those of the columns whose pseudonyms the provider can open again (`RecipientKey.open`,
            with the column's domain).
        domains: per column, a name shared by columns whose equal values should stay equal; by default the
            column.

    Raises:
        BadTable: if there is no such column.
        UsageError: if a reversible column is not among the columns.
    """
    import pyarrow as pa

    if stray := [name for name in reversible if name not in columns]:
        raise UsageError(f"'{stray[0]}' is to be reversible and is not among the columns to pseudonymise")

    for name in columns:
        domain = (domains or {}).get(name, name)
        found = key.pseudonyms(table.strings(name), domain=domain, reversible=name in reversible)
        table = table.with_column(name, pa.chunked_array([pa.array(found, pa.string())]))
    return table
