"""`federated`: providers add up under masks; the ML party sees sums, never what one of them sent.

Flower's ClientApps, ServerApp and strategies over comity's Channel, with secure aggregation and
differential privacy of comity's own (`comity.train.federated`). Mode `private`: DP gradient descent on sums
over records, each provider adding its part of the noise. Mode `exact`: FedAvg or FedProx without noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comity.architectures import federated_attacks
from comity.architectures.definition import (
    Architecture,
    Exposure,
    Guarantee,
    InWords,
    Options,
    Parties,
    Task,
    Trust,
)
from comity.architectures.federated_features import lacking_bounds
from comity.architectures.federated_provider import provider
from comity.architectures.federated_server import ml_party
from comity.architectures.federated_terms import NAME, clause, too_few
from comity.ledger import PrivacyUnit
from comity.validate.hosted import HostedUnit

_SAMPLE = Parties(("a", "b", "c"), "ml_party", "mediator")


def _clause(options: Options) -> dict[str, Any]:
    return clause(options, _SAMPLE)


def _guarantee(options: Options) -> Guarantee:
    return _promise_for(options, HostedUnit())


def _promise(options: Options, task: Task) -> Guarantee:
    return _promise_for(options, HostedUnit.of(task.schema.unit, task.schema.columns))


def _promise_for(options: Options, unit: HostedUnit) -> Guarantee:
    if options.mode == "exact":
        return Guarantee(
            note="No differential privacy: the ML party sees each round's mean of the providers' updates, "
            "weighted by rows, and how many rows there are in all. What one provider sent is hidden among "
            "those that stay.",
            short="sums of all providers only",
        )
    whose = (
        "each record at each provider, features and label"
        if unit.unit is PrivacyUnit.record
        else f"all rows of one person ({unit.column}) at each provider together, at most {unit.rows} of them"
    )
    return Guarantee(
        epsilon=options.epsilon,
        delta=options.delta,
        unit=str(unit.unit),
        relation="add-remove",
        note=f"Holds for {whose}, against the ML party together with one provider. Every provider adds a "
        "part of the noise: the sum carries what the guarantee needs as long as all but the colluding ones "
        "add theirs. Seed rows are outside it.",
    )


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    return too_few(len(providers)) or lacking_bounds(task)


_TRUST = (
    Trust("provider", "clips, adds its part of the noise and answers honestly: nobody can check that"),
    Trust("ml_party", "works together with at most one provider; it is held to one view of each round"),
)

_SEEN_BY_PROVIDER = (
    "bins and scales that the ML party drew up from its seed rows, and a model of these rows to start from",
    "the model so far, and which providers take part in each round",
)

ARCHITECTURE = Architecture(
    name=NAME,
    summary="Providers train together: only sums of masked vectors are opened (Flower, secure aggregation).",
    programs={"provider": provider, "ml_party": ml_party},
    clause=_clause,
    clause_among=clause,
    guarantee=_guarantee,
    promise=_promise,
    trust=_TRUST,
    seen_by={
        "provider": _SEEN_BY_PROVIDER,
        "ml_party": (
            "uniform words from each provider",
            "noisy sums over all providers: counts per bin of each feature, clipped gradients",
            "which providers stayed in each round",
        ),
    },
    modes=("private", "exact"),
    beside=("exact",),
    charges=True,
    exact=("exact",),
    engine=("flwr", "federated"),
    skip=_skip,
    bears_drop_outs=True,
    attacks=federated_attacks.attacks,
    exposures={
        "exact": Exposure(
            trust=(
                Trust("provider", "trains on its own rows and answers honestly: nobody can check that"),
                Trust(
                    "ml_party",
                    "works together with at most one provider, cuts bins and asks with models that single "
                    "nobody out, and keeps sums and model to itself",
                ),
            ),
            seen_by={
                "provider": _SEEN_BY_PROVIDER,
                "ml_party": (
                    "uniform words from each provider",
                    "the mean of all providers' updates in each round, without noise, and the number of rows",
                    "which providers stayed in each round",
                ),
            },
            skip=_skip,
            in_words=InWords(
                protects="What one provider sent: only the sum over three providers or more is opened.",
                against="The ML party, also if it works together with one provider.",
                price="The sums are exact, so the model may give records away; attacks measure how much.",
            ),
        )
    },
    in_words=InWords(
        protects="Every record, features and label, with differential privacy; no row leaves its provider.",
        against="The ML party and the other providers, also if one of these works together with it.",
        price="Three providers or more that add noise honestly and stay, and several rounds of messages.",
    ),
)
