"""`encrypted`, a provider's end: say how many rows, hold the programs against each other, share, and compute.

A provider's sealed share to the first compute party opens everything: it is charged, and what goes to the
other ones, and the share of the model that a computing provider hands on, draw on it. One of the shares alone
is uniform words; charged is what they open to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.architectures.definition import Seat
from comity.architectures.encrypted_compute import (
    ALIGNMENT,
    PROGRAM,
    SHARES,
    Computing,
    require_same_program,
    shared_shapes,
)
from comity.architectures.encrypted_terms import LEAST_ROWS, NAME, Terms
from comity.architectures.exchange import (
    account_of,
    receive_notice,
    receive_query,
    receive_share,
    send_answer,
    send_notice,
)
from comity.architectures.models import labels_of
from comity.data.table import Table
from comity.errors import BadTable, ComityError, PartyFailed
from comity.gate import refusal_of
from comity.ledger import Account, PrivacyUnit
from comity.plan import Outcome, Plan, Verdict
from comity.train.encrypted.features import spread
from comity.train.encrypted.program import LABELS, MOMENTS, NOISE, PRODUCTS, ROWS
from comity.train.encrypted.settings import BITS, Partition, Training
from comity.train.encrypted.sharing import Words, split, to_words
from comity.wire import Channel

if TYPE_CHECKING:
    import pyarrow as pa

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
    sharer = _Sharer(seat, terms)
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
    seat: Seat, channel: Channel, terms: Terms, sharer: _Sharer, computing: Computing, session: str
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


class _Sharer:
    """A provider's rows: encoded and split after the charge, and gone once they are sent.

    Attributes:
        held: how many rows there are to share, a public fact.
        rows: how many of them are shared; they are spread evenly over the table.
        parts: by rank: what the compute party of this rank gets; empty until the rows are due.
    """

    def __init__(self, seat: Seat, terms: Terms) -> None:
        self._seat, self._terms = seat, terms
        require_columns(seat, terms)
        self.held = self.rows = rows_of(seat)
        self.parts: list[dict[str, bytes]] = []
        self._opening: Plan | None = None
        self._common: list[str] | None = None

    def align(self, channel: Channel, computing: Computing, session: str) -> None:
        """Find the records that the other provider holds too. It is charged for everything that follows: from
        here on the other provider may know who is in the table."""
        seat = self._seat
        (other,) = (name for name in seat.providers if name != seat.party)
        self._opening = Plan(
            architecture=NAME,
            purpose=f"align records with {other}: both learn which ones both hold (private set intersection)",
            recipient=other,
            topic=ALIGNMENT,
            request={"align": sorted(seat.providers)},
            asks=self._terms.asks(),
            account=self._account,
            cost=None,
            run=lambda: Outcome(body={"by": seat.task.id}),
            check=self._check,
            sealed=True,
            opens=len(self._terms.compute),
        )
        send_answer(seat, channel, self._opening)
        receive_share(seat, channel, other, ALIGNMENT)
        own = Table(seat.table("train", columns=[seat.task.id])).strings(seat.task.id)
        self._common = computing.align(session, [id_ for id_ in own if id_ is not None])
        self.held = self.rows = len(self._common)

    def send(self, channel: Channel, training: Training, program: str) -> Plan:
        """Send every other compute party its share.

        Returns:
            The plan that is charged and that everything else draws on: the first share, unless there was one.
        """
        others = [name for name in self._terms.compute if name != self._seat.party]
        computes = len(others) < len(self._terms.compute)
        for at, name in enumerate(others):
            plan = self._plan(name, training, program, opens=len(others) - 1 + computes)
            send_answer(self._seat, channel, plan)
            if at == 0 and self._opening is None:
                self._opening = plan
        if self._opening is None:
            raise PartyFailed("there is no compute party to share with")
        return self._opening

    def forget(self) -> None:
        """Drop the shares: those that were sent are the others'."""
        self.parts = []

    @property
    def _account(self) -> Account:
        return account_of(self._seat, unit=PrivacyUnit.record)

    def _plan(self, recipient: str, training: Training, program: str, *, opens: int) -> Plan:
        """The share of one compute party. The first one opens, and is checked; the others draw on it."""
        seat, terms = self._seat, self._terms
        rank = terms.compute.index(recipient)
        noise = terms.noise(training)
        plan = Plan(
            architecture=NAME,
            purpose=f"share {self.rows} rows of {seat.party} among {', '.join(terms.compute)}, for training "
            f"on shares: the part of {recipient}",
            recipient=recipient,
            topic=SHARES,
            request={"program": program, "training": training.to_dict(), "rank": rank},
            asks=terms.asks(),
            account=self._account,
            cost=None if noise is None else noise.cost,
            run=lambda: Outcome(body={"rank": rank}, parts=self._split(training)[rank]),
            check=self._check if noise is None else None,
            sealed=True,
            opens=opens,
        )
        if self._opening is None:
            return plan
        return replace(plan, cost=None, check=None, opens=0, draws_on=self._opening.name)

    def _split(self, training: Training) -> list[dict[str, bytes]]:
        if not self.parts:
            terms, party = self._terms, self._seat.party
            own = terms.compute.index(party) if party in terms.compute else None
            parts: list[dict[str, bytes]] = [{} for _ in terms.compute]
            words = {name: to_words(values, BITS) for name, values in self._values(training).items()}
            noise = terms.noise(training)
            if noise is not None:
                words[NOISE] = noise.draw().view(np.uint64)
            for name in shared_shapes(terms, training, party, self.rows):
                pieces = split(words[name], terms.scheme, own=own)
                for rank, piece in enumerate(pieces):
                    parts[rank] |= {f"{name}/{key}": data for key, data in piece.items()}
            self.parts = parts
        return self.parts

    def _values(self, training: Training) -> dict[str, NDArray[np.float64]]:
        """By input: what this provider shares of it, in plain."""
        seat, terms = self._seat, self._terms
        table = seat.table("train")
        if self._common is not None:
            place = {id_: at for at, id_ in enumerate(Table(table).strings(seat.task.id))}
            table = table.take([place[id_] for id_ in self._common])
        if self.rows < self.held:
            table = table.take(np.sort(spread(self.held)[: self.rows]))
        x = terms.blocks[seat.party].encode(Table(table))
        found: dict[str, NDArray[np.float64]] = {ROWS: x}
        wide = np.column_stack([x, np.ones(len(x))])
        if seat.party in terms.labelled:
            y = _target_of(table, seat, terms)
            found |= {LABELS: y, MOMENTS: wide.T @ y / training.rows}
        found[PRODUCTS] = wide.T @ wide / training.rows
        wanted = shared_shapes(terms, training, seat.party, self.rows)
        return {name: values for name, values in found.items() if name in wanted}

    def _check(self, outcome: Outcome) -> Verdict:
        """What is about to leave is of enough rows; one share by itself tells nothing of them."""
        return Verdict(
            passed=self.rows >= LEAST_ROWS,
            reason=f"a model of {self.rows} rows is opened; at least {LEAST_ROWS} are needed",
            figures={"rows": self.rows, "bytes": sum(len(part) for part in outcome.parts.values())},
        )


def _target_of(table: pa.Table, seat: Seat, terms: Terms) -> NDArray[np.float64]:
    """(rows,) 0 and 1, or a target of numbers between its bounds as -1 to 1.

    Raises:
        BadTable: if a row has none; it is the holder's own.
    """
    if terms.target is None:
        return labels_of(table, seat.task).astype(np.float64)
    values = Table(table).numbers(terms.target.name)
    if np.isnan(values).any():
        row = int(np.argmax(np.isnan(values))) + 1
        raise BadTable(f"row {row} has no value in the target {terms.target.name}; leave such rows out")
    return terms.target.scaled(values)


def require_columns(seat: Seat, terms: Terms) -> None:
    """Look whether the provider's table has the columns that are shared, by the file's own list of them:
    before anything is charged.

    Raises:
        BadTable: naming those that it lacks.
    """
    import pyarrow.parquet as pq

    block = terms.blocks[seat.party]
    wanted = [column.name for column in (*block.numbers, *block.levels)]
    wanted += [seat.task.target] if seat.party in terms.labelled else []
    wanted += [seat.task.id] if terms.partition is Partition.columns else []
    held = set(pq.read_schema(seat.require_table("train")).names)
    lacking = [name for name in wanted if name not in held]
    if lacking:
        raise BadTable(f"the table 'train' of '{seat.party}' lacks the columns {', '.join(lacking)}")


def rows_of(seat: Seat) -> int:
    """How many rows the provider's table has, read off the file's own count: no row is read."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(seat.require_table("train")).num_rows)


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
