"""`blind-validation` (2.B): a mediator answers the ML party's question over labels that it cannot read.

The ML party holds features and ids of the frame, the providers hold labels of records in it. Keys are agreed
between each provider and the ML party; every provider uploads padded words for the whole frame; the mediator
adds them up, answers the question over the sum, hides the answer under a second pad and cuts it into
summands; each provider adds its noise to one; the ML party puts them together (`comity.validate.blind`).
The price is charged when a provider's upload leaves, for all answers that it can open to: a lesson, and with
a 25th of the price feedback on what it taught. The programs are in `blind_provider`, `blind_mediator` and
`blind_asker`.

Mode `encrypted`: groupings that nobody but the ML party may see (`groupings: encrypted` in the clause,
`blind_encrypted.py`); it needs the optional part `homomorphic`.

Mode `entrusted`: the providers' labels go to the mediator in the clear, under a clause that allows it, and
the mediator answers as one validator (`blind_entrusted.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity.architectures import blind_asker, blind_mediator, blind_provider
from comity.architectures import blind_encrypted as encrypted
from comity.architectures import blind_entrusted as entrusted
from comity.architectures.blind_frame import MINIMUM_GROUP, PORTIONS
from comity.architectures.definition import (
    Architecture,
    Guarantee,
    InWords,
    Options,
    Pilot,
    Program,
    Seat,
    Trust,
)
from comity.architectures.models import membership_attack
from comity.architectures.validation import as_charged, label_attack
from comity.attack.result import AttackResult
from comity.wire import Channel


def _programs(mode: str | None) -> Mapping[str, Program]:
    """Every role's program in a mode."""
    own: Any = {"entrusted": entrusted, "encrypted": encrypted}.get(mode or "")
    if own is not None:
        return {"provider": own.provider, "mediator": own.mediator, "ml_party": own.ml_party}
    return {
        "provider": blind_provider.provider,
        "mediator": blind_mediator.mediator,
        "ml_party": blind_asker.ml_party,
    }


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    return _programs(seat.options.mode)["provider"](seat, channel)


def _mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    return _programs(seat.options.mode)["mediator"](seat, channel)


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    return _programs(seat.options.mode)["ml_party"](seat, channel)


def _clause(options: Options) -> dict[str, Any]:
    limits = {
        "epsilon": options.epsilon,
        "delta": options.delta,
        "queries": len(PORTIONS),
        "providers_per_record": 1,
    }
    if options.mode == "encrypted":
        return {"mode": "linked", "groupings": "encrypted", "unsafe_unseen_groups": True, **limits}
    return {
        "mode": options.mode or "linked",
        "minimum_group": MINIMUM_GROUP,
        "groups_per_record": 64,
        **limits,
    }


_AGAINST = {
    "linked": "against the ML party, if the mediator counts correctly and tells nobody its keys, and against "
    "the mediator by encryption, if it works with neither the ML party nor a provider",
    "entrusted": "against the ML party, if the mediator keeps the labels to itself, counts correctly and "
    "adds the noise; against the mediator nothing is promised, which holds the labels in this mode",
    "encrypted": "against an ML party that asks with the weights that it states, which nobody can check, "
    "if the mediator adds up correctly, and against the mediator by encryption",
}


def _guarantee(options: Options) -> Guarantee:
    against = _AGAINST[options.mode or "linked"]
    return as_charged(
        Guarantee(
            epsilon=options.epsilon,
            delta=options.delta,
            unit="label",
            relation="change-one",
            prior_knowledge=("features", "ids"),
            note="Holds for each record's label, at all providers together that hold the record (at most "
            f"one, which the mediator checks), {against}. It says nothing about who is in the "
            "frame, which all parties know; the seed rows are outside it.",
        )
    )


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    # the adversary of the label attack is given the providers' noises: only the mediator's is left
    return {"label": label_attack(pilot), "membership": membership_attack(pilot)}


ARCHITECTURE = Architecture(
    name="blind-validation",
    summary="A mediator answers the ML party's question over padded labels that it cannot read (2.B).",
    programs={"provider": _provider, "mediator": _mediator, "ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=(
        Trust("mediator", "counts correctly, and colludes neither with the ML party nor with a provider"),
        Trust("provider", "answers honestly, and at most one of them tells its noise"),
        Trust("ml_party", "may know the features and ids of the records of the frame"),
    ),
    seen_by={
        "provider": ("the ids of the frame", "numbers that look random, to add noise to; no prediction"),
        "mediator": (
            "uniform words for every record of the frame, under tokens instead of ids",
            "which tokens share opaque groups of the question, and how large those are",
            "how many records are at several providers, not which",
        ),
        "ml_party": (
            "one noisy sum per question and group over all providers",
            "features and ids, which it had before",
        ),
    },
    modes=("linked", "entrusted", "encrypted"),
    features_brought=("linked", "entrusted", "encrypted"),
    charges=True,
    attacks=_attacks,
    frame=True,
    exposures={"entrusted": entrusted.EXPOSURE, "encrypted": encrypted.EXPOSURE},
    in_words=InWords(
        protects="Each record's label, with differential privacy; and the ML party's predictions from "
        "providers.",
        against="The ML party, the mediator (which adds up padded labels), and the other providers.",
        price="A mediator that colludes with nobody, one list of ids for all, and somewhat more noise.",
    ),
)
