"""One-time pads and tokens as arrays: AES-256 in counter mode (NIST SP 800-38A) under keys for one use each.

A pad is a stream of uniform 64-bit words. Adding it modulo 2^64 makes any words uniform to who does not have
the key, as long as the key pads nothing else: keys are derived per upload and field (`SharedKey.derive`), and
whoever derives them keeps the nonces that were used.
"""

from __future__ import annotations

import os
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from comity.errors import BadInput

Words = NDArray[np.uint64]

LONGEST: Final = 1 << 40
"""Words that one pad may have: counter mode stays far from repeating a block."""

_PIECE: Final = 1 << 20


def pad(key: bytes, count: int) -> Words:
    """(count,) uniform words, the same for the same key.

    Args:
        key: 32 bytes, used for this pad alone.
        count: words, 0 to 2^40.
    """
    if not 0 <= count <= LONGEST:
        raise BadInput(f"a pad has between 0 and {LONGEST} words, not {count}")
    encryptor = Cipher(AES256(key), CTR(bytes(16))).encryptor()
    # encrypting zeros gives the stream; the buffer has room for one more block, as the library asks for
    stream = np.empty(8 * count + 16, dtype=np.uint8)
    zeros = bytes(_PIECE)
    for start in range(0, 8 * count, _PIECE):
        size = min(_PIECE, 8 * count - start)
        encryptor.update_into(zeros[:size], stream[start : start + size + 16].data)
    return stream[: 8 * count].view("<u8").astype(np.uint64, copy=False)


def random_key() -> bytes:
    """32 bytes from the operating system's randomness."""
    return os.urandom(32)


def random_name() -> str:
    """128 bits from the operating system's randomness, in hexadecimal: a nonce, or a name nobody guesses."""
    return os.urandom(16).hex()


def tokens(key: bytes, count: int) -> Words:
    """(count,) one 64-bit token per place of a list that both ends know; distinct.

    A token says nothing of the place to who does not have the key. Two of them coincide with probability
    under count^2 / 2^65; then nothing is returned.

    Raises:
        BadInput: if two coincide: draw another key.
    """
    found = pad(key, count)
    if len(np.unique(found)) != count:
        raise BadInput("two tokens coincide, by chance: start again with a new key")
    return found


def cut(words: Words, parts: int) -> list[Words]:
    """Summands of words modulo 2^64: all but the last drawn uniformly, so that no `parts - 1` of them tell
    anything (additive secret sharing)."""
    if parts < 1:
        raise BadInput(f"words are cut into 1 summand or more, not {parts}")
    drawn = [
        np.frombuffer(os.urandom(8 * len(words)), dtype="<u8").astype(np.uint64) for _ in range(parts - 1)
    ]
    last = words.copy()
    for summand in drawn:
        last -= summand
    return [*drawn, last]
