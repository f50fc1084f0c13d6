"""`validation` (2.A, linked): the ML party asks for sums of labels per group, providers answer with noise.

The ML party holds features and record ids, each provider the labels of its own records. From a start model
fitted on the seed rows the ML party draws up one question (`comity.validate.design`): bins of the features
and a matrix that mixes their label sums. A provider recomputes every row's weight itself, so that no label
can move its answer by more than the question's cap, whatever was sent. The monitor looks at the groups, the
gate charges, the noise is added, and the answer leaves; labels never do.

Mode `hosted`: the provider holds the features too, and the ML party's model runs beside them
(`validation_hosted.py`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures import validation_hosted as hosted
from comity.architectures import validation_hosted_terms as hosted_terms
from comity.architectures.definition import (
    DELTA_ADDITIVE_SHARE,
    Architecture,
    Guarantee,
    InWords,
    Options,
    Pilot,
    Seat,
    Task,
    Trust,
    rounded_delta,
)
from comity.architectures.exchange import (
    account_of,
    additive_delta,
    receive_query,
    receive_release,
    send_answer,
    send_query,
)
from comity.architectures.linked import MOST_COLUMNS, FeatureBins, StartModel, linked_rows
from comity.architectures.models import keep_scores, keep_start, labels_of, membership_attack
from comity.attack.result import AttackResult
from comity.crypto.canonical import digest
from comity.data.table import Table, concat_tables
from comity.errors import BadInput, ClauseRefused, PartyFailed
from comity.ledger import PrivacyUnit, gaussian_noise_multiplier
from comity.mechanism import LARGEST_EPSILON, Noise
from comity.plan import Outcome, Plan
from comity.validate.design import Design
from comity.validate.hosted import HostedUnit
from comity.validate.mechanism import NoisySums, Price, answer, calibrate
from comity.validate.monitor import Monitor
from comity.validate.request import ScoreStatistics
from comity.wire import Channel, Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOPIC = "feedback"
_MOST_SHIFT = 64
MINIMUM_GROUP = 10
QUERIES = 1
_CANARY_TRIALS = 20_000


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    if seat.options.mode == "hosted":
        return hosted.provider(seat, channel)
    message = receive_query(channel, seat.ml_party, _TOPIC)
    ids = _sorted_ids(seat)
    request = _taken(message, ids)
    additive = additive_delta(seat, seat.party, "validation")
    price = Price(min(seat.options.epsilon, LARGEST_EPSILON), additive)
    calibrate(request, price)  # what cannot be answered is refused before it is charged
    plan = Plan(
        architecture="validation",
        purpose=f"noisy sums of {seat.party}'s labels over {sum(request.widths)} groups of records",
        recipient=seat.ml_party,
        topic=_TOPIC,
        request={"query": dict(message.body), "parts": _digests(message.parts)},
        asks={"mode": "linked", "minimum_group": _watched(seat, ids, request)},
        account=account_of(seat, unit=PrivacyUnit.label),
        cost=price.cost,
        run=lambda: _noisy_sums(seat, ids, request, price),
    )
    send_answer(seat, channel, plan)
    return {"rows_used": request.rows}


def _sorted_ids(seat: Seat) -> list[str]:
    """The frame: this provider's record ids in their one order. The ML party knows them too."""
    ids = seat.table("train", columns=[seat.task.id]).column(0).to_pylist()
    return sorted(ids)


def _frame_digest(ids: Sequence[str]) -> str:
    return digest(list(ids))


def _digests(parts: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}


def _taken(message: Message, ids: Sequence[str]) -> ScoreStatistics:
    """The question, checked: it is about this frame, and it is well formed."""
    if set(message.body) != {"frame", "question"} or not isinstance(message.body["question"], dict):
        raise BadInput(f"'{message.sender}' asked in a form that validation does not know")
    try:
        request = ScoreStatistics.from_message(message.body["question"], message.parts)
    except (TypeError, ValueError):
        raise BadInput(f"'{message.sender}' asked in a form that validation does not know") from None
    if len(request.widths) > MOST_COLUMNS + 2:
        raise BadInput(f"'{message.sender}' asked about more than {MOST_COLUMNS} columns at once")
    if message.body["frame"] != _frame_digest(ids) or request.rows != len(ids):
        raise BadInput(
            f"'{message.sender}' asks about other records than those both ends know: "
            "agree on the ids of the frame first"
        )
    return request


def _watched(seat: Seat, ids: Sequence[str], request: ScoreStatistics) -> int:
    """The smallest group that the monitor saw; 0 if it refuses, which the clause then does too."""
    monitor = Monitor(range(len(ids)), minimum=_minimum_group(seat))
    try:
        admitted = monitor.admit_all(
            [request.codes[:, column].astype(np.int64) for column in range(len(request.widths))]
        )
    except ClauseRefused:
        return 0
    return admitted.smallest


def _noisy_sums(seat: Seat, ids: Sequence[str], request: ScoreStatistics, price: Price) -> Outcome:
    """Read the labels and answer. Runs after the charge."""
    rows = seat.table("train", columns=[seat.task.id, seat.task.target])
    place = {id_: at for at, id_ in enumerate(rows.column(seat.task.id).to_pylist())}
    order = np.array([place[id_] for id_ in ids], dtype=np.int64)
    labels = labels_of(rows, seat.task)[order].astype(np.int8)
    sums = answer(request, labels, price)
    return Outcome(
        body={
            "law": sums.calibration.law,
            "shift": sums.calibration.shift,
            "scale": sums.calibration.scale,
        },
        parts={"sums": np.asarray(sums.values, dtype="<f8").tobytes()},
    )


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    if seat.options.mode == "hosted":
        return hosted.ml_party(seat, channel)
    linked = {provider: linked_rows(seat, provider) for provider in seat.providers}
    together = concat_tables([Table(table) for table, _ in linked.values()])
    start = StartModel(seat, together, _minimum_group(seat))
    holders = np.repeat(np.arange(len(linked)), [table.num_rows for table, _ in linked.values()])
    bins = FeatureBins.over(together, start.scores(together), holders, seat, _minimum_group(seat))
    design = Design.draw_up(
        bins.columns(together),
        start.scores(together),
        noise=_total_multiplier(seat),
        holders=holders,
        minimum=_minimum_group(seat),
    )
    for at, (provider, (_, ids)) in enumerate(linked.items()):
        question, parts = design.request.of(np.flatnonzero(holders == at)).to_message()
        send_query(channel, provider, _TOPIC, {"frame": _frame_digest(ids), "question": question}, parts)
    answers = [_answer(seat, channel, provider, design.request.dimensions) for provider in seat.providers]
    correction = design.learn(
        np.sum([answer.values for answer in answers], axis=0),
        float(np.sqrt(sum(answer.deviation**2 for answer in answers))),
    )
    probe = Table(seat.table("probe"))
    begun = start.scores(probe)
    keep_start(seat, begun)
    scores = correction.scores(bins.columns(probe), begun)
    keep_scores(seat, {"feedback": 0.5 * (1 + np.tanh(scores / 2))})
    return {"rows_used": seat.table("seed").num_rows + together.rows}


def _minimum_group(seat: Seat) -> int:
    clause = seat.agreement.architectures.get("validation")
    return getattr(clause, "minimum_group", None) or MINIMUM_GROUP


def _total_multiplier(seat: Seat) -> float:
    """Noise over sensitivity of all providers' noises together; each provider adds its own."""
    variances: list[float] = []
    for provider in seat.providers:
        additive = additive_delta(seat, provider, "validation")
        epsilon = min(seat.options.epsilon, LARGEST_EPSILON)
        variances.append(gaussian_noise_multiplier(epsilon, additive) ** 2)
    return float(np.sqrt(sum(variances)))


def _answer(seat: Seat, channel: Channel, provider: str, dimensions: int) -> NoisySums:
    """A provider's noisy sums, with nothing taken on trust but that it answered honestly."""
    message = receive_release(seat, channel, provider, _TOPIC)
    try:
        outcome = message.body["outcome"]
        calibration = Noise(outcome["law"], int(outcome["shift"]), float(outcome["scale"]))
        values = np.frombuffer(message.parts["sums"], dtype="<f8").astype(np.float64)
        sound = (
            calibration.law in ("gaussian", "laplace")
            and 0 <= calibration.shift < _MOST_SHIFT
            and math.isfinite(calibration.scale)
            and calibration.scale > 0
            and values.shape == (dimensions,)
            and bool(np.isfinite(values).all())
        )
    except (KeyError, TypeError, ValueError):
        raise PartyFailed(f"'{provider}' answered in a form that cannot be read") from None
    if not sound:
        raise PartyFailed(f"'{provider}' answered with sums or noise that cannot be")
    return NoisySums(values, calibration)


def _clause(options: Options) -> dict[str, Any]:
    if options.mode == "hosted":
        return hosted_terms.clause(options)
    return {
        "mode": "linked",
        "epsilon": options.epsilon,
        "delta": options.delta,
        "minimum_group": MINIMUM_GROUP,
        "queries": QUERIES,
    }


def _promise(options: Options, task: Task) -> Guarantee:
    if options.mode == "hosted":
        return hosted_terms.guarantee(options, HostedUnit.of(task.schema.unit, task.schema.columns))
    return _guarantee(options)


def _guarantee(options: Options) -> Guarantee:
    if options.mode == "hosted":
        return hosted_terms.guarantee(options)
    return as_charged(
        Guarantee(
            epsilon=options.epsilon,
            delta=options.delta,
            unit="label",
            relation="change-one",
            prior_knowledge=("features", "ids"),
            note="Holds for each record's label at each provider, given that features and ids are known. It "
            "says nothing about who is in the table; the seed rows are outside it.",
        )
    )


def as_charged(guarantee: Guarantee) -> Guarantee:
    """The guarantee with the epsilon that is charged, which holds: noise is never less than that of
    `LARGEST_EPSILON`, and no more than this is charged, however much a run asks for and its clause allows."""
    asked = guarantee.epsilon
    if asked is None or asked <= LARGEST_EPSILON:
        return guarantee
    return replace(
        guarantee,
        epsilon=LARGEST_EPSILON,
        note=f"ε = {asked:g} was asked for, and the clause allows it; the noise is at least that of ε = "
        f"{LARGEST_EPSILON:g}, and this is all that is charged. {guarantee.note}",
    )


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    if pilot.options.mode == "hosted":
        return hosted_terms.attacks(pilot)
    return {"label": label_attack(pilot), "membership": membership_attack(pilot)}


def label_attack(pilot: Pilot) -> AttackResult:
    """Guess a coin-flip canary's label from fresh runs of the mechanism at this run's price.

    The canary moves the answer as far as the question's cap allows any record to, so what it is measured on
    is what the guarantee is about, whatever records a table holds.
    """
    from comity.attack.label import infer_labels

    delta = rounded_delta(pilot.options.delta * DELTA_ADDITIVE_SHARE)
    price = Price(min(pilot.options.epsilon, LARGEST_EPSILON), delta)
    canary = _canary()
    calibration = calibrate(canary, price)

    def draw(count: int) -> NDArray[np.float64]:
        zeros = np.zeros((count, canary.dimensions), dtype=np.int64)
        return calibration.answer(zeros)

    return infer_labels(
        draw,
        canary.row(0).astype(np.float64),
        epsilon=price.epsilon,
        delta=pilot.options.delta,
        trials=_CANARY_TRIALS,
        seed=pilot.options.seed,
    )


def _canary() -> ScoreStatistics:
    """One record in one bin, whose row is as long as the cap but for a rounding."""
    codes = np.zeros((1, 1), dtype=np.uint16)
    return ScoreStatistics(codes, (1,), np.array([[1 << 19]], dtype=np.int32), 1 << 19)


ARCHITECTURE = Architecture(
    name="validation",
    summary="The ML party improves its model by noisy sums of each provider's labels (2.A).",
    programs={"provider": _provider, "ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=(
        Trust("provider", "answers honestly, adds the noise, and keeps the question to itself"),
        Trust("ml_party", "may know the features and ids of the records it asks about"),
    ),
    seen_by={
        "provider": (
            "the groups that the ML party's question puts its records into, and how they are weighed",
        ),
        "ml_party": ("noisy sums of each provider's labels", "features and ids, which it had before"),
    },
    modes=("linked", "hosted"),
    features_brought=("linked",),
    beside=("hosted",),
    promise=_promise,
    charges=True,
    attacks=_attacks,
    exposures={"hosted": hosted_terms.EXPOSURE},
    in_words=InWords(
        protects="Each record's label, with differential privacy; no row leaves its provider.",
        against="The ML party, whatever else it knows and however it combines answers.",
        price="Answers are noisy, the budget is used up for good, and providers see what is asked; it "
        "suits an ML party that has the features.",
    ),
)
