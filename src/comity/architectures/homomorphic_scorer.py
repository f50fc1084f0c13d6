"""The ML party's end of `homomorphic`: a model from what it has anyway, and scores of rows it cannot read."""

from __future__ import annotations

from typing import Any

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_share, send_query
from comity.architectures.homomorphic_customer import (
    CLAUSE,
    ROWS,
    SCORES,
    agreed_precision,
    invitation_of,
)
from comity.architectures.models import fit_logistic, labels_of
from comity.crypto.ckks import Scheme
from comity.data.rawmatrix import RawEncoder
from comity.data.table import Table
from comity.errors import ClauseRefused, ComityError
from comity.gate import refusal_of
from comity.train.homomorphic.columns import PublicColumns
from comity.train.homomorphic.model import LinearScorer, ModelKind, unit_for
from comity.train.homomorphic.scoring import EncryptedRows, EncryptedScores, measured_error, score_encrypted
from comity.wire import Channel


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Fit on the seed rows, then score every provider's rows once all of them have arrived."""
    Scheme()  # says what is not installed before anybody encrypts for nothing
    columns = PublicColumns.of(seat.task.schema, seat.task.features)
    for name in seat.providers:
        send_query(channel, name, ROWS, invitation_of(seat, columns), {})
    seed = Table(seat.table("seed"))
    scorer = _fitted(seat, columns, seed)
    sent = {name: _received(seat, channel, name, columns) for name in seat.providers}
    precision = agreed_precision(seat)
    answers: dict[str, EncryptedScores] = {}
    for name, rows in sent.items():
        try:
            require_allowed(seat, name, rows.rows)
            answers[name] = score_encrypted(scorer, rows, precision=precision)
        except ComityError as error:
            channel.send(name, refusal_of(error, topic=SCORES))
            raise
    for name, answer in answers.items():
        body, parts = answer.to_message()
        send_query(channel, name, SCORES, body, parts)
    return {
        "rows_used": seed.rows,
        "columns": len(columns.labels),
        "rows_scored": {name: rows.rows for name, rows in sent.items()},
        "ciphertext_bytes": sum(answer.ciphertext_bytes for answer in answers.values()),
        "error": measured_error(scorer, columns.matrix(seed), precision),
    }


def _fitted(seat: Seat, columns: PublicColumns, seed: Table) -> LinearScorer:
    """The model of `alone`, on public columns. How it was standardised is folded into its weights."""
    encoder = RawEncoder.from_features(seed, seat.task.schema, names=seat.task.features)
    model = fit_logistic(encoder.linear(seed), labels_of(seed.arrow, seat.task), seat.options.seed)
    coefficients, constant = np.ravel(np.asarray(model.coef_)), float(np.ravel(model.intercept_)[0])
    weights, intercept = columns.folded(encoder, coefficients, constant)
    weighed = tuple(weights.tolist())
    return LinearScorer(weighed, intercept, ModelKind.logistic, unit_for(weighed, intercept))


def _received(seat: Seat, channel: Channel, name: str, columns: PublicColumns) -> EncryptedRows:
    message = receive_share(seat, channel, name, ROWS)
    try:
        return EncryptedRows.from_message(message.body["outcome"], message.parts, columns=len(columns.labels))
    except ComityError as error:
        channel.send(name, refusal_of(error, topic=SCORES))
        raise


def require_allowed(seat: Seat, customer: str, rows: int) -> None:
    """Count rows against what the clause lets a customer have scored, over all runs under the agreement.

    The claim is durable before anything is computed, and it is not given back.

    Raises:
        ClauseRefused: if there are more.
    """
    clause: Any = seat.agreement.clause(CLAUSE)
    scope = f"{seat.agreement.digest}/architectures.{CLAUSE}"
    text = f"{rows:,} rows of '{customer}' are to be scored"
    claim = seat.ledger.append(
        "note", {"text": text, "scored_for": customer, "scope": scope, "queries": rows}
    )
    # claims have one order that everybody sees: of several at once, the first ones pass
    before = sum(
        int(entry.body["queries"])
        for entry in seat.ledger.events("note")
        if entry.seq < claim.seq
        and (entry.body.get("scope"), entry.body.get("scored_for")) == (scope, customer)
    )
    if before + rows > clause.queries:
        raise ClauseRefused(
            "each row that is scored tells something of the model, and the agreed number is used up",
            clause=f"architectures.{CLAUSE}.queries",
            asked=f"{rows:,} rows",
            left=f"{max(0, clause.queries - before):,} of {clause.queries:,}",
            would_pass="fewer rows, or an agreement that allows more",
        )
