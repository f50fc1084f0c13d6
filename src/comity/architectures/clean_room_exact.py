"""`clean-room`, mode `exact`: a model from all rows of each provider, held back if it tells who was in them.

At the provider the job trains on most rows; one in five is kept aside as control. Before the coefficients may
leave, a membership attack compares how well the model fits the rows that it learned and those kept aside
(Yeom et al. 2018); if the upper end of the 95% interval of its advantage passes the clause's limit, the model
is withheld. It is exact: one release per lineage, no guarantee. An attack is a lower bound on what leaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.architectures.definition import Seat, Task
from comity.architectures.exchange import account_of, receive_release, send_query
from comity.architectures.models import keep_scores
from comity.attack.membership import membership_inference
from comity.cleanroom.blocks import Parameters
from comity.cleanroom.columns import Columns
from comity.cleanroom.job import Job, Kind, Output
from comity.cleanroom.shipped import source
from comity.cleanroom.whole import run_whole
from comity.data.table import Table
from comity.errors import BadInput, PartyFailed
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan, Verdict
from comity.wire import Channel

if TYPE_CHECKING:
    from comity.agreement.training_clauses import CleanRoomClause

Floats = NDArray[np.float64]

TOPIC: Final = "job"
_ASIDE: Final = 5
_LEAST_ROWS: Final = 50


def exact_job(task: Task) -> tuple[Job, Parameters]:
    """The job that comity ships for this mode, and what it is given."""
    columns = Columns.of(task.schema, (*task.features, task.target))
    levels = [
        0 if task.schema[name].type.is_numeric else len(task.schema[name].values or ())
        for name in task.features
    ]
    job = Job(
        title="Logistic regression on all rows",
        source=source("logistic"),
        columns=columns.names,
        kind=Kind.model,
        outputs=(Output("coefficients", 1 + sum(2 + count for count in levels)),),
        parameters={"levels": len(levels), "positive": 1},
        modules=("numpy", "numpy.linalg"),
        memory_mb=4096,
    )
    given = {
        "levels": np.array(levels, dtype=np.float64),
        "positive": np.array([positive_code(task)]),
    }
    return job, given


def positive_code(task: Task) -> float:
    """What a job is given for the positive value of the target.

    Raises:
        BadInput: if the schema does not list it.
    """
    column = task.schema[task.target]
    if column.type.is_numeric:
        return float(task.positive)
    if task.positive not in (column.values or ()):
        raise BadInput(f"'{task.positive}' is not among the public levels of {task.target}")
    return float((column.values or ()).index(task.positive))


def model_plan(
    seat: Seat,
    job: Job,
    parameters: Parameters,
    columns: Columns,
    request: dict[str, Any],
    note: Callable[[int, float, float], None],
) -> Plan:
    """The release of a model, checked by the attack."""
    clause: CleanRoomClause | None = getattr(seat.agreement.architectures, "clean_room", None)
    limit = (clause.membership if clause is not None else None) or 0.0
    fault = ""

    def rows() -> tuple[Floats, NDArray[np.bool_]]:
        matrix = columns.matrix(Table(seat.table("train", columns=list(job.columns))))
        return matrix, np.arange(len(matrix)) % _ASIDE == _ASIDE - 1

    def run() -> Outcome:
        nonlocal fault
        matrix, aside = rows()
        done = run_whole(job, parameters, matrix[~aside])
        note(int((~aside).sum()), done.cpu_s, done.peak_mb)
        fault = done.fault
        outputs = done.outputs or {output.name: np.zeros(output.length) for output in job.outputs}
        return Outcome(
            body={"rows": int((~aside).sum())},
            parts={name: values.astype("<f8").tobytes() for name, values in outputs.items()},
        )

    def check(outcome: Outcome) -> Verdict:
        if fault:
            return Verdict(False, f"the job gave nothing that was declared: {fault}")
        matrix, aside = rows()
        coefficients = np.frombuffer(outcome.parts[job.outputs[0].name], dtype="<f8")
        return judged(job, parameters, coefficients, matrix, aside, limit)

    return Plan(
        architecture="clean-room",
        purpose=f"the model of the job '{job.title}' on the rows of {seat.party}",
        recipient=seat.ml_party,
        topic=TOPIC,
        request=request,
        asks={"unsafe_exact": True},
        account=account_of(seat, unit=PrivacyUnit.record),
        cost=None,
        run=run,
        check=check,
    )


def judged(
    job: Job,
    parameters: Parameters,
    coefficients: Floats,
    matrix: Floats,
    aside: NDArray[np.bool_],
    limit: float,
) -> Verdict:
    """Whether the attack's interval stays under the limit.

    The model is read as the job `logistic` writes it; the adversary's score is the chance that it gives to a
    row's own label.
    """
    if min(aside.sum(), (~aside).sum()) < _LEAST_ROWS:
        return Verdict(False, f"too few rows to attack the model with: {len(matrix)}")
    levels = parameters.get("levels")
    if levels is None or "positive" not in parameters or len(levels) != len(job.columns) - 1:
        return Verdict(
            False, "the model is none that the room can score rows with, so none that it can attack"
        )
    odds = score(coefficients, levels, matrix[:, :-1])
    if odds is None:
        return Verdict(False, "the model has another form than declared: no row can be scored")
    chances = 0.5 * (1.0 + np.tanh(odds / 2.0))
    confidence = np.where(matrix[:, -1] == parameters["positive"][0], chances, 1.0 - chances)
    found = membership_inference(confidence[~aside], confidence[aside])
    figures = {"advantage": found.advantage, "low": found.low, "high": found.high, "limit": limit}
    told = (
        f"the attack's advantage is {found.advantage:.3f}, at most {found.high:.3f}; the limit is {limit:g}"
    )
    return Verdict(found.high <= limit, told, {name: f"{value:.6f}" for name, value in figures.items()})


def score(coefficients: Floats, levels: Floats, features: Floats) -> Floats | None:
    """(rows,) log odds, cut to +-700, of a model as the job `logistic` writes it; None for another length."""
    if len(coefficients) != 1 + int(sum(2 + count for count in levels)):
        return None
    odds: Floats = np.full(len(features), coefficients[0])
    first = 1
    for at, count in enumerate(int(count) for count in levels):
        values, missing = features[:, at], np.isnan(features[:, at])
        if count:
            places = np.where(missing, 0, 1 + np.minimum(np.nan_to_num(values), count)).astype(np.int64)
            odds = odds + coefficients[first + places]
        else:
            odds = odds + np.where(
                missing, coefficients[first + 1], np.nan_to_num(values) * coefficients[first]
            )
        first += 2 + count
    return np.asarray(np.clip(odds, -700.0, 700.0), dtype=np.float64)


def learn_models(seat: Seat, channel: Channel) -> dict[str, Any]:
    """The ML party: ask every provider for its model, and average what they say of each probe row."""
    job, parameters = exact_job(seat.task)
    parts = {name: values.astype("<f8").tobytes() for name, values in parameters.items()}
    for name in seat.providers:
        send_query(channel, name, TOPIC, {"job": job.to_dict()}, parts)
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
