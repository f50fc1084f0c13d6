"""What the programs of blind validation share, whatever the mode: the frame, the price, the lesson."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.exchange import account_of, additive_delta
from comity.architectures.linked import MOST_COLUMNS, FeatureBins, StartModel, linked_rows
from comity.architectures.models import keep_scores, keep_start, labels_of
from comity.crypto.canonical import digest
from comity.data.table import Table, concat_tables
from comity.errors import BadInput, BadTable, ClauseRefused
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan
from comity.validate.blind_admission import Admission
from comity.validate.blind_holders import covering
from comity.validate.blind_price import portion_calibration, portion_multiplier
from comity.validate.blind_query import from_message
from comity.validate.blind_store import StoredAnswers
from comity.validate.design import Design
from comity.validate.mechanism import LARGEST_EPSILON, NoisySums, Price
from comity.validate.metrics import ask_for
from comity.validate.queries import Query
from comity.validate.request import ScoreStatistics
from comity.wire import Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.mechanism import Noise
    from comity.validate.mechanism import Sized

TOPIC = "feedback"
MINIMUM_GROUP = 10
CLAUSE = "architectures.blind-validation"

PORTIONS = (0.96, 0.04)
"""Of an upload's price: the lesson's, and that of the feedback on what it taught. The lesson's noise is 2%
wider for it."""

NAME_LENGTH = 32

METRICS_TOLD = ("auc", "calibration", "confusion")

Ask = Callable[[Query, int], NoisySums]
"""Puts a question, rows in the frame's order, with one of the portions: the noisy sums."""


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
    """What a provider's upload costs, all its answers together: the run's epsilon, with its budget's additive
    delta.

    Raises:
        ClauseRefused: if the agreement gives its data no budget.
    """
    additive = additive_delta(seat, provider, "blind-validation")
    return Price(min(seat.options.epsilon, LARGEST_EPSILON), additive)


def paid_share(
    seat: Seat,
    *,
    asks: Mapping[str, Any],
    purpose: str,
    topic: str,
    request: Mapping[str, Any],
    run: Callable[[], Outcome],
) -> Plan:
    """A provider's labels on their way to the mediator, charged for all the answers that they can open to."""
    return Plan(
        architecture="blind-validation",
        purpose=purpose,
        recipient=mediator_of(seat),
        topic=topic,
        request=request,
        asks=asks,
        account=account_of(seat, unit=PrivacyUnit.label),
        cost=budgeted_price(seat, seat.party).cost,
        run=run,
        sealed=True,
        opens=len(PORTIONS),
    )


def shared_price(seat: Seat) -> Price:
    """What noise is calibrated to at every end alike: the run's epsilon, the smallest delta of any provider.

    Raises:
        ClauseRefused: if the agreement gives a provider's data no budget.
    """
    return min((budgeted_price(seat, name) for name in seat.providers), key=lambda price: price.delta)


def holders_of(seat: Seat) -> int:
    """At how many providers a record may be: the noise covers its labels at all of them."""
    return getattr(seat.agreement.clause("blind-validation"), "providers_per_record", 1)


def calibration_of(seat: Seat, sized: Sized, portion: int) -> Noise:
    """The noise of an answer, the same at every end.

    Args:
        sized: the question, or its sizes, as if every record were at one provider.
        portion: which of `PORTIONS`.
    """
    return portion_calibration(covering(sized, holders_of(seat)), shared_price(seat), PORTIONS[portion])


def stored(seat: Seat) -> StoredAnswers:
    """What this party drew for the session's answers, in the session's folder."""
    return StoredAnswers(seat.session / "blind", clause=CLAUSE)


def named_portion(message: Message) -> tuple[str, int]:
    """The name of 128 bits and the portion of the price that a question came with.

    Raises:
        BadInput: unless it has both.
    """
    name, portion = message.body.get("name"), message.body.get("portion")
    sound = isinstance(name, str) and len(name) == NAME_LENGTH
    if not sound or type(portion) is not int or not 0 <= portion < len(PORTIONS):
        raise BadInput(f"'{message.sender}' asked without a name, or for none of the portions of the price")
    return str(name), portion


def digests(parts: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of every part of a message."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}


def agreed_rows(seat: Seat) -> int:
    """How many records the agreed frame has.

    Raises:
        BadInput: if the agreement fixes none.
    """
    frame = getattr(seat.agreement.clause("blind-validation"), "frame", None)
    if frame is None:
        raise BadInput("the agreement fixes no frame for blind validation")
    return frame.rows


def admission_of(seat: Seat) -> Admission:
    """At the mediator: what the clause lets pass of questions about one upload."""
    clause = seat.agreement.clause("blind-validation")
    return Admission(
        agreed_rows(seat),
        most=getattr(clause, "groups_per_record", 1),
        minimum=getattr(clause, "minimum_group", None),
        clause=CLAUSE,
    )


def read_question(message: Message) -> Query:
    """At the mediator: the question as it was sent, well formed and of a kind that can be counted blindly.

    Raises:
        BadInput: if it cannot be read.
    """
    try:
        query = from_message(message.body.get("question"), message.parts)
    except BadInput as error:
        raise BadInput(f"'{message.sender}' asked what blind validation does not know: {error}") from None
    if isinstance(query, ScoreStatistics) and len(query.widths) > MOST_COLUMNS + 2:
        raise BadInput(f"'{message.sender}' asked about more than {MOST_COLUMNS} columns at once")
    return query


def taught(seat: Seat, ask: Ask, *, noises: float) -> dict[str, Any]:
    """At the ML party: one lesson over the frame, what it is worth there, and the probe's scores after it.

    Args:
        ask: puts a question with one of `PORTIONS` of the price.
        noises: variance of all noise in a sum, over that of one party's full noise.

    The second portion buys feedback on the scores after the lesson, which is kept as `feedback.json`.
    """
    together, ids = frame_of(seat)
    require_agreed(seat, ids)
    start = StartModel(seat, together, MINIMUM_GROUP)
    holders = np.zeros(together.rows, dtype=np.int64)
    own = start.scores(together)
    bins = FeatureBins.over(together, own, holders, seat, MINIMUM_GROUP)
    multiplier = portion_multiplier(shared_price(seat), PORTIONS[0]) * holders_of(seat)
    design = Design.draw_up(
        bins.columns(together), own, noise=multiplier * float(np.sqrt(noises)), minimum=MINIMUM_GROUP
    )
    lesson = ask(design.request, 0)
    correction = design.learn(lesson.values, lesson.deviation)
    probe = Table(seat.table("probe"))
    begun = start.scores(probe)
    keep_start(seat, begun)
    scores = correction.scores(bins.columns(probe), begun)
    keep_scores(seat, {"feedback": _chances(scores)})
    told = _report(_chances(correction.scores(bins.columns(together), own)), ask)
    (seat.session / "feedback.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return {"rows_used": seat.table("seed").num_rows + together.rows, "feedback": told}


def _report(chances: NDArray[np.float64], ask: Ask) -> dict[str, Any]:
    """Feedback on the scores after the lesson, over the records that taught it, by groups of its own."""
    refused = ""
    for metrics in (METRICS_TOLD, METRICS_TOLD[:1]):
        question = ask_for(chances, metrics, minimum=MINIMUM_GROUP)
        try:
            answer = ask(question.query, 1)
        except ClauseRefused as refusal:
            # the lesson stands; together with its groups the report's may single out records
            refused = str(refusal)
            continue
        estimates, intervals = question.read(answer)
        groups = {name: question.facts[name] for name in metrics if name in question.facts}
        told = {"records": len(chances), "estimates": estimates, "intervals": intervals, "groups": groups}
        return told | ({"refused": refused} if refused else {})
    return {"refused": refused}


def _chances(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(scores / 2))
