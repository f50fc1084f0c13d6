"""What programs of several architectures do over a channel: ask, answer through the gate, take an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from comity.architectures.definition import Seat
from comity.errors import BadInput, ClauseRefused, ComityError, PartyFailed, VerificationFailed
from comity.gate import execute, refusal_of
from comity.ledger import Account, Checkpoint, PrivacyUnit
from comity.plan import Outcome, Plan
from comity.wire import Channel, Kind, Message, Query


def account_of(seat: Seat, *, unit: PrivacyUnit) -> Account:
    """The account of this provider's data: its own name, the agreement's lineage, the unit."""
    return Account(provider=seat.party, lineage=seat.agreement.data_of(seat.party).lineage, unit=unit)


def send_query(
    channel: Channel, recipient: str, topic: str, body: Mapping[str, Any], parts: Mapping[str, bytes]
) -> None:
    """Ask another party."""
    channel.send(recipient, Query(topic=topic, body=body, parts=parts))


def receive_query(channel: Channel, sender: str, topic: str) -> Message:
    """The query that `sender` is due to ask.

    Raises:
        BadInput: if it sent something else.
    """
    message = channel.receive(sender)
    if message.kind is not Kind.query or message.topic != topic:
        raise BadInput(
            f"'{sender}' sent a {message.kind} about '{message.topic[:40]}' where '{topic}' was due"
        )
    return message


def send_answer(seat: Seat, channel: Channel, plan: Plan) -> None:
    """Take the plan through the gate and send what comes out, be it a refusal.

    Raises:
        ComityError: after the refusal has been sent, so that this party's program stops too.
    """
    try:
        issued = execute(plan, seat.agreement, seat.ledger)
    except ComityError as error:
        # the asker learns that there is no answer, in words that depend on public facts, and waits no longer
        channel.send(plan.recipient, refusal_of(error, topic=plan.topic))
        raise
    channel.send(plan.recipient, issued)


def receive_release(seat: Seat, channel: Channel, sender: str, topic: str) -> Message:
    """A release that `sender` owes, its receipt kept in the session's folder.

    Raises:
        ClauseRefused: if the sender refused, with its words.
        PartyFailed: if it sent something else.
    """
    message = channel.receive(sender)
    if message.kind is Kind.refusal:
        body = message.body
        refusal = ClauseRefused(
            f"'{sender}' refused: {body.get('message', body.get('code', 'no reason given'))}",
            clause=str(body.get("clause", "not named")),
        )
        refusal.args = (f"'{sender}' refused: {body.get('message', body.get('code'))}",)
        raise refusal
    if message.kind is not Kind.release or message.topic != topic:
        raise PartyFailed(
            f"'{sender}' sent a {message.kind} about '{message.topic[:40]}' where a release of "
            f"'{topic}' was due"
        )
    receipt = _sound_receipt(seat, message)
    with open(seat.session / "receipts.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"from": sender, **receipt}) + "\n")
    return message


def _sound_receipt(seat: Seat, message: Message) -> Mapping[str, Any]:
    """The receipt of a release, if it is about this release and agreement and signed by the sender's ledger.

    Raises:
        VerificationFailed: if it is not.
    """
    receipt, outcome = message.body.get("receipt"), message.body.get("outcome")
    if not isinstance(receipt, dict) or not isinstance(outcome, dict):
        raise VerificationFailed(f"'{message.sender}' sent a release without a receipt")
    try:
        checkpoint = Checkpoint.from_dict(receipt["checkpoint"])
        checkpoint.verify(seat.agreement.party(message.sender).key)
        matches = (
            receipt["agreement"] == seat.agreement.digest
            and receipt["outcome"] == Outcome(body=outcome, parts=message.parts).digest
            and receipt["sequence"] < checkpoint.size
        )
    except (KeyError, TypeError, ValueError, BadInput):
        matches = False
    if not matches:
        raise VerificationFailed(f"the receipt that '{message.sender}' sent does not fit its release")
    return receipt
