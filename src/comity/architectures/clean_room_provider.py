"""`clean-room` at a provider: take a job, see that it may run, run it beside the data, answer by the gate.

What can be said no to is said from public facts, before anything is charged: the job's form, its columns,
whether it is approved, whether its outputs are of a kind that the clause allows, whether it can run at all
(on made-up rows). From then on there is one answer, whose form and size follow from the job alone, at one of
few times. Statistics that the job declares are computed beside its program, or instead of one, and paid for
out of the same charge.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from comity.architectures.clean_room_exact import model_plan
from comity.architectures.clean_room_own import own_job
from comity.architectures.clean_room_rows import read_rows
from comity.architectures.clean_room_statistics import compute, rehearse_statistics
from comity.architectures.clean_room_steward import tell_steward
from comity.architectures.clean_room_table import table_plan
from comity.architectures.clean_room_terms import NAME, TOPIC, taken
from comity.architectures.definition import Seat
from comity.architectures.exchange import account_of, additive_delta, receive_query, send_answer
from comity.cleanroom.approval import approved
from comity.cleanroom.blocks import Parameters
from comity.cleanroom.columns import Columns, Units
from comity.cleanroom.job import Job, Kind
from comity.cleanroom.pace import leave_at, leaves_after, require_soon
from comity.cleanroom.places import most_places
from comity.cleanroom.price import RoomPrice
from comity.cleanroom.purse import Parts, Purse
from comity.cleanroom.rehearsal import require_rehearsed
from comity.cleanroom.statistic import answer
from comity.crypto.canonical import digest
from comity.errors import ClauseRefused, ComityError
from comity.gate import refusal_of
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, pure
from comity.plan import Outcome, Plan
from comity.wire import Channel, Message


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Take the ML party's job and answer it."""
    message = receive_query(channel, seat.ml_party, TOPIC)
    try:
        room = _Room.of(seat, message)
        plan = room.plan()
    except ComityError as error:
        channel.send(seat.ml_party, refusal_of(error, topic=TOPIC))
        raise
    send_answer(seat, channel, plan)
    return {"rows_used": room.rows, "sandbox": {"cpu_s": room.cpu_s, "peak_rss_mb": room.peak_mb}}


@dataclass
class _Room:
    """One job at one provider: what it may do, and what running it took."""

    seat: Seat
    job: Job
    parameters: Parameters
    columns: Columns
    unit: Units
    rows: int = 0
    cpu_s: float = 0.0
    peak_mb: float = 0.0

    @classmethod
    def of(cls, seat: Seat, message: Message) -> _Room:
        """The job that was sent, checked against public facts alone.

        Raises:
            BadInput: if it cannot be read, or reads what is not agreed.
            ClauseRefused: if it is not approved, or gives out what the clause does not allow.
        """
        job, parameters = taken(message)
        _check_clause(seat, job, seat.agreement.clause(NAME))
        terms = seat.agreement.data_of(seat.party)
        columns = Columns.of(seat.task.schema, job.columns)
        unagreed = [name for name in job.columns if name not in terms.columns]
        if unagreed:
            raise ClauseRefused(
                f"the agreement has no column '{unagreed[0]}' of the data of '{seat.party}'",
                clause=f"data.{seat.party}.columns",
                asked=unagreed[0],
            )
        unit = Units.of(terms.unit, terms.columns)
        if unit.column is not None and unit.column not in terms.columns:
            raise ClauseRefused(
                f"the privacy unit of the data of '{seat.party}' is '{unit.column}', which is none of its "
                "columns",
                clause=f"data.{seat.party}.unit",
            )
        if job.statistics:
            rehearse_statistics(job, seat.task.schema, seat.options.epsilon, unit)
        if job.blocks is not None:
            require_soon(job, most_places(job))
        if job.outputs:
            require_rehearsed(job, parameters, seat.task.schema)
        return cls(seat, job, parameters, columns, unit)

    def plan(self) -> Plan:
        self.seat.require_table("train")
        if self.job.kind is Kind.statistic:
            return self._statistic()
        if self.job.kind is Kind.table:
            return table_plan(
                self.seat, self.job, self.parameters, self.columns, self.unit, self._request, self._note
            )
        return model_plan(
            self.seat, self.job, self.parameters, self.columns, self.unit, self._request, self._note
        )

    @property
    def _request(self) -> dict[str, Any]:
        return {"job": self.job.digest, "parameters": _digest(self.parameters)}

    def _note(self, rows: int, cpu_s: float, peak_mb: float) -> None:
        self.rows, self.cpu_s, self.peak_mb = rows, cpu_s, peak_mb

    def _statistic(self) -> Plan:
        seat, job = self.seat, self.job
        whose = self.unit.whose
        parts = Parts.of(job, seat.options.epsilon)
        price, cost = self._priced(parts, whose)

        def work() -> Outcome:
            begun, purse = time.monotonic(), Purse(cost)
            matrix, units = read_rows(seat, self.columns, self.unit)
            people = None if whose is PrivacyUnit.record else units[units >= 0]
            told = compute(job, self.columns, matrix[units >= 0], people, self.unit.rows, parts, purse)
            statistics = {"statistics": [one.to_message() for one in told]} if told else {}
            if price is None:
                leave_at(begun, leaves_after(0, 0.0))
                return Outcome(statistics)
            purse.take(price.cost)
            found, ran = answer(
                job, self.parameters, matrix, units, price, most_rows=self.unit.rows, begun=begun
            )
            self._note(ran.rows, ran.cpu_s, ran.peak_mb)
            if ran.fault:
                tell_steward(seat, f"{ran.fault}\nNoise without any result has left.")
            body, sums = found.to_message()
            return Outcome(body | statistics, sums)

        return Plan(
            architecture=NAME,
            purpose=f"noisy results of the job '{job.title}' beside the data of {seat.party}",
            recipient=seat.ml_party,
            topic=TOPIC,
            request=self._request,
            asks={},
            account=account_of(seat, unit=whose),
            cost=cost,
            run=work,
        )

    def _priced(self, parts: Parts, whose: PrivacyUnit) -> tuple[RoomPrice | None, Cost]:
        """The price of the program's outputs, if it has any, and what the whole job is charged."""
        epsilon = self.seat.options.epsilon
        if not self.job.outputs:
            return None, pure(epsilon, unit=whose, relation=Relation.add_remove)
        delta = additive_delta(self.seat, self.seat.party, NAME)
        price = RoomPrice.of(self.job, parts.program, delta, whose)
        return price, approximate(epsilon, delta, unit=whose, relation=Relation.add_remove)


def _check_clause(seat: Seat, job: Job, clause: Any) -> None:
    """Hold the job against what the clause allows and who approved it."""
    named = clause.programs or ()
    # a program that comity ships is known with its declaration; of any other the whole job is named
    known = job.digest in named or (job.source_digest in named and own_job(seat.task, job))
    if not known and not approved(seat.ledger, job):
        raise ClauseRefused(
            f"the job '{job.title}' is not approved",
            clause=f"architectures.{NAME}.programs",
            asked=f"job {job.digest}",
            would_pass="a job that the agreement names by its digest (comity clean-room check), or one that "
            "the steward has approved: comity clean-room approve",
        )
    if job.kind is Kind.statistic:
        return
    limit = "membership" if job.kind is Kind.model else "minimum_cell"
    if not clause.unsafe_exact or getattr(clause, limit) is None:
        raise ClauseRefused(
            f"a {job.kind} leaves without differential privacy, which the clause does not allow",
            clause=f"architectures.{NAME}.{limit}",
            asked=f"a {job.kind}",
            would_pass=f"statistics, or a clause with unsafe_exact: true and {limit}",
        )


def _digest(parameters: Parameters) -> str:
    return digest({name: values.astype("<f8").tobytes().hex() for name, values in parameters.items()})
