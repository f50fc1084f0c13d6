"""`federated`, a provider's end: a Flower `ClientApp` behind the gate.

What leaves is the opening share (charged for all rounds), notices (keys, sealed shares of keys, signatures,
what opens a round), and one masked vector of whole numbers per round. The ClientApp's code runs inside the
plan, after the charge; an error in it reaches the ML party as a code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.exchange import account_of, receive_query, send_answer, send_notice
from comity.architectures.federated_features import Features
from comity.architectures.federated_terms import (
    LEAST_ROWS,
    NAME,
    PARTY_NORM,
    Settings,
    group_of,
    noise_of,
    size_of,
    unit_of,
)
from comity.architectures.models import labels_of
from comity.data.table import Table
from comity.errors import BadInput, BadTable, ComityError, PartyFailed
from comity.gate import refusal_of
from comity.ledger import PrivacyUnit
from comity.noise import permutation
from comity.plan import Outcome, Plan, Verdict
from comity.train.federated.clients import MASKED, REVEAL, SETUP, SURVIVORS, TRAIN, client_app
from comity.train.federated.descent import Holder, course_of
from comity.train.federated.engine import flower
from comity.train.federated.fixed_point import clipped, require_numbers, weighted
from comity.train.federated.member import Member
from comity.train.federated.networks import LocalTraining, Network, furthest_in
from comity.train.federated.records import arrays_of, config_of, from_parts, record, to_parts
from comity.train.federated.shared_noise import CAP_BITS, SharedNoise
from comity.validate.hosted_pace import STEP_S, paced
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

OPEN, LEFT_OUT = "open", "left-out"
_MOST_ADVANTAGE: Final = 0.5
_REHEARSED: Final = 4_000


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Check what was sent, charge for all rounds, and take part in them."""
    query = receive_query(channel, seat.ml_party, OPEN)
    try:
        settings = Settings.of(seat)
        features = Features.from_dict(query.body.get("features"), seat.task)
        member = Member(group_of(seat, features), seat.party, seat.key)
        worker = _Worker(seat, settings, features)
        _require_columns(seat, features)
    except ComityError as error:
        channel.send(seat.ml_party, refusal_of(error, topic=OPEN))
        raise
    opening = worker.opening(query)
    send_answer(seat, channel, opening)
    channel.hold_secrets()  # the member's keys
    desk = _Desk(seat, channel, client_app(member, worker.work))
    for stage in SETUP:
        desk.notice(stage)
    for number in range(settings.rounds):
        desk.share(worker.answer(opening, number), size_of(settings, worker.features, number))
        desk.notice(SURVIVORS)
        desk.notice(REVEAL)
    return {"rows_used": worker.rows}


def _require_columns(seat: Seat, features: Features) -> None:
    """Refuse before the charge what the table's names and types tell; no value is read.

    Raises:
        BadInput: if there is no table. Private to this provider.
        BadTable: if it lacks a column of the run. Private to this provider.
    """
    import pyarrow.parquet as pq

    there = set(pq.read_schema(seat.require_table("train")).names)
    unit = seat.agreement.data_of(seat.party).unit.column
    lacking = sorted({*features.encoder.names, seat.task.target, *([unit] if unit else [])} - there)
    if lacking:
        raise BadTable(f"the table 'train' has no column {', '.join(lacking)}", private=True)


class _Desk:
    """Hands the ML party's questions to the ClientApp, and its replies to the gate."""

    def __init__(self, seat: Seat, channel: Channel, app: Any) -> None:
        self._seat, self._channel, self._app = seat, channel, app
        module = flower("flwr.app")
        self._context = module.Context(
            run_id=1, node_id=1, node_config={}, state=module.RecordDict(), run_config={}
        )
        self._message = module.Message

    def notice(self, stage: str) -> None:
        """Answer a question about keys, shares of keys, survivors: no private byte goes into it."""
        query = self._asked(stage)
        try:
            reply = self._reply(query, stage)
            if arrays_of(reply):
                raise ComityError(f"a notice about '{stage}' held an array: this is a slip", private=True)
        except ComityError as error:
            self._channel.send(self._seat.ml_party, refusal_of(error, topic=stage))
            raise
        body, parts = to_parts({}, config_of(reply))
        send_notice(self._seat, self._channel, self._seat.ml_party, stage, body, parts, architecture=NAME)

    def share(self, plan: _Answer, size: int) -> None:
        """Answer a round's question with one masked vector of `size` words, through the gate."""
        query = self._asked(TRAIN)

        def run() -> Outcome:
            arrays = arrays_of(self._reply(query, TRAIN))
            words = arrays.get(MASKED)
            if set(arrays) != {MASKED} or words is None or words.dtype != np.uint64 or words.shape != (size,):
                raise ComityError("a round's reply is no masked vector: this is a slip", private=True)
            return Outcome(body={}, parts={MASKED: words.astype("<u8").tobytes()})

        asked = {name: hashlib.sha256(data).hexdigest() for name, data in query.parts.items()}
        send_answer(self._seat, self._channel, plan.to_plan({"query": dict(query.body), "parts": asked}, run))

    def _asked(self, stage: str) -> Message:
        """The ML party's next question.

        Raises:
            PartyFailed: if it says that this provider was left out.
            BadInput: if it sent anything else.
        """
        message = self._channel.receive(self._seat.ml_party)
        if message.kind is Kind.refusal and message.topic == LEFT_OUT:
            raise PartyFailed(str(message.body.get("message", "this provider was left out"))[:500])
        if message.kind is not Kind.query or message.topic != stage:
            raise BadInput(
                f"'{self._seat.ml_party}' sent a {message.kind} about '{message.topic[:40]}' where "
                f"'{stage}' was due"
            )
        return message

    def _reply(self, query: Message, stage: str) -> Any:
        """The ClientApp's reply. A stray error in it stays here: its words may quote rows.

        Raises:
            ComityError: private where it is not one of ours.
        """
        try:
            asked = self._message(record(*from_parts(query.body, query.parts)), 1, stage)
            return self._app(asked, self._context).content
        except ComityError:
            raise
        except Exception as error:
            raise ComityError(
                f"answering '{stage}' failed: {type(error).__name__}: {error}", private=True
            ) from error


class _Answer:
    """One round's plan, but for what is asked."""

    def __init__(self, seat: Seat, opening: Plan, number: int, rounds: int) -> None:
        self._seat, self._opening, self._number, self._rounds = seat, opening, number, rounds

    def to_plan(self, asked: Mapping[str, Any], run: Any) -> Plan:
        return Plan(
            architecture=NAME,
            purpose=f"masked vector {self._number + 1} of {self._rounds} that the opening share has paid for",
            recipient=self._seat.ml_party,
            topic=TRAIN,
            request={"of": self._opening.name, "round": self._number, **asked},
            asks=self._opening.asks,
            account=self._opening.account,
            cost=None,
            run=run,
            sealed=True,
            draws_on=self._opening.name,
        )


class _Worker:
    """A provider's rows, read when the first round is due: after the charge."""

    def __init__(self, seat: Seat, settings: Settings, features: Features) -> None:
        self._seat, self._settings, self.features = seat, settings, features
        self._network = Network(features.width, settings.hidden)
        self._before = np.zeros(self._network.size)
        self._noise: SharedNoise | None = None
        if not settings.exact:
            self._noise = noise_of(seat, seat.party, features)
            self._noise.part(0)  # what no noise can pay for is refused before it is charged

    def opening(self, query: Message) -> Plan:
        """The share that is charged for the whole conversation; nothing of the rows is in it."""
        rounds = self._settings.rounds
        noise = self._noise
        kind = "without differential privacy" if noise is None else "with noise from every provider"
        unit = PrivacyUnit.record if noise is None else noise.unit
        return Plan(
            architecture=NAME,
            purpose=f"part in {rounds} sums under masks, {kind}",
            recipient=self._seat.ml_party,
            topic=OPEN,
            request=dict(query.body),
            asks=self._settings.asks(self._seat),
            account=account_of(self._seat, unit=unit),
            cost=None if noise is None else noise.cost,
            run=lambda: Outcome(body={"rounds": rounds}),
            check=self._checked if noise is None else None,
            sealed=True,
            opens=rounds,
        )

    def answer(self, opening: Plan, number: int) -> _Answer:
        return _Answer(self._seat, opening, number, self._settings.rounds)

    def work(self, number: int, arrays: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Any:
        """A round's whole numbers, this provider's noise in them; how long it took tells little of rows."""
        if self._settings.trains:
            return paced(lambda: self._trained(number, arrays), step=STEP_S)
        return paced(lambda: self._holder.sums(number, arrays), step=STEP_S)

    def _trained(self, number: int, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        if set(arrays) != {"weights"}:
            raise BadInput("local training starts from weights")
        network = self._network
        weights = require_numbers(arrays["weights"], network.size, what="the weights to train from")
        if self._settings.exact:
            self._require_descended(number, weights)
        update = self._training(number).run(network, weights, self._matrix, self._labels) - weights
        if self._noise is None:
            return weighted(update, self.rows)
        return self._noise.add_part(number, clipped(update, PARTY_NORM, CAP_BITS))

    def _require_descended(self, number: int, weights: NDArray[np.float64]) -> None:
        """Refuse a model that the run cannot have led to: one made up to single a row out of the sum.

        The first one is public; no weight moves further in a round than local training lets it.
        A model that is made up within that is not told from one that was learned.

        Raises:
            BadInput: for another one.
        """
        begun = number == 0
        before = self._network.start(self._seat.options.seed) if begun else self._before
        furthest = 0.0 if begun else 1.002 * furthest_in(number - 1, hidden=self._settings.hidden)
        if float(np.abs(weights - before).max()) > furthest:
            raise BadInput("the weights to train from are not those that the run began with or has led to")
        self._before = weights

    def _training(self, number: int) -> LocalTraining:
        return LocalTraining.in_round(
            number,
            hidden=self._settings.hidden,
            rows=self.rows,
            members=len(self._seat.providers),
            proximal=self._settings.proximal,
            seed=self._seat.options.seed,
        )

    def _checked(self, outcome: Outcome) -> Verdict:
        """Before a run without differential privacy: enough rows, and a rehearsal at this provider alone.

        The model is trained on half of the rows, and the membership attack tries to tell them from the other
        half. What the common model will give away cannot be known before it is there.
        """
        from comity.attack.membership import membership_inference

        if self.rows < LEAST_ROWS:
            return Verdict(False, f"fewer than {LEAST_ROWS} rows would be averaged into the model")
        half = min(self.rows, _REHEARSED) // 2
        # in any order but the table's own: halves of a sorted one differ by more than membership
        taken = permutation(self.rows)[: 2 * half]
        matrix, labels = self._matrix[taken], self._labels[taken]
        network, training = self._network, self._training(0)
        start = network.start(self._seat.options.seed)
        weights = training.run(network, start, matrix[:half], labels[:half])
        scores = network.scores(weights, matrix)
        sure = np.where(labels == 1, scores, 1 - scores)
        found = membership_inference(sure[:half], sure[half:], seed=self._seat.options.seed)
        return Verdict(
            passed=found.low <= _MOST_ADVANTAGE,
            reason=f"a model of half of the rows tells them apart with advantage {found.advantage:.3f}",
            figures={"rows": self.rows, "membership": found.advantage, "low": found.low, "high": found.high},
        )

    @cached_property
    def _rows(self) -> pa.Table:
        rows = self._seat.table("train")
        if self._settings.trains:
            return rows
        unit = unit_of(self._seat, self._seat.party)
        if unit.column is None:
            return rows
        return rows.take(unit.kept(rows.column(unit.column).to_pylist()))

    @property
    def rows(self) -> int:
        return self._rows.num_rows

    @cached_property
    def _holder(self) -> Holder:
        """This provider's records, read when the first round is due: after the charge."""
        if self._noise is None:
            raise ComityError("a sum over records has noise: this is a slip")
        table = Table(self._rows)
        codes, positive = self.features.codes(table), self._labels == 1
        odds = partial(self.features.odds, table=table)
        return Holder(course_of(self.features.encoder), self._noise, codes, positive, odds)

    @cached_property
    def _matrix(self) -> NDArray[np.float32]:
        return self.features.matrix(Table(self._rows))

    @cached_property
    def _labels(self) -> NDArray[np.uint8]:
        return labels_of(self._rows, self._seat.task)
