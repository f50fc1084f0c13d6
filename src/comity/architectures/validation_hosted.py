"""`validation`, mode `hosted`: the provider holds everything, the ML party's model runs beside the data.

The ML party fits a start model on the seed rows and sends it as ONNX, with the bins of the features that its
corrections are about. The provider checks both, tries the model on made-up rows, and charges the whole
conversation; then the model scores the provider's rows in the sandbox, and a fixed number of queries is
answered: counts per bin, clipped gradients, whether ranks got better, counts of scores by label
(`comity.validate.hosted_learner`, `hosted_guard`). The providers' noisy answers add up at the ML party.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.definition import (
    Seat,
)
from comity.architectures.exchange import (
    account_of,
    additive_delta,
    receive_query,
    receive_release,
    receive_share,
    send_answer,
    send_query,
)
from comity.architectures.models import keep_scores, keep_start, labels_of
from comity.data.encode import Encoder
from comity.data.table import Table
from comity.errors import BadInput, ClauseRefused, ComityError, PartyFailed
from comity.gate import refusal_of
from comity.plan import Outcome, Plan
from comity.validate.hosted import HostedPrice, HostedUnit
from comity.validate.hosted_guard import Guard, RankGain
from comity.validate.hosted_learner import (
    FEEDBACK,
    MOST_WIDTH,
    QUERIES,
    ROUNDS,
    SHARES,
    BinCounts,
    Gradient,
    HostedLearner,
    chances,
    correction,
    log_odds,
    public_columns,
)
from comity.validate.hosted_model import HostedFeatures, Scored, scored, try_model
from comity.validate.hosted_pace import STEP_S, paced
from comity.validate.mechanism import NoisySums, Sizes
from comity.wire import Channel, Message

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_OPEN, _TOPIC = "open", "feedback"


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Check what was sent, charge all of the conversation, and answer it."""
    message = receive_query(channel, seat.ml_party, _OPEN)
    try:
        columns, model = _taken(seat, message)
        price = _price(seat, seat.party, columns.width)
        price.calibration(
            FEEDBACK.sizes, SHARES[-1]
        )  # what cannot be answered is refused before it is charged
    except ComityError as error:
        channel.send(seat.ml_party, refusal_of(error, topic=_OPEN))
        raise
    account = account_of(seat, unit=price.unit.unit)
    asks = {"mode": "hosted", "queries": QUERIES, "minimum_group": None}
    share = Plan(
        architecture="validation",
        purpose=f"{QUERIES} noisy answers about a model that runs beside the data of {seat.party}",
        recipient=seat.ml_party,
        topic=_OPEN,
        request={"columns": columns.to_dict(), "model": hashlib.sha256(model).hexdigest()},
        asks=asks,
        account=account,
        cost=price.cost,
        # nothing leaves yet: the answers that it pays for do
        run=lambda: Outcome(body={"queries": QUERIES}),
        sealed=True,
        opens=QUERIES,
    )
    send_answer(seat, channel, share)
    host = _Host(seat, columns, model, price)
    for number, part in enumerate(SHARES):
        query = receive_query(channel, seat.ml_party, _TOPIC)
        parts = {name: hashlib.sha256(data).hexdigest() for name, data in query.parts.items()}
        try:
            question = _question(query, number, columns)
        except ComityError as error:
            channel.send(seat.ml_party, refusal_of(error, topic=_TOPIC))
            raise
        answer = Plan(
            architecture="validation",
            purpose=f"answer {number + 1} of {QUERIES} that the conversation has paid for",
            recipient=seat.ml_party,
            topic=_TOPIC,
            request={"of": share.name, "query": dict(query.body), "parts": parts},
            asks=asks,
            account=account,
            cost=None,
            draws_on=share.name,
            run=lambda asked=question, part=part: host.answer(asked, part),
        )
        send_answer(seat, channel, answer)
    return {"rows_used": host.rows, "sandbox": host.sandbox}


def _taken(seat: Seat, message: Message) -> tuple[Encoder, bytes]:
    """The columns and the model, checked against public facts alone."""
    try:
        columns = Encoder.from_dict(message.body["columns"])
        model = message.parts["model"]
    except (KeyError, TypeError):
        raise BadInput(f"'{message.sender}' opened a conversation in a form that cannot be read") from None
    features = HostedFeatures.of(seat.task.schema, seat.task.features)
    if columns.width > MOST_WIDTH or len(set(columns.names)) != len(columns.names):
        raise BadInput(f"'{message.sender}' asks about more than {MOST_WIDTH:,} bins, or a column twice")
    for column, ordered in zip(columns.columns, columns.ordered, strict=True):
        known = column.name in seat.task.features
        if not known or ordered != seat.task.schema[column.name].type.is_numeric:
            raise BadInput(
                f"'{message.sender}' asks about '{column.name[:60]}', which is no agreed feature of that type"
            )
    try_model(model, features)
    return columns, model


def _price(seat: Seat, name: str, width: int) -> HostedPrice:
    """What the conversation costs a provider: the run's epsilon with the additive delta of its budget.

    Raises:
        ClauseRefused: if the agreement gives its data no budget.
    """
    additive = additive_delta(seat, name, "validation")
    terms = seat.agreement.data_of(name)
    unit = HostedUnit.of(terms.unit, terms.columns)
    if unit.column is not None and unit.column not in terms.columns:
        raise ClauseRefused(
            f"the privacy unit of the data of '{name}' is '{unit.column}', which is none of its columns",
            clause=f"data.{name}.unit",
        )
    return HostedPrice(seat.options.epsilon, additive, unit, dimensions(width))


def dimensions(width: int) -> int:
    """How many sums all answers together hold, for this many bins."""
    return width * (QUERIES - 2) + 1 + FEEDBACK.dimensions


@dataclass(frozen=True)
class _Corrected:
    """The last query: how good the corrected model is."""

    scale: float
    weights: NDArray[np.float64]


_Question = BinCounts | Gradient | RankGain | _Corrected


def _question(message: Message, number: int, columns: Encoder) -> _Question:
    """The query that is due, if it is that one."""
    if message.body.get("number") != number:
        raise BadInput(f"'{message.sender}' asks out of order: query {number + 1} of {QUERIES} is due")
    if number == 0:
        return BinCounts(columns)
    if number == QUERIES - 2:
        return RankGain.from_message(message.body, message.parts, columns.width)
    if number < QUERIES - 2:
        return Gradient.from_message(message.body, message.parts, columns.width)
    empty = np.zeros((columns.width, columns.width), dtype="<i4").tobytes()
    last = Gradient.from_message(message.body, {**message.parts, "matrix": empty}, columns.width)
    return _Corrected(last.scale, last.weights)


class _Host:
    """A provider's rows, read and scored when the first answer is due: after the charge."""

    def __init__(self, seat: Seat, columns: Encoder, model: bytes, price: HostedPrice) -> None:
        self._seat, self._columns, self._model, self._price = seat, columns, model, price

    @cached_property
    def _rows(self) -> pa.Table:
        rows = self._seat.table("train")
        unit = self._price.unit
        if unit.column is None:
            return rows
        return rows.take(unit.kept(rows.column(unit.column).to_pylist()))

    @property
    def rows(self) -> int:
        return self._rows.num_rows

    @cached_property
    def _codes(self) -> NDArray[np.uint16]:
        return self._columns.codes(Table(self._rows))

    @cached_property
    def _labels(self) -> NDArray[np.uint8]:
        return labels_of(self._rows, self._seat.task)

    @cached_property
    def _scored(self) -> Scored:
        task = self._seat.task
        return scored(self._model, HostedFeatures.of(task.schema, task.features).matrix(Table(self._rows)))

    @cached_property
    def _start(self) -> NDArray[np.float64]:
        return log_odds(self._scored.values)

    @property
    def sandbox(self) -> dict[str, float]:
        """What scoring cost, for whoever measures."""
        return {"cpu_s": self._scored.cpu_s, "peak_rss_mb": self._scored.peak_mb}

    def answer(self, question: _Question, share: float) -> Outcome:
        """The noisy answer. Its form and size are the same whatever the rows are, and its time nearly so."""
        return paced(lambda: self._worked_out(question, share), step=STEP_S)

    def _worked_out(self, question: _Question, share: float) -> Outcome:
        if isinstance(question, BinCounts):
            exact, sizes = question.sums(self._codes), question.sizes
        elif isinstance(question, Gradient | RankGain):
            exact = question.sums(self._columns, self._codes, self._start, self._labels)
            sizes = question.sizes
        else:
            odds = correction(question.scale, question.weights, self._columns, self._codes, self._start)
            exact, sizes = FEEDBACK.counts(chances(odds), self._labels), FEEDBACK.sizes
        sums = self._price.answer(exact, sizes, share)
        return Outcome(body={}, parts={"sums": sums.values.astype("<f8").tobytes()})


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Send the start model, learn from the answers, and score the probe rows."""
    from comity.validate.hosted_convert import start_pipeline, to_onnx

    seeds = Table(seat.table("seed"))
    features = HostedFeatures.of(seat.task.schema, seat.task.features)
    labels = labels_of(seeds.arrow, seat.task)
    start = start_pipeline(features, features.matrix(seeds), labels, seat.options.seed)
    columns = public_columns(seat.task.schema, seeds, seat.task.features)
    prices = [_price(seat, name, columns.width) for name in seat.providers]
    noise = math.sqrt(sum((price.multiplier * price.unit.rows) ** 2 for price in prices))
    codes = columns.codes(seeds)
    learner = HostedLearner(columns, codes, noise=noise)
    guard = Guard(columns, codes, log_odds(start.predict_proba(features.matrix(seeds))[:, 1]), labels)
    for name in seat.providers:
        send_query(channel, name, _OPEN, {"columns": columns.to_dict()}, {"model": to_onnx(start, features)})
    for name in seat.providers:
        receive_share(seat, channel, name, _OPEN)
    conversation = _Conversation(seat, channel, prices)
    counts = conversation.ask({}, {}, BinCounts(columns).sizes)
    learner.take_counts(BinCounts.read(counts.values))
    for _ in range(ROUNDS):
        question = learner.question()
        answer = conversation.ask(*question.to_message(), question.sizes)
        learner.step(answer.values, answer.deviation)
    gain = guard.question(learner.scale, learner.weights)
    answer = conversation.ask(*gain.to_message(), gain.sizes)
    fitted, trial = learner.fitted(guard.positives), learner.trial(guard.positives)
    kept = guard.better(gain, answer.values, answer.deviation, learner.records, fitted, trial)
    if not kept:
        learner.keep_start()
    body = {"scale": learner.scale}
    judged = conversation.ask(body, {"weights": learner.weights.astype("<f8").tobytes()}, FEEDBACK.sizes)
    feedback = FEEDBACK.read(judged).metrics
    probe = Table(seat.table("probe"))
    begun = start.predict_proba(features.matrix(probe))[:, 1]
    keep_start(seat, begun)
    keep_scores(seat, {"feedback": learner.scores(probe, begun)})
    told = {
        name: [feedback[name].value, feedback[name].low, feedback[name].high]
        for name in ("auc", "accuracy", "log_loss", "brier", "records")
    }
    # how many rows the providers have is private to them: the noisy count is no number of rows
    return {
        "rows_used": None,
        "own_rows": seeds.rows,
        "rows_estimated": dict(zip(("value", "low", "high"), told["records"], strict=True)),
        "feedback": told,
        "correction_kept": kept,
    }


class _Conversation:
    """The fixed queries, in order, put to all providers at once."""

    def __init__(self, seat: Seat, channel: Channel, prices: Sequence[HostedPrice]) -> None:
        self._seat, self._channel, self._prices = seat, channel, prices
        self._number = 0

    def ask(self, body: Mapping[str, Any], parts: Mapping[str, bytes], sizes: Sizes) -> NoisySums:
        """The providers' answers added up, with the noise of all of them."""
        for name in self._seat.providers:
            send_query(self._channel, name, _TOPIC, {"number": self._number, **body}, parts)
        answers = [self._answer(name, sizes.dimensions) for name in self._seat.providers]
        noises = [price.calibration(sizes, SHARES[self._number]) for price in self._prices]
        self._number += 1
        variance = sum(noise.deviation**2 for noise in noises)
        # the sum's noise has no one scale on a grid of its own: shift 0 states it in the sums' numbers
        together = replace(noises[0], shift=0, scale=math.sqrt(variance))
        return NoisySums(np.sum(answers, axis=0), together)

    def _answer(self, name: str, dimensions: int) -> NDArray[np.float64]:
        message = receive_release(self._seat, self._channel, name, _TOPIC)
        data = message.parts.get("sums", b"")
        values = np.frombuffer(data[: 8 * dimensions], dtype="<f8").astype(np.float64)
        if len(data) != 8 * dimensions or not np.isfinite(values).all():
            raise PartyFailed(f"'{name}' answered in a form that cannot be read")
        return values
