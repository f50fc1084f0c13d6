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

from comity.architectures.clean_room_exact import learn_models
from comity.architectures.clean_room_provider import TOPIC
from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_release, send_query
from comity.architectures.models import keep_scores, labels_of
from comity.cleanroom.blocks import check_parameters
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
    return learn_models(seat, channel) if seat.options.mode == "exact" else _learn(seat, channel)


def _ask(seat: Seat, channel: Channel, path: Path) -> dict[str, Any]:
    """Send an own job and keep the answers."""
    job, parameters = read_job_file(path)
    check_parameters(job, parameters)
    parts = {name: values.astype("<f8").tobytes() for name, values in parameters.items()}
    for name in seat.providers:
        send_query(channel, name, TOPIC, {"job": job.to_dict()}, parts)
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
        task.positive,
        seeds,
        labels_of(seeds.arrow, task),
        providers=len(seat.providers),
        seed=seat.options.seed,
    )
    job = lesson.job
    parts = {name: values.astype("<f8").tobytes() for name, values in lesson.parameters.items()}
    for name in seat.providers:
        send_query(channel, name, TOPIC, {"job": job.to_dict()}, parts)
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
