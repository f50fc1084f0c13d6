"""An audit from end to end: asked for, opened, run, and its verdict verified; each step a signed file.

`ask_audit` (ML party) -> order -> `run_audit` (provider) -> verdict -> `verify_verdict` (ML party). Where the
agreement names an auditor for the data: order -> `open_audit` (provider) -> opening, sealed to the auditor ->
`run_audit` (auditor) -> verdict. The provider consents to an order only if its node has the same messages.

A provider that audits itself gives its word, bound to its commitment and signed: it can lie, and an auditor
who is shown the table later can prove it. An auditor sees the whole table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comity.agreement import Agreement
from comity.errors import BadInput, ClauseRefused, VerificationFailed
from comity.ledger import Ledger
from comity.node.audit_evidence import Evidence, gather
from comity.node.audit_opening import account_of, own_table, sealed_table, unsealed_table
from comity.node.audit_reading import ReadAnswer, read_answer, read_answers
from comity.node.audit_table import Recomputed, recompute
from comity.node.conversations import Conversations
from comity.node.durable import OPEN
from comity.node.folder import PartyFolder
from comity.node.state import State, now
from comity.validate.audit_order import AuditOrder, AuditVerdict, hexadecimal
from comity.wire import Message, open_message


@dataclass(frozen=True)
class Request:
    """An order as the ML party sends it: signed, with the messages that it is about."""

    order: AuditOrder
    signature: bytes
    evidence: Evidence

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        order, signature = self.order.to_dict(), self.signature.hex()
        return {"order": order, "signature": signature, "evidence": self.evidence.to_dict()}

    @classmethod
    def from_dict(cls, document: object) -> Request:
        """Read the JSON form; nothing is verified yet.

        Raises:
            BadInput: if it is no order with its messages.
        """
        if not isinstance(document, Mapping) or set(document) != {"order", "signature", "evidence"}:
            raise BadInput("this is not what comity audit ask writes: it has order, signature and evidence")
        order, evidence = AuditOrder.from_dict(document["order"]), Evidence.from_dict(document["evidence"])
        return cls(order, hexadecimal(document["signature"]), evidence)


def ask_audit(
    folder: PartyFolder,
    agreement: Agreement,
    provider: str,
    *,
    state: State | None,
    auditor: str | None = None,
    sessions: Sequence[str] = (),
) -> tuple[Request, int]:
    """The ML party's order for an audit of a provider's answers, with the messages that it is about.

    Args:
        auditor: the provider itself, or the auditor that the agreement names; None: the latter if there is
            one.
        sessions: beginnings of names; none: all answers of linked validation that are kept here.

    Returns:
        The order, and how many answers were left out because their receipts carry no commitment.

    Raises:
        ClauseRefused: if the agreement names no such auditor.
        BadInput: if there is nothing to audit.
        VerificationFailed: if receipts name several commitments: the provider changed its table.
    """
    chosen = _auditor(agreement, provider, auditor)
    found = gather(folder, agreement, provider, state=state, sessions=sessions)
    read = [(asked, read_answer(found, asked, folder.name, provider, agreement)) for asked in found.answers]
    bound = [(asked, answer) for asked, answer in read if answer.commitment is not None]
    if not bound:
        raise BadInput(
            f"there is nothing to audit: of {len(read)} answers of '{provider}' kept here under this "
            "agreement none carries a commitment"
        )
    commitments = {str(answer.commitment) for _, answer in bound}
    if len(commitments) > 1:
        raise VerificationFailed(
            f"the receipts of '{provider}' carry {len(commitments)} commitments: its table was changed "
            "between the answers, and they cannot all fit"
        )
    evidence = Evidence(found.messages, tuple(asked for asked, _ in bound))
    order = AuditOrder(
        agreement=agreement.digest,
        provider=provider,
        party=folder.name,
        auditor=chosen,
        commitment=commitments.pop(),
        plans=tuple(answer.plan for _, answer in bound),
        evidence=evidence.digest,
        time=now(),
    )
    return Request(order, order.sign(folder.key), evidence), len(read) - len(bound)


def check_request(request: Request, folder: PartyFolder) -> tuple[Agreement, list[ReadAnswer]]:
    """The agreement of an order and its answers, all that can be checked without the table being checked.

    Raises:
        BadInput: if the agreement is not kept here.
        ClauseRefused: if the agreement names other parties or another auditor.
        VerificationFailed: if the order is not signed by the ML party, or an answer not proven.
    """
    order = request.order
    agreement = folder.agreement(order.agreement)
    if agreement.party(order.party).role != "ml_party":
        raise ClauseRefused(
            f"'{order.party}' is no ML party of this agreement, and only ML parties ask for audits",
            clause=f"parties.{order.party}.role",
        )
    _auditor(agreement, order.provider, order.auditor)
    order.verify({order.party: request.signature}, {order.party: agreement.party(order.party).key})
    return agreement, read_answers(request.evidence, order, agreement)


def consent(request: Request, answers: Sequence[ReadAnswer], folder: PartyFolder, state: State) -> bytes:
    """The provider's signature under an order, each answer of which was given to the very question it names.

    An exact sum stands behind each word of a verdict: an answer that could be paired with another question
    would tell whether its exact sum is near, which no noise hides. Of a conversation only what this node took
    and registered counts, not what it refused; of a session only the invitation that opened it.

    Raises:
        BadInput: if the order is about another provider.
        VerificationFailed: if a message is not the one that was answered.
    """
    order = request.order
    if order.provider != folder.name:
        raise BadInput(
            f"this order is about the answers of '{order.provider}', this folder is '{folder.name}'"
        )
    party = {"keys": {order.party: folder.agreement(order.agreement).party(order.party).key}}
    talks = Conversations(state.engine, state.name)
    for asked, answer in zip(request.evidence.answers, answers, strict=True):
        opened = open_message(request.evidence.messages[asked.opened], recipient=folder.name, **party)
        for at in (asked.opened, *asked.groupings, asked.question):
            data = request.evidence.messages[at]
            message = open_message(data, recipient=folder.name, **party)
            plan = answer.plan if at == asked.question else None
            taken = (
                _of_a_session(message, data, order, state)
                if opened.topic == OPEN
                else _of_a_talk(message, data, plan, talks)
            )
            if not taken:
                raise VerificationFailed(
                    f"message {message.number} of session {message.session[:12]} is not one that this node "
                    f"has taken from '{order.party}' for the answer that it is said to belong to"
                )
    return order.sign(folder.key)


def _of_a_session(message: Message, data: bytes, order: AuditOrder, state: State) -> bool:
    """Whether a message is one of a session of validation that this node has run for the ML party."""
    row = state.session(message.session)
    known = row is not None and (row.agreement, row.architecture, row.opener) == (
        order.agreement,
        "validation",
        order.party,
    )
    return known and state.incoming(message.session, order.party, message.number) == data


def _of_a_talk(message: Message, data: bytes, plan: str | None, talks: Conversations) -> bool:
    """Whether a message registered something in a conversation or, with a plan, is that plan's question."""
    row = talks.find(message.session, message.number)
    if row is None or row.sender != message.sender or row.digest != hashlib.sha256(data).hexdigest():
        return False
    if plan is not None:
        return row.plan == plan
    return row.request is not None and row.answer == b""


def open_audit(request: Request, folder: PartyFolder, ledger: Ledger, state: State) -> dict[str, Any]:
    """The provider's part where the agreement names an auditor: table and secret, sealed to that party alone.

    That it was opened, to whom and for which order stands in the provider's ledger before this returns.

    Raises:
        ClauseRefused: if the order names no auditor but the provider itself.
        BadInput, VerificationFailed: as `check_request`, `consent` and `own_table`.
    """
    agreement, answers = check_request(request, folder)
    order = request.order
    signed = consent(request, answers, folder, state)
    if order.auditor == folder.name:
        raise ClauseRefused(
            "the order names this party itself as the auditor: nothing is opened to anybody",
            clause=f"data.{folder.name}.auditor",
            would_pass="comity audit run",
        )
    opened = own_table(folder, agreement, ledger)
    sealed = sealed_table(opened, ledger, order, agreement)
    ledger.append(
        "note",
        {
            "text": f"opened the table to the auditor '{order.auditor}', for an audit of {len(order.plans)} "
            f"answers that '{order.party}' asked for",
            "account": str(account_of(agreement, folder.name)),
            "audit": order.digest,
            "opened_to": order.auditor,
        },
    )
    return {"order": order.digest, "consent": signed.hex(), "sealed": sealed}


def run_audit(
    request: Request,
    folder: PartyFolder,
    *,
    ledger: Ledger | None = None,
    state: State | None = None,
    opening: object = None,
) -> tuple[AuditVerdict, Recomputed]:
    """Compute the answers again and sign the verdict: at the provider, or at the auditor with an opening.

    Args:
        ledger, state: the provider's.
        opening: what `open_audit` wrote, at the auditor.

    Returns:
        What leaves, and what stays: the faults in words.

    Raises:
        BadInput, ClauseRefused, VerificationFailed: if the order, its messages or the opening do not hold;
            then there is no verdict.
    """
    agreement, answers = check_request(request, folder)
    order = request.order
    if order.auditor != folder.name:
        raise BadInput(
            f"this order names '{order.auditor}' as the auditor, this folder is '{folder.name}'"
            + ("; open the table to it: comity audit open" if order.provider == folder.name else "")
        )
    if order.provider == folder.name:
        if ledger is None or state is None:
            raise BadInput("a provider computes its answers again by its own ledger and state")
        signed = consent(request, answers, folder, state)
        opened = own_table(folder, agreement, ledger)
    else:
        signed, opened = unsealed_table(opening, order, folder, agreement)
    found = recompute(answers, order, opened)
    consents = {order.party: request.signature, order.provider: signed}
    verdict = AuditVerdict.sign(folder.key, order, consents, found.words, time=now())
    if ledger is not None:
        fitting = sum(word == "fits" for word in found.words.values())
        text = f"audited {len(found.words)} answers to '{order.party}': {fitting} fit the committed table"
        ledger.append("note", {"text": text, "audit": order.digest})
    return verdict, found


def verify_verdict(document: object, folder: PartyFolder) -> AuditVerdict:
    """What an audit found, at the ML party that had asked for it.

    Raises:
        BadInput: if it is no verdict, or about another party's order.
        VerificationFailed: if a signature does not fit, or the order is not the one that was signed here.
    """
    verdict = AuditVerdict.from_dict(document)
    order = verdict.order
    if order.party != folder.name:
        raise BadInput(f"this verdict was asked for by '{order.party}', this folder is '{folder.name}'")
    agreement = folder.agreement(order.agreement)
    _auditor(agreement, order.provider, order.auditor)
    names = {order.party, order.provider, order.auditor}
    verdict.verify({name: agreement.party(name).key for name in names})
    return verdict


def _auditor(agreement: Agreement, provider: str, wanted: str | None) -> str:
    """Who may look at a provider's table in an audit: itself, or the auditor that the agreement names."""
    named = agreement.data_of(provider).auditor
    chosen = wanted or named or provider
    if chosen not in (provider, named):
        raise ClauseRefused(
            f"the agreement does not name '{chosen[:63]}' as the auditor of the data of '{provider}'",
            clause=f"data.{provider}.auditor",
            would_pass=provider if named is None else f"{named}, or {provider} itself",
        )
    return chosen
