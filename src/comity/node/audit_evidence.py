"""What an audit is about: the signed messages in which questions were asked and answered.

Each side can show what the other one signed: the ML party's question, the provider's answer with its receipt,
and before a question the message that opened the session or conversation and those that registered groupings.
All of them were exchanged already; the evidence tells its reader nothing that provider and ML party do not
both have.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from comity.agreement import Agreement, read_agreement
from comity.crypto.canonical import digest
from comity.errors import BadInput
from comity.node.durable import OPEN
from comity.node.folder import PartyFolder
from comity.node.state import State
from comity.node.talks import TOPIC
from comity.node.transcript import read_transcript
from comity.wire import Kind, open_message

_NAMES: Final = frozenset({"messages", "answers"})


@dataclass(frozen=True)
class Asked:
    """One answered message of questions: which of the messages it is made of, by their numbers.

    Attributes:
        opened: the message that opened its session or conversation.
        groupings: those that registered groupings before it, of a conversation.
        question, answer: itself, and what it was answered with.
    """

    opened: int
    groupings: tuple[int, ...]
    question: int
    answer: int

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "groupings": list(self.groupings)}

    @classmethod
    def from_dict(cls, document: object, messages: int) -> Self:
        """
        Raises:
            BadInput: unless it names messages that are there.
        """
        if not isinstance(document, Mapping) or set(document) != {field.name for field in fields(cls)}:
            raise BadInput("an audit's answer names opened, groupings, question and answer")
        listed: Any = document["groupings"]
        if not isinstance(listed, list):
            raise BadInput("an audit's answer lists the messages that registered groupings")
        numbers = [document["opened"], document["question"], document["answer"], *listed]
        if not all(type(number) is int and 0 <= number < messages for number in numbers):
            raise BadInput("an audit's answer names messages by their numbers, from 0")
        return cls(document["opened"], tuple(listed), document["question"], document["answer"])


@dataclass(frozen=True)
class Evidence:
    """Messages as they were sent, and which of them make up each answer."""

    messages: tuple[bytes, ...]
    answers: tuple[Asked, ...]

    @property
    def digest(self) -> str:
        """What an order names it by."""
        shown = [hashlib.sha256(message).hexdigest() for message in self.messages]
        return digest({"messages": shown, "answers": [answer.to_dict() for answer in self.answers]})

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "messages": [base64.b64encode(message).decode() for message in self.messages],
            "answers": [answer.to_dict() for answer in self.answers],
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form; no signature is checked here.

        Raises:
            BadInput: if it is no evidence.
        """
        if not isinstance(document, Mapping) or set(document) != _NAMES:
            raise BadInput("an audit's evidence has messages and answers, and nothing else")
        listed, answers = document["messages"], document["answers"]
        if not isinstance(listed, list) or not isinstance(answers, list):
            raise BadInput("the messages and answers of an audit's evidence are lists")
        try:
            messages = tuple(base64.b64decode(message, validate=True) for message in listed)
        except (ValueError, TypeError):
            raise BadInput("the messages of an audit's evidence are base64") from None
        return cls(messages, tuple(Asked.from_dict(answer, len(messages)) for answer in answers))


def gather(
    folder: PartyFolder,
    agreement: Agreement,
    provider: str,
    *,
    state: State | None,
    sessions: Sequence[str] = (),
) -> Evidence:
    """What an ML party has of a provider's answers under an agreement.

    Args:
        state: of the ML party's node; None where it never ran: its live conversations only.
        sessions: beginnings of the names of sessions and conversations; none: all there are.

    Raises:
        BadInput: if one of them is not kept here.
    """
    pairs = [] if state is None else list(_of_sessions(folder, agreement, provider, state))
    pairs += list(_of_conversations(folder, agreement, provider))
    for name in sessions:
        if not any(session.startswith(name) for session, _ in pairs):
            raise BadInput(
                f"no answer of '{provider}' under this agreement is kept of a session {name[:40]!r}; "
                "comity node status lists those of architectures"
            )
    messages: dict[bytes, int] = {}
    answers: list[Asked] = []
    for session, parts in pairs:
        if sessions and not any(session.startswith(name) for name in sessions):
            continue
        opened, groupings, question, answer = (
            messages.setdefault(parts[0], len(messages)),
            tuple(messages.setdefault(each, len(messages)) for each in parts[1:-2]),
            messages.setdefault(parts[-2], len(messages)),
            messages.setdefault(parts[-1], len(messages)),
        )
        answers.append(Asked(opened, groupings, question, answer))
    return Evidence(tuple(messages), tuple(answers))


def _of_sessions(
    folder: PartyFolder, agreement: Agreement, provider: str, state: State
) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Of each session of linked validation: its name; invitation, question and answer."""
    own, theirs = {folder.name: folder.verify_key}, {provider: agreement.party(provider).key}
    for row in state.sessions():
        if (row.agreement, row.architecture, row.opener) != (agreement.digest, "validation", folder.name):
            continue
        if row.terms["options"].get("mode") == "hosted":
            continue  # what a hosted model asked is not in its messages
        sent, number = list[bytes](), 0
        while (kept := state.outgoing(row.id, provider, number)) is not None:
            message = open_message(kept.data, keys=own, recipient=provider)
            if message.topic == OPEN or (message.kind, message.topic) == (Kind.query, TOPIC):
                sent.append(kept.data)
            number += 1
        for number in range(state.received(row.id, provider)):
            data = state.incoming(row.id, provider, number)
            if data is None:
                continue
            message = open_message(data, keys=theirs, recipient=folder.name)
            if (message.kind, message.topic) == (Kind.release, TOPIC) and len(sent) == 2:
                yield row.id, (*sent, data)


def _of_conversations(
    folder: PartyFolder, agreement: Agreement, provider: str
) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Of each answered message: its conversation; opening, groupings registered by then, question, answer."""
    own, theirs = {folder.name: folder.verify_key}, {provider: agreement.party(provider).key}
    for session in _conversations(folder, agreement):
        before: list[bytes] = []
        for sent, answer in read_transcript(session, provider):
            open_message(sent, keys=own, recipient=provider)
            if not answer:
                before.append(sent)
            elif open_message(answer, keys=theirs, recipient=folder.name).kind is Kind.release and before:
                yield session.name, (*before, sent, answer)


def _conversations(folder: PartyFolder, agreement: Agreement) -> Iterator[Path]:
    for transcript in sorted(folder.sessions_path.glob("*/messages.jsonl")):
        held = transcript.parent / "agreement.yaml"
        if held.is_file() and read_agreement(held).digest == agreement.digest:
            yield transcript.parent
