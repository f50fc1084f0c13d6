"""Reading an audit's evidence: each answer, proven to be one that the provider gave to what was asked.

Checked before any table is looked at: both signatures, the receipt with its proof from the provider's ledger,
that the plan of that receipt is this very question, and that it cost what the question was asked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.agreement import Agreement
from comity.architectures.definition import Options, Task
from comity.architectures.exchange import agreed_additive_delta
from comity.crypto.canonical import digest
from comity.errors import BadInput, VerificationFailed
from comity.ledger import Cost
from comity.mechanism import LARGEST_EPSILON, Noise
from comity.node.audit_evidence import Asked, Evidence
from comity.node.books import Grouping, task_of
from comity.node.durable import OPEN
from comity.node.talks import TOPIC
from comity.plan import Outcome, Receipt
from comity.validate.audit import AuditedAnswer, GroupQuestion, Summed
from comity.validate.audit_order import AuditOrder
from comity.validate.group_sums import GroupSum
from comity.validate.mechanism import NoisySums, Price
from comity.validate.request import ScoreStatistics
from comity.wire import Kind, Message, open_message


@dataclass(frozen=True, eq=False)
class ReadAnswer:
    """One answered message, all that is public about it checked.

    Attributes:
        plan: its name in the provider's ledger.
        sequence, ledger: where in which ledger its release stands.
        commitment: what its receipt carries, None if it carries none.
        task, frame: what it is about: target, and digest of the records' ids.
        questions: one, or those of a batch.
        same: for each question what it has in common with others that ask the very same: they get the very
            same answer, and pay once.
        fault: what is wrong with it whatever the table holds; empty if nothing.
    """

    plan: str
    sequence: int
    ledger: str
    commitment: str | None
    task: Task
    frame: str
    questions: tuple[AuditedAnswer, ...]
    same: tuple[str, ...]
    fault: str = ""


def read_answers(evidence: Evidence, order: AuditOrder, agreement: Agreement) -> list[ReadAnswer]:
    """Every answer of the evidence.

    Raises:
        VerificationFailed: if evidence and order do not belong together, or an answer is not proven.
        BadInput: if a message is none of linked validation.
    """
    if evidence.digest != order.evidence:
        raise VerificationFailed("the messages that came with the order are not the ones that it names")
    if order.agreement != agreement.digest:
        raise VerificationFailed("the order names another agreement")
    answers = [_read(evidence, asked, order, agreement) for asked in evidence.answers]
    if sorted(answer.plan for answer in answers) != sorted(order.plans):
        raise VerificationFailed("the messages that came with the order are about other plans than it names")
    return answers


def read_answer(
    evidence: Evidence, asked: Asked, party: str, provider: str, agreement: Agreement
) -> ReadAnswer:
    """One answer of a provider to an ML party.

    Raises:
        VerificationFailed, BadInput: as `read_answers`.
    """
    from_party = {"keys": {party: agreement.party(party).key}, "recipient": provider}
    opened = open_message(evidence.messages[asked.opened], **from_party)
    question = open_message(evidence.messages[asked.question], **from_party)
    groupings = [open_message(evidence.messages[at], **from_party) for at in asked.groupings]
    keys = {provider: agreement.party(provider).key}
    answer = open_message(evidence.messages[asked.answer], keys=keys, recipient=party)
    for message in (opened, question, *groupings, answer):
        if (message.session, message.agreement) != (opened.session, agreement.digest):
            raise VerificationFailed("an answer and its question are of different sessions or agreements")
    _require_order(opened, groupings, question)
    receipt, entry = _receipt(answer, party, agreement)
    about = _Messages(opened, question, answer, groupings)
    raw = evidence.messages[asked.question]
    request, told = (
        _of_session(about, provider, agreement)
        if opened.topic == OPEN
        else _of_conversation(about, provider, agreement, raw)
    )
    asked_for = {"architecture": "validation", "recipient": party, "request": request}
    if digest(asked_for) != receipt.plan:
        raise VerificationFailed("a receipt is about another question than the one it came with")
    paid = _cost(receipt.cost) == _cost(None if told.cost is None else told.cost.to_dict())
    carried = entry.body.get("commitment")
    commitment = None if carried is None else str(carried)
    return ReadAnswer(
        plan=receipt.plan,
        sequence=receipt.sequence,
        ledger=str(receipt.checkpoint.get("ledger")),
        commitment=commitment,
        task=told.task,
        frame=told.frame,
        questions=tuple(
            AuditedAnswer(receipt.plan, query, sums, told.price, commitment) for query, sums in told.parts
        ),
        same=told.same,
        fault="" if paid else "what was charged for it is not the price that was asked at",
    )


def _require_order(opened: Message, groupings: Sequence[Message], question: Message) -> None:
    """The first message opens, groupings with names of their own follow, and the question comes after them.

    Raises:
        VerificationFailed: otherwise; a question would not say what it is about.
    """
    names = [message.body.get("name") for message in groupings if message.topic == "grouping"]
    if (
        opened.number != 0
        or any(not 0 < message.number < question.number for message in groupings)
        or len({str(name) for name in names}) != len(names)
        or question.number == 0
    ):
        raise VerificationFailed("a question is not preceded by the messages that say what it is about")


def _read(evidence: Evidence, asked: Asked, order: AuditOrder, agreement: Agreement) -> ReadAnswer:
    return read_answer(evidence, asked, order.party, order.provider, agreement)


@dataclass(frozen=True)
class _Messages:
    opened: Message
    question: Message
    answer: Message
    groupings: list[Message]


@dataclass(frozen=True, eq=False)
class _Told:
    """What question and answer say: target, frame, price of each part, cost of what is new, and the parts."""

    task: Task
    frame: str
    price: Price
    cost: Cost | None
    parts: tuple[tuple[Summed, NoisySums], ...]
    same: tuple[str, ...]


def _receipt(answer: Message, party: str, agreement: Agreement) -> tuple[Receipt, Any]:
    """The answer's receipt and the ledger's entry in it, if they belong to it."""
    outcome, written = answer.body.get("outcome"), answer.body.get("receipt")
    if (answer.kind, answer.topic) != (Kind.release, TOPIC) or not isinstance(outcome, Mapping):
        raise BadInput("an audit is about answers; one of the messages named as such is none")
    receipt = Receipt.from_dict(written if isinstance(written, Mapping) else {})
    entry = receipt.verify(agreement.party(answer.sender).key, recipient=party)
    fits = (agreement.digest, Outcome(outcome, answer.parts).digest)
    if (receipt.agreement, receipt.outcome) != fits:
        raise VerificationFailed("a receipt is about another answer than the one it came with")
    return receipt, entry


def _of_session(about: _Messages, provider: str, agreement: Agreement) -> tuple[dict[str, Any], _Told]:
    """An answer of the architecture `validation`, mode linked."""
    opened, question, answer = about.opened, about.question, about.answer
    try:
        task = task_of(opened.body["task"], agreement, provider)
        options = Options(**opened.body["options"])
        query = ScoreStatistics.from_message(question.body["question"], question.parts)
        outcome = answer.body["outcome"]
        calibration = Noise(outcome["law"], int(outcome["shift"]), float(outcome["scale"]))
        values = np.frombuffer(answer.parts["sums"], dtype="<f8").astype(np.float64)
        frame = str(question.body["frame"])
    except (KeyError, TypeError, ValueError):
        raise BadInput("an answer is none that linked validation gives") from None
    if opened.body.get("architecture") != "validation" or options.mode == "hosted":
        raise BadInput("only answers of linked validation can be computed again from a table")
    additive = agreed_additive_delta(agreement, provider, "validation")
    # as `validation` charges and adds noise
    price = Price(min(options.epsilon, LARGEST_EPSILON), additive)
    parts = {name: hashlib.sha256(data).hexdigest() for name, data in question.parts.items()}
    request = {"query": dict(question.body), "parts": parts}
    same = digest({"session": opened.session, "request": request})
    told = _Told(task, frame, price, price.cost, ((query, _sums(values, query, calibration)),), (same,))
    return request, told


def _of_conversation(
    about: _Messages, provider: str, agreement: Agreement, raw: bytes
) -> tuple[dict[str, Any], _Told]:
    """An answer of a live conversation."""
    opened, question = about.opened, about.question
    try:
        groupings = {
            str(message.body["name"]): Grouping.of(np.frombuffer(message.parts["codes"], dtype="<i2"))
            for message in about.groupings
            if message.topic == "grouping"
        }
        sizes = {name: len(grouping.sizes) for name, grouping in groupings.items()}
        task = task_of(opened.body["task"], agreement, provider)
        asked = [GroupSum.from_list(each, sizes) for each in question.body["questions"]]
        price = Price(float(question.body["epsilon"]), 0.0)
        outcome = about.answer.body["outcome"]
        values, scales = _told_sums(outcome, len(asked))
        before = {int(at) for at in outcome["repeated"]}
        scaled = list(zip(asked, scales, strict=True))
    except (KeyError, TypeError, ValueError):
        raise BadInput("an answer is none that a live conversation gives") from None
    parts: list[tuple[Summed, NoisySums]] = []
    for each, scale in scaled:
        query = GroupQuestion(each, groupings[each.grouping].codes, sizes[each.grouping])
        sums, values = values[: query.dimensions], values[query.dimensions :]
        parts.append((query, _sums(sums, query, Noise("laplace", 0, scale))))
    if len(values):
        raise BadInput("an answer has more sums than its question")
    request = {
        "conversation": question.session,
        "number": question.number,
        "message": hashlib.sha256(raw).hexdigest(),
    }
    frame = str(opened.body.get("frame"))
    about_all = digest({"task": task.to_dict(), "frame": frame, "epsilon": price.epsilon})
    same = tuple(f"{about_all} {_codes(groupings[each.grouping])} {each.to_list()[1]}" for each in asked)
    new = {each for at, each in enumerate(same) if at not in before}
    cost = price.cost.times(len(new)) if new else None
    return request, _Told(task, frame, price, cost, tuple(parts), same)


def _codes(grouping: Grouping) -> str:
    return hashlib.sha256(grouping.codes.astype("<i8").tobytes()).hexdigest()


def _cost(document: Mapping[str, Any] | None) -> str:
    return digest({} if document is None else dict(document))


def _told_sums(outcome: Mapping[str, Any], questions: int) -> tuple[NDArray[np.float64], list[float]]:
    scales = [float(scale) for scale in outcome["scales"]]
    return np.array(outcome["sums"], dtype=np.float64), scales * questions if len(scales) == 1 else scales


def _sums(values: NDArray[np.float64], query: Summed, calibration: Noise) -> NoisySums:
    """Stated sums and noise, if they are any.

    Raises:
        BadInput: if noise or sums cannot be.
    """
    sound = (
        calibration.law in ("gaussian", "laplace")
        and 0 <= calibration.shift < 64
        and 0 < calibration.scale < float("inf")
        and values.shape == (query.dimensions,)
        and bool(np.isfinite(values).all())
    )
    if not sound:
        raise BadInput("an answer states sums or noise that cannot be")
    return NoisySums(values, calibration)
