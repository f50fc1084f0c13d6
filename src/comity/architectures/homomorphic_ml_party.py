"""The ML party's end of `homomorphic`: a model from what it has anyway, and scores of rows it cannot read."""

from __future__ import annotations

from typing import Any

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_share, send_query
from comity.architectures.homomorphic_provider import (
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
from comity.errors import BadInput, ClauseRefused, ComityError, PartyFailed, Refused, VerificationFailed
from comity.gate import refusal_of
from comity.ledger import Entry
from comity.train.homomorphic.columns import PublicColumns
from comity.train.homomorphic.model import LinearModel, ModelKind, unit_for
from comity.train.homomorphic.scoring import EncryptedRows, EncryptedScores, measured_error, score_encrypted
from comity.wire import Channel, Kind, Message


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Fit on the seed rows, then score every provider's rows once all providers have been heard.

    A provider that refuses, or whose share is not sound, is left out: the others get their scores.

    Raises:
        PartyFailed, VerificationFailed: if nothing of a provider arrives, or not under its key.
        ComityError: if no provider's rows can be scored.
    """
    Scheme()  # says what is not installed before anybody encrypts for nothing
    columns = PublicColumns.of(seat.task.schema, seat.task.features)
    for name in seat.providers:
        send_query(channel, name, ROWS, invitation_of(seat, columns), {})
    seed = Table(seat.table("seed"))
    model = _fitted(seat, columns, seed)
    refused: dict[str, ComityError] = {}
    sent: dict[str, EncryptedRows] = {}
    sessions: dict[str, str] = {}
    for name in seat.providers:
        arrival = _Arrival(channel)
        try:
            sent[name], sessions[name] = _received(seat, arrival, name, columns)
        except (Refused, BadInput) as error:
            refused[name] = error
        except (PartyFailed, VerificationFailed) as error:
            if not arrival.came:
                raise
            channel.send(name, refusal_of(error, topic=SCORES))
            refused[name] = error
    precision = agreed_precision(seat)
    answers: dict[str, EncryptedScores] = {}
    for name, rows in sent.items():
        # answered before a restart: flooded a second time, the same scores would tell more of the model
        repeated = channel.resend(name)
        if repeated is Kind.refusal:
            refused[name] = ClauseRefused(
                f"'{name}' was refused before the node was restarted", clause=f"architectures.{CLAUSE}"
            )
        if repeated is not None:
            continue
        try:
            require_allowed(seat, name, rows.rows, session=sessions[name])
            answers[name] = score_encrypted(model, rows, precision=precision)
        except (Refused, BadInput) as error:
            channel.send(name, refusal_of(error, topic=SCORES))
            refused[name] = error
    if len(refused) == len(seat.providers):
        first = next(iter(refused.values()))
        raise next((error for error in refused.values() if isinstance(error, Refused)), first)
    for name, answer in answers.items():
        body, parts = answer.to_message()
        send_query(channel, name, SCORES, body, parts)
    return {
        "rows_used": seed.rows,
        "columns": len(columns.labels),
        "rows_scored": {name: rows.rows for name, rows in sent.items() if name not in refused},
        **({"refused": {name: str(error) for name, error in refused.items()}} if refused else {}),
        "ciphertext_bytes": sum(answer.ciphertext_bytes for answer in answers.values()),
        "error": measured_error(model, columns.matrix(seed), precision),
    }


def _fitted(seat: Seat, columns: PublicColumns, seed: Table) -> LinearModel:
    """The model of `alone`, on public columns. How it was standardised is folded into its weights."""
    encoder = RawEncoder.from_features(seed, seat.task.schema, names=seat.task.features)
    model = fit_logistic(encoder.linear(seed), labels_of(seed.arrow, seat.task), seat.options.seed)
    coefficients, constant = np.ravel(np.asarray(model.coef_)), float(np.ravel(model.intercept_)[0])
    weights, intercept = columns.folded(encoder, coefficients, constant)
    weighed = tuple(weights.tolist())
    return LinearModel(weighed, intercept, ModelKind.logistic, unit_for(weighed, intercept))


class _Arrival:
    """A channel that knows whether a message has arrived: what is wrong with it is its sender's alone."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self.came = channel, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def receive(self, sender: str) -> Message:
        message = self._channel.receive(sender)
        self.came = True
        return message


def _received(seat: Seat, channel: Any, name: str, columns: PublicColumns) -> tuple[EncryptedRows, str]:
    """A provider's encrypted rows, and the session that they came in.

    Raises:
        ClauseRefused: if it refused, with its words.
        BadInput: if they cannot be read, after it has been told.
    """
    message = receive_share(seat, channel, name, ROWS)
    try:
        rows = EncryptedRows.from_message(message.body["outcome"], message.parts, columns=len(columns.labels))
        return rows, message.session
    except BadInput as error:
        channel.send(name, refusal_of(error, topic=SCORES))
        raise


def require_allowed(seat: Seat, provider: str, rows: int, *, session: str = "") -> None:
    """Count rows against what the clause lets each provider have scored, over all runs under the agreement.

    The claim is durable before anything is computed, and it is not given back. A session that goes on after a
    restart has its claim.

    Args:
        session: the session's name; without one every call claims.

    Raises:
        ClauseRefused: if there are more.
    """
    clause: Any = seat.agreement.clause(CLAUSE)
    scope = f"{seat.agreement.digest}/architectures.{CLAUSE}"
    text = f"{rows:,} rows of '{provider}' are to be scored"
    body = {"text": text, "scored_for": provider, "scope": scope, "queries": rows, "session": session}
    own = [entry for entry in _claims(seat, scope, provider) if session and entry.body == body]
    claim = own[0] if own else seat.ledger.append("note", body)
    # claims have one order that everybody sees: of several at once, the first ones pass
    before = sum(
        int(entry.body["queries"]) for entry in _claims(seat, scope, provider) if entry.seq < claim.seq
    )
    if before + rows > clause.queries:
        raise ClauseRefused(
            "each row that is scored tells something of the model, and the agreed number is used up",
            clause=f"architectures.{CLAUSE}.queries",
            asked=f"{rows:,} rows",
            left=f"{max(0, clause.queries - before):,} of {clause.queries:,}",
            would_pass="fewer rows, or an agreement that allows more",
        )


def _claims(seat: Seat, scope: str, provider: str) -> list[Entry]:
    return [
        entry
        for entry in seat.ledger.events("note")
        if (entry.body.get("scope"), entry.body.get("scored_for")) == (scope, provider)
    ]
