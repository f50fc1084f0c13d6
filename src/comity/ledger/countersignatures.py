"""Countersignatures: another party's signature that it has seen a checkpoint, and what came before it.

Who holds a ledger's key can rewrite it and sign everything anew. What it cannot do is make the others forget:
each of them signs a new checkpoint only when a consistency proof (RFC 6962, section 2.1.2) shows that it
extends the last one that this party kept, and keeps both. Two checkpoints of one size with two roots, each
signed by the ledger's key, are proof of a fork that anybody can check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, VerificationFailed
from comity.ledger.checkpoints import Checkpoint, Consistency, check_fields
from comity.ledger.entries import now
from comity.ledger.log import Log
from comity.ledger.merkle import verify_consistency

_CONTEXT: Final = b"comity ledger countersignature 1\n"


@dataclass(frozen=True)
class Countersignature:
    """A party's signature that a checkpoint extends every earlier one that it has signed of this ledger.

    Attributes:
        party: who countersigned; never the ledger's owner.
        checkpoint: what was signed, itself signed by the ledger's key.
        signature: Ed25519, by the party's key.
        time: when, UTC (ISO 8601), by the party's clock.
    """

    party: str
    checkpoint: Checkpoint
    signature: bytes
    time: str

    @classmethod
    def sign(cls, key: SigningKey, *, party: str, checkpoint: Checkpoint) -> Self:
        """Make one now. `Keeper.countersign` decides whether to."""
        time = now()
        return cls(party, checkpoint, key.sign(_signed(party, checkpoint, time)), time)

    def verify(self, key: VerifyKey, owner_key: VerifyKey) -> None:
        """Check both signatures: the party's and, on the checkpoint, the owner's.

        Raises:
            VerificationFailed: if one does not verify.
        """
        self.checkpoint.verify(owner_key)
        message = _signed(self.party, self.checkpoint, self.time)
        what = f"'{self.party}'s countersignature of the checkpoint of {self.checkpoint.size} entries"
        key.verify(self.signature, message, what=what)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "party": self.party,
            "checkpoint": self.checkpoint.to_dict(),
            "time": self.time,
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form; nothing is verified yet.

        Raises:
            BadInput: if it is not a countersignature.
        """
        check_fields(document, "a countersignature", {"party", "checkpoint", "time", "signature"})
        fields = cast("Mapping[str, Any]", document)
        party, time, signature = fields["party"], fields["time"], fields["signature"]
        if not all(isinstance(text, str) for text in (party, time, signature)):
            raise BadInput("a countersignature's party, time and signature are text")
        try:
            raw = bytes.fromhex(signature)
        except ValueError:
            raise BadInput("a countersignature's signature is hexadecimal") from None
        return cls(party, Checkpoint.from_dict(fields["checkpoint"]), raw, time)


@dataclass(frozen=True)
class Offer:
    """A checkpoint offered for countersigning, with the proof that it extends what the signer kept.

    `since` is the size that the proof starts from; 0, with an empty path, where nothing was kept.
    """

    checkpoint: Checkpoint
    since: int
    path: tuple[bytes, ...]

    def check_extends(self, kept: Checkpoint) -> None:
        """Check the proof between a checkpoint that was kept and the one offered.

        Raises:
            VerificationFailed: if it does not show that.
        """
        if self.since != kept.size:
            raise VerificationFailed(
                f"the proof offered starts from {self.since} entries; the one kept here has {kept.size}"
            )
        new = self.checkpoint
        verify_consistency(kept.size, kept.root, new.size, self.path, new.root)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        path = [step.hex() for step in self.path]
        return {
            "checkpoint": self.checkpoint.to_dict(),
            "consistency": {"old_size": self.since, "path": path},
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form; nothing is verified yet.

        Raises:
            BadInput: if it is no offer.
        """
        check_fields(document, "an offer", {"checkpoint", "consistency"})
        fields = cast("Mapping[str, Any]", document)
        proof = fields["consistency"]
        check_fields(proof, "an offer's consistency", {"old_size", "path"})
        read = Consistency.from_dict({**proof, "checkpoint": fields["checkpoint"]})
        return cls(read.checkpoint, read.old_size, read.path)


def offer(ledger: Log, since: Checkpoint | None = None) -> dict[str, Any]:
    """What a ledger's owner sends to have its present checkpoint countersigned.

    Args:
        ledger: the owner's.
        since: the last checkpoint that the signer has countersigned, None if there is none.

    Raises:
        VerificationFailed: if `since` is not a checkpoint of this ledger as it is.
    """
    if since is None:
        return Offer(ledger.checkpoint(), 0, ()).to_dict()
    ledger.check_own(since)
    proof = ledger.consistency(since.size)
    return Offer(proof.checkpoint, since.size, proof.path).to_dict()


def check_one_history(
    one: Checkpoint, other: Checkpoint, key: VerifyKey, path: tuple[bytes, ...] = ()
) -> None:
    """Check that two checkpoints, kept by two parties, are of one history: the owner may show each its own.

    Args:
        one, other: in any order.
        key: the ledger's.
        path: the consistency proof from the smaller to the larger one, as the owner gives it.

    Raises:
        VerificationFailed: if they are of two ledgers, if they fork, or if the proof does not join them.
    """
    one.verify(key)
    other.verify(key)
    if one.ledger != other.ledger:
        raise VerificationFailed("the same key has signed checkpoints of two ledgers: one of them is a fork")
    old, new = sorted((one, other), key=lambda checkpoint: checkpoint.size)
    if old.size == new.size and old.root != new.root:
        raise VerificationFailed(
            f"two histories of {old.size} entries were signed with one key: the ledger was forked; keep both "
            "checkpoints, they prove it"
        )
    verify_consistency(old.size, old.root, new.size, path if old.size < new.size else (), new.root)


def _signed(party: str, checkpoint: Checkpoint, time: str) -> bytes:
    return _CONTEXT + canonical_bytes({"party": party, "checkpoint": checkpoint.to_dict(), "time": time})
