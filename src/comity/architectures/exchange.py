"""What programs of several architectures do over a channel: ask, answer through the gate, take an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from comity.architectures.definition import Seat, rounded_delta
from comity.errors import (
    BadInput,
    ClauseRefused,
    ComityError,
    PartyFailed,
    VerificationFailed,
    Withheld,
)
from comity.gate import execute, notify, refusal_of
from comity.ledger import Account, PrivacyUnit
from comity.plan import Outcome, Plan, Receipt
from comity.wire import Channel, Kind, Message, Query

if TYPE_CHECKING:
    from comity.agreement import Agreement


def account_of(seat: Seat, *, unit: PrivacyUnit) -> Account:
    """The account of this provider's data: its own name, the agreement's lineage, the unit."""
    return Account(provider=seat.party, lineage=seat.agreement.data_of(seat.party).lineage, unit=unit)


def additive_delta(seat: Seat, provider: str, architecture: str) -> float:
    """`agreed_additive_delta` of this run's agreement."""
    return agreed_additive_delta(seat.agreement, provider, architecture)


def agreed_additive_delta(agreement: Agreement, provider: str, architecture: str) -> float:
    """The additive delta that a run of an architecture may spend on a provider's data.

    It is the budget's, or the clause's share of it where the clause allows less than the whole budget: as the
    ledger splits a clause's limit.

    Raises:
        ClauseRefused: if the agreement gives the data no budget for mechanisms with an additive delta.
    """
    budget = agreement.data_of(provider).budget
    if budget is None or budget.delta_additive <= 0:
        raise ClauseRefused(
            f"the agreement gives the data of '{provider}' no budget for feedback",
            clause=f"data.{provider}.budget",
        )
    clause = agreement.architectures.get(architecture)
    limit = None if clause is None else clause.spending_limit
    if limit is None or limit[1] >= budget.delta:
        return budget.delta_additive
    return rounded_delta(limit[1] * budget.delta_additive / budget.delta)


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


def send_notice(
    seat: Seat,
    channel: Channel,
    recipient: str,
    topic: str,
    body: Mapping[str, Any],
    parts: Mapping[str, bytes],
    *,
    architecture: str,
) -> None:
    """Send what a protocol needs and no private byte has gone into, such as a public key.

    Who may call this is listed in tests/house/test_one_door.py: it is no way out for data.
    """
    if channel.resend(recipient) is not None:
        return
    issued = notify(
        seat.agreement,
        seat.ledger,
        architecture=architecture,
        recipient=recipient,
        topic=topic,
        body=body,
        parts=parts,
    )
    channel.send(recipient, issued)


def receive_notice(channel: Channel, sender: str, topic: str) -> Message:
    """The notice that `sender` owes.

    Raises:
        ClauseRefused: if the sender refused, with its words.
        PartyFailed: if it sent something else.
    """
    message = channel.receive(sender)
    raise_refusal(message)
    if message.kind is not Kind.notice or message.topic != topic:
        raise PartyFailed(
            f"'{sender}' sent a {message.kind} about '{message.topic[:40]}' where a notice of "
            f"'{topic}' was due"
        )
    return message


def send_answer(seat: Seat, channel: Channel, plan: Plan) -> None:
    """Take the plan through the gate and send what comes out, be it a refusal.

    Raises:
        ComityError: after the refusal has been sent, so that this party's program stops too.
    """
    repeated = channel.resend(plan.recipient)
    if repeated is Kind.refusal:
        raise ClauseRefused(
            "this was refused before the party's node was restarted",
            clause=f"architectures.{plan.architecture}",
        )
    if repeated is not None:
        return
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
        VerificationFailed: if its receipt does not fit.
    """
    return _receive_issued(seat, channel, sender, topic, Kind.release)


def receive_share(seat: Seat, channel: Channel, sender: str, topic: str) -> Message:
    """A share that `sender` owes, its receipt kept; as `receive_release`."""
    return _receive_issued(seat, channel, sender, topic, Kind.share)


def raise_refusal(message: Message) -> None:
    """Raise what the sender refused with, in its words, if it refused."""
    if message.kind is not Kind.refusal:
        return
    body = message.body
    told = f"'{message.sender}' refused: {body.get('message', body.get('code', 'no reason given'))}"
    kind = Withheld if body.get("code") == Withheld.code else ClauseRefused
    refusal = kind(told, clause=str(body.get("clause", "not named")))
    refusal.args = (told,)
    refusal.by = message.sender
    raise refusal


def _receive_issued(seat: Seat, channel: Channel, sender: str, topic: str, kind: Kind) -> Message:
    message = channel.receive(sender)
    raise_refusal(message)
    if message.kind is not kind or message.topic != topic:
        raise PartyFailed(
            f"'{sender}' sent a {message.kind} about '{message.topic[:40]}' where a {kind} of "
            f"'{topic}' was due"
        )
    receipt = sound_receipt(message, seat.agreement, seat.party)
    with open(seat.session / "receipts.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"from": sender, **receipt.to_dict()}) + "\n")
    return message


def sound_receipt(message: Message, agreement: Agreement, recipient: str) -> Receipt:
    """The receipt of a release or share, if it is about this one and in the sender's signed ledger.

    The receipt opens the ledger's own entry of the release with an inclusion proof, so that the sender cannot
    give out what its ledger does not hold.

    Args:
        recipient: the party that the message came to.

    Raises:
        VerificationFailed: if it is not.
    """
    written, outcome = message.body.get("receipt"), message.body.get("outcome")
    if not isinstance(written, dict) or not isinstance(outcome, dict):
        raise VerificationFailed(f"'{message.sender}' sent a {message.kind} without a receipt")
    unfit = VerificationFailed(f"the receipt that '{message.sender}' sent does not fit its {message.kind}")
    try:
        receipt = Receipt.from_dict(written)
        receipt.verify(agreement.party(message.sender).key, recipient=recipient)
        told = agreement.digest, Outcome(body=outcome, parts=message.parts).digest
    except (KeyError, TypeError, ValueError, BadInput):
        raise unfit from None
    if (receipt.agreement, receipt.outcome) != told:
        raise unfit
    return receipt
