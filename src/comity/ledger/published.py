"""What a ledger shows to other parties: bodies for a node's `GET /ledger/...`, as functions of the ledger.

Everybody that the node lets in gets checkpoints, leaf hashes and proofs: they commit to salted entries and
tell no more than how many there are. An entry itself is opened only to a party that it is about:

- what this party asked, and what it was charged, refused and given (the plans that name it as recipient), and
- what was asked, charged and given of this party's own data, where another party's ledger holds that.

What was withheld, and notes, are opened to nobody: they hold figures for the owner's steward.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, cast

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, VerificationFailed
from comity.ledger.checkpoints import Checkpoint, check_fields
from comity.ledger.entries import Entry, now
from comity.ledger.ledger import Ledger
from comity.ledger.openings import Opening

MAX_LEAVES: Final = 50_000
"""A ledger of at most so many entries shows all its leaf hashes at once; a larger one only proofs."""

MAX_SHOWN: Final = 1_000
"""How many opened entries one body holds."""

HEADER: Final = "comity-ask"
"""The HTTP header that carries an `Ask`."""

_OPENED_KINDS: Final = frozenset({"opened", "asked", "charged", "refused", "released"})
_CONTEXT: Final = b"comity ledger ask 1\n"
_LIFETIME: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Ask:
    """Who asks to see a ledger, signed: mutual TLS shows that some peer called, not which one.

    It names whom it is for, so that one owner cannot show it to another; read again within its few minutes it
    opens the same entries to the same key's holder.
    """

    party: str
    owner: str
    time: str
    signature: bytes

    @classmethod
    def sign(cls, key: SigningKey, *, party: str, owner: str) -> Self:
        """Make one now."""
        time = now()
        return cls(party, owner, time, key.sign(_CONTEXT + canonical_bytes(_facts(party, owner, time))))

    @classmethod
    def from_header(cls, text: str) -> Self:
        """Read the header's value; nothing is verified yet.

        Raises:
            BadInput: if it is not one.
        """
        try:
            document = json.loads(base64.b64decode(text, validate=True))
        except ValueError:
            raise BadInput(f"the header {HEADER} is not base64 of JSON") from None
        check_fields(document, "an ask", {"party", "owner", "time", "signature"})
        fields = cast("Mapping[str, Any]", document)
        values = [fields[name] for name in ("party", "owner", "time", "signature")]
        if not all(isinstance(value, str) for value in values):
            raise BadInput("an ask's fields are text")
        try:
            return cls(values[0], values[1], values[2], bytes.fromhex(values[3]))
        except ValueError:
            raise BadInput("an ask's signature is hexadecimal") from None

    @property
    def header(self) -> str:
        """The header's value."""
        facts = {**_facts(self.party, self.owner, self.time), "signature": self.signature.hex()}
        return base64.b64encode(canonical_bytes(facts)).decode()

    def verify(self, keys: Mapping[str, VerifyKey], *, owner: str) -> str:
        """Check that it is by this party, for this owner, and of now.

        Args:
            keys: of the parties that may see something.
            owner: whose ledger it is.

        Returns:
            The asking party's name.

        Raises:
            VerificationFailed: if it is not.
        """
        key = keys.get(self.party)
        if key is None or self.owner != owner:
            raise VerificationFailed("the ask is by nobody known here, or for another ledger")
        facts = _facts(self.party, self.owner, self.time)
        key.verify(self.signature, _CONTEXT + canonical_bytes(facts), what=f"the ask of '{self.party}'")
        try:
            age = datetime.now(UTC) - datetime.fromisoformat(self.time)
        except (ValueError, TypeError):
            age = _LIFETIME * 2
        if abs(age) > _LIFETIME:
            raise VerificationFailed(f"the ask is of {self.time}; check the clocks of both sides")
        return self.party


def published(
    ledger: Ledger, *, asker: str | None, since: int | None = None, start: int = 0
) -> dict[str, Any]:
    """The body of `GET /ledger/checkpoint`: the signed head, what proves it, and what the asker may read.

    Args:
        ledger: the owner's.
        asker: the party whose `Ask` verified; None sees no entry.
        since: size of a checkpoint that the asker kept, for the proof that the present one extends it.
        start: first entry to open; `more` of the body before says where to go on.

    Raises:
        UsageError: if the ledger never had `since` entries.
    """
    head = ledger.checkpoint()
    consistency = None
    if since is not None:
        proof = ledger.consistency(since, head.size)
        consistency = {"old_size": since, "path": [step.hex() for step in proof.path]}
    leaves = [leaf.hex() for leaf in ledger.leaves(0, head.size)] if head.size <= MAX_LEAVES else None
    about = [] if asker is None else shown_to(ledger, asker)
    shown = [entry for entry in about if start <= entry.seq < head.size]
    return {
        "owner": ledger.owner,
        "key": str(ledger.verify_key),
        "checkpoint": head.to_dict(),
        "consistency": consistency,
        "leaves": leaves,
        "entries": [_opened(ledger, entry, head) for entry in shown[:MAX_SHOWN]],
        "more": shown[MAX_SHOWN].seq if len(shown) > MAX_SHOWN else None,
    }


def published_proof(
    ledger: Ledger, sequence: int, *, asker: str | None, size: int | None = None
) -> dict[str, Any]:
    """The body of `GET /ledger/proof/{sequence}`: that an entry is under a checkpoint; opened if it may be.

    Args:
        size: of the checkpoint, None for the present one.

    Raises:
        UsageError: if there is no such entry or checkpoint.
    """
    checkpoint = None if size is None else ledger.checkpoint_at(size)
    if asker is not None and any(entry.seq == sequence for entry in shown_to(ledger, asker)):
        return ledger.opening(sequence, checkpoint).to_dict()
    return ledger.prove(sequence, checkpoint).to_dict()


def published_consistency(ledger: Ledger, old: int, new: int | None = None) -> dict[str, Any]:
    """The body of `GET /ledger/consistency/{old}/{new}`: the larger ledger extends the smaller one.

    Raises:
        UsageError: if it never had so many.
    """
    return ledger.consistency(old, new).to_dict()


def shown_to(ledger: Ledger, asker: str) -> list[Entry]:
    """The entries that are opened to a party, in order."""
    entries = [entry for entry in ledger.events() if entry.kind in _OPENED_KINDS]
    asked = {e.body.get("plan") for e in entries if e.kind == "asked" and e.body.get("recipient") == asker}
    return [entry for entry in entries if _is_about(entry, asker, asked)]


def _is_about(entry: Entry, asker: str, asked: set[Any]) -> bool:
    body = entry.body
    if "recipient" in body:
        mine = body["recipient"] == asker
    else:
        mine = body.get("plan", body.get("request")) in asked
    return mine or any(account.startswith(f"{asker}/") for account in _accounts(body))


def _accounts(body: Mapping[str, Any]) -> list[str]:
    also = body.get("also")
    others = cast("list[object]", also) if isinstance(also, list) else []
    names: list[object] = [body.get("account"), *others]
    return [name for name in names if isinstance(name, str)]


def _opened(ledger: Ledger, entry: Entry, head: Checkpoint) -> dict[str, Any]:
    inclusion = ledger.prove(entry.seq, head)
    document = Opening(inclusion, entry.salt, entry.event).to_dict()
    del document["checkpoint"]  # the body's own
    return document


def _facts(party: str, owner: str, time: str) -> dict[str, str]:
    return {"party": party, "owner": owner, "time": time}
