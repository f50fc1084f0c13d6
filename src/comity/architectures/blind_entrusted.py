"""`blind-validation`, mode `entrusted`: the mediator holds the labels and answers as one validator.

No pads: the providers' labels are in the clear at the mediator, under a clause and a line of each provider's
data that allow it. The ML party gets one noisy sum over all providers, with the mediator's noise alone. The
mediator charges every provider's account in its own ledger too, before it reads a label.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.blind_frame import (
    CLAUSE,
    MINIMUM_GROUP,
    TOPIC,
    admission_of,
    agreed_frame,
    agreed_rows,
    budgeted_price,
    digests,
    frame_of,
    mediator_of,
    own_labels,
    read_question,
    require_agreed,
    taught,
)
from comity.architectures.definition import Exposure, Seat, Trust
from comity.architectures.exchange import (
    account_of,
    receive_query,
    receive_release,
    send_answer,
    send_query,
)
from comity.crypto.canonical import digest
from comity.errors import BadInput, ClauseRefused, PartyFailed
from comity.ledger import Account, PrivacyUnit
from comity.plan import Outcome, Plan
from comity.validate.blind_price import portion_calibration
from comity.validate.blind_query import to_message
from comity.validate.mechanism import NoisySums, add_noise, read_noisy
from comity.validate.queries import Query
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LABELS = "labels"

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
)


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Hand the labels over, under the agreement's line that the mediator may hold them."""
    mediator = mediator_of(seat)
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
        Plan(
            architecture="blind-validation",
            purpose=f"labels of {seat.party} over a frame of {len(frame)} records, entrusted to the mediator",
            recipient=mediator,
            topic=_LABELS,
            request={"frame": digest(frame)},
            asks={"mode": "entrusted", "minimum_group": MINIMUM_GROUP},
            account=account_of(seat, unit=PrivacyUnit.label),
            cost=budgeted_price(seat, seat.party).cost,
            run=run,
            sealed=True,
            opens=1,
        ),
    )
    return {"rows_used": len(frame)}


def mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Answer the ML party's question over all providers' labels, once each has been charged for it."""
    records = agreed_rows(seat)
    shares = {provider: _entrusted(channel, provider, records) for provider in seat.providers}
    message = receive_query(channel, seat.ml_party, "question")
    query = read_question(message)
    admission_of(seat).admit(query)
    first, *others = [
        Account(provider=name, lineage=seat.agreement.data_of(name).lineage, unit=PrivacyUnit.label)
        for name in seat.providers
    ]
    price = budgeted_price(seat, seat.providers[0])
    calibration = portion_calibration(query, price)  # what cannot be answered is refused before it is charged

    def run() -> Outcome:
        exact = query.sums(_together(shares)) << np.int64(calibration.shift)
        sums = read_noisy(add_noise(exact, calibration), calibration)
        return Outcome(body={}, parts={"sums": np.asarray(sums, dtype="<f8").tobytes()})

    send_answer(
        seat,
        channel,
        Plan(
            architecture="blind-validation",
            purpose=f"{query.dimensions} noisy sums of the entrusted labels",
            recipient=seat.ml_party,
            topic=TOPIC,
            request={"query": dict(message.body), "parts": digests(message.parts), "records": records},
            asks={"mode": "entrusted", "minimum_group": MINIMUM_GROUP},
            account=first,
            also=tuple(others),
            cost=price.cost,
            run=run,
        ),
    )
    return {"rows_used": records}


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Ask the mediator, in the clear order of the frame: it knows which record is which."""
    frame = frame_of(seat)[1]
    require_agreed(seat, frame)
    for name in seat.providers:
        send_query(channel, name, "frame", {}, {"ids": json.dumps(frame).encode()})

    def ask(query: Query, _portion: int) -> NoisySums:
        question, parts = to_message(query)
        send_query(channel, mediator_of(seat), "question", {"question": question}, parts)
        message = receive_release(seat, channel, mediator_of(seat), TOPIC)
        data = message.parts.get("sums", b"")
        if len(data) != 8 * query.dimensions:
            raise PartyFailed("the mediator answered in a form that cannot be read")
        sums = np.frombuffer(data, dtype="<f8").astype(np.float64)
        return NoisySums(sums, portion_calibration(query, budgeted_price(seat, seat.providers[0])))

    return taught(seat, ask, noises=1.0, report=False)


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


def _together(shares: dict[str, NDArray[np.uint8]]) -> NDArray[np.int8]:
    """(records,) labels of the frame.

    Raises:
        ClauseRefused: if two providers hold the same record: the frame has one row per unit.
    """
    codes = np.stack(list(shares.values()))
    if ((codes > 0).sum(axis=0) > 1).any():
        raise ClauseRefused(
            "two providers hold the same record of the frame; a frame has one row per unit",
            clause=f"{CLAUSE}.frame",
        )
    return (codes == 2).any(axis=0).astype(np.int8)
