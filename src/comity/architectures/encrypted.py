"""`encrypted`: the model is trained on secret shares; nobody sees a row, the ML party alone opens the model.

SPU (Ma et al. 2023) runs ABY3 among three compute parties, or CHEETAH between two. Every provider splits its
rows among them; each holds uniform words. Mode `exact`: the model as it comes out. Mode `private`: every
provider shares a part of noise in as well, and the model has differential privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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
from comity.architectures.encrypted_attacks import attacks
from comity.architectures.encrypted_ml_party import mediator, ml_party
from comity.architectures.encrypted_provider import provider
from comity.architectures.encrypted_terms import NAME, clause, lacking_bounds
from comity.data.people import Unit

_MEDIATOR_SEES = ("where there are two providers: uniform words, and how many rows each of them has",)
_SAMPLE = Parties(("a", "b", "c"), "ml_party", "mediator")


def _clause(options: Options) -> dict[str, Any]:
    return clause(options, _SAMPLE)


def _guarantee(options: Options) -> Guarantee:
    if options.mode == "exact":
        return Guarantee(
            note="No differential privacy: the ML party gets the exact model. Rows stay split as long as no "
            "two compute parties work together, all of them follow the protocol, and none keeps what it "
            "should drop.",
            short="rows stay split; the model is exact",
        )
    return Guarantee(
        epsilon=options.epsilon,
        delta=options.delta,
        unit="record",
        relation="add-remove",
        note="Holds for each record at each provider, features and label, against the ML party together with "
        "one provider, as long as no two compute parties work together and all of them follow the protocol. "
        "Every provider adds a part of the noise. Seed rows are outside it. So is how many rows each "
        "provider has, which all parties are told: who knows all other rows learns from it whether one more "
        "is there. What a record says stays hidden; where the count is known and one record may be this or "
        "that, reckon with a little over twice the ε.",
    )


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    if len(providers) < 2:
        return "it joins rows of two providers or more; there is 1"
    return lacking_bounds(task.schema, task.features)


def _promise(options: Options, task: Task) -> Guarantee:
    """Of persons, where the schema says that each has one row and rows have ids of their own besides."""
    guarantee = _guarantee(options)
    unit = Unit.of(task.schema.unit, task.schema.columns)
    if guarantee.epsilon is None or unit.of_records:
        return guarantee
    return replace(
        guarantee,
        unit="person",
        note=guarantee.note.replace(
            "for each record at each provider", "for each person at each provider, which uses one row of each"
        ),
    )


def _skip_private(task: Task, providers: Sequence[str]) -> str | None:
    unit = Unit.of(task.schema.unit, task.schema.columns)
    if unit.of_one_row:
        return None
    return (
        f"its noise hides one record, and the schema's unit is '{unit.column}'; 'federated' hides a person's "
        "rows"
    )


def _skip_columns(task: Task, providers: Sequence[str]) -> str | None:
    if len(providers) != 2:
        return f"it finds the records in common of two providers; there are {len(providers)}"
    return None


_PRIVATE = Exposure(
    trust=(
        Trust("provider", "follows the protocol, and no two that compute work together"),
        Trust("provider", "adds its part of the noise: nobody can check that"),
        Trust("ml_party", "works together with at most one provider"),
    ),
    seen_by={
        "provider": ("uniform words, and how many rows each provider has",),
        "mediator": _MEDIATOR_SEES,
        "ml_party": ("the trained model, with noise", "how many rows each provider has"),
    },
    skip=_skip_private,
    partitions=("rows",),
)

_EXACT = Exposure(
    trust=(
        Trust("provider", "follows the protocol, and no two that compute work together"),
        Trust("ml_party", "keeps the model to itself: it is exact"),
    ),
    seen_by={
        "provider": (
            "uniform words, and how many rows each provider has",
            "where providers hold columns of the same records: which records both hold",
        ),
        "mediator": _MEDIATOR_SEES,
        "ml_party": (
            "the trained model, exactly",
            "how many rows each provider has; of columns, how many records both hold",
        ),
    },
    in_words=InWords(
        protects="Every row of every provider: the parties that compute see random numbers only.",
        against="The ML party, and each compute party by itself; two of these together see everything.",
        price="Seconds and megabytes instead of milliseconds; the model that is opened is exact.",
    ),
    partitions=("rows", "columns"),
)

ARCHITECTURE = Architecture(
    name=NAME,
    summary="A model is trained on secret shares (SPU): nobody sees a row, the ML party opens the model.",
    programs={"provider": provider, "mediator": mediator, "ml_party": ml_party},
    clause=_clause,
    clause_among=clause,
    guarantee=_guarantee,
    promise=_promise,
    trust=_PRIVATE.trust,
    seen_by=_PRIVATE.seen_by,
    modes=("private", "exact"),
    beside=("exact",),
    charges=True,
    exact=("exact",),
    partitions=("rows", "columns"),
    skip_columns=_skip_columns,
    engine=("spu", "encrypted"),
    skip=_skip,
    attacks=attacks,
    exposures={"private": _PRIVATE, "exact": _EXACT},
    in_words=InWords(
        protects="Every record, features and label, with differential privacy; no step is seen by anybody.",
        against="The ML party, also with one provider; and each compute party by itself.",
        price="Noise in the model, and the seconds and megabytes of computing on shares.",
    ),
)
