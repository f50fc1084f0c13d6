"""`federated`: what its clause says, as the group that adds up, the noise it shares, and its rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from comity.agreement import FederatedClause
from comity.architectures.definition import Options, Parties, Seat
from comity.architectures.exchange import additive_delta
from comity.architectures.federated_features import Features
from comity.crypto.canonical import digest
from comity.errors import ClauseRefused
from comity.ledger import PrivacyUnit
from comity.mechanism import Sums
from comity.train.federated.descent import ROUNDS, STEPS, course_of
from comity.train.federated.group import LEAST_MEMBERS, Group
from comity.train.federated.networks import Network
from comity.train.federated.shared_noise import CAP_BITS, SharedNoise
from comity.train.private.gradients import clipped_l2
from comity.validate.hosted import HostedUnit

NAME: Final = "federated"
EXACT_ROUNDS: Final = 12
HIDDEN: Final = 32
COLLUDERS: Final = 1
PARTY_NORM: Final = 1.0
"""Length that an update is cut to where a whole provider is the unit."""

SEEN: Final = "seen.npz"
FEATURES: Final = "features.json"
LEAST_ROWS: Final = 20
"""Rows that a provider's table has at least where nothing is noisy."""


def threshold(members: int) -> int:
    """How many providers have to stay in a pilot: all of 3 or 4, all but one of 5 to 9."""
    return members - members // 5


def clause(options: Options, parties: Parties) -> dict[str, Any]:
    """The clause of a pilot's run."""
    shared = {
        "threshold": threshold(len(parties.providers)),
        "colluders": COLLUDERS,
    }
    if options.mode == "exact":
        # a network overfits small tables, and nobody can look at held-out rows of all providers to stop it
        return {"unsafe_exact": True, "rounds": EXACT_ROUNDS, "model": "logistic", **shared}
    return {"epsilon": options.epsilon, "delta": options.delta, "rounds": ROUNDS, **shared}


@dataclass(frozen=True)
class Settings:
    """How this run trains, read off the clause and nothing else: no message changes it.

    Attributes:
        exact: without differential privacy.
        party: whether the unit is a whole provider; else records or persons.
        hidden: units of the network; 0 is logistic regression.
        proximal: FedProx's mu; 0 is FedAvg.
        rounds: sums that are opened.
    """

    exact: bool
    party: bool
    hidden: int
    proximal: float
    rounds: int

    @classmethod
    def of(cls, seat: Seat) -> Settings:
        """
        Raises:
            ClauseRefused: if the agreement has no such clause, or none in this mode.
        """
        found = federated_clause(seat)
        exact = seat.options.mode == "exact"
        if exact != found.unsafe_exact:
            raise ClauseRefused(
                "the agreement allows federated training only "
                + ("without differential privacy" if found.unsafe_exact else "with differential privacy"),
                clause=f"architectures.{NAME}.unsafe_exact",
                asked=f"mode {seat.options.mode}",
                would_pass="mode exact" if found.unsafe_exact else "mode private",
            )
        party = found.unit == "party"
        trained = exact or party
        return cls(
            exact=exact,
            party=party,
            hidden=HIDDEN if found.model == "network" else 0,
            proximal=found.proximal or 0.0,
            rounds=min(found.rounds, EXACT_ROUNDS) if trained else ROUNDS,
        )

    @property
    def trains(self) -> bool:
        """Whether providers train locally, rather than add up gradients of records."""
        return self.exact or self.party

    def asks(self, seat: Seat) -> dict[str, Any]:
        """What every plan asks of the clause."""
        found = federated_clause(seat)
        return {
            "rounds": self.rounds,
            "threshold": found.threshold,
            "colluders": found.colluders,
            "unsafe_exact": self.exact,
        }


def federated_clause(seat: Seat) -> FederatedClause:
    """The agreement's clause.

    Raises:
        ClauseRefused: if there is none.
    """
    found = seat.agreement.clause(NAME)
    if not isinstance(found, FederatedClause):
        raise ClauseRefused("the agreement does not allow federated training", clause=f"architectures.{NAME}")
    return found


def group_of(seat: Seat, features: Features) -> Group:
    """Who adds up: the agreement's providers, under its keys, and what all of them were told of the run.

    Each provider's part of the noise is enough only together with the others'. So task, options (epsilon
    among them) and features are in what a provider's keys are signed for: where two were told different
    ones, the keys of one are none of the other's group, and nothing is masked, let alone opened.

    Raises:
        ClauseRefused: if the agreement has no such clause.
    """
    found = federated_clause(seat)
    told = digest(
        {
            "task": seat.task.to_dict(),
            "options": seat.options.to_dict(),
            "features": features.to_dict(),
        }
    )
    return Group(
        purpose=f"federated training under the agreement {seat.agreement.digest}, as told: {told}",
        members=seat.providers,
        keys={name: seat.agreement.party(name).key for name in seat.providers},
        threshold=found.threshold,
        colluders=found.colluders,
        rounds=Settings.of(seat).rounds,
    )


def unit_of(seat: Seat, provider: str) -> HostedUnit:
    """Whose coming or going the noise of a provider's records hides.

    Raises:
        ClauseRefused: if the unit's column is none of the data's.
    """
    terms = seat.agreement.data_of(provider)
    unit = HostedUnit.of(terms.unit, terms.columns)
    if unit.column is not None and unit.column not in terms.columns:
        raise ClauseRefused(
            f"the privacy unit of the data of '{provider}' is '{unit.column}', which is none of its columns",
            clause=f"data.{provider}.unit",
        )
    return unit


def releases_of(settings: Settings, features: Features, *, rows: int, members: int) -> tuple[Sums, ...]:
    """The rounds' sums where there is differential privacy, and how far one unit moves each in L2.

    Args:
        rows: the most rows of one person at a provider.
        members: providers that add up, each with one update where a whole provider is the unit.
    """
    if not settings.party:
        return course_of(features.encoder).releases(rows)
    length = clipped_l2(PARTY_NORM, CAP_BITS)
    size = size_of(settings, features)
    return (Sums(size, length, length, times=settings.rounds, records=members),)


def size_of(settings: Settings, features: Features, number: int = 0) -> int:
    """Numbers in a round's sum."""
    if not settings.trains:
        columns = course_of(features.encoder).columns
        return columns.blocks.dimensions if number else columns.fine.dimensions
    size = Network(features.width, settings.hidden).size
    return size + 1 if settings.exact else size


def noise_of(seat: Seat, provider: str, features: Features) -> SharedNoise:
    """The noise that every provider adds its part of, with the cost that it has for one of them.

    A provider's rows are hidden by the others' parts as well, so all of them add what the one needs that asks
    for most: the smallest delta, and the most rows of one person. One part at least is known to who looks at
    the model of each round, another provider, also where the clause counts on no colluder.

    Raises:
        ClauseRefused: if the agreement gives somebody's data no budget.
    """
    found, settings = federated_clause(seat), Settings.of(seat)
    rows = 1 if settings.party else max(unit_of(seat, name).rows for name in seat.providers)
    members = len(seat.providers)
    return SharedNoise(
        epsilon=seat.options.epsilon,
        delta=min(additive_delta(seat, name, NAME) for name in seat.providers),
        unit=PrivacyUnit.party if settings.party else unit_of(seat, provider).unit,
        releases=releases_of(settings, features, rows=rows, members=members),
        members=members,
        threshold=found.threshold,
        # every provider sees each round's model and knows its own noise: one looks on, colluding or not
        colluders=max(found.colluders, 1),
    )


def too_few(providers: int) -> str | None:
    """Why so few providers cannot add up under masks, or None."""
    if providers >= LEAST_MEMBERS:
        return None
    return (
        f"secure aggregation hides an update among {LEAST_MEMBERS} providers or more; there are {providers}"
    )


def figures_of(noise: SharedNoise | None, found: FederatedClause, members: int) -> Mapping[str, Any]:
    """What a run says of its group: drop-outs and colluders it bears, and the noise that costs."""
    return {
        "threshold": found.threshold,
        "drop_outs_borne": members - found.threshold,
        "colluders_borne": found.colluders,
        **({} if noise is None else {"noise_excess": noise.excess, "gradients": STEPS}),
    }
