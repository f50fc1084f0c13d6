"""The desk: answers feedback messages, as many together as have arrived while the last commit was written.

One thread takes them, so that what a round shares (a commit of charges, one of releases, one of answers,
noise) is shared by all that has come in. What is charged is durable before a label is read, and an answer
is stored before it leaves.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from comity.errors import BadInput, ClauseRefused, ComityError, Refused
from comity.gate import refusal_of
from comity.gate_batch import BatchGate
from comity.node.conversations import Answered, Conversations
from comity.node.live_talks import LiveTalks
from comity.node.rounds import Rounds
from comity.node.sessions import require_ml_party
from comity.node.talks import TOPIC, Asked, Left, Talk, plan_of, read_grouping, read_questions
from comity.node.told import Told
from comity.plan import Release, Share
from comity.validate.group_sums import Draws
from comity.wire import Issued, Kind, Message

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.node.service import Node

_log = logging.getLogger("comity.node")

_SESSION: Final = frozenset("0123456789abcdef")
_STOP_S: Final = 2.0


class _Early(ComityError):
    """A message came before one that was sent earlier; it is to be sent again later."""

    code = "out-of-order"
    http_status = 409


class _Later(Exception):
    """What a message asks is being asked in this round: it waits, and then gets that answer for free."""


@dataclass(eq=False)
class _Arrival:
    """A message that waits for its answer."""

    data: bytes
    answer: Future[bytes]
    message: Message | None = None
    talk: Talk | None = None
    asked: Asked | None = None
    issued: Issued | None = None
    registers: bool = False

    @property
    def session(self) -> str | None:
        return None if self.message is None else self.message.session


class _Round:
    """What the messages of one round share: noise, and the new questions that they ask."""

    def __init__(self) -> None:
        self.draws = Draws()
        self.asking: set[str] = set()
        self.sessions: set[str] = set()


class Desk:
    """Answers feedback messages in a thread of its own, as many together as have arrived."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.kept = Conversations(node.state.engine, node.state.name)
        self.talks = LiveTalks(node, self.kept)
        self._gates: dict[str, BatchGate] = {}
        self._left = Left(node.ledger)
        self._standing: dict[str, int] = {}
        released = {entry.body["plan"] for entry in node.ledger.events("released")}
        self._lost = released - self.kept.plans()
        self._rounds = Rounds("feedback", self._round, _fail, lambda arrival: arrival.session)

    def ask(self, data: bytes) -> Future[bytes]:
        """The bytes that a message is answered with, once they may leave."""
        arrival = _Arrival(data, Future())
        self._rounds.put(arrival)
        return arrival.answer

    def stop(self) -> None:
        """Finish what has come in, and answer nothing more."""
        self._rounds.stop(_STOP_S)

    def end(self, agreement: str) -> None:
        """Let go of the conversations under an agreement that has ended; further messages are refused."""
        self._standing.pop(agreement, None)
        self.talks.end(agreement)

    # one round: what has arrived, through the gate together

    def _round(self, waiting: list[_Arrival]) -> list[_Arrival]:
        """Answer one message of each conversation; those that have to wait for another one."""
        later: list[_Arrival] = []
        now: dict[str, _Arrival] = {}
        this = _Round()
        for arrival in waiting:
            try:
                message = arrival.message = arrival.message or self.talks.read(arrival.data)
                if message.session in this.sessions:
                    later.append(arrival)
                elif self._taken(message, arrival, this):
                    now[message.session] = arrival
                    this.sessions.add(message.session)
            except _Later:
                later.append(arrival)
                this.sessions.add(arrival.session or "")
            except ComityError as error:
                self._noted(arrival.message, error)
                _fail(arrival, error)
            except Exception as error:
                _log.exception("a feedback message failed")
                _fail(arrival, error)
        arrivals = list(now.values())
        try:
            self._gated(arrivals)
            self._finished(arrivals)
        except BaseException as error:
            _log.error("a round of feedback failed: %s", type(error).__name__)
            for session, arrival in now.items():
                self.talks.drop(session)
                if arrival.asked is not None:
                    self._lost.add(arrival.asked.plan.name)
                _fail(arrival, error)
            if not isinstance(error, Exception):
                raise
        return later

    def _taken(self, message: Message, arrival: _Arrival, this: _Round) -> bool:
        """Check a message and make its plan or its answer; False if it was answered before."""
        agreement = self._agreement(message)
        digest = hashlib.sha256(arrival.data).hexdigest()
        talk = self.talks.of(message)
        due = 0 if talk is None else talk.due
        if message.number < due:
            arrival.answer.set_result(self._repeated(message, digest))
            return False
        if message.number > due:
            raise _Early(f"message {message.number} came where {due} was due")
        if talk is None:
            arrival.talk = self.talks.opened(message, agreement)
            arrival.registers = True
            return True
        arrival.talk = talk
        try:
            if message.topic == "grouping":
                self._register(message, talk, arrival)
            elif message.topic == "sums":
                arrival.asked = self._planned(message, talk, digest, this)
            else:
                raise BadInput(f"a conversation does not know '{message.topic[:40]}'")
        except Refused as refusal:
            self._node.note_refusal(message, refusal)
            arrival.asked, arrival.issued = None, refusal_of(refusal, topic=TOPIC)
        return True

    def _agreement(self, message: Message) -> Agreement:
        if message.kind is not Kind.query or len(message.session) != 32 or set(message.session) - _SESSION:
            raise BadInput("a conversation is made of queries, and has a name of 32 hexadecimal digits")
        agreement = self._node.agreement_of(message)
        # withdrawals and later agreements arrive as files of this folder
        changed = self._node.folder.agreements_path.stat().st_mtime_ns
        if self._standing.get(message.agreement) != changed:
            self._node.check_standing(agreement)
            self._standing[message.agreement] = changed
        require_ml_party(agreement, message.sender)
        return agreement

    def _repeated(self, message: Message, digest: str) -> bytes:
        stored = self.kept.find(message.session, message.number)
        if stored is None or stored.digest != digest:
            raise BadInput(f"message {message.number} came twice, and the second one differs")
        return stored.answer

    def _gated(self, arrivals: list[_Arrival]) -> None:
        """All plans through the gate, those of one agreement together."""
        by_agreement: dict[str, list[_Arrival]] = {}
        for arrival in arrivals:
            if arrival.asked is not None and arrival.talk is not None:
                by_agreement.setdefault(arrival.talk.digest, []).append(arrival)
        for asked in by_agreement.values():
            talk = asked[0].talk
            plans = [arrival.asked.plan for arrival in asked if arrival.asked is not None]
            if talk is None:
                continue
            if talk.digest not in self._gates:
                self._gates[talk.digest] = BatchGate(talk.agreement, self._node.ledger)
            for arrival, found in zip(asked, self._gates[talk.digest].execute_all(plans), strict=True):
                issued = isinstance(found, Release | Share)
                arrival.issued = found if issued else refusal_of(found, topic=TOPIC)

    def _finished(self, arrivals: list[_Arrival]) -> None:
        """Seal the answers, store them in one commit, and let them leave."""
        rows: list[Answered] = []
        told: list[Told] = []
        for arrival in arrivals:
            message, talk = arrival.message, arrival.talk
            if message is None or talk is None:
                continue
            if arrival.issued is None:
                talk.sealer.pass_over(message.sender)
                answer = b""
            else:
                answer = talk.sealer.seal(message.sender, arrival.issued)
                told += _told(arrival)
            rows.append(
                Answered(
                    session=message.session,
                    sender=message.sender,
                    agreement=talk.digest,
                    number=message.number,
                    digest=hashlib.sha256(arrival.data).hexdigest(),
                    plan=None if arrival.asked is None else arrival.asked.plan.name,
                    request=arrival.data if arrival.registers and not answer else None,
                    answer=answer,
                )
            )
        if rows:
            self.kept.keep(rows, told)
        for arrival, row in zip(arrivals, rows, strict=True):
            if arrival.talk is not None:
                arrival.talk.due += 1
                self.talks.keep(row.session, arrival.talk)
            arrival.answer.set_result(row.answer)

    def _noted(self, message: Message | None, error: ComityError) -> None:
        if message is not None and not isinstance(error, _Early):
            self._node.note_refusal(message, error)

    # what messages ask for

    def _register(self, message: Message, talk: Talk, arrival: _Arrival) -> None:
        name, grouping = read_grouping(message, talk.book)
        if name in talk.groupings:
            raise BadInput(f"this conversation has a grouping {name!r}; give the new one another name")
        # the monitor is shared, perhaps with an agreement that asks for less
        clause: Any = talk.agreement.clause("validation")
        if grouping.smallest < clause.minimum_group:
            raise ClauseRefused(
                "a group is smaller than the clause's minimum",
                clause="architectures.validation.minimum_group",
                asked=str(grouping.smallest),
                would_pass=f"{clause.minimum_group} or more",
            )
        talk.book.monitor.admit_all([grouping.codes])
        talk.groupings[name] = grouping
        arrival.registers = True

    def _planned(self, message: Message, talk: Talk, digest: str, this: _Round) -> Asked:
        questions = read_questions(message, talk)
        if not this.asking.isdisjoint(questions.digests):
            raise _Later
        before = self.kept.told.find(questions.digests)
        asked = plan_of(
            message, talk, questions, before, this.draws, self._left, digest=digest, party=self._node.name
        )
        if asked.plan.name in self._lost:
            raise ClauseRefused(
                "what was drawn for this question is gone, and is not drawn a second time",
                clause="architectures.validation",
                would_pass="the same question again under the next number",
            )
        this.asking.update(questions.digests[at] for at in asked.new)
        return asked


def _told(arrival: _Arrival) -> Iterator[Told]:
    """What a release has told for the first time."""
    release, asked, talk = arrival.issued, arrival.asked, arrival.talk
    if isinstance(release, Release) and asked is not None and talk is not None:
        yield from asked.told(talk.digest, release.receipt.sequence, release.body["outcome"]["sums"])


def _fail(arrival: _Arrival, error: BaseException) -> None:
    if not arrival.answer.done():
        told = error if isinstance(error, ComityError) else ComityError(type(error).__name__, private=True)
        arrival.answer.set_exception(told)
