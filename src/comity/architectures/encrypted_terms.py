"""`encrypted`: what its clause says, as who computes what, and the settings that follow from public facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from comity.agreement import EncryptedClause
from comity.agreement.training_clauses import Opened
from comity.architectures.definition import Options, Parties, Seat
from comity.architectures.exchange import additive_delta
from comity.data.people import Unit
from comity.errors import BadInput, BadSchema, ClauseRefused
from comity.train.encrypted.alignment import PARTIES
from comity.train.encrypted.features import Features, Number
from comity.train.encrypted.noisy import NoiseParts, features_of, training_of
from comity.train.encrypted.settings import Kind, Partition, Training
from comity.train.encrypted.sharing import Scheme, scheme_of
from comity.wire import Message

NAME: Final = "encrypted"
MOST_ASKED: Final = 1_000_000
COLLUDERS: Final = 1
"""Providers that may tell the ML party their part of the noise."""

MOST_ROWS: Final = 2**18
"""Rows that are shared in all: forty steps over batches of about 4,096 never get beyond them, and with so
many the noise of mode `private` is next to nothing."""

MOST_CELLS: Final = 2**23
"""Numbers that are shared in all: engine and party hold about 450 bytes for each at their most."""

LEAST_ROWS: Final = 20
"""Rows that a provider shares at least: a model of fewer, opened, says nearly what they are."""


def compute_among(parties: Parties) -> tuple[str, ...]:
    """Who computes in a pilot: the first three providers; two providers take the mediator in.

    The ML party is left out: it gets the model, and would need to work with two of the compute parties rather
    than one to get at anything else.
    """
    if len(parties.providers) >= 3:
        return parties.providers[:3]
    return (*parties.providers, parties.mediator)


def clause(options: Options, parties: Parties) -> dict[str, Any]:
    """The clause of a pilot's run."""
    told: dict[str, Any] = {"protocol": "aby3", "compute": list(compute_among(parties))}
    if options.mode == "exact":
        if options.partition == Partition.columns:
            told["membership_to"] = list(parties.providers)
        return {"unsafe_exact": True, **told}
    return {"epsilon": options.epsilon, "delta": options.delta, **told}


def encrypted_clause(seat: Seat) -> EncryptedClause:
    """The agreement's clause.

    Raises:
        ClauseRefused: if there is none, or it allows another mode than this run's.
    """
    found = seat.agreement.clause(NAME)
    if not isinstance(found, EncryptedClause):
        raise ClauseRefused("the agreement does not allow training on shares", clause=f"architectures.{NAME}")
    exact = seat.options.mode == "exact"
    if exact != found.unsafe_exact:
        raise ClauseRefused(
            "the agreement allows training on shares only "
            + ("without differential privacy" if found.unsafe_exact else "with differential privacy"),
            clause=f"architectures.{NAME}.unsafe_exact",
            asked=f"mode {seat.options.mode}",
            would_pass="mode exact" if found.unsafe_exact else "mode private",
        )
    return found


@dataclass(frozen=True)
class Terms:
    """This run's terms, read off the agreement; no message changes them.

    Attributes:
        compute: the compute parties by rank.
        blocks: each provider's columns; all columns at each, where the table is split by rows.
        features: the columns of the shared table.
        labelled: the providers that have the target.
        privacy: epsilon and delta of a run with noise; None in mode exact.
        target: where linear regression learns numbers: their bounds; None where the target's positive value
            is 1 and every other one 0.
        opens: what the ML party gets: the model, or predictions for rows of its own.
    """

    compute: tuple[str, ...]
    scheme: Scheme
    kind: Kind
    opens: Opened
    exact: bool
    partition: Partition
    features: Features
    blocks: Mapping[str, Features]
    labelled: tuple[str, ...]
    privacy: tuple[float, float] | None = None
    target: Number | None = None

    @classmethod
    def of(cls, seat: Seat) -> Terms:
        """
        Raises:
            ClauseRefused: if the agreement does not allow it.
            BadSchema: if a column has no public bounds or levels.
        """
        found = encrypted_clause(seat)
        kind = Kind(found.model or Kind.logistic)
        schema, target = seat.task.schema, seat.task.target
        numbers = kind is Kind.linear and schema[target].type.is_numeric
        partition = Partition(seat.options.partition)
        privacy = None if found.epsilon is None else _privacy(seat, partition, found.epsilon)
        made = Features.of if privacy is None else features_of
        whole = made(schema, seat.task.features)
        own = {name: seat.agreement.data_of(name).columns for name in seat.providers}
        blocks = dict.fromkeys(seat.providers, whole)
        labelled = seat.providers
        if partition is Partition.columns:
            names = {name: [each for each in seat.task.features if each in own[name]] for name in own}
            blocks = {name: Features.of(seat.task.schema, each) for name, each in names.items()}
            labelled = tuple(name for name in own if seat.task.target in own[name])
            _require_aligned(found, seat.providers)
            for each in (*seat.task.features, target):
                _require_one_holder(each, [name for name in own if each in own[name]])
        return cls(
            compute=found.compute,
            scheme=scheme_of(found.protocol),
            kind=kind,
            opens=found.opens or Opened.model,
            exact=found.unsafe_exact,
            partition=partition,
            features=whole,
            blocks=blocks,
            labelled=labelled,
            privacy=privacy,
            target=Number.of_target(schema, target) if numbers else None,
        )

    def shared(self, rows: Mapping[str, int]) -> dict[str, int]:
        """How many rows each provider shares of those that it has: all, unless there are too many in all.

        Then each shares the same part of its rows. Linear regression on rows shares only sums over them.
        """
        most = min(MOST_ROWS, MOST_CELLS // (self.features.width + 1))
        total = sum(rows.values()) if self.partition is Partition.rows else max(rows.values())
        only_sums = self.kind is Kind.linear and self.partition is Partition.rows
        if total <= most or only_sums:
            return dict(rows)
        return {name: max(min(count, LEAST_ROWS), count * most // total) for name, count in rows.items()}

    def training(self, rows: Mapping[str, int]) -> Training:
        """The settings of the program, from every provider's number of rows.

        Raises:
            BadInput: if a provider shares too few, or they do not fit together.
            UsageError: if delta is too small for the noise, or it does not fit beside so many rows.
        """
        for name, count in rows.items():
            if count < LEAST_ROWS:
                raise BadInput(f"'{name}' shares fewer than the {LEAST_ROWS} rows that are needed")
        if self.partition is Partition.columns and len(set(rows.values())) != 1:
            raise BadInput(
                "the providers do not share columns of the same rows: their numbers of rows differ"
            )
        total = sum(rows.values()) if self.partition is Partition.rows else next(iter(rows.values()))
        if self.privacy is not None:
            providers = len(self.labelled)
            told = training_of(self.features, total, *self.privacy, providers=providers, colluders=COLLUDERS)
            self.noise(told)  # what no noise can pay for is refused before anything is sent or charged
            return told
        return Training(
            kind=self.kind,
            rows=total,
            columns=self.features.width,
            numeric=self.features.numeric,
            partition=self.partition,
        )

    def noise(self, training: Training) -> NoiseParts | None:
        """The noise of which every provider draws a part; None in mode exact."""
        return NoiseParts(training, len(self.labelled), COLLUDERS) if training.noisy else None

    def asks(self) -> dict[str, Any]:
        """What every plan asks of the clause."""
        return {"unsafe_exact": self.exact, "protocol": self.scheme.name, "compute": self.compute}

    def asked(self, query: Message) -> int:
        """How many rows the ML party wants scored, as its opening query says.

        Raises:
            ClauseRefused: if it wants the model and the agreement allows predictions only, or the other way.
        """
        asked = query.body.get("asked")
        if (
            type(asked) is not int
            or not 0 <= asked <= MOST_ASKED
            or (asked > 0) != (self.opens == "predictions")
        ):
            raise ClauseRefused(
                f"the agreement opens {'predictions' if self.opens == 'predictions' else 'the model'}",
                clause=f"architectures.{NAME}.opens",
                asked=f"{asked} rows scored" if asked else "the model",
                would_pass=str(self.opens),
            )
        return asked


def _privacy(seat: Seat, partition: Partition, allowed: float) -> tuple[float, float]:
    """Epsilon and delta of a run with noise. Every provider's part hides the others' records too, so all add
    what the smallest delta needs.

    Raises:
        ClauseRefused: where the noise would not hide what the agreement's unit says, or there is no budget.
    """
    if seat.options.epsilon > allowed:
        raise ClauseRefused(
            "the agreement allows a smaller epsilon only",
            clause=f"architectures.{NAME}.epsilon",
            asked=f"epsilon {seat.options.epsilon:g}",
            would_pass=f"epsilon {allowed:g}",
        )
    if partition is Partition.columns:
        raise ClauseRefused(
            "finding the records in common tells who is in the tables: noise in the model does not hide that",
            clause=f"architectures.{NAME}.unsafe_exact",
            asked="mode private of tables that hold different columns",
            would_pass="tables that hold different rows, or mode exact",
        )
    for name in seat.providers:
        terms = seat.agreement.data_of(name)
        unit = Unit.of(terms.unit, terms.columns)
        if not unit.of_one_row:
            raise ClauseRefused(
                f"the noise hides one record, and the privacy unit of the data of '{name}' is all rows with "
                f"one '{unit.column}'",
                clause=f"data.{name}.unit",
                asked="training on shares with noise",
                would_pass="records as the unit, max_rows: 1, or the architecture 'federated'",
            )
    return seat.options.epsilon, min(additive_delta(seat, name, NAME) for name in seat.providers)


def _require_one_holder(column: str, holders: Sequence[str]) -> None:
    """
    Raises:
        ClauseRefused: unless the agreement has the column in exactly one provider's data.
    """
    if len(holders) != 1:
        raise ClauseRefused(
            f"split by columns, '{column}' is one provider's",
            clause="data",
            asked=f"'{column}' of {' and '.join(holders) or 'nobody'}",
            would_pass="each feature and the target in the data of one provider",
        )


def _require_aligned(found: EncryptedClause, providers: Sequence[str]) -> None:
    """
    Raises:
        ClauseRefused: unless exactly two providers may learn which records both hold, and both compute.
    """
    told = found.membership_to or ()
    if len(providers) != PARTIES or not set(providers) <= set(told) & set(found.compute):
        raise ClauseRefused(
            "aligning records tells both providers which ones both hold",
            clause=f"architectures.{NAME}.membership_to",
            asked=", ".join(providers),
            left=", ".join(told) or "nobody",
            would_pass="two providers, both named in membership_to and in compute",
        )


def lacking_bounds(schema: Any, names: Sequence[str]) -> str | None:
    """Why the features cannot be shared, or None."""
    try:
        Features.of(schema, names)
    except BadSchema as error:
        return str(error)
    return None
