"""Running a session at one party: the program of its role, started again where a crash had ended it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, ClauseRefused, ComityError, Refused
from comity.gate import refusal_of
from comity.node.durable import FAILED, OPEN, Arrivals, DurableChannel, Stopping
from comity.node.meter import Meter
from comity.node.state import SessionRow, State, Status
from comity.wire import Query, Sealer

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.architectures.definition import Architecture
    from comity.ledger import Ledger

_log = logging.getLogger("comity.node")

PATIENCE_S = 86_400.0
"""How long a program waits for another party's next message."""

_ANSWER_S = 300.0
"""How long a party is asked for its attestation, if the agreement wants one, before it counts as gone."""


@dataclass(frozen=True)
class Household:
    """What is the party's own: its name, key, folder and ledger."""

    name: str
    key: SigningKey
    folder: Path
    ledger: Ledger


def require_ml_party(agreement: Agreement, name: str) -> None:
    """Only an ML party asks: it opens sessions and conversations.

    Raises:
        ClauseRefused: if this party has another role.
    """
    if agreement.party(name).role != "ml_party":
        raise ClauseRefused(
            f"'{name}' is no ML party of this agreement, and only ML parties open sessions",
            clause=f"parties.{name}.role",
        )


def taking_part(architecture: Architecture, agreement: Agreement) -> tuple[str, ...]:
    """The parties of an agreement that have a part in an architecture, in the agreement's order."""
    return tuple(party.name for party in agreement.parties if party.role in architecture.programs)


def ends_for(row: SessionRow, agreement: Agreement, party: str) -> str:
    """Whose messages are waited for in vain once this party has given up; empty: everybody's.

    Where an architecture bears drop-outs, a provider that gives up ends nothing but its own part.
    """
    from comity.architectures import find

    bears = find(row.architecture).bears_drop_outs and agreement.party(party).role == "provider"
    return party if bears else ""


class Sessions:
    """The programs that run at this node, one thread each."""

    def __init__(
        self,
        house: Household,
        state: State,
        arrivals: Arrivals,
        wake: Callable[[str], None],
        admit: Callable[..., None],
        *,
        patience_s: float = PATIENCE_S,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            ended: told whenever a session has ended here.
        """
        self._house = house
        self._state = state
        self._arrivals = arrivals
        self._wake = wake
        self._admit = admit
        self._patience_s = patience_s
        self._ended = ended
        self._threads: dict[str, threading.Thread] = {}
        self._computing: set[str] = set()
        self._starting = threading.Lock()

    def start(self, row: SessionRow, agreement: Agreement) -> None:
        """Run this party's program of a stored session in a thread of its own, once.

        A message may open a session while the node, being started, takes up those that it finds.
        """
        with self._starting:
            if row.id in self._threads:
                return
            thread = threading.Thread(
                target=self._run, args=(row, agreement), name=f"session-{row.id[:8]}", daemon=True
            )
            self._threads[row.id] = thread
        thread.start()

    def join(self, timeout_s: float, *, computing_s: float) -> None:
        """Wait, in all, for programs that have been told to stop.

        Args:
            timeout_s: for those that wait for somebody, of whom nothing is lost.
            computing_s: for those at work: what they have charged for would be lost before it is stored.
        """
        began = time.monotonic()
        for session, thread in list(self._threads.items()):
            limit = computing_s if session in self._computing else timeout_s
            thread.join(timeout=max(0.0, began + limit - time.monotonic()))

    def _run(self, row: SessionRow, agreement: Agreement) -> None:
        channel = self._channel(row, agreement)
        try:
            others = self._begin(row, agreement, channel)
        except Stopping:
            return
        try:
            self._admit(agreement, row.architecture, patience_s=_ANSWER_S)
            result = self._program(row, agreement, channel)
        except Stopping:
            return
        except ComityError as error:
            self._fail(row, channel, others, error)
        except Exception as error:
            # its text may quote private values: it stays in this party's own status, peers get the code
            told = ComityError(f"{type(error).__name__}: {error}", private=True)
            _log.exception("session %s failed", row.id)
            self._fail(row, channel, others, told)
        else:
            self._state.finish(row.id, Status.done, result)
        self._ended()

    def _channel(self, row: SessionRow, agreement: Agreement) -> DurableChannel:
        house = self._house
        sealer = Sealer(
            session=row.id,
            agreement=agreement.digest,
            party=house.name,
            key=house.key,
            may_query=agreement.party(house.name).role != "provider",
        )
        return DurableChannel(
            row.id,
            house.name,
            sealer,
            self._state,
            self._arrivals,
            {party.name: party.key for party in agreement.parties},
            first={row.opener: 1},
            wake=self._wake,
            patience_s=self._patience_s,
        )

    def _begin(self, row: SessionRow, agreement: Agreement, channel: DurableChannel) -> list[str]:
        """At the party that opened the session: invite the others. Returns who the others are."""
        from comity.architectures import find

        others = [name for name in taking_part(find(row.architecture), agreement) if name != self._house.name]
        if row.opener == self._house.name:
            invitation = Query(OPEN, {"architecture": row.architecture, **dict(row.terms)})
            for name in others:
                channel.send(name, invitation)
        return others

    def _program(self, row: SessionRow, agreement: Agreement, channel: DurableChannel) -> dict[str, Any]:
        from comity.architectures import find
        from comity.architectures.definition import Options, Seat, Task

        house = self._house
        program = find(row.architecture).programs[agreement.party(house.name).role]
        meter = Meter()
        self._computing.add(row.id)
        seat = Seat(
            party=house.name,
            providers=tuple(party.name for party in agreement.by_role("provider")),
            ml_party=agreement.by_role("ml_party")[0].name,
            folder=house.folder,
            session=self._folder(row, agreement),
            agreement=agreement,
            ledger=house.ledger,
            key=house.key,
            task=Task.from_dict(row.terms["task"]),
            options=Options(**row.terms["options"]),
        )
        figures = program(seat, channel)
        return {"figures": figures, "cost": meter.read().to_dict(channel.counters)}

    def _folder(self, row: SessionRow, agreement: Agreement) -> Path:
        folder = self._house.folder / "sessions" / row.id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "agreement.yaml").write_text(agreement.to_yaml(), encoding="utf-8")
        # the program, from its start, writes down every receipt again
        (folder / "receipts.jsonl").unlink(missing_ok=True)
        return folder

    def _fail(self, row: SessionRow, channel: DurableChannel, others: list[str], error: ComityError) -> None:
        """Keep what happened, and tell the others in words that depend on public facts only."""
        status = Status.refused if isinstance(error, Refused) else Status.failed
        told = refusal_of(error, topic=FAILED)
        try:
            for name in others:
                channel.send_last(name, told)
        except ComityError as second:
            _log.warning("session %s: the others could not be told: %s", row.id, second.code)
        self._state.finish(row.id, status, {"code": error.code, "message": str(error)})


def terms_of(body: Mapping[str, Any], agreement: Agreement, party: str) -> tuple[str, dict[str, Any]]:
    """Architecture and terms of an invitation, held against the agreement as far as it can be.

    Raises:
        BadInput: if something is missing, unknown or of the wrong type.
        ClauseRefused: if the agreement has no such clause, or says otherwise of the data than the task does.
    """
    from comity.architectures import find, names
    from comity.architectures.agreed_task import read_options, require_agreed
    from comity.architectures.definition import Task

    if set(body) != {"architecture", "task", "options"} or body["architecture"] not in names():
        raise BadInput("an invitation to a session names an architecture, a task and options")
    architecture = find(body["architecture"])
    agreement.clause(architecture.name)
    options = read_options(architecture, body["options"])
    try:
        task = Task.from_dict(body["task"])
        if not all(isinstance(each, str) for each in (task.target, task.positive, task.id)):
            raise TypeError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadInput("the task of an invitation cannot be read") from None
    require_agreed(task, agreement, party, architecture, options)
    return architecture.name, {"task": body["task"], "options": body["options"]}
