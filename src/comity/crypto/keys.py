"""Ed25519 keys of parties (RFC 8032): made once, kept in a file only their owner can read.

A public key is written `ed25519:` plus 43 base64url digits; that string is what agreements hold.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from comity.errors import BadInput, VerificationFailed

_PREFIX = "ed25519:"
_P = 2**255 - 19
# y-coordinates of the curve's points of order 1, 2, 4 and 8: signatures verify under them without a secret
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _P - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)


@dataclass(frozen=True)
class VerifyKey:
    """A party's public key: 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise BadInput(f"an Ed25519 public key has 32 bytes, this one has {len(self.raw)}")
        if int.from_bytes(self.raw, "little") % 2**255 % _P in _SMALL_ORDER:
            raise BadInput("this public key is one of the few that anybody can sign for; make a new key")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form.

        Raises:
            BadInput: if it is not `ed25519:` plus 32 bytes in base64url.
        """
        if not text.startswith(_PREFIX):
            raise BadInput(f"a public key starts with '{_PREFIX}', this one does not: {text[:20]!r}")
        body = text.removeprefix(_PREFIX)
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise BadInput(f"the public key {text[:20]!r}... is not base64url") from None
        key = cls(raw)
        if str(key) != text:
            raise BadInput(f"the public key {text[:20]!r}... is not written in its one canonical way")
        return key

    def __str__(self) -> str:
        return _PREFIX + base64.urlsafe_b64encode(self.raw).decode().rstrip("=")

    def verify(self, signature: bytes, message: bytes, *, what: str) -> None:
        """Check a signature.

        Raises:
            VerificationFailed: naming `what` was signed, if it does not verify.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise VerificationFailed(
                f"the signature on {what} does not verify with key {str(self)[:20]}...: "
                "it was made with another key, or what was signed has changed"
            ) from None


@dataclass(frozen=True)
class SigningKey:
    """A party's private key. Its representation never shows the secret."""

    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def private(self) -> Ed25519PrivateKey:
        """The key for libraries that need it whole (TLS certificates)."""
        return self._key

    @property
    def verify_key(self) -> VerifyKey:
        return VerifyKey(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """A 64-byte signature."""
        return self._key.sign(message)

    def save(self, path: Path, *, passphrase: str | None = None) -> None:
        """Write the key as PEM, readable by its owner only (0600). An existing file is never replaced.

        Raises:
            BadInput: if the file exists or cannot be written.
        """
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise BadInput(f"the key file {path} exists; a key is made once and never overwritten") from None
        except OSError as error:
            raise BadInput(f"the key file {path} cannot be written: {error.strerror}") from None
        with os.fdopen(handle, "wb") as file:
            file.write(pem)

    @classmethod
    def load(cls, path: Path, *, passphrase: str | None = None) -> Self:
        """Read a key that `save` wrote.

        Raises:
            BadInput: if the file is missing, readable by others, of another kind, or the passphrase is wrong.
        """
        try:
            pem = path.read_bytes()
            mode = path.stat().st_mode & 0o777
        except OSError as error:
            raise BadInput(f"the key file {path} cannot be read: {error.strerror}") from None
        if mode & 0o077:
            raise BadInput(
                f"the key file {path} can be read by others (mode {mode:o}); run: chmod 600 {path}"
            )
        try:
            key = load_pem_private_key(pem, passphrase.encode() if passphrase else None)
        except TypeError:
            need = "needs a passphrase" if passphrase is None else "has no passphrase"
            raise BadInput(f"the key file {path} {need}") from None
        except ValueError:
            raise BadInput(f"the key file {path} is damaged, or the passphrase is wrong") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadInput(f"the key file {path} does not hold an Ed25519 key")
        return cls(key)
