"""`encrypted`: the model is trained on secret shares; nobody sees a row, the ML party alone opens the model.

SPU (Ma et al. 2023) runs ABY3 among three compute parties, or CHEETAH between two. Every provider splits its
rows among them; each holds uniform words. Mode `exact`: the model as it comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comity.architectures.definition import (
    Architecture,
    Guarantee,
    InWords,
    Options,
    Parties,
    Pilot,
    Task,
    Trust,
)
from comity.architectures.encrypted_ml_party import mediator, ml_party
from comity.architectures.encrypted_provider import provider
from comity.architectures.encrypted_terms import NAME, clause, lacking_bounds
from comity.architectures.models import membership_attack
from comity.attack.result import AttackResult

_SAMPLE = Parties(("a", "b", "c"), "ml_party", "mediator")


def _clause(options: Options) -> dict[str, Any]:
    return clause(options, _SAMPLE)


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(
        note="No differential privacy: the ML party gets the exact model. Rows stay split as long as no two "
        "compute parties work together, all of them follow the protocol, and none keeps what it should drop.",
        short="rows stay split; the model is exact",
    )


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    if len(providers) < 2:
        return "it joins rows of two providers or more; there is 1"
    return lacking_bounds(task.schema, task.features)


def _skip_columns(task: Task, providers: Sequence[str]) -> str | None:
    if len(providers) != 2:
        return f"it finds the records in common of two providers; there are {len(providers)}"
    return None


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    return {"membership": membership_attack(pilot)}


ARCHITECTURE = Architecture(
    name=NAME,
    summary="A model is trained on secret shares (SPU): nobody sees a row, the ML party opens the model.",
    programs={"provider": provider, "mediator": mediator, "ml_party": ml_party},
    clause=_clause,
    clause_among=clause,
    guarantee=_guarantee,
    trust=(
        Trust("provider", "follows the protocol, and no two that compute work together"),
        Trust("ml_party", "keeps the model to itself: it is exact"),
    ),
    seen_by={
        "provider": (
            "uniform words, and how many rows each provider has",
            "where providers hold columns of the same records: which records both hold",
        ),
        "mediator": ("where there are two providers: uniform words, and how many rows each of them has",),
        "ml_party": ("the trained model, exactly", "how many rows each provider has"),
    },
    modes=("exact",),
    partitions=("rows", "columns"),
    skip_columns=_skip_columns,
    engine=("spu", "encrypted"),
    skip=_skip,
    attacks=_attacks,
    in_words=InWords(
        protects="Every row of every provider: the parties that compute see random numbers only.",
        against="The ML party, and each compute party by itself; two of these together see everything.",
        price="Seconds and megabytes instead of milliseconds; the model that is opened is exact.",
    ),
)
