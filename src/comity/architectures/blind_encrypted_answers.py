"""Providers and mediator where groupings are encrypted: see `blind_encrypted` for the messages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.blind_frame import (
    CLAUSE,
    PORTIONS,
    TOPIC,
    agreed_frame,
    agreed_rows,
    digests,
    holders_of,
    mediator_of,
    named_portion,
    own_labels,
    paid_share,
    shared_price,
    stored,
)
from comity.architectures.blind_opening import OPENED, refused, send_drawn, send_opening
from comity.architectures.definition import Seat
from comity.architectures.exchange import account_of, receive_query, receive_share, send_answer
from comity.crypto.bfv import Scheme
from comity.crypto.canonical import digest
from comity.crypto.pads import random_name
from comity.crypto.sealed import open_sealed
from comity.errors import BadInput, ClauseRefused, ComityError, MissingExtra, PartyFailed, Refused
from comity.gate import refusal_of
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan
from comity.validate.blind import provider_sigma
from comity.validate.blind_bfv import added_counts, count_calibration, masked_count
from comity.validate.blind_bfv_question import EncryptedQuestion, Shape
from comity.validate.blind_holders import PART, holder_tokens, require_few_holders
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    from comity.mechanism import Noise

UPLOAD, QUESTION, ANSWER, DONE = "upload", "question", "answer", "done"

ASKS: Mapping[str, Any] = {"mode": "linked", "groupings": "encrypted", "unsafe_unseen_groups": True}

_LABELS = (0, 1)


def calibration_of_encrypted(seat: Seat, shape: Shape, portion: int) -> Noise:
    """The noise of an answer, the same at every end."""
    return count_calibration(
        shape,
        _LABELS,
        shared_price(seat),
        portion=PORTIONS[portion],
        holders=holders_of(seat),
        parties=len(seat.providers),
    )


def asked_digest(name: str, portion: int, shape: Shape, parts: Mapping[str, bytes]) -> str:
    """What tells one question from another, at every end alike."""
    return digest({"name": name, "portion": portion, "question": shape.to_dict(), "parts": digests(parts)})


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Charge once, then answer encrypted questions until the ML party has no more."""
    invitation = receive_query(channel, seat.ml_party, "frame")
    frame = agreed_frame(seat, invitation)
    token_key = open_sealed(seat.key, invitation.parts.get("token_key", b""), purpose="token key")
    _require_scheme(channel, mediator_of(seat), UPLOAD)
    share = _send_holders(seat, channel, frame, token_key)
    serve(seat, channel, share, frame)
    return {"rows_used": len(frame)}


def serve(seat: Seat, channel: Channel, share: str, frame: list[str]) -> None:
    """Answer what a share has paid for; to be called again by a process that takes over.

    Args:
        share: its plan name.
        frame: the agreed ids.
    """
    while (message := _next_question(seat, channel)).topic != DONE:
        _answer(seat, channel, share, frame, message)


def _send_holders(seat: Seat, channel: Channel, frame: list[str], token_key: bytes) -> str:
    """The charge for all answers, and the tokens of what this provider holds; the share's plan name."""
    session = stored(seat).once("opening", "opening", lambda: {"name": random_name().encode()})["name"]

    def run() -> Outcome:
        held, _ = own_labels(seat, frame)
        return Outcome(body={"records": len(frame)}, parts={PART: holder_tokens(held, token_key)})

    share = paid_share(
        seat,
        asks=ASKS,
        purpose=f"encrypted sums of {seat.party}'s labels over a frame of {len(frame)} records",
        topic=UPLOAD,
        request={"frame": digest(frame), "session": session.decode()},
        run=run,
    )
    send_answer(seat, channel, share)
    return share.name


def _answer(seat: Seat, channel: Channel, share: str, frame: list[str], message: Message) -> None:
    """One question: encrypted, masked and noisy sums to the mediator, or a refusal."""
    try:
        name, portion = named_portion(message)
        question = EncryptedQuestion.from_message(message.body.get("question"), message.parts)
        if question.records != len(frame):
            raise BadInput(
                f"'{message.sender}' asks about {question.records} records, the frame has {len(frame)}"
            )
        calibration = calibration_of_encrypted(seat, question.shape, portion)
    except ComityError as error:
        refused(channel, mediator_of(seat), error, ANSWER)
        return
    asked = asked_digest(name, portion, question.shape, message.parts)

    def run() -> Outcome:
        drawn = stored(seat).once(
            f"count-{portion:x}", asked, lambda: _drawn(seat, frame, question, calibration)
        )
        return Outcome(body={"query": name, "asked": asked}, parts=drawn)

    # a refusal has been sent, and the next question may pass
    with suppress(Refused):
        send_answer(
            seat,
            channel,
            Plan(
                architecture="blind-validation",
                purpose=f"{seat.party}'s encrypted sums for one of the answers that it has charged",
                recipient=mediator_of(seat),
                topic=ANSWER,
                request={"share": share, "portion": portion},
                asks=ASKS,
                account=account_of(seat, unit=PrivacyUnit.label),
                cost=None,
                draws_on=share,
                run=run,
                sealed=True,
            ),
        )


def _drawn(seat: Seat, frame: list[str], question: EncryptedQuestion, calibration: Noise) -> dict[str, bytes]:
    held, labels = own_labels(seat, frame)
    parties = len(seat.providers)
    ciphers = masked_count(
        question,
        (held * labels).astype(np.int64),
        calibration,
        provider_sigma(calibration, parties),
        parties=parties,
    )
    return {str(at): data for at, data in enumerate(ciphers)}


def mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Add up what the providers answer, question by question, until the ML party has no more."""
    public = receive_query(channel, seat.ml_party, "open").parts.get("public", b"")
    _require_scheme(channel, seat.ml_party, OPENED)
    records = agreed_rows(seat)
    try:
        holders = {
            name: receive_share(seat, channel, name, UPLOAD).parts.get(PART, b"") for name in seat.providers
        }
    except ClauseRefused as refusal:
        channel.send(seat.ml_party, refusal_of(refusal, topic=OPENED))
        raise
    opening = send_opening(
        seat,
        channel,
        records,
        ASKS,
        lambda: require_few_holders(holders, records, holders_of(seat), clause=CLAUSE),
    )
    while (message := _next_question(seat, channel)).topic != DONE:
        _add_up(seat, channel, opening, public, message)
    return {"rows_used": records}


def _add_up(seat: Seat, channel: Channel, opening: str, public: bytes, message: Message) -> None:
    """One question: the sum of all providers' answers, or the refusal of one of them."""
    try:
        name, portion = named_portion(message)
        shape = Shape.from_dict(message.body.get("question"))
        calibration = calibration_of_encrypted(seat, shape, portion)
        answers = _answers(seat, channel, shape, {"query": name, "asked": message.body.get("asked")})
    except ComityError as error:
        refused(channel, message.sender, error, TOPIC)
        return

    def draw() -> dict[str, bytes]:
        return {str(at): data for at, data in enumerate(added_counts(answers, public, calibration))}

    asked = {"asked": str(message.body.get("asked")), "answers": [digests(_numbered(one)) for one in answers]}
    with suppress(Refused):
        send_drawn(seat, channel, opening, ASKS, portion=portion, name=name, asked=asked, draw=draw)


def _answers(seat: Seat, channel: Channel, shape: Shape, about: Mapping[str, Any]) -> list[list[bytes]]:
    """Every provider's ciphertexts, in the order of the sums.

    Raises:
        ClauseRefused: if a provider refused; all have been heard by then.
        PartyFailed: if one answered another question.
    """
    answers: list[list[bytes]] = []
    refusal: ClauseRefused | None = None
    for provider_ in seat.providers:
        try:
            message = receive_share(seat, channel, provider_, ANSWER)
        except ClauseRefused as error:
            refusal = refusal or error
            continue
        sound = set(message.parts) == {str(at) for at in range(shape.sums)}
        if not sound or message.body["outcome"] != about:
            raise PartyFailed(f"'{provider_}' answered another question than the others were asked")
        answers.append([message.parts[str(at)] for at in range(shape.sums)])
    if refusal is not None:
        raise refusal
    return answers


def _numbered(ciphers: list[bytes]) -> dict[str, bytes]:
    return {str(at): data for at, data in enumerate(ciphers)}


def _next_question(seat: Seat, channel: Channel) -> Message:
    message = channel.receive(seat.ml_party)
    if message.kind is not Kind.query or message.topic not in (QUESTION, DONE):
        raise BadInput(
            f"'{seat.ml_party}' sent a {message.kind} about '{message.topic[:40]}' where a question was due"
        )
    return message


def _require_scheme(channel: Channel, asker: str, topic: str) -> None:
    """Refuse with words, before anything is charged, where the part that encrypts is not installed.

    Raises:
        MissingExtra: after whoever waits has been told.
    """
    try:
        Scheme()
    except MissingExtra as error:
        channel.send(asker, refusal_of(error, topic=topic))
        raise
