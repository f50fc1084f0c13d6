"""`clean-room`: the ML party's program runs beside the data, in a sandbox; declared results leave.

Neighbouring relation, mode `private`: add-remove of one record, or of all rows of one person where the schema
names one. Sensitivity: the declared norm of a job's vector where each unit is a block of its own, twice that
of a block's where units share one (`comity.cleanroom.price`). Who sees what: the provider sees the program
and its parameters; the ML party a noisy count of units and noisy sums; no party sees another provider's. Mode
`exact` gives out a model as it is, under a membership limit (`clean_room_exact`).
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from comity import sandbox
from comity.architectures.clean_room_asker import ml_party
from comity.architectures.clean_room_exact import positive_code
from comity.architectures.clean_room_provider import provider
from comity.architectures.definition import (
    Architecture,
    Exposure,
    Guarantee,
    InWords,
    Options,
    Pilot,
    Task,
    Trust,
)
from comity.architectures.membership_bounds import pilot_bound
from comity.architectures.models import membership_attack
from comity.attack.result import AttackResult
from comity.cleanroom.columns import Columns, Units
from comity.cleanroom.shipped import source
from comity.errors import BadInput, BadSchema
from comity.ledger import PrivacyUnit

MEMBERSHIP_LIMIT: Final = 0.3
"""Of a pilot's agreement in mode `exact`: tables of a few hundred rows tell no less for certain."""


def _clause(options: Options) -> dict[str, Any]:
    if options.mode == "exact":
        programs = [_digest_of("logistic")]
        return {"unsafe_exact": True, "membership": MEMBERSHIP_LIMIT, "queries": 1, "programs": programs}
    programs = [_digest_of("gradient")]
    return {"epsilon": options.epsilon, "delta": options.delta, "queries": 1, "programs": programs}


def _digest_of(name: str) -> str:
    return hashlib.sha256(source(name).encode()).hexdigest()


def _guarantee(options: Options) -> Guarantee:
    return _promised(options, Units())


def _promise(options: Options, task: Task) -> Guarantee:
    return _promised(options, Units.of(task.schema.unit, task.schema.columns))


def _promised(options: Options, unit: Units) -> Guarantee:
    if options.mode == "exact":
        return Guarantee(
            unit=str(unit.whose),
            note="None: each provider's model leaves as it was trained. It is withheld if an attack can tell "
            f"the {'rows' if unit.whose is PrivacyUnit.record else 'persons'} it learned from others; an "
            "attack shows what leaks at least, not at most.",
            short="exact model, held against an attack",
        )
    if unit.whose is PrivacyUnit.record:
        whose = (
            "Holds for each record at each provider, features and label: whether it is in the table at all. "
            "A person with several rows is protected row by row only: give the schema's unit to protect "
            "persons."
        )
    else:
        whose = (
            f"Holds for all rows of one person ({unit.column}) at each provider together: whether the person "
            f"is in the table at all. At most {unit.rows} rows of a person count; the rest, and rows that "
            "name no person, are left out."
        )
    return Guarantee(
        epsilon=options.epsilon,
        delta=options.delta,
        unit=str(unit.whose),
        relation="add-remove",
        note=f"{whose} It holds whatever the program does, as long as it stays in the sandbox. "
        "Seed rows are outside it.",
    )


def _skip_private(task: Task, providers: Sequence[str]) -> str | None:
    if platform.machine() != "x86_64":
        return "its programs run only where a processor's clock can be taken away from them: x86-64"
    return _skip(task, providers)


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    reason = sandbox.missing()
    if reason is not None:
        return f"a program runs beside the data only in a sandbox, and that needs {reason}"
    try:
        Columns.of(task.schema, (*task.features, task.target))
        positive_code(task)
    except (BadSchema, BadInput) as error:
        return str(error)
    return None


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    found = membership_attack(pilot)
    if pilot.options.mode == "exact":
        return {"membership": found}
    return {"membership": replace(found, bound=pilot_bound(pilot))}


_SEES_PROGRAM = "the ML party's program, its parameters and what it declares to give out"
_TRUST = (
    Trust(
        "provider", "runs the program unchanged on its real rows, adds the noise, keeps the program to itself"
    ),
)
_SEEN = {
    "provider": (_SEES_PROGRAM,),
    "ml_party": (
        "each provider's noisy sums over records, and a noisy count of them",
        "the schema's public bounds and levels; no id, no feature, no label",
    ),
}
_IN_WORDS = InWords(
    protects="Rows never leave the provider: the ML party's program goes to them, in a sandbox, and noise "
    "covers what any one record adds to its results.",
    against="The ML party, even if its program tries to smuggle records out, and whoever gets the results.",
    price="The provider sees the program; records run one at a time or a few together, each time in a "
    "process of its own, which takes computing time; few results, fixed beforehand.",
)
_EXACT = Exposure(
    trust=(*_TRUST, Trust("ml_party", "does not try to read the rows off the model's coefficients")),
    seen_by={
        "provider": (_SEES_PROGRAM,),
        "ml_party": (
            "each provider's trained coefficients as they are",
            "how many rows they were trained on",
        ),
    },
    skip=_skip,
    in_words=InWords(
        protects="Rows never leave the provider: the ML party's program trains on them in a sandbox, and "
        "only a model of declared size leaves.",
        against="The ML party, as far as an attack on the model shows; there is no guarantee.",
        price="The model is exact and can tell of rows what the attack did not find; one per data set.",
    ),
)

ARCHITECTURE = Architecture(
    name="clean-room",
    summary="The ML party's program runs beside each provider's data, in a sandbox; declared results leave.",
    programs={"provider": provider, "ml_party": ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=_TRUST,
    seen_by=_SEEN,
    modes=("private", "exact"),
    beside=("exact",),
    exact=("exact",),
    promise=_promise,
    charges=True,
    skip=_skip,
    attacks=_attacks,
    exposures={"private": Exposure(_TRUST, _SEEN, skip=_skip_private), "exact": _EXACT},
    in_words=_IN_WORDS,
)
