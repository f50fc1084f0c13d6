"""`encrypted`, the ML party's and the mediator's ends: start a run; compute if named; open the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.encrypted_compute import Computing
from comity.architectures.encrypted_provider import OPEN, RESULT, Rows, hear_rows, telling
from comity.architectures.encrypted_terms import Terms
from comity.architectures.exchange import raise_refusal, receive_query, receive_share, send_query
from comity.architectures.models import keep_scores
from comity.data.table import Table
from comity.errors import PartyFailed
from comity.train.encrypted.model import LinearModel, predictions
from comity.train.encrypted.program import ASKED
from comity.train.encrypted.settings import BITS
from comity.train.encrypted.sharing import Words, opened, split, to_values, to_words
from comity.wire import Channel, Kind

_WORD_BYTES: Final = 8
_AS_IS: Final = (-1.0, 1.0)


def mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Compute, if the agreement names the mediator among the compute parties."""
    query = receive_query(channel, seat.ml_party, OPEN)
    terms = Terms.of(seat)
    if seat.party not in terms.compute:
        return {}
    rows = hear_rows(seat, channel)
    with telling(seat, channel), Computing(seat, channel, terms, terms.asked(query)) as computing:
        words = _computed(computing, terms, rows, query.session, None)
        parts = {"words": words.astype("<u8").tobytes()}
        send_query(channel, seat.ml_party, RESULT, {"share": True}, parts)
        return computing.figures


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Have the model trained, then open it, or the predictions for the probe rows."""
    asked, probe = 0, Table(seat.table("probe"))
    found = seat.agreement.architectures.encrypted
    if found is not None and found.opens == "predictions":
        asked = probe.rows
    for party in seat.agreement.parties:
        if party.role in ("provider", "mediator"):
            send_query(channel, party.name, OPEN, {"asked": asked}, {})
    terms = Terms.of(seat)
    rows = hear_rows(seat, channel)
    parts = _ask(seat, channel, terms, probe) if asked else []
    figures: dict[str, Any] = {}
    shares: dict[str, Words] = {}
    if seat.party in terms.compute:
        with telling(seat, channel), Computing(seat, channel, terms, asked) as computing:
            own = parts[computing.rank] if asked else None
            shares[seat.party] = _computed(computing, terms, rows, rows.session, own)
            figures = computing.figures
    count = asked or terms.features.width + 1
    for name in terms.compute:
        if name != seat.party:
            shares[name] = _share_of_result(seat, channel, terms, name, count)
    values = to_values(opened([shares[name] for name in terms.compute], terms.scheme), BITS)
    if asked:
        keep_scores(seat, {str(terms.kind): predictions(terms.kind, values, *_ends(terms))})
    else:
        _keep(seat, LinearModel.of(terms.features, terms.kind, values, *_ends(terms)), probe)
    training = terms.training(rows.by_provider)
    return {"rows_used": training.rows, "columns": training.columns, **figures}


def _ask(seat: Seat, channel: Channel, terms: Terms, probe: Table) -> list[dict[str, bytes]]:
    """Share the ML party's own rows with the compute parties, to have them scored; by rank."""
    own = terms.compute.index(seat.party) if seat.party in terms.compute else None
    parts = split(to_words(terms.features.encode(probe), BITS), terms.scheme, own=own)
    for rank, name in enumerate(terms.compute):
        if name != seat.party:
            send_query(channel, name, ASKED, {"share": True}, parts[rank])
    return parts


def _computed(
    computing: Computing, terms: Terms, rows: Rows, session: str, asked: Mapping[str, bytes] | None
) -> Words:
    """This party's share of the result, as a compute party that shares no rows of its own to learn from."""
    computing.meet(terms.training(rows.by_provider), session)
    shares = {name: computing.take(name, count) for name, count in rows.by_provider.items()}
    computing.ask(asked)
    return computing.run(shares, rows.by_provider)


def _share_of_result(seat: Seat, channel: Channel, terms: Terms, name: str, count: int) -> Words:
    """A compute party's share of (count,) numbers: through its gate from a provider, else as it is.

    Raises:
        ClauseRefused: if it refuses, in its words.
        PartyFailed: if it sends something else.
    """
    if name in seat.providers:
        message = receive_share(seat, channel, name, RESULT)
    else:
        message = channel.receive(name)
        raise_refusal(message)
        if message.kind is not Kind.query or message.topic != RESULT:
            raise PartyFailed(f"'{name}' sent a {message.kind} where its share of the result was due")
    kept = terms.scheme.held
    data = message.parts.get("words", b"")
    if len(data) != _WORD_BYTES * count * kept:
        raise PartyFailed(f"'{name}' sent a share of the result of another size than it has")
    return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(count, kept)


def _ends(terms: Terms) -> tuple[float, float]:
    """What -1 and 1 stand for in the target; themselves unless it is a number."""
    return _AS_IS if terms.target is None else (terms.target.low, terms.target.high)


def _keep(seat: Seat, model: LinearModel, probe: Table) -> None:
    """The model and its scores of the probe rows, in the session's folder."""
    document = {
        "kind": str(model.kind),
        # what -1 and 1 of the linear part stand for in the target
        **({} if (model.low, model.high) == _AS_IS else {"low": model.low, "high": model.high}),
        "intercept": model.intercept,
        "weights": dict(zip(model.features.labels, model.weights.tolist(), strict=True)),
    }
    (seat.session / "model.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    keep_scores(seat, {str(model.kind): model.predict(probe)})
