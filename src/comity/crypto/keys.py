"""Ed25519 keys of parties (RFC 8032): made once, kept in a file only their owner can read.

The file is PKCS #8 in PEM, under a passphrase if there is one (`comity.crypto.pkcs8`).

A public key is written `ed25519:` plus 43 base64url digits; that string is what agreements hold.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from comity.crypto.pkcs8 import encrypted_pem, is_encrypted
from comity.errors import BadInput, VerificationFailed

_PREFIX = "ed25519:"
_LARGEST = 65_536
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

        Args:
            passphrase: the key is encrypted under it; None writes the key as it is.

        Raises:
            BadInput: if the file exists or cannot be written, or the passphrase is empty.
        """
        if passphrase == "":
            raise BadInput(f"the passphrase for the key file {path} is empty; give one, or none at all")
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise BadInput(f"the key file {path} exists; a key is made once and never overwritten") from None
        except OSError as error:
            raise BadInput(f"the key file {path} cannot be written: {error.strerror}") from None
        with os.fdopen(handle, "wb") as file:
            file.write(self._pem(passphrase))
            file.flush()
            os.fsync(file.fileno())

    def _pem(self, passphrase: str | None) -> bytes:
        if passphrase is None:
            return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        whole = self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return encrypted_pem(whole, passphrase)

    @classmethod
    def load(cls, path: Path, *, passphrase: str | None = None) -> Self:
        """Read a key that `save` wrote.

        Raises:
            BadInput: if the file is missing, readable by others, damaged or of another kind, or if the
                passphrase is missing, wrong, or given for a key without one (its owner thinks it protected).
        """
        pem = _read_private(path)
        locked = is_encrypted(pem)
        if locked and not passphrase:
            raise BadInput(
                f"the key file {path} needs a passphrase and none was given; give it with --passphrase-file, "
                "or in the environment variable COMITY_PASSPHRASE_FILE or COMITY_PASSPHRASE"
            )
        if passphrase and not locked:
            raise BadInput(f"the key file {path} has no passphrase, but one was given; leave it away")
        try:
            key = load_pem_private_key(pem, passphrase.encode() if passphrase else None)
        except (TypeError, ValueError, UnsupportedAlgorithm):
            if locked:
                raise BadInput(
                    f"the passphrase for the key file {path} is wrong, or the file is damaged; "
                    "try the passphrase again, or restore the file from a copy"
                ) from None
            raise BadInput(f"the key file {path} is damaged; restore it from a copy") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadInput(f"the key file {path} does not hold an Ed25519 key")
        return cls(key)


def needs_passphrase(path: Path) -> bool:
    """Whether a key file is under a passphrase.

    Raises:
        BadInput: if the file is missing or readable by others.
    """
    return is_encrypted(_read_private(path))


def _read_private(path: Path) -> bytes:
    """A file that nobody but its owner can read; the check is on the file that was opened."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise BadInput(f"the key file {path} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise BadInput(f"the key file {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
    if len(text) > _LARGEST:
        raise BadInput(f"the key file {path} is larger than any key; it is another file")
    return text
