"""What the programs of blind validation share, whatever the mode: the frame, the price, the lesson."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.linked import MOST_COLUMNS, FeatureBins, StartModel, linked_rows
from comity.architectures.models import keep_scores, labels_of
from comity.crypto.canonical import digest
from comity.data.table import Table, concat_tables
from comity.errors import BadInput, BadTable, ClauseRefused
from comity.validate.design import Design
from comity.validate.mechanism import LARGEST_EPSILON, Price, noise_multiplier
from comity.validate.monitor import Monitor
from comity.validate.request import ScoreStatistics
from comity.wire import Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOPIC = "feedback"
MINIMUM_GROUP = 10
QUERIES = 1
CLAUSE = "architectures.blind-validation"

Ask = Callable[[ScoreStatistics], "tuple[NDArray[np.float64], float]"]
"""Puts a question, rows in the frame's order: the noisy sums, and the standard deviation of their noise."""


def mediator_of(seat: Seat) -> str:
    """The mediator's name.

    Raises:
        BadInput: if the agreement has none.
    """
    mediators = seat.agreement.by_role("mediator")
    if not mediators:
        raise BadInput("blind validation needs a party with the role 'mediator' in the agreement")
    return mediators[0].name


def frame_of(seat: Seat) -> tuple[Table, list[str]]:
    """At the ML party: features of all records of the frame, in the order of their ids, and the ids."""
    together = concat_tables([Table(linked_rows(seat, provider)[0]) for provider in seat.providers])
    ids = together.arrow.column(seat.task.id).to_pylist()
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    return together.take(order), [ids[at] for at in order]


def agreed_frame(seat: Seat, message: Message) -> list[str]:
    """At a provider: the frame's ids as the ML party sent them, if they are those the agreement fixes.

    Raises:
        ClauseRefused: if they are others.
    """
    try:
        ids = json.loads(message.parts["ids"])
    except (KeyError, ValueError, RecursionError):
        raise BadInput(f"'{message.sender}' sent no frame that can be read") from None
    require_agreed(seat, ids)
    return ids


def require_agreed(seat: Seat, ids: Sequence[str]) -> None:
    """Refuse a frame that is not the agreement's.

    Raises:
        ClauseRefused: naming the clause.
    """
    clause = seat.agreement.clause("blind-validation")
    frame = getattr(clause, "frame", None)
    if frame is None or frame.rows != len(ids) or frame.sha256 != digest(list(ids)):
        raise ClauseRefused(
            "the ids are not those of the frame that the agreement fixes",
            clause=f"{CLAUSE}.frame",
            would_pass="the agreed list of ids, in rising order",
        )


def own_labels(seat: Seat, frame: Sequence[str]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """At a provider, over the frame: 1 where it holds the record, and the record's label.

    Raises:
        BadTable: private, if it holds records that the frame does not name.
    """
    rows = seat.table("train", columns=[seat.task.id, seat.task.target])
    place = {id_: at for at, id_ in enumerate(frame)}
    at = [place.get(id_, -1) for id_ in rows.column(seat.task.id).to_pylist()]
    places = np.array(at, dtype=np.int64)
    if (places < 0).any():
        raise BadTable(f"{int((places < 0).sum())} of the table's ids are not in the agreed frame")
    held, labels = np.zeros(len(frame), np.int8), np.zeros(len(frame), np.int8)
    held[places] = 1
    labels[places] = labels_of(rows, seat.task).astype(np.int8)
    return held, labels


def budgeted_price(seat: Seat, provider: str) -> Price:
    """What an answer costs a provider: the run's epsilon with the additive delta of its budget.

    Raises:
        ClauseRefused: if the agreement gives its data no budget.
    """
    budget = seat.agreement.data_of(provider).budget
    if budget is None or budget.delta_additive <= 0:
        raise ClauseRefused(
            f"the agreement gives the data of '{provider}' no budget for feedback",
            clause=f"data.{provider}.budget",
        )
    return Price(min(seat.options.epsilon, LARGEST_EPSILON), budget.delta_additive)


def read_question(seat: Seat, message: Message, records: int) -> ScoreStatistics:
    """At the mediator: the question, checked against the agreement before anything is counted.

    Raises:
        BadInput: if it cannot be read or is about another number of records.
        ClauseRefused: if a record is in too many groups, or a group is too small.
    """
    if not isinstance(message.body.get("question"), dict):
        raise BadInput(f"'{message.sender}' asked in a form that blind validation does not know")
    try:
        request = ScoreStatistics.from_message(message.body["question"], message.parts)
    except (TypeError, ValueError):
        raise BadInput(f"'{message.sender}' asked in a form that blind validation does not know") from None
    if request.rows != records or len(request.widths) > MOST_COLUMNS + 2:
        raise BadInput(f"'{message.sender}' asks about {request.rows} records where {records} are agreed")
    clause = seat.agreement.clause("blind-validation")
    most = getattr(clause, "groups_per_record", 1)
    if len(request.widths) > most:
        raise ClauseRefused(
            "the question puts every record into more groups than the agreement allows",
            clause=f"{CLAUSE}.groups_per_record",
            asked=str(len(request.widths)),
            would_pass=f"{most} or less",
        )
    minimum = getattr(clause, "minimum_group", None)
    if minimum is not None:
        monitor = Monitor(range(records), minimum=minimum, clause=f"{CLAUSE}.minimum_group")
        monitor.admit_all([request.codes[:, at].astype(np.int64) for at in range(len(request.widths))])
    return request


def taught(seat: Seat, ask: Ask, *, providers: int, noises: float | None = None) -> dict[str, Any]:
    """At the ML party: one lesson over the frame, and the probe's scores after it.

    Args:
        noises: variance of all noise in a sum, over that of one party's full noise; by default that of the
            mediator and of `providers` second noises.
    """
    together, ids = frame_of(seat)
    require_agreed(seat, ids)
    start = StartModel(seat)
    holders = np.zeros(together.rows, dtype=np.int64)
    bins = FeatureBins.over(together, start.scores(together), holders, seat, MINIMUM_GROUP)
    factor = 1 + providers / max(1, providers - 1) if noises is None else noises
    multiplier = noise_multiplier(budgeted_price(seat, seat.providers[0]))
    design = Design.draw_up(
        bins.columns(together),
        start.scores(together),
        noise=multiplier * float(np.sqrt(factor)),
        minimum=MINIMUM_GROUP,
    )
    correction = design.learn(*ask(design.request))
    probe = Table(seat.table("probe"))
    scores = correction.scores(bins.columns(probe), start.scores(probe))
    keep_scores(seat, {"feedback": 0.5 * (1 + np.tanh(scores / 2))})
    return {"rows_used": seat.table("seed").num_rows + together.rows}
