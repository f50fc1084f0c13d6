"""`blind-validation` with `groupings: encrypted`: neither mediator nor providers see a group or a prediction.

Neighbouring relation, sensitivity, who sees what and the mechanism stand in `comity.validate.blind_bfv`; here
are the messages.

1. The ML party sends every provider the frame and a token key sealed to it, and the mediator its public key.
2. Each provider charges its account for all answers of the session and sends the mediator its holders'
   tokens (`comity.validate.blind_holders`). The mediator charges every account in its own ledger too, looks
   at the tokens, and tells the ML party that it may ask.
3. A question goes to the providers, encrypted; what the mediator gets of it is its shape and the digests of
   its parts, so that it can tell whether all answers are to the same one.
4. Each provider sends the mediator its noisy partial sums, encrypted and masked; the mediator adds them up
   with its own noise and releases the sum to the ML party.

A provider's and the mediator's draws for an answer are stored. The same bytes asked again get the same bytes,
another question for the same portion of the price is refused.

Lying about a question's weights is not found out, so the clause has to say `unsafe_unseen_groups: true`. A
mediator that puts a question of its own to a provider is: questions are signed by the ML party.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from comity.architectures.blind_encrypted_answers import (
    ANSWER,
    DONE,
    QUESTION,
    asked_digest,
    calibration_of_encrypted,
    mediator,
    provider,
)
from comity.architectures.blind_frame import TOPIC, frame_of, mediator_of, require_agreed, taught
from comity.architectures.blind_opening import await_opening
from comity.architectures.definition import Exposure, InWords, Seat, Task, Trust
from comity.architectures.exchange import receive_release, send_query
from comity.crypto.bfv import DecryptionKey, Scheme
from comity.crypto.pads import random_key, random_name
from comity.crypto.sealed import seal_to
from comity.errors import MissingExtra, PartyFailed
from comity.validate.blind import total_calibration
from comity.validate.blind_bfv import opened_sums
from comity.validate.blind_bfv_question import EncryptedQuestion, Shape
from comity.validate.mechanism import NoisySums
from comity.wire import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comity.validate.queries import Query

__all__ = ["ANSWER", "EXPOSURE", "EncryptedAsker", "mediator", "ml_party", "provider"]


def _absent(_task: Task, _providers: Sequence[str]) -> str | None:
    return None if find_spec("tenseal") else str(MissingExtra("encrypted groupings", "homomorphic"))


EXPOSURE = Exposure(
    trust=(
        Trust("ml_party", "asks with the weights that it states: nobody else can see them"),
        Trust("mediator", "adds up what it got, and colludes neither with the ML party nor with a provider"),
        Trust(
            "provider", "answers honestly, names all records that it holds, and at most one tells its noise"
        ),
        Trust("ml_party", "may know the features and ids of the records of the frame"),
    ),
    seen_by={
        "provider": (
            "the ids of the frame",
            "ciphertexts of every record's weights, how many sums they are for; no group, no prediction",
        ),
        "mediator": (
            "ciphertexts that only the ML party can open, and how many sums there are; no group, no label",
            "how many records are at several providers, not which",
        ),
        "ml_party": (
            "one noisy sum per question and group over all providers",
            "features and ids, which it had before",
        ),
    },
    skip=_absent,
    in_words=InWords(
        protects="Each record's label, with differential privacy; and groups and predictions from everybody.",
        against="The ML party, the mediator and the other providers.",
        price="Nobody can check what is asked; ciphertexts cost bandwidth and time.",
    ),
)


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """One lesson, and feedback on what it taught."""
    asker = EncryptedAsker.open(seat, channel)
    providers = len(seat.providers)
    figures = taught(seat, asker.ask, noises=1 + providers / max(1, providers - 1))
    asker.close()
    return figures


class EncryptedAsker:
    """The ML party's end of a session: the key pair, questions, answers."""

    def __init__(self, seat: Seat, channel: Channel) -> None:
        self._seat = seat
        self._channel = channel
        self._scheme = Scheme()
        self._key = DecryptionKey(self._scheme)
        self._asked: dict[str, tuple[Query, EncryptedQuestion]] = {}

    @classmethod
    def open(cls, seat: Seat, channel: Channel) -> EncryptedAsker:
        """Send everybody what it needs and wait until every account is charged.

        Raises:
            MissingExtra: without the part that encrypts, before anything is sent.
            ClauseRefused: if the mediator or a provider refused, with its words.
        """
        asker = cls(seat, channel)
        frame = frame_of(seat)[1]
        require_agreed(seat, frame)
        token_key = random_key()
        for name in seat.providers:
            parts = {
                "ids": json.dumps(frame).encode(),
                "token_key": seal_to(seat.agreement.party(name).key, token_key, purpose="token key"),
            }
            send_query(channel, name, "frame", {}, parts)
        send_query(channel, mediator_of(seat), "open", {}, {"public": asker._key.public})
        await_opening(seat, channel, mediator_of(seat))
        return asker

    def ask(self, query: Query, portion: int) -> NoisySums:
        """The noisy sums over all providers of a question whose rows are in the frame's order.

        Raises:
            ClauseRefused: if the mediator or a provider refused, with its words.
            UsageError: for questions that are too large to be encrypted.
        """
        return self.ask_as(random_name(), query, portion)

    def ask_as(self, name: str, query: Query, portion: int) -> NoisySums:
        """`ask` under a name of 128 bits: the same question again gets the same bytes."""
        known = self._asked.get(name)
        question = (
            known[1]
            if known is not None and known[0] is query
            else EncryptedQuestion.of(query, self._key, self._scheme)
        )
        self._asked.setdefault(name, (query, question))
        calibration = calibration_of_encrypted(self._seat, question.shape, portion)
        self._send(name, portion, question)
        message = receive_release(self._seat, self._channel, mediator_of(self._seat), TOPIC)
        if message.body["outcome"].get("query") != name:
            raise PartyFailed("the mediator answered another question than was asked")
        if set(message.parts) != {str(at) for at in range(question.sums)}:
            raise PartyFailed("the mediator answered in a form that cannot be read")
        answer = [message.parts[str(at)] for at in range(question.sums)]
        total = total_calibration(calibration, len(self._seat.providers))
        return opened_sums(answer, query, total, self._key, self._scheme)

    def close(self) -> None:
        """Tell everybody that there are no more questions."""
        for party in (*self._seat.providers, mediator_of(self._seat)):
            send_query(self._channel, party, DONE, {}, {})

    def _send(self, name: str, portion: int, question: EncryptedQuestion) -> None:
        shape, parts = question.to_message()
        body = {"name": name, "portion": portion, "question": shape}
        for provider_ in self._seat.providers:
            send_query(self._channel, provider_, QUESTION, body, parts)
        asked = asked_digest(name, portion, Shape.from_dict(shape), parts)
        send_query(self._channel, mediator_of(self._seat), QUESTION, {**body, "asked": asked}, {})
