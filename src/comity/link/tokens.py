"""Linkage tokens: one person at two parties gets one token, which says nothing to who has neither's key.

Each pair of parties has a key of its own, from their agreement keys, without a message (`pair_key`). A record
carries one token for every other party that it may be linked with: who holds two tables of tokens finds the
records that both have, and learns nothing of the others. It can try ids once it has one of the two keys, so
linking by these tokens assumes that no party to a pair works with who compares them (docs/privacy.md,
"Release"). Tokens of two agreements, or of two pairs, cannot be compared.

HMAC-SHA256 (RFC 2104), cut to 128 bits: among ten million records two coincide by chance with probability
under 1e-24.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.crypto.keys import SigningKey, VerifyKey
from comity.crypto.pads import random_name
from comity.crypto.sealed import pair_key

TOKEN_BYTES: Final = 16

Tokens = NDArray[np.uint64]
"""(records, 2) tokens as pairs of words."""


def written_alike(value: str) -> str:
    """The form in which ids are compared: letters lose their case, spaces and punctuation go.

    "BE 0123.456.789" and "be0123456789" are one id; an id without a letter or digit stays as it is.
    """
    unified = unicodedata.normalize("NFKC", value).casefold()
    return "".join(char for char in unified if char.isalnum()) or unified


@dataclass(frozen=True)
class LinkageKey:
    """What two parties make tokens with. Its representation never shows the key."""

    _raw: bytes = field(repr=False)

    @classmethod
    def between(cls, own: SigningKey, other: VerifyKey, *, agreement: str, use: str) -> Self:
        """The key of a pair of parties.

        Args:
            agreement: the agreement's digest.
            use: what is linked; tokens of another use cannot be compared with these.
        """
        shared = pair_key(own, other, purpose=f"linkage tokens, agreement {agreement}")
        return cls(shared.derive(use=use))

    def token(self, value: str) -> bytes:
        """16 bytes for one id, however it is written (`written_alike`)."""
        return hmac.digest(self._raw, written_alike(value).encode(), hashlib.sha256)[:TOKEN_BYTES]

    def tokens(self, values: Iterable[str | None]) -> list[bytes]:
        """One token for each id; a missing id gets a random one, which no other record has."""
        return [bytes.fromhex(random_name()) if value is None else self.token(value) for value in values]
