"""`blind-validation`, mode `entrusted`: the mediator holds the labels and answers as one validator.

No pads: the providers' labels are in the clear at the mediator, under a clause and a line of each provider's
data that allow it. The ML party gets one noisy sum over all providers, with the mediator's noise alone. The
mediator charges every provider's account in its own ledger too, before it reads a label. The charge is for
a lesson and for feedback on what it taught, as in the linked mode; what was drawn for either is stored, and
asked for again it is the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.blind_frame import (
    CLAUSE,
    MINIMUM_GROUP,
    TOPIC,
    admission_of,
    agreed_frame,
    agreed_rows,
    calibration_of,
    digests,
    frame_of,
    holders_of,
    mediator_of,
    named_portion,
    own_labels,
    paid_share,
    read_question,
    require_agreed,
    taught,
)
from comity.architectures.blind_opening import await_opening, refused, send_drawn, send_opening
from comity.architectures.definition import Exposure, InWords, Seat, Trust
from comity.architectures.exchange import (
    receive_query,
    receive_release,
    send_answer,
    send_query,
)
from comity.crypto.canonical import digest
from comity.crypto.pads import random_name
from comity.errors import BadInput, ClauseRefused, ComityError, PartyFailed, Refused
from comity.plan import Outcome
from comity.validate.blind_query import to_message
from comity.validate.mechanism import NoisySums
from comity.validate.queries import Query
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.validate.blind_admission import Admission

    Shares = Mapping[str, NDArray[np.uint8]]

_LABELS, DONE = "labels", "done"

ASKS: Mapping[str, Any] = {"mode": "entrusted", "groupings": "open", "minimum_group": MINIMUM_GROUP}

EXPOSURE = Exposure(
    trust=(
        Trust("mediator", "keeps the labels to itself, counts correctly, adds the noise, and deletes them"),
        Trust("ml_party", "may know the features and ids of the records of the frame"),
    ),
    seen_by={
        "provider": ("the ids of the frame; no prediction",),
        "mediator": (
            "every provider's labels, and which records it holds",
            "the groups that the ML party's question puts the records into",
        ),
        "ml_party": (
            "one noisy sum per question and group over all providers",
            "features and ids, which it had before",
        ),
    },
    in_words=InWords(
        protects="Each record's label, with differential privacy; and predictions from providers.",
        against="The ML party and the other providers; the mediator holds the labels.",
        price="Everything rests on the mediator, which could read and pass on every label.",
    ),
)


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Hand the labels over, under the agreement's line that the mediator may hold them."""
    frame = agreed_frame(seat, receive_query(channel, seat.ml_party, "frame"))
    if not seat.agreement.data_of(seat.party).mediator_may_hold:
        raise ClauseRefused(
            "the mediator may not hold this provider's data",
            clause=f"data.{seat.party}.mediator_may_hold",
            asked="labels in the clear at the mediator",
            would_pass="blind-validation with mode linked",
        )

    def run() -> Outcome:
        held, labels = own_labels(seat, frame)
        # 0: not held; 1: held, label 0; 2: held, label 1
        return Outcome(body={}, parts={"labels": (held + held * labels).astype(np.uint8).tobytes()})

    send_answer(
        seat,
        channel,
        paid_share(
            seat,
            asks=ASKS,
            purpose=f"labels of {seat.party} over a frame of {len(frame)} records, entrusted to the mediator",
            topic=_LABELS,
            request={"frame": digest(frame)},
            run=run,
        ),
    )
    return {"rows_used": len(frame)}


def mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Answer the ML party's questions over all providers' labels, once each has been charged for them."""
    records = agreed_rows(seat)
    shares = {provider: _entrusted(channel, provider, records) for provider in seat.providers}
    opening = send_opening(
        seat, channel, records, ASKS, lambda: _require_few_holders(shares, holders_of(seat))
    )
    admission = admission_of(seat)
    while True:
        message = channel.receive(seat.ml_party)
        if message.kind is not Kind.query or message.topic not in ("question", DONE):
            raise BadInput(
                f"'{seat.ml_party}' sent a {message.kind} about '{message.topic[:40]}' where a question was "
                "due"
            )
        if message.topic == DONE:
            return {"rows_used": records}
        _answer(seat, channel, opening, admission, shares, message)


def _answer(
    seat: Seat, channel: Channel, opening: str, admission: Admission, shares: Shares, message: Message
) -> None:
    """One question: noisy sums to who asked, or a refusal."""
    try:
        name, portion = named_portion(message)
        query = read_question(message)
        calibration = calibration_of(seat, query, portion)
    except ComityError as error:
        refused(channel, message.sender, error, TOPIC)
        return

    def draw() -> dict[str, bytes]:
        admission.admit(query)
        sums = calibration.answer(query.padded_sums(_together(shares)).view(np.int64))
        return {"sums": np.asarray(sums, dtype="<f8").tobytes()}

    asked = {"body": dict(message.body), "parts": digests(message.parts)}
    # a refusal has been sent, and the next question may pass
    with suppress(Refused):
        send_drawn(seat, channel, opening, ASKS, portion=portion, name=name, asked=asked, draw=draw)


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Ask the mediator, in the clear order of the frame: it knows which record is which."""
    frame = frame_of(seat)[1]
    require_agreed(seat, frame)
    for name in seat.providers:
        send_query(channel, name, "frame", {}, {"ids": json.dumps(frame).encode()})
    mediator = mediator_of(seat)
    await_opening(seat, channel, mediator)
    figures = taught(
        seat, lambda query, portion: ask_as(seat, channel, random_name(), query, portion), noises=1.0
    )
    send_query(channel, mediator, DONE, {}, {})
    return figures


def ask_as(seat: Seat, channel: Channel, name: str, query: Query, portion: int) -> NoisySums:
    """The noisy sums of a question, rows in the frame's order; under one name the same answer again.

    Raises:
        ClauseRefused: if the mediator refused, with its words.
    """
    mediator = mediator_of(seat)
    question, parts = to_message(query)
    send_query(channel, mediator, "question", {"name": name, "portion": portion, "question": question}, parts)
    message = receive_release(seat, channel, mediator, TOPIC)
    data = message.parts.get("sums", b"")
    if len(data) != 8 * query.dimensions or message.body["outcome"].get("query") != name:
        raise PartyFailed("the mediator answered in a form that cannot be read")
    sums = np.frombuffer(data, dtype="<f8").astype(np.float64)
    return NoisySums(sums, calibration_of(seat, query, portion))


def _entrusted(channel: Channel, provider: str, records: int) -> NDArray[np.uint8]:
    """(records,) 0 not held, 1 or 2 held with label 0 or 1."""
    message: Message = channel.receive(provider)
    if message.kind is Kind.refusal:
        raise PartyFailed(f"'{provider}' refused: {message.body.get('message', message.body.get('code'))}")
    if message.kind is not Kind.share or message.topic != _LABELS:
        raise PartyFailed(f"'{provider}' sent a {message.kind} where its labels were due")
    codes = np.frombuffer(message.parts.get("labels", b""), dtype=np.uint8)
    if len(codes) != records or codes.max(initial=0) > 2:
        raise BadInput(f"'{provider}' sent labels that do not fit the frame; nothing was counted")
    return codes


def _require_few_holders(shares: Shares, most: int) -> None:
    """Refuse records at more providers than the noise covers."""
    holders = np.sum([codes > 0 for codes in shares.values()], axis=0, dtype=np.int64)
    if holders.max(initial=0) > most:
        raise ClauseRefused(
            f"a record is at more than {most} of the providers; its labels would count more often than the "
            "noise covers",
            clause=f"{CLAUSE}.providers_per_record",
            would_pass=f"each record at {most} or fewer, or an agreement with a larger number",
        )


def _together(shares: Shares) -> NDArray[np.uint64]:
    """(records,) at how many providers a record has label 1."""
    return np.sum([codes == 2 for codes in shares.values()], axis=0, dtype=np.uint64)
