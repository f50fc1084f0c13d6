"""Checkpoints: the ledger's owner signs how many entries there are and what the tree over them hashes to.

Whoever holds one can later tell whether the ledger still is what it was then: nothing cut off, nothing
rewritten. Every append stores one; receipts carry one to other parties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput
from comity.ledger.merkle import HASH_SIZE, verify_consistency, verify_inclusion

_CONTEXT = b"comity ledger checkpoint 1\n"
_LONGEST_PATH = 128  # a tree of 2^63 leaves has proofs of at most twice 63 hashes


@dataclass(frozen=True)
class Checkpoint:
    """A signed head of a ledger.

    Attributes:
        ledger: hash of the ledger's first leaf, which names the ledger.
        size: number of entries.
        root: root of the RFC 6962 tree over them.
        time: when it was signed, UTC (ISO 8601).
        agreement: digest of the agreement it was signed under, where there is one.
        signature: Ed25519, by the ledger's key.
    """

    ledger: bytes
    size: int
    root: bytes
    time: str
    agreement: str | None
    signature: bytes

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        *,
        ledger: bytes,
        size: int,
        root: bytes,
        time: str,
        agreement: str | None = None,
    ) -> Self:
        """Make one."""
        signature = key.sign(_signed(ledger, size, root, time, agreement))
        return cls(ledger, size, root, time, agreement, signature)

    def verify(self, key: VerifyKey) -> None:
        """Check the signature.

        Raises:
            VerificationFailed: if it does not verify.
        """
        message = _signed(self.ledger, self.size, self.root, self.time, self.agreement)
        key.verify(self.signature, message, what=f"the checkpoint of {self.size} entries")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, for receipts."""
        return {**_facts(self.ledger, self.size, self.root, self.time, self.agreement),
                "signature": self.signature.hex()}  # fmt: skip

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form; the signature is not checked here.

        Raises:
            BadInput: if it is not a checkpoint.
        """
        check_fields(document, "a checkpoint", {"ledger", "size", "root", "time", "agreement", "signature"})
        size, time, agreement = document["size"], document["time"], document["agreement"]
        if (
            type(size) is not int
            or size < 0
            or type(time) is not str
            or type(agreement) not in (str, type(None))
        ):
            raise BadInput("a checkpoint's size is a whole number, its time and agreement are strings")
        ledger, root = _hash(document["ledger"]), _hash(document["root"])
        return cls(ledger, size, root, time, agreement, _bytes(document["signature"]))


@dataclass(frozen=True)
class Inclusion:
    """The proof that a leaf is in the ledger that a checkpoint is of."""

    seq: int
    leaf: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    def verify(self, key: VerifyKey) -> None:
        """Check the checkpoint's signature and the path.

        Raises:
            VerificationFailed: if either fails.
        """
        self.checkpoint.verify(key)
        verify_inclusion(self.leaf, self.seq, self.checkpoint.size, self.path, self.checkpoint.root)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "seq": self.seq,
            "leaf": self.leaf.hex(),
            "path": [step.hex() for step in self.path],
            "checkpoint": self.checkpoint.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: if it is not an inclusion proof.
        """
        check_fields(document, "an inclusion proof", {"seq", "leaf", "path", "checkpoint"})
        if type(document["seq"]) is not int:
            raise BadInput("an inclusion proof's seq is a whole number")
        path = _path(document["path"])
        return cls(
            document["seq"], _hash(document["leaf"]), path, Checkpoint.from_dict(document["checkpoint"])
        )


@dataclass(frozen=True)
class Consistency:
    """The proof that the ledger of `checkpoint` extends the one of `old_size` entries."""

    old_size: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    def verify(self, old: Checkpoint, key: VerifyKey) -> None:
        """Check both signatures and the path between the two checkpoints.

        Raises:
            VerificationFailed: if any fails, or `old` is of another size.
        """
        old.verify(key)
        self.checkpoint.verify(key)
        verify_consistency(old.size, old.root, self.checkpoint.size, self.path, self.checkpoint.root)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "old_size": self.old_size,
            "path": [step.hex() for step in self.path],
            "checkpoint": self.checkpoint.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: if it is not a consistency proof.
        """
        check_fields(document, "a consistency proof", {"old_size", "path", "checkpoint"})
        if type(document["old_size"]) is not int:
            raise BadInput("a consistency proof's old_size is a whole number")
        path = _path(document["path"])
        return cls(document["old_size"], path, Checkpoint.from_dict(document["checkpoint"]))


def check_fields(document: object, what: str, names: set[str]) -> None:
    """
    Raises:
        BadInput: if a document that came from elsewhere is not an object with exactly these fields.
    """
    if not isinstance(document, Mapping) or set(cast("Mapping[str, Any]", document)) != names:
        raise BadInput(f"{what} has {', '.join(sorted(names))} and nothing else")


def _facts(ledger: bytes, size: int, root: bytes, time: str, agreement: str | None) -> dict[str, Any]:
    return {"ledger": ledger.hex(), "size": size, "root": root.hex(), "time": time, "agreement": agreement}


def _signed(ledger: bytes, size: int, root: bytes, time: str, agreement: str | None) -> bytes:
    return _CONTEXT + canonical_bytes(_facts(ledger, size, root, time, agreement))


def _bytes(text: object) -> bytes:
    if not isinstance(text, str) or text != text.lower():
        raise BadInput("hashes and signatures are written in lower-case hexadecimal")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadInput(f"{text[:20]!r} is not hexadecimal") from None


def _path(steps: object) -> tuple[bytes, ...]:
    if not isinstance(steps, list) or len(cast("list[object]", steps)) > _LONGEST_PATH:
        raise BadInput(f"a proof's path is a list of at most {_LONGEST_PATH} hashes")
    return tuple(_hash(step) for step in cast("list[object]", steps))


def _hash(text: object) -> bytes:
    value = _bytes(text)
    if len(value) != HASH_SIZE:
        raise BadInput(f"a SHA-256 hash has {HASH_SIZE} bytes, not {len(value)}")
    return value
