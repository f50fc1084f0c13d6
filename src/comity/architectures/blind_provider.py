"""A provider in `blind-validation`: padded labels to the mediator, then noise on numbers that look random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.blind_frame import (
    MINIMUM_GROUP,
    PORTIONS,
    TOPIC,
    agreed_frame,
    calibration_of,
    digests,
    mediator_of,
    own_labels,
    paid_share,
    stored,
)
from comity.architectures.definition import Seat
from comity.architectures.exchange import account_of, receive_query, send_answer
from comity.crypto.canonical import digest
from comity.crypto.exchange import Exchange, Offer
from comity.crypto.pads import random_name
from comity.crypto.sealed import open_sealed
from comity.errors import BadInput
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan
from comity.validate.blind import PadKeys, TokenOrder, Upload, second_noise
from comity.validate.blind_holders import PART, holder_tokens
from comity.validate.mechanism import Sizes
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    from comity.crypto.pads import Words
    from comity.mechanism import Noise

UPLOAD, ANSWER, DONE = "upload", "answer", "done"

ASKS: Mapping[str, Any] = {"mode": "linked", "groupings": "open", "minimum_group": MINIMUM_GROUP}


def purpose_of(seat: Seat, other: str) -> str:
    """What a key between two parties is for: the same text at both ends."""
    return digest({"agreement": seat.agreement.digest, "between": sorted([seat.party, other])})


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Upload once, then add noise to each answer until the mediator says that there are no more."""
    frame, share = upload(seat, channel)
    serve(seat, channel, share)
    return {"rows_used": len(frame)}


def upload(seat: Seat, channel: Channel) -> tuple[list[str], str]:
    """Agree on a key with the ML party and send the padded labels; the frame, and the share's name."""
    invitation = receive_query(channel, seat.ml_party, "frame")
    frame = agreed_frame(seat, invitation)
    theirs = Offer.from_dict(invitation.body.get("offer"))
    token_key = open_sealed(seat.key, invitation.parts.get("token_key", b""), purpose="token key")
    exchange = Exchange(
        sender=seat.party, recipient=seat.ml_party, purpose=purpose_of(seat, seat.ml_party), key=seat.key
    )
    shared = exchange.agree(theirs, key=seat.agreement.party(seat.ml_party).key)
    keys = PadKeys(shared, seat.party, seat.agreement.digest, random_name())
    stored(seat).claim(f"nonce-{keys.nonce}")

    def run() -> Outcome:
        held, labels = own_labels(seat, frame)
        order = TokenOrder.over(len(frame), token_key)
        return Outcome(
            body={"offer": exchange.offer.to_dict(), "nonce": keys.nonce},
            parts={**Upload.of(held, labels, order, keys).to_parts(), PART: holder_tokens(held, token_key)},
        )

    share = paid_share(
        seat,
        asks=ASKS,
        purpose=f"padded labels of {seat.party} over a frame of {len(frame)} records",
        topic=UPLOAD,
        request={"frame": digest(frame), "offer": theirs.to_dict(), "nonce": keys.nonce},
        run=run,
    )
    send_answer(seat, channel, share)
    return frame, share.name


def serve(seat: Seat, channel: Channel, share: str) -> None:
    """Add noise to the answers that a share has paid for; to be called again by a process that takes over.

    Args:
        share: the plan name of the upload.
    """
    mediator = mediator_of(seat)
    while True:
        message = channel.receive(mediator)
        if message.kind is not Kind.query or message.topic not in (ANSWER, DONE):
            raise BadInput(
                f"'{mediator}' sent a {message.kind} about '{message.topic[:40]}' where '{ANSWER}' was due"
            )
        if message.topic == DONE:
            return
        _add_noise(seat, channel, share, message)


def _add_noise(seat: Seat, channel: Channel, share: str, message: Message) -> None:
    """Add this provider's noise to a summand that looks random to it, once per portion of the price."""
    portion, name, sizes, words = _read_summand(message)
    calibration = calibration_of(seat, sizes, portion)
    asked = {"query": name, "portion": portion, "sizes": sizes.to_dict(), "parts": digests(message.parts)}

    def run() -> Outcome:
        drawn = stored(seat).once(
            f"noise-{portion:x}", digest(asked), lambda: _noised(words, calibration, len(seat.providers))
        )
        return Outcome(body={"query": name}, parts=drawn)

    noisy = Plan(
        architecture="blind-validation",
        purpose=f"{seat.party}'s noise on one of the answers its upload has paid for",
        recipient=seat.ml_party,
        topic=TOPIC,
        request={"share": share, "portion": portion},
        asks=ASKS,
        account=account_of(seat, unit=PrivacyUnit.label),
        cost=None,
        draws_on=share,
        run=run,
    )
    send_answer(seat, channel, noisy)


def _read_summand(message: Message) -> tuple[int, str, Sizes, Words]:
    try:
        portion, name = message.body["portion"], message.body["query"]
        sizes = Sizes.from_dict(message.body["sizes"])
        words = np.frombuffer(message.parts["summand"], dtype="<u8").astype(np.uint64)
    except (KeyError, ValueError):
        raise BadInput(f"'{message.sender}' sent an answer in a form that cannot be read") from None
    sound = (
        type(portion) is int and 0 <= portion < len(PORTIONS) and isinstance(name, str) and len(name) == 32
    )
    if not sound or len(words) != sizes.dimensions:
        raise BadInput(f"'{message.sender}' sent an answer of the wrong size, or to none of the portions")
    return portion, name, sizes, words


def _noised(words: Words, calibration: Noise, providers: int) -> dict[str, bytes]:
    return {"summand": second_noise(words, calibration, providers).astype("<u8").tobytes()}
