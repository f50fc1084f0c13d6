"""`encrypted`, a compute party's end: meet the others, agree on the program, take shares in, run, hand out.

A compute party may be a provider, the mediator or the ML party. Nothing is shared before all of them have
shown certificates of this session under the agreement's keys, have connected their engines, and have said the
same program's digest; each provider holds those digests against each other before its rows leave.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.encrypted_terms import NAME, Terms
from comity.architectures.exchange import raise_refusal, receive_notice, receive_share, send_notice
from comity.crypto.sealed import pair_key
from comity.crypto.session_ca import SessionIdentity, session_name
from comity.errors import PartyFailed, VerificationFailed
from comity.train.encrypted.features import spread
from comity.train.encrypted.mesh import Member, own_address
from comity.train.encrypted.process import EngineProcess
from comity.train.encrypted.program import ASKED, LABELS, ROWS, input_shapes
from comity.train.encrypted.settings import Partition, Training
from comity.train.encrypted.sharing import Words, held
from comity.wire import Channel, Kind

MEMBER: Final = "compute-party"
ALIGNMENT: Final = "alignment-party"
PROGRAM: Final = "program"
SHARES: Final = "shares"
CONNECTED: Final = "connected"
ALIGNED: Final = "aligned"
FINISHED: Final = "finished"


@dataclass(frozen=True)
class _Met:
    """Parties whose engines connect, their certificates verified; this party's own identity; the session."""

    members: list[Member]
    identity: SessionIdentity
    session: str


class Computing:
    """This party as one of the compute parties of a run. Use it as a context manager."""

    def __init__(self, seat: Seat, channel: Channel, terms: Terms, asked: int) -> None:
        """Start the engine's process.

        Args:
            asked: rows of the ML party's that are scored; 0 where the model is opened.
        """
        self._seat, self._channel, self._terms, self._asked = seat, channel, terms, asked
        self.rank = terms.compute.index(seat.party)
        channel.hold_secrets()  # the engine's shares and its key of this session
        self._engine = EngineProcess()
        self._training: Training | None = None
        self.program = ""

    @property
    def others(self) -> list[str]:
        return [name for name in self._terms.compute if name != self._seat.party]

    @property
    def figures(self) -> dict[str, Any]:
        """What the engine cost beside this party's own process; its CPU time is counted as a child's."""
        box = {"cpu_s": 0.0, "peak_rss_mb": self._engine.peak_rss_mb}
        return {"engine_bytes": self._engine.bytes_sent, "sandbox": box}

    def meet(self, training: Training, session: str) -> None:
        """Compile the program, meet the other compute parties, connect the engines, and tell the providers.

        Raises:
            VerificationFailed: if another one shows a certificate that is not its own, or another program.
            PartyFailed: if one of them does not come.
        """
        seat, self._training = self._seat, training
        self.program = self._engine.compile(training, self._asked)
        said = {"program": self.program}
        with self._met(self._terms.compute, MEMBER, session, said) as met:
            self._together(
                lambda: self._engine.connect(
                    met.members, self.rank, met.identity, met.session, self._terms.scheme
                ),
                self.others,
                CONNECTED,
            )
        for name in seat.providers:
            if name != seat.party:
                told = {"program": self.program, "training": training.to_dict()}
                send_notice(seat, self._channel, name, PROGRAM, told, {}, architecture=NAME)

    def ask(self, parts: Mapping[str, bytes] | None = None) -> None:
        """Take in the rows that the ML party wants scored, if there are any.

        Args:
            parts: its own share of them, if this is the ML party; else they come from it.

        Raises:
            ClauseRefused: if it refuses, in its words.
            PartyFailed: if it sends something else.
        """
        if not self._asked:
            return
        if parts is None:
            message = self._channel.receive(self._seat.ml_party)
            raise_refusal(message)
            if message.kind is not Kind.query or message.topic != ASKED:
                raise PartyFailed(f"'{self._seat.ml_party}' did not send the rows that it wants scored")
            parts = message.parts
        width = self._terms.features.width
        words = held(parts, self._terms.scheme, self.rank, self._asked * width)
        self._engine.put(ASKED, words, (self._asked, width))

    def align(self, session: str, ids: Sequence[str]) -> list[str]:
        """The ids that the other provider holds too, in an order that both share; both learn them.

        Raises:
            VerificationFailed: if the other one shows a certificate that is not its own.
            PartyFailed: if it does not come.
        """
        rank = self._seat.providers.index(self._seat.party)
        (other,) = (name for name in self._seat.providers if name != self._seat.party)
        pair = pair_key(self._seat.key, self._seat.agreement.party(other).key, purpose="aligning records")
        salt = pair.derive(agreement=self._seat.agreement.digest, session=session)
        found: list[str] = []
        with self._met(self._seat.providers, ALIGNMENT, session, {}) as met:
            self._together(
                lambda: found.extend(
                    self._engine.align(met.members, rank, met.identity, met.session, ids, salt)
                ),
                [other],
                ALIGNED,
            )
        return found

    @contextmanager
    def _met(self, names: Sequence[str], topic: str, session: str, said: Mapping[str, Any]) -> Iterator[_Met]:
        """Exchange certificates with others, and hold theirs, and what else they say, against one's own."""
        seat = self._seat
        called = session_name(seat.agreement.digest, session, topic)
        identity = SessionIdentity.make(seat.key, seat.party, called)
        others = [name for name in names if name != seat.party]
        with own_address(seat.folder) as address:
            members = {seat.party: Member(seat.party, address, identity.certificate)}
            body = {**members[seat.party].to_dict(), **said}
            for name in others:
                send_notice(seat, self._channel, name, topic, body, {}, architecture=NAME)
            for name in others:
                told = receive_notice(self._channel, name, topic).body
                members[name] = Member.from_dict(name, told)
                members[name].certificate.verify(seat.agreement.party(name).key, name, called)
                require_same_program(name, told.get("program"), said.get("program"))
            yield _Met([members[name] for name in names], identity, called)

    def take(self, provider: str, rows: int) -> dict[str, Words]:
        """A provider's shares, as they come.

        Raises:
            VerificationFailed: if their receipt does not fit.
            BadInput: if they are not what this rank holds of such a table.
        """
        return self.read(provider, rows, receive_share(self._seat, self._channel, provider, SHARES).parts)

    def read(self, provider: str, rows: int, parts: Mapping[str, bytes]) -> dict[str, Words]:
        """By input: (values, held) the words of a provider's share."""
        found: dict[str, Words] = {}
        for name, shape in shared_shapes(self._terms, self._agreed, provider, rows).items():
            start = f"{name}/"
            own = {key.removeprefix(start): data for key, data in parts.items() if key.startswith(start)}
            found[name] = held(own, self._terms.scheme, self.rank, int(np.prod(shape, dtype=np.int64)))
        return found

    def run(self, shares: dict[str, dict[str, Words]], rows: Mapping[str, int]) -> Words:
        """Put all providers' shares together and run the program with the others. The shares are used up.

        Returns:
            (values, held) this party's share of the model, or of the scores that were asked for.

        Raises:
            PartyFailed: if another compute party stops.
        """
        for name, shape in input_shapes(self._agreed).items():
            self._engine.put(name, assembled(name, self._terms, self._agreed, shares, rows), shape)
            for share in shares.values():
                share.pop(name, None)
        words: list[Words] = []
        self._together(lambda: words.append(self._engine.run()), self.others, FINISHED)
        return words[0]

    def _together(self, work: Callable[[], None], others: Sequence[str], topic: str) -> None:
        """Do something that these others do as well, say so, and hear the same of them; listening meanwhile,
        since an engine waits for minutes for another one that is gone."""
        watched = Watch(others, lambda name: receive_notice(self._channel, name, topic))
        watched.work(work)
        for name in others:
            send_notice(self._seat, self._channel, name, topic, {}, {}, architecture=NAME)
        watched.wait()

    @property
    def _agreed(self) -> Training:
        if self._training is None:
            raise PartyFailed("the compute parties have not agreed on a program yet")
        return self._training

    def __enter__(self) -> Computing:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._engine.kill()


class Watch:
    """Waits for messages of several parties and for a piece of work, whatever comes first.

    The threads only receive; the party's own thread only sends while they do.
    """

    def __init__(self, names: Sequence[str], receive: Callable[[str], Any]) -> None:
        self._changed = threading.Condition()
        self._waiting = set(names)
        self._failed: list[BaseException] = []
        self._done = False
        for name in names:
            self._start(f"finished-{name}", lambda name=name: self._heard(name, receive))

    def work(self, work: Callable[[], None]) -> None:
        """Do it in a thread of its own; return when it is done.

        Raises:
            BaseException: its own failure, or a message's, if that comes first; the work is then left alone.
        """

        def run() -> None:
            work()
            with self._changed:
                self._done = True
                self._changed.notify_all()

        self._start("engine", run)
        self._until(lambda: self._done)

    def wait(self) -> None:
        """Until every message has come."""
        self._until(lambda: not self._waiting)

    def _until(self, ready: Callable[[], bool]) -> None:
        with self._changed:
            while not ready() and not self._failed:
                self._changed.wait()
            if self._failed:
                raise self._failed[0]

    def _heard(self, name: str, receive: Callable[[str], Any]) -> None:
        receive(name)
        with self._changed:
            self._waiting.discard(name)
            self._changed.notify_all()

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                with self._changed:
                    self._failed.append(error)
                    self._changed.notify_all()

        threading.Thread(target=run, name=name, daemon=True).start()


def require_same_program(party: str, said: Any, own: Any) -> None:
    """
    Raises:
        VerificationFailed: if another party runs another program.
    """
    if said != own:
        raise VerificationFailed(
            f"'{party}' would run another program on the shares than this party: install the same versions "
            "of comity, spu and jax at all compute parties, and check that they have the same agreement"
        )


def shared_shapes(terms: Terms, training: Training, provider: str, rows: int) -> dict[str, tuple[int, ...]]:
    """By input: the shape of what one provider shares of it."""
    shapes = dict(input_shapes(training))
    if ROWS in shapes:
        # with noise, a row comes with its constant
        shapes[ROWS] = (rows, terms.blocks[provider].width + training.noisy)
    if LABELS in shapes:
        shapes[LABELS] = (rows,)
    if provider not in terms.labelled:
        shapes.pop(LABELS, None)
    return shapes


def assembled(
    name: str,
    terms: Terms,
    training: Training,
    shares: Mapping[str, Mapping[str, Words]],
    rows: Mapping[str, int],
) -> Words:
    """(values, held) the words of one input of the program, from each provider's. Nothing but places and sums
    changes: tables under each other or side by side, in an order that spreads neighbours; products and noise
    added up.

    Raises:
        PartyFailed: if they do not make up the table that was agreed on.
    """
    kept = terms.scheme.held
    pieces = {who: share[name] for who, share in shares.items() if name in share}
    if name == ROWS:
        blocks = [words.reshape(rows[who], -1, kept) for who, words in pieces.items()]
        if training.partition is Partition.rows:
            whole = np.concatenate(blocks)
        else:
            columns = terms.features.order([terms.blocks[who] for who in pieces])
            whole = np.concatenate(blocks, axis=1)[:, columns]
        found = whole[spread(training.rows)].reshape(-1, kept)
    elif name == LABELS:
        found = np.concatenate(list(pieces.values()))[spread(training.rows)]
    else:
        found = np.sum(np.stack(list(pieces.values())), axis=0, dtype=np.uint64)
    if found.shape != (int(np.prod(input_shapes(training)[name], dtype=np.int64)), kept):
        raise PartyFailed(f"the shares of '{name}' do not make up the table that was agreed on")
    return found
