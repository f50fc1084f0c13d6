"""`encrypted`, what a provider shares: its rows, encoded and split after the charge, each part by its gate.

A provider's sealed share to the first compute party opens everything: it is charged, and what goes to the
other ones draws on it. One of the shares alone is uniform words; charged is what they open to. Where noise
hides a person, the first row of each is shared and no further one, whatever the table holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from comity.architectures.definition import Seat
from comity.architectures.encrypted_compute import ALIGNMENT, SHARES, Computing, shared_shapes
from comity.architectures.encrypted_terms import LEAST_ROWS, NAME, Terms
from comity.architectures.exchange import account_of, receive_share, send_answer
from comity.architectures.models import labels_of
from comity.data.people import Unit
from comity.data.table import Table
from comity.errors import BadTable, PartyFailed
from comity.ledger import Account, PrivacyUnit
from comity.plan import Outcome, Plan, Verdict
from comity.train.encrypted.features import spread
from comity.train.encrypted.noisy import squares_of, turned
from comity.train.encrypted.program import LABELS, MOMENTS, NOISE, PRODUCTS, ROWS
from comity.train.encrypted.settings import BITS, Partition, Training
from comity.train.encrypted.sharing import split, to_words
from comity.wire import Channel

if TYPE_CHECKING:
    import pyarrow as pa


class Sharer:
    """A provider's rows: encoded and split after the charge, and gone once they are sent.

    Attributes:
        held: how many rows there are to share, of those that count, a public fact.
        rows: how many of them are shared; they are spread evenly over the table.
        parts: by rank: what the compute party of this rank gets; empty until the rows are due.
    """

    def __init__(self, seat: Seat, terms: Terms) -> None:
        self._seat, self._terms = seat, terms
        _require_columns(seat, terms)
        self._unit = _unit_of(seat, terms)
        self.held = self.rows = _rows_of(seat, self._unit)
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
        return account_of(self._seat, unit=self._hidden)

    @property
    def _hidden(self) -> PrivacyUnit:
        """Whose coming or going is charged for."""
        return PrivacyUnit.record if self._unit.of_records else PrivacyUnit.person

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
            cost=None if noise is None else replace(noise.cost, unit=self._hidden),
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
            for name, words in self._words(training).items():
                for rank, piece in enumerate(split(words, terms.scheme, own=own)):
                    parts[rank] |= {f"{name}/{key}": data for key, data in piece.items()}
            self.parts = parts
        return self.parts

    def _words(self, training: Training) -> dict[str, NDArray[np.uint64]]:
        """By input: what this provider shares of it, in plain."""
        seat, terms, table = self._seat, self._terms, self._table()
        x = terms.blocks[seat.party].encode(Table(table))
        noise = terms.noise(training)
        if noise is not None:
            rows = to_words(turned(x, _target_of(table, seat, terms)), BITS)
            return {ROWS: rows, NOISE: noise.share(squares_of(rows, training.rows)).view(np.uint64)}
        wide = np.column_stack([x, np.ones(len(x))])
        made: dict[str, Callable[[], NDArray[np.float64]]] = {
            ROWS: lambda: x,
            LABELS: lambda: _target_of(table, seat, terms),
            PRODUCTS: lambda: wide.T @ wide / training.rows,
            MOMENTS: lambda: wide.T @ _target_of(table, seat, terms) / training.rows,
        }
        wanted = shared_shapes(terms, training, seat.party, self.rows)
        return {name: to_words(made[name](), BITS) for name in wanted}

    def _table(self) -> pa.Table:
        """The rows that are shared."""
        table = self._unit.kept(Table(self._seat.table("train"))).arrow
        if self._common is not None:
            place = {id_: at for at, id_ in enumerate(Table(table).strings(self._seat.task.id))}
            table = table.take([place[id_] for id_ in self._common])
        if self.rows < self.held:
            table = table.take(np.sort(spread(self.held)[: self.rows]))
        return table

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


def _require_columns(seat: Seat, terms: Terms) -> None:
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
    wanted += [column] if (column := _unit_of(seat, terms).column) else []
    held = set(pq.read_schema(seat.require_table("train")).names)
    lacking = [name for name in wanted if name not in held]
    if lacking:
        raise BadTable(f"the table 'train' of '{seat.party}' lacks the columns {', '.join(lacking)}")


def _unit_of(seat: Seat, terms: Terms) -> Unit:
    """Whose coming or going the noise hides, as the agreement says of this provider's data; each row's, where
    there is no noise."""
    if terms.privacy is None:
        return Unit()
    data = seat.agreement.data_of(seat.party)
    return Unit.of(data.unit, data.columns)


def _rows_of(seat: Seat, unit: Unit) -> int:
    """How many rows of the provider's table count; all of them, where each row is a unit, and then it is read
    off the file's own count: no row is read."""
    import pyarrow.parquet as pq

    if unit.column is not None:
        return unit.kept(Table(seat.table("train", columns=[unit.column]))).rows
    return int(pq.read_metadata(seat.require_table("train")).num_rows)
