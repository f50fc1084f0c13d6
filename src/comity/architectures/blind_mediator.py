"""The mediator in `blind-validation`: adds up uniform words by opaque groups, once per answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.blind_frame import (
    CLAUSE,
    NAME_LENGTH,
    admission_of,
    agreed_rows,
    calibration_of,
    digests,
    holders_of,
    named_portion,
    read_question,
    stored,
)
from comity.architectures.blind_provider import ANSWER, DONE, UPLOAD, purpose_of
from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_query, send_query
from comity.crypto.canonical import digest
from comity.crypto.exchange import Exchange, Offer, SharedKey
from comity.errors import BadInput, ComityError, PartyFailed, Refused
from comity.gate import refusal_of
from comity.validate.blind import Pooled, Upload, masked_answer
from comity.validate.blind_holders import PART, require_few_holders
from comity.validate.mechanism import Sizes
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    from comity.validate.blind_admission import Admission
    from comity.validate.queries import Query

COUNTED = "counted"


def mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Take every provider's upload, then answer the ML party's questions until it has no more."""
    opening = receive_query(channel, seat.ml_party, "open")
    exchange = Exchange(
        sender=seat.party, recipient=seat.ml_party, purpose=purpose_of(seat, seat.ml_party), key=seat.key
    )
    shared = exchange.agree(
        Offer.from_dict(opening.body.get("offer")), key=seat.agreement.party(seat.ml_party).key
    )
    records = agreed_rows(seat)
    offers: dict[str, Any] = {}
    holders: dict[str, bytes] = {}
    pooled = Pooled.over(_uploads(seat, channel, records, offers, holders))
    require_few_holders(holders, records, holders_of(seat), clause=CLAUSE)
    send_query(channel, seat.ml_party, "ready", {"offer": exchange.offer.to_dict(), "providers": offers}, {})
    Counter(seat, pooled, shared, admission_of(seat)).serve(channel)
    return {"rows_used": records}


def _uploads(
    seat: Seat, channel: Channel, records: int, offers: dict[str, Any], holders: dict[str, bytes]
) -> Iterator[tuple[str, Upload]]:
    """Every provider's upload, one at a time; its key offer goes into `offers`, what tells of records at
    several providers into `holders`. Anything odd stops it all."""
    for provider in seat.providers:
        message = _share(channel, provider)
        outcome = message.body["outcome"]
        offer, nonce = outcome.get("offer"), outcome.get("nonce")
        if not isinstance(nonce, str) or len(nonce) != NAME_LENGTH or set(nonce) - set("0123456789abcdef"):
            raise BadInput(f"the upload of '{provider}' has no nonce of 128 bits; nothing was counted")
        stored(seat).claim(f"nonce-{nonce}")
        offers[provider] = {"offer": offer, "nonce": nonce}
        holders[provider] = message.parts.get(PART, b"")
        words = {name: data for name, data in message.parts.items() if name != PART}
        yield provider, Upload.from_parts(words, records=records)


def _share(channel: Channel, provider: str) -> Message:
    message = channel.receive(provider)
    if message.kind is Kind.refusal:
        raise PartyFailed(f"'{provider}' refused: {message.body.get('message', message.body.get('code'))}")
    if message.kind is not Kind.share or message.topic != UPLOAD:
        raise PartyFailed(f"'{provider}' sent a {message.kind} where its upload was due")
    if not isinstance(message.body.get("outcome"), dict):
        raise BadInput(f"'{provider}' sent an upload that cannot be read")
    return message


class Counter:
    """Answers questions about one set of uploads; what it drew it keeps, and repeats to who asks again.

    Args:
        pooled, shared: what new answers are made from; None in a process that took over from another one,
            which has the stored answers and nothing else: keys and uploads were that process's alone.
    """

    def __init__(
        self, seat: Seat, pooled: Pooled | None, shared: SharedKey | None, admission: Admission | None
    ) -> None:
        self._seat = seat
        self._pooled = pooled
        self._shared = shared
        self._admission = admission
        self._stored = stored(seat)

    def serve(self, channel: Channel) -> None:
        """Until the ML party says that it is done, which is passed on to the providers."""
        asker = self._seat.ml_party
        while True:
            message = channel.receive(asker)
            if message.kind is not Kind.query or message.topic not in ("question", DONE):
                raise BadInput(
                    f"'{asker}' sent a {message.kind} about '{message.topic[:40]}' where a question was due"
                )
            if message.topic == DONE:
                for provider in self._seat.providers:
                    send_query(channel, provider, DONE, {}, {})
                return
            self._answer(channel, message)

    def _answer(self, channel: Channel, message: Message) -> None:
        """One question: a summand to each provider, or a refusal to who asked."""
        try:
            body, parts = self._counted(message)
        except ComityError as error:
            channel.send(message.sender, refusal_of(error, topic=COUNTED))
            if isinstance(error, Refused):
                return
            raise
        send_query(channel, message.sender, COUNTED, {"query": body["query"]}, {})
        for at, provider in enumerate(self._seat.providers):
            send_query(channel, provider, ANSWER, body, {"summand": parts[str(at)]})

    def _counted(self, message: Message) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What the providers are told of an answer, and each one's summand."""
        name, portion = named_portion(message)
        query = read_question(message)
        asked = digest({"body": dict(message.body), "parts": digests(message.parts)})
        parts = self._stored.once(f"sums-{portion:x}", asked, lambda: self._drawn(query, name, portion))
        return {"query": name, "portion": portion, "sizes": Sizes.of(query).to_dict()}, parts

    def _drawn(self, query: Query, name: str, portion: int) -> dict[str, bytes]:
        if self._pooled is None or self._shared is None or self._admission is None:
            raise PartyFailed(
                "the uploads were held by a process that has ended: answers already given are repeated, for "
                "new ones open a new session"
            )
        calibration = calibration_of(self._seat, query, portion)
        self._admission.admit(query)
        summands = masked_answer(
            self._pooled,
            query,
            "label",
            calibration,
            second_pad(self._shared, name),
            len(self._seat.providers),
        )
        return {str(at): np.asarray(words, dtype="<u8").tobytes() for at, words in enumerate(summands)}


def second_pad(shared: SharedKey, name: str) -> bytes:
    """The key of the second pad of one answer, at both ends."""
    return shared.derive(use="second pad", query=name)
