"""Sealed texts: whoever has the agreement can seal for a party, and only that party can open.

A fresh X25519 key against the recipient's Ed25519 agreement key, read as an X25519 key: both are points of
the same curve, and the two uses do not harm each other (RFC 7748; Thormarker 2021). Sealing says nothing
about the sender: the message around it is signed.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from comity.crypto.canonical import canonical_bytes
from comity.crypto.exchange import SharedKey
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, VerificationFailed

_PRIME: Final = 2**255 - 19
_PUBLIC_BYTES: Final = 32


def seal_to(recipient: VerifyKey, plain: bytes, *, purpose: str) -> bytes:
    """Seal for one party and purpose: the fresh public key, then the text (ChaCha20-Poly1305)."""
    own = X25519PrivateKey.generate()
    public = own.public_key().public_bytes_raw()
    key = _key(own, _exchange_key(recipient), public, recipient, purpose)
    return public + key.seal(plain, use="sealed text")


def pair_key(own: SigningKey, other: VerifyKey, *, purpose: str) -> SharedKey:
    """The key that two parties of an agreement share for a purpose without a message between them.

    Both agreement keys, read as X25519 keys: whoever has one private half computes it from the other public
    one. It lasts as long as they do, so it is for what has to come out the same again (linkage tokens); what
    should stay closed after a key has leaked goes by `comity.crypto.exchange`.
    """
    secret = hashlib.sha512(own.private.private_bytes_raw()).digest()[:32]
    try:
        shared = X25519PrivateKey.from_private_bytes(secret).exchange(_exchange_key(other))
    except ValueError:
        raise BadInput("this key cannot be shared with: everybody could know the result") from None
    parties = sorted([str(own.verify_key), str(other)])
    info = canonical_bytes({"comity": "pair key", "parties": parties, "purpose": purpose})
    return SharedKey(HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(shared))


def open_sealed(key: SigningKey, sealed: bytes, *, purpose: str) -> bytes:
    """What was sealed for this party and purpose.

    Raises:
        VerificationFailed: if it was sealed for another party or purpose, or has been changed.
    """
    if len(sealed) < _PUBLIC_BYTES:
        raise VerificationFailed("a sealed text is too short to be one")
    public = sealed[:_PUBLIC_BYTES]
    secret = hashlib.sha512(key.private.private_bytes_raw()).digest()[:32]
    try:
        shared = _key(
            X25519PrivateKey.from_private_bytes(secret),
            X25519PublicKey.from_public_bytes(public),
            public,
            key.verify_key,
            purpose,
        )
    except BadInput:
        raise VerificationFailed("a sealed text was made with a key that everybody could answer") from None
    return shared.open(sealed[_PUBLIC_BYTES:], use="sealed text")


def _exchange_key(recipient: VerifyKey) -> X25519PublicKey:
    """The Montgomery form of an Edwards point: u = (1 + y) / (1 - y) (RFC 7748, section 4.1)."""
    y = int.from_bytes(recipient.raw, "little") & (2**255 - 1)
    u = (1 + y) * pow(1 - y, _PRIME - 2, _PRIME) % _PRIME
    return X25519PublicKey.from_public_bytes(u.to_bytes(32, "little"))


def _key(
    own: X25519PrivateKey, theirs: X25519PublicKey, public: bytes, recipient: VerifyKey, purpose: str
) -> SharedKey:
    try:
        secret = own.exchange(theirs)
    except ValueError:
        raise BadInput("this key cannot be used to seal: everybody could answer it") from None
    info = canonical_bytes(
        {"comity": "sealed text", "public": public.hex(), "recipient": str(recipient), "purpose": purpose}
    )
    return SharedKey(HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(secret))
