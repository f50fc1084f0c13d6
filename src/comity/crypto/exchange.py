"""Keys that two parties share: X25519 (RFC 7748), signed with their agreement keys, through HKDF (RFC 5869).

Each end draws a fresh key pair and signs its public half together with what it is for. Whoever carries the
offers between them (a mediator) can neither read the shared key nor put its own in. The shared key is bound
to both offers and to the purpose; it is never used itself, only to derive keys for named uses.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from comity.crypto.canonical import canonical_bytes, digest
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, VerificationFailed

KEY_BYTES = 32
_LABEL = "comity key exchange"


@dataclass(frozen=True)
class SharedKey:
    """32 bytes that two parties share. Its representation never shows them."""

    _raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._raw) != KEY_BYTES:
            raise BadInput(f"a shared key has {KEY_BYTES} bytes, this one has {len(self._raw)}")

    def derive(self, **use: str | int) -> bytes:
        """32 bytes for one use, named by public facts; other facts give an unrelated key."""
        if not use:
            raise BadInput("a derived key needs a use")
        info = canonical_bytes({"comity": "derived key", **use})
        return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._raw)

    def seal(self, plain: bytes, **use: str | int) -> bytes:
        """Encrypt for a use (ChaCha20-Poly1305, RFC 8439). A use seals one text: its key is its own."""
        return ChaCha20Poly1305(self.derive(sealing="", **use)).encrypt(bytes(12), plain, None)

    def open(self, sealed: bytes, **use: str | int) -> bytes:
        """What `seal` sealed for the same use.

        Raises:
            VerificationFailed: if it was sealed with another key, for another use, or has been changed.
        """
        try:
            return ChaCha20Poly1305(self.derive(sealing="", **use)).decrypt(bytes(12), sealed, None)
        except (InvalidTag, ValueError):
            raise VerificationFailed(
                "a sealed text cannot be opened: it was sealed with another key or for another use, or it "
                "was changed on its way"
            ) from None


@dataclass(frozen=True)
class Offer:
    """The public half of one party's end of an exchange, signed with its agreement key.

    Attributes:
        sender, recipient: names of parties of the agreement.
        purpose: the same text at both ends; it holds the agreement's digest and the session.
        public: 32 bytes.
        signature: Ed25519 over all of the above.
    """

    sender: str
    recipient: str
    purpose: str
    public: bytes
    signature: bytes

    def to_dict(self) -> dict[str, Any]:
        return {
            "sender": self.sender,
            "recipient": self.recipient,
            "purpose": self.purpose,
            "public": base64.b64encode(self.public).decode(),
            "signature": base64.b64encode(self.signature).decode(),
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read `to_dict`'s form.

        Raises:
            BadInput: for anything else.
        """
        keys = ("sender", "recipient", "purpose", "public", "signature")
        if not isinstance(document, Mapping) or set(document) != set(keys):
            raise BadInput("an offer of a key holds sender, recipient, purpose, public and signature")
        if not all(isinstance(document[key], str) for key in keys):
            raise BadInput("the fields of an offer of a key are texts")
        try:
            public, signature = (base64.b64decode(document[key], validate=True) for key in keys[3:])
        except (ValueError, binascii.Error):
            raise BadInput("an offer of a key is not base64") from None
        return cls(document["sender"], document["recipient"], document["purpose"], public, signature)

    def signed(self) -> bytes:
        """What the signature is over."""
        return _signed(self.sender, self.recipient, self.purpose, self.public)


def _signed(sender: str, recipient: str, purpose: str, public: bytes) -> bytes:
    return canonical_bytes(
        {
            "comity": _LABEL,
            "sender": sender,
            "recipient": recipient,
            "purpose": purpose,
            "public": public.hex(),
        }
    )


class Exchange:
    """One party's end of one exchange. The private half is drawn here and used once."""

    def __init__(self, *, sender: str, recipient: str, purpose: str, key: SigningKey) -> None:
        self._private = X25519PrivateKey.generate()
        public = self._private.public_key().public_bytes_raw()
        signature = key.sign(_signed(sender, recipient, purpose, public))
        self.offer = Offer(sender, recipient, purpose, public, signature)

    def agree(self, theirs: Offer, *, key: VerifyKey) -> SharedKey:
        """The key shared with the other end.

        Args:
            theirs: what came from there, by whatever way.
            key: the other party's key in the agreement.

        Raises:
            VerificationFailed: if the offer is not the other party's, not for this party and purpose, or its
                public half is one that everybody could answer.
        """
        mine = self.offer
        if (theirs.sender, theirs.recipient, theirs.purpose) != (mine.recipient, mine.sender, mine.purpose):
            raise VerificationFailed("an offer of a key is from or for another party, or for something else")
        key.verify(theirs.signature, theirs.signed(), what=f"an offer of a key from '{theirs.sender}'")
        try:
            secret = self._private.exchange(X25519PublicKey.from_public_bytes(theirs.public))
        except ValueError:
            raise VerificationFailed(f"the offer of a key from '{theirs.sender}' is not usable") from None
        both = digest({"offers": sorted([mine.signed().hex(), theirs.signed().hex()])})
        info = canonical_bytes({"comity": _LABEL, "offers": both, "purpose": mine.purpose})
        return SharedKey(
            HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)
        )
