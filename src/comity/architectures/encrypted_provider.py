"""`encrypted`, a provider's end: say how many rows, hold the programs against each other, share, and compute.

The share of the model that a computing provider hands on draws on the share of its rows that was charged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from comity.architectures.definition import Seat
from comity.architectures.encrypted_compute import PROGRAM, Computing, require_same_program
from comity.architectures.encrypted_sharer import Sharer
from comity.architectures.encrypted_terms import NAME, Terms
from comity.architectures.exchange import receive_notice, receive_query, send_answer, send_notice
from comity.errors import ComityError, PartyFailed
from comity.gate import refusal_of
from comity.plan import Outcome, Plan
from comity.train.encrypted.settings import Partition, Training
from comity.train.encrypted.sharing import Words
from comity.wire import Channel

OPEN: Final = "open"
COUNT: Final = "rows"
RESULT: Final = "result-share"


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Take part; a refusal reaches everybody who waits for this provider."""
    query = receive_query(channel, seat.ml_party, OPEN)
    with telling(seat, channel):
        terms = Terms.of(seat)
        return _take_part(seat, channel, terms, terms.asked(query), query.session)


@contextmanager
def telling(seat: Seat, channel: Channel) -> Iterator[None]:
    """Have a refusal reach everybody who may wait for this party, so that nobody waits longer."""
    try:
        yield
    except PartyFailed:
        raise
    except ComityError as error:
        for party in seat.agreement.parties:
            if party.name != seat.party and party.role in ("provider", "ml_party", "mediator"):
                _tell(channel, party.name, error)
        raise


def _tell(channel: Channel, name: str, error: ComityError) -> None:
    try:
        channel.send(name, refusal_of(error, topic=NAME))
    except PartyFailed:
        return  # who is gone need not be told


def _take_part(seat: Seat, channel: Channel, terms: Terms, asked: int, session: str) -> dict[str, Any]:
    sharer = Sharer(seat, terms)
    if seat.party in terms.compute:
        with Computing(seat, channel, terms, asked) as computing:
            return _share_and_compute(seat, channel, terms, sharer, computing, session)
    rows = hear_rows(seat, channel, sharer.held).by_provider
    sharer.rows = rows[seat.party]
    training = terms.training(rows)
    program = _agreed_program(seat, channel, terms, training, None)
    channel.hold_secrets()  # all parts are of one split
    sharer.send(channel, training, program)
    return {"rows_used": sharer.rows}


def _share_and_compute(
    seat: Seat, channel: Channel, terms: Terms, sharer: Sharer, computing: Computing, session: str
) -> dict[str, Any]:
    if terms.partition is Partition.columns:
        sharer.align(channel, computing, session)
    rows = hear_rows(seat, channel, sharer.held).by_provider
    sharer.rows = rows[seat.party]
    training = terms.training(rows)
    computing.meet(training, session)
    program = _agreed_program(seat, channel, terms, training, computing.program)
    opening = sharer.send(channel, training, program)
    shares: dict[str, dict[str, Words]] = {}
    for name in seat.providers:
        if name == seat.party:
            shares[name] = computing.read(name, rows[name], sharer.parts[computing.rank])
            sharer.forget()
        else:
            shares[name] = computing.take(name, rows[name])
    computing.ask()
    words = computing.run(shares, rows)
    send_answer(seat, channel, _model_share(seat, terms, opening, words))
    return {"rows_used": sharer.rows, **computing.figures}


@dataclass(frozen=True)
class Rows:
    """How many rows each provider shares, which is public, and the session that they said it in."""

    by_provider: Mapping[str, int]
    session: str


def hear_rows(seat: Seat, channel: Channel, own: int | None = None) -> Rows:
    """Say how many rows this provider has, hear it of the others, and from all how many each shares.

    Args:
        own: None at a party that is no provider.
    """
    terms = Terms.of(seat)
    compute = terms.compute
    if own is not None:
        for name in dict.fromkeys([*seat.providers, *compute, seat.ml_party]):
            if name != seat.party:
                send_notice(seat, channel, name, COUNT, {"rows": own}, {}, architecture=NAME)
    rows: dict[str, int] = {}
    session = ""
    for name in seat.providers:
        if name == seat.party:
            rows[name] = int(own or 0)
            continue
        message = receive_notice(channel, name, COUNT)
        told, session = message.body.get("rows"), message.session
        if type(told) is not int or told < 0:
            raise PartyFailed(f"'{name}' does not say how many rows it has")
        rows[name] = told
    return Rows(terms.shared(rows), session)


def _agreed_program(seat: Seat, channel: Channel, terms: Terms, training: Training, said: str | None) -> str:
    """The digest that all compute parties say; before anything is shared.

    Args:
        said: this party's own, if it computes.

    Raises:
        VerificationFailed: if they do not say the same, or other settings than follow from the agreement.
    """
    for name in terms.compute:
        if name == seat.party:
            continue
        told = receive_notice(channel, name, PROGRAM).body
        said = str(told.get("program")) if said is None else said
        require_same_program(name, told.get("program"), said)
        require_same_program(name, told.get("training"), training.to_dict())
    return str(said)


def _model_share(seat: Seat, terms: Terms, opening: Plan, words: Words) -> Plan:
    """A computing provider's share of what is opened to the ML party; paid for when its rows were shared."""
    return Plan(
        architecture=NAME,
        purpose=f"hand {seat.party}'s share of the {terms.opens} to {seat.ml_party}",
        recipient=seat.ml_party,
        topic=RESULT,
        request={"of": opening.name},
        asks=terms.asks(),
        account=opening.account,
        cost=None,
        run=lambda: Outcome(body={}, parts={"words": words.astype("<u8").tobytes()}),
        sealed=True,
        draws_on=opening.name,
    )
