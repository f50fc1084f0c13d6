"""`clean-room` at the ML party: send the job to every provider, learn from the answers, score the probe.

A job of the ML party's own stands in its folder as `job/job.yaml` (`comity.cleanroom.jobfile`). It is sent
instead of the one that comity ships, and what every provider answers is kept in the session's folder as
`answers.json`; nothing is scored then.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from comity.architectures.clean_room_exact import exact_job, positive_code, score
from comity.architectures.clean_room_terms import TOPIC, send_job
from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_release
from comity.architectures.models import keep_scores, labels_of
from comity.cleanroom.columns import Columns
from comity.cleanroom.job import Job, Kind
from comity.cleanroom.jobfile import read_job_file
from comity.cleanroom.lesson import Lesson
from comity.cleanroom.statistic import Answer
from comity.cleanroom.told import read_told
from comity.data.table import Table
from comity.errors import BadInput, PartyFailed
from comity.schema import Schema
from comity.wire import Channel, Message


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Ask with the party's own job, or with the one that comity ships for this mode."""
    own = seat.folder / "job" / "job.yaml"
    if own.is_file():
        return _ask(seat, channel, own)
    return _average_models(seat, channel) if seat.options.mode == "exact" else _learn(seat, channel)


def _ask(seat: Seat, channel: Channel, path: Path) -> dict[str, Any]:
    """Send an own job and keep the answers."""
    job, parameters = read_job_file(path)
    send_job(seat, channel, job, parameters)
    answers: dict[str, Any] = {}
    for name in seat.providers:
        message = receive_release(seat, channel, name, TOPIC)
        try:
            answers[name] = _readable(job, seat.task.schema, message)
        except (BadInput, KeyError, TypeError, ValueError) as error:
            raise PartyFailed(f"'{name}' sent what cannot be read: {str(error)[:200]}") from None
    told = {"job": job.digest, "answers": answers}
    (seat.session / "answers.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return {"rows_used": None, "own_rows": 0}


def _readable(job: Job, schema: Schema, message: Message) -> dict[str, Any]:
    """An answer with the names of what it holds; each provider's by itself, nothing is added up."""
    outcome = message.body["outcome"]
    if job.kind is Kind.table:
        return dict(outcome)
    if job.kind is Kind.statistic:
        readable: dict[str, Any] = {}
        if job.outputs:
            found = Answer.from_message(job, outcome, message.parts)
            readable = found.to_message()[0]
            readable |= {"sums": {name: sums.tolist() for name, sums in found.sums.items()}}
        if job.statistics:
            told = read_told(job.statistics, schema, outcome.get("statistics"))
            readable["statistics"] = {one.asked.name: one.readable(schema) for one in told}
        return readable
    values = {output.name: np.frombuffer(message.parts[output.name], dtype="<f8") for output in job.outputs}
    return {"rows": int(outcome["rows"]), "outputs": {name: list(v.tolist()) for name, v in values.items()}}


def _learn(seat: Seat, channel: Channel) -> dict[str, Any]:
    task = seat.task
    seeds = Table(seat.table("seed"))
    lesson = Lesson(
        task.schema,
        task.features,
        task.target,
        positive_code(task),
        seeds,
        labels_of(seeds.arrow, task),
        providers=len(seat.providers),
        seed=seat.options.seed,
    )
    job = lesson.job
    send_job(seat, channel, job, lesson.parameters)
    answers: list[Answer] = []
    for name in seat.providers:
        message = receive_release(seat, channel, name, TOPIC)
        try:
            answers.append(Answer.from_message(job, message.body["outcome"], message.parts))
        except BadInput as error:
            raise PartyFailed(f"'{name}' sent {error}") from None
    lesson.learn(answers)
    keep_scores(seat, {"feedback": lesson.scores(Table(seat.table("probe")))})
    counted = sum(answer.units or 0 for answer in answers)
    return {
        "rows_used": None,
        "own_rows": seeds.rows,
        "units_counted": counted,
        "drawn": {name: answer.drawn for name, answer in zip(seat.providers, answers, strict=True)},
    }


def _average_models(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Ask every provider for its model, and average what they say of each probe row."""
    job, parameters = exact_job(seat.task)
    send_job(seat, channel, job, parameters)
    probe = Columns.of(seat.task.schema, seat.task.features).matrix(Table(seat.table("probe")))
    odds, rows = np.zeros(len(probe)), 0
    for name in seat.providers:
        message = receive_release(seat, channel, name, TOPIC)
        try:
            count = int(message.body["outcome"]["rows"])
            coefficients = np.frombuffer(message.parts["coefficients"], dtype="<f8").astype(np.float64)
            told = score(coefficients, parameters["levels"], probe)
        except (KeyError, TypeError, ValueError):
            raise PartyFailed(f"'{name}' sent a model that cannot be read") from None
        if told is None or not np.isfinite(told).all() or count < 1:
            raise PartyFailed(f"'{name}' sent a model that cannot be")
        odds, rows = odds + count * told, rows + count
    keep_scores(seat, {"logistic": 0.5 * (1.0 + np.tanh(odds / rows / 2.0))})
    return {"rows_used": rows}
