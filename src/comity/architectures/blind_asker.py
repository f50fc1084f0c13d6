"""The ML party in `blind-validation`: keys with everybody, questions to the mediator, sums from providers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.blind_frame import (
    NAME_LENGTH,
    TOPIC,
    calibration_of,
    frame_of,
    mediator_of,
    taught,
)
from comity.architectures.blind_mediator import COUNTED, second_pad
from comity.architectures.blind_provider import DONE, purpose_of
from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_query, receive_release, send_query
from comity.crypto.exchange import Exchange, Offer, SharedKey
from comity.crypto.pads import random_key, random_name
from comity.crypto.sealed import seal_to
from comity.errors import ClauseRefused, PartyFailed
from comity.validate.blind import PadKeys, PadSum, TokenOrder, opened, total_calibration
from comity.validate.blind_query import permuted, to_message
from comity.validate.mechanism import NoisySums
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    from comity.crypto.pads import Words
    from comity.validate.queries import Query


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """One lesson, and feedback on what it taught."""
    asker = Asker.open(seat, channel)
    providers = len(seat.providers)
    figures = taught(seat, asker.ask, noises=1 + providers / max(1, providers - 1))
    asker.close()
    return figures


class Asker:
    """The ML party's end of a session: the order of the tokens, everybody's pads, questions and answers."""

    def __init__(
        self, seat: Seat, channel: Channel, shared: SharedKey, order: TokenOrder, keys: list[PadKeys]
    ) -> None:
        self._seat = seat
        self._channel = channel
        self._shared = shared
        self._order = order
        self._pads = PadSum.over(keys, "label", order)

    @classmethod
    def open(cls, seat: Seat, channel: Channel) -> Asker:
        """Agree on keys with every provider and the mediator; wait until all uploads are in."""
        frame = frame_of(seat)[1]
        token_key = random_key()
        mediator = mediator_of(seat)
        exchanges = {
            other: Exchange(sender=seat.party, recipient=other, purpose=purpose_of(seat, other), key=seat.key)
            for other in (*seat.providers, mediator)
        }
        for provider in seat.providers:
            parts = {
                "ids": json.dumps(frame).encode(),
                "token_key": seal_to(seat.agreement.party(provider).key, token_key, purpose="token key"),
            }
            send_query(channel, provider, "frame", {"offer": exchanges[provider].offer.to_dict()}, parts)
        send_query(channel, mediator, "open", {"offer": exchanges[mediator].offer.to_dict()}, {})
        order = TokenOrder.over(len(frame), token_key)
        ready = receive_query(channel, mediator, "ready")
        agreed = {
            other: exchanges[other].agree(Offer.from_dict(document), key=seat.agreement.party(other).key)
            for other, document in _offers(ready, seat, mediator).items()
        }
        keys = [
            PadKeys(agreed[name], name, seat.agreement.digest, _nonce(ready, name)) for name in seat.providers
        ]
        return cls(seat, channel, agreed[mediator], order, keys)

    def ask(self, query: Query, portion: int) -> NoisySums:
        """The noisy sums over all providers of a question whose rows are in the frame's order.

        Raises:
            ClauseRefused: if the mediator or a provider refused, with its words.
        """
        return self.ask_as(random_name(), query, portion)

    def ask_as(self, name: str, query: Query, portion: int) -> NoisySums:
        """`ask` under a name of 128 bits: under the same name the same question gets the same answer."""
        turned = permuted(query, self._order.places)
        question, parts = to_message(turned)
        mediator = mediator_of(self._seat)
        body = {"name": name, "portion": portion, "question": question}
        send_query(self._channel, mediator, "question", body, parts)
        self._await_count(mediator, name)
        calibration = calibration_of(self._seat, query, portion)
        summands = [self._summand(provider, name, query.dimensions) for provider in self._seat.providers]
        sums = opened(summands, turned, calibration, second_pad(self._shared, name), self._pads)
        return NoisySums(sums, total_calibration(calibration, len(self._seat.providers)))

    def close(self) -> None:
        """Tell everybody that there are no more questions."""
        send_query(self._channel, mediator_of(self._seat), DONE, {}, {})

    def _await_count(self, mediator: str, name: str) -> None:
        message = self._channel.receive(mediator)
        if message.kind is Kind.refusal:
            body = message.body
            raise ClauseRefused(
                f"'{mediator}' refused: {body.get('message', body.get('code'))}",
                clause=str(body.get("clause", "not named")),
            )
        if message.kind is not Kind.query or message.topic != COUNTED or message.body.get("query") != name:
            raise PartyFailed(f"'{mediator}' sent something else where its count was due")

    def _summand(self, provider: str, name: str, dimensions: int) -> Words:
        message = receive_release(self._seat, self._channel, provider, TOPIC)
        data = message.parts.get("summand", b"")
        if len(data) != 8 * dimensions or message.body["outcome"].get("query") != name:
            raise PartyFailed(f"'{provider}' answered in a form that cannot be read")
        return np.frombuffer(data, dtype="<u8").astype(np.uint64)


def _offers(ready: Message, seat: Seat, mediator: str) -> dict[str, Any]:
    """Everybody's key offers as the mediator passes them on; their signatures are checked when used."""
    providers = ready.body.get("providers")
    if not isinstance(providers, Mapping) or set(providers) != set(seat.providers):
        raise PartyFailed(f"'{mediator}' does not pass on the key of every provider")
    offers = {name: entry.get("offer") for name, entry in providers.items() if isinstance(entry, Mapping)}
    return {**offers, mediator: ready.body.get("offer")}


def _nonce(ready: Message, provider: str) -> str:
    entry = ready.body["providers"][provider]
    nonce = entry.get("nonce") if isinstance(entry, Mapping) else None
    if not isinstance(nonce, str) or len(nonce) != NAME_LENGTH:
        raise PartyFailed(f"the upload of '{provider}' has no nonce of 128 bits")
    return nonce
