"""Masks that cancel in a sum, and those that do not: the two halves of secure aggregation as arrays.

Words modulo 2^64. A mask is the stream of ChaCha20 (RFC 8439) under a key for that mask alone. Two parties
that share a key add and subtract the same mask, so that it cancels when both vectors are added up (Bonawitz
et al. 2017); a party's own mask is taken away by who gets its seed.
"""

from __future__ import annotations

import os
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from comity.crypto.canonical import canonical_bytes
from comity.errors import BadInput, VerificationFailed

Words = NDArray[np.uint64]

LONGEST: Final = 1 << 30
"""Words that one mask may have: the stream's 32-bit counter of 64-byte blocks reaches 2^35 words."""
KEY_BYTES: Final = 32
_PIECE: Final = 1 << 20

__all__ = [
    "KEY_BYTES",
    "LONGEST",
    "Words",
    "exchange_key",
    "key_pair",
    "mask",
    "public_half",
    "seed",
]


def mask(key: bytes, count: int) -> Words:
    """(count,) uniform words, the same for the same key.

    Args:
        key: 32 bytes, used for this mask alone.
        count: words, 0 to 2^30.
    """
    if len(key) != KEY_BYTES or not 0 <= count <= LONGEST:
        raise BadInput(f"a mask has a key of {KEY_BYTES} bytes and 0 to {LONGEST:,} words")
    # the key is used once, so counter and nonce start at 0
    encryptor = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
    stream = np.empty(8 * count, dtype=np.uint8)
    zeros = bytes(min(_PIECE, 8 * count))
    for start in range(0, 8 * count, _PIECE):
        size = min(_PIECE, 8 * count - start)
        encryptor.update_into(zeros[:size], stream[start : start + size].data)
    return stream.view("<u8").astype(np.uint64, copy=False)


def seed() -> bytes:
    """32 bytes from the operating system's randomness: the key of a party's own mask."""
    return os.urandom(KEY_BYTES)


def key_pair() -> tuple[bytes, bytes]:
    """A fresh X25519 pair (RFC 7748): (private, public), 32 bytes each."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def public_half(private: bytes) -> bytes:
    """The public key of a private one, to tell whether shares gave the right one back."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def exchange_key(private: bytes, public: bytes, **use: str | int) -> bytes:
    """32 bytes that both ends of an exchange derive for one use (HKDF, RFC 5869).

    The two public keys are in the derivation, in one order at both ends.

    Raises:
        VerificationFailed: if the other end's public key is one that everybody could answer.
    """
    own = X25519PrivateKey.from_private_bytes(private)
    try:
        secret = own.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise VerificationFailed("a public key for masks is not usable: everybody could answer it") from None
    ends = sorted([own.public_key().public_bytes_raw().hex(), public.hex()])
    info = canonical_bytes({"comity": "mask key", "ends": ends, **use})
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)
