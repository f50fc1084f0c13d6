"""Tables that leave in pieces: one release, charged and checked once, sent as many messages on request.

A candidate is made on disk, complete or not at all, and stays there: asked again, by a program that was
started again or in another session, the same bytes leave. Its outcome lists the digest of every piece, so
that the gate lets those bytes through and no others (`comity.gate.piece`). The receiver asks for one piece
after another: at most one is on its way, and neither end holds more than that in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from comity.architectures.exchange import receive_query, send_query
from comity.errors import BadInput, PartyFailed, VerificationFailed
from comity.gate import piece
from comity.plan import Outcome, Plan

if TYPE_CHECKING:
    from comity.architectures.definition import Seat
    from comity.wire import Channel, Message

PIECE_BYTES: Final = 4 * 2**20
"""About how many bytes of a table one message carries."""

PIECE: Final = "piece"
_OUTCOME: Final = "outcome.json"


class Candidate:
    """What a plan has made: pieces and the outcome that lists them, in a folder of the party's own."""

    def __init__(self, folder: Path, agreement: str = "") -> None:
        """
        Args:
            folder: its own, named after what was asked and the terms it was made under.
            agreement: the agreement's text, kept beside it so that it is found when the agreement ends.
        """
        self.folder = folder
        self._agreement = agreement
        self._digests: list[str] = []

    @property
    def complete(self) -> bool:
        return (self.folder / _OUTCOME).is_file()

    def begin(self) -> None:
        """Make room for a new one: what an interrupted run has left goes."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        (self.folder / "agreement.yaml").write_text(self._agreement, encoding="utf-8")
        self._digests = []

    def add(self, data: bytes) -> None:
        """Append a piece."""
        (self.folder / f"piece-{len(self._digests):06d}").write_bytes(data)
        self._digests.append(hashlib.sha256(data).hexdigest())

    def finish(self, body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Outcome:
        """Complete it: the outcome is `body` and the list of pieces, with `parts` beside them."""
        for name, data in parts.items():
            (self.folder / f"part-{name}").write_bytes(data)
        document = {"body": {**body, "pieces": self._digests}, "parts": sorted(parts)}
        draft = self.folder / f".{_OUTCOME}"
        draft.write_text(json.dumps(document), encoding="utf-8")
        os.replace(draft, self.folder / _OUTCOME)
        return self.outcome()

    def outcome(self) -> Outcome:
        document = json.loads((self.folder / _OUTCOME).read_text(encoding="utf-8"))
        parts = {name: (self.folder / f"part-{name}").read_bytes() for name in document["parts"]}
        return Outcome(body=document["body"], parts=parts)

    def pieces(self) -> Iterator[bytes]:
        """All pieces, in order."""
        for number in range(len(self.outcome().body["pieces"])):
            yield self.read(number)

    def read(self, number: int) -> bytes:
        return (self.folder / f"piece-{number:06d}").read_bytes()

    def discard(self) -> None:
        """Forget it, so that the next attempt is made anew."""
        shutil.rmtree(self.folder, ignore_errors=True)


def serve_pieces(seat: Seat, channel: Channel, plan: Plan, candidate: Candidate) -> None:
    """Send every piece as its recipient asks for it.

    Raises:
        BadInput: if it asks for something else.
    """
    outcome = candidate.outcome()
    for number in range(len(outcome.body["pieces"])):
        query = receive_query(channel, plan.recipient, PIECE)
        if query.body.get("number") != number:
            raise BadInput(f"'{plan.recipient}' asked for another piece than number {number}, which is next")
        channel.send(plan.recipient, piece(plan, outcome, number, candidate.read(number), seat.ledger))


def receive_pieces(channel: Channel, first: Message) -> Iterator[bytes]:
    """Ask for every piece of a release or share, one after another.

    Args:
        first: its first message, which lists the pieces.

    Raises:
        VerificationFailed: if the list is none, or a piece is not the one that it names.
        PartyFailed: if something else comes.
    """
    listed = first.body["outcome"].get("pieces")
    if not isinstance(listed, list):
        raise VerificationFailed(f"'{first.sender}' sent a {first.kind} that does not list its pieces")
    for number, digest in enumerate(listed):
        send_query(channel, first.sender, PIECE, {"number": number}, {})
        message = channel.receive(first.sender)
        if message.kind is not first.kind or message.topic != first.topic:
            raise PartyFailed(
                f"'{first.sender}' sent a {message.kind} about '{message.topic[:40]}' where piece {number} "
                f"of '{first.topic}' was due"
            )
        data = message.parts.get("piece", b"")
        if message.body.get("piece") != number or hashlib.sha256(data).hexdigest() != digest:
            raise VerificationFailed(
                f"piece {number} of '{first.topic}' from '{first.sender}' is not the one that it released"
            )
        yield data
