"""`clean-room`, mode `exact`: a model from all rows of each provider, held back if it tells who was in them.

At the provider the job trains on most units' rows; one unit in five, a record or a person with all rows that
count, is kept aside as control. Before the coefficients may
leave, a membership attack compares how well the model fits the rows that it learned and those kept aside
(Yeom et al. 2018); if the upper end of the 95% interval of its advantage passes the clause's limit, the model
is withheld. Four adversaries try: more sure of a row's own label, less sure, surer whichever label, less sure
whichever. Which units are kept aside follows from all rows together, so that nobody who does not hold them
can tell, and is the same when asked again. It is exact: one release per lineage, no guarantee. An attack is a
lower bound on what leaks.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.architectures.clean_room_rows import read_rows
from comity.architectures.clean_room_steward import tell_steward
from comity.architectures.clean_room_terms import NAME, TOPIC
from comity.architectures.definition import Seat, Task
from comity.architectures.exchange import account_of
from comity.attack.membership import membership_either_way, rows_aside
from comity.cleanroom.blocks import Parameters
from comity.cleanroom.columns import Columns, Units
from comity.cleanroom.job import Job, Kind, Output
from comity.cleanroom.pace import leaves_after, paced
from comity.cleanroom.shipped import source
from comity.cleanroom.whole import run_whole
from comity.errors import BadInput
from comity.plan import Outcome, Plan, Verdict

if TYPE_CHECKING:
    from comity.agreement.training_clauses import CleanRoomClause

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ASIDE: Final = 5
_LEAST_UNITS: Final = 50


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
        try:
            return float(task.positive)
        except ValueError:
            raise BadInput(f"'{task.positive}' is no number, and {task.target} holds numbers") from None
    if task.positive not in (column.values or ()):
        raise BadInput(f"'{task.positive}' is not among the public levels of {task.target}")
    return float((column.values or ()).index(task.positive))


def model_plan(
    seat: Seat,
    job: Job,
    parameters: Parameters,
    columns: Columns,
    unit: Units,
    request: dict[str, Any],
    note: Callable[[int, float, float], None],
) -> Plan:
    """The release of a model, checked by the attack."""
    clause: CleanRoomClause | None = getattr(seat.agreement.architectures, "clean_room", None)
    limit = (clause.membership if clause is not None else None) or 0.0
    fault, begun, first = "", time.monotonic(), leaves_after(1, 0.0)

    def rows() -> tuple[Floats, Integers, NDArray[np.bool_]]:
        matrix, units = read_rows(seat, columns, unit)
        matrix, units = matrix[units >= 0], units[units >= 0]
        return matrix, units, kept_aside(matrix, units)

    def run() -> Outcome:
        nonlocal fault, begun
        begun = time.monotonic()
        with paced(begun, first):
            matrix, _, aside = rows()
            done = run_whole(job, parameters, matrix[~aside])
            note(int((~aside).sum()), done.cpu_s, done.peak_mb)
            fault = done.fault
            if fault:
                tell_steward(seat, f"The job '{job.title}' gave nothing that was declared: {fault}")
        outputs = done.outputs or {output.name: np.zeros(output.length) for output in job.outputs}
        return Outcome(
            body={"rows": int((~aside).sum())},
            parts={name: values.astype("<f8").tobytes() for name, values in outputs.items()},
        )

    def check(outcome: Outcome) -> Verdict:
        with paced(begun, first):  # yes or no, it is said at a time that the attack does not choose
            if fault:
                return Verdict(False, "the job gave nothing that was declared; the session's folder says why")
            matrix, units, aside = rows()
            coefficients = np.frombuffer(outcome.parts[job.outputs[0].name], dtype="<f8")
            return judged(job, parameters, coefficients, matrix, aside, limit, units)

    return Plan(
        architecture=NAME,
        purpose=f"the model of the job '{job.title}' on the rows of {seat.party}",
        recipient=seat.ml_party,
        topic=TOPIC,
        request=request,
        asks={"unsafe_exact": True},
        account=account_of(seat, unit=unit.whose),
        cost=None,
        run=run,
        check=check,
        held=f"the job ran at {seat.party}, and its model was held back: its scores tell the rows that it "
        "learned from too well from rows that it did not see (a membership attack, whose advantage the "
        f"clause limits to {limit:g}), or there are too few rows to be sure that they do not (it takes some "
        "hundreds), or it gave no model of the declared form. Which of these, the provider alone may know, "
        "since it depends on its rows. What may help: a simpler or more regularised model, more rows; or "
        "statistics with noise (mode private), which no such check holds back",
    )


def kept_aside(matrix: Floats, units: Integers | None = None) -> NDArray[np.bool_]:
    """(rows,) the rows of one unit in five, drawn by a fingerprint of all rows.

    Args:
        units: (rows,) the number of each row's unit, 0 up; None: each row is one. A person's rows are alike,
            so a model is told by them as well as by its own: all of them are on one side.
    """
    numbers = np.arange(len(matrix), dtype=np.int64) if units is None else units
    count = int(numbers.max(initial=-1)) + 1
    return rows_aside(count, _fingerprint(b"aside", matrix), one_in=_ASIDE)[numbers]


def _fingerprint(of: bytes, matrix: Floats) -> bytes:
    """Of all rows, those kept aside too: no program knows it beforehand, and a repeat has the same."""
    return hashlib.sha256(of + np.ascontiguousarray(matrix).tobytes()).digest()


def judged(
    job: Job,
    parameters: Parameters,
    coefficients: Floats,
    matrix: Floats,
    aside: NDArray[np.bool_],
    limit: float,
    units: Integers | None = None,
) -> Verdict:
    """Whether the attack's interval stays under the limit.

    The model is read as the job `logistic` writes it. The adversary's score is the chance that it gives to a
    row's own label; members may be told by high ones, by low ones, or by a band of them: who gets the model
    may turn it round as well. Which band is chosen on one half of the scores and measured on the other.

    Args:
        units: (rows,) as of `kept_aside`. Each unit has one score, since the interval takes scores for
            independent: the mean of its rows', then their least, then their largest; the worst counts.
    """
    numbers = np.arange(len(matrix), dtype=np.int64) if units is None else units
    outside = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=np.bool_)
    outside[numbers] = aside
    if min(outside.sum(), (~outside).sum()) < _LEAST_UNITS:
        return Verdict(False, f"too few units to attack the model with: {len(outside)}")
    reason = unscorable(job)
    if reason is not None:
        return Verdict(False, reason)
    odds = score(coefficients, parameters["levels"], matrix[:, :-1])
    if odds is None:
        return Verdict(False, "the model has another form than declared: no row can be scored")
    if not np.isfinite(odds).all():
        return Verdict(False, "the model gives no finite score to some rows")
    own = np.where(matrix[:, -1] == parameters["positive"][0], odds, -odds)
    secret = _fingerprint(b"halves", matrix)
    tried = [
        membership_either_way(sure[~outside], sure[outside], secret=secret)
        for sure in _scores_of_units(own, numbers)
    ]
    found = max(tried, key=lambda one: one.high)
    figures = {"advantage": found.advantage, "low": found.low, "high": found.high, "limit": limit}
    told = (
        f"the attack's advantage is {found.advantage:.3f}, at most {found.high:.3f}; the limit is {limit:g}"
    )
    return Verdict(found.high <= limit, told, {name: f"{value:.6f}" for name, value in figures.items()})


def unscorable(job: Job) -> str | None:
    """Why no row can be scored by what the job gives, whatever it is; None if one can. Public."""
    declared = job.parameters
    if declared.get("levels") == len(job.columns) - 1 and declared.get("positive") == 1:
        return None
    return (
        "the room can score no rows with the model, so it cannot attack it: as in the job 'logistic', "
        "its last column is the target, and its parameters are levels (of each feature, 0 for a number) and "
        "positive (one number)"
    )


def _scores_of_units(own: Floats, numbers: Integers) -> list[Floats]:
    """Each (units,) the mean, the least and the largest of a unit's rows; one, where each has one row."""
    rows = np.bincount(numbers)
    mean: Floats = np.bincount(numbers, weights=own) / rows
    if rows.max() == 1:
        return [mean]
    least, largest = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    np.minimum.at(least, numbers, own)
    np.maximum.at(largest, numbers, own)
    return [mean, least, largest]


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
