"""`alone`: what the ML party can learn without anybody, from the labelled rows it starts with."""

from __future__ import annotations

from typing import Any

from comity.architectures.definition import Architecture, Guarantee, InWords, Options, Seat, Trust
from comity.architectures.models import keep_scores, logistic_scores
from comity.wire import Channel


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    rows = seat.table("seed")
    probe = seat.table("probe")
    keep_scores(seat, {"logistic": logistic_scores(rows, probe, seat.task, seat.options.seed)})
    return {"rows_used": rows.num_rows}


def _clause(options: Options) -> dict[str, Any]:
    return {"unsafe_pilot": True}


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(
        note="Nothing is shared. The seed rows were disclosed outright, outside every guarantee."
    )


ARCHITECTURE = Architecture(
    name="alone",
    summary="The ML party learns from the few labelled rows it has; nobody shares anything.",
    programs={"ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=(Trust("ml_party", "keeps the seed rows it was given to itself"),),
    seen_by={"ml_party": ("the seed rows, features and labels",)},
    baseline=True,
    partitions=("rows", "columns"),
    in_words=InWords(
        protects="Nothing: the ML party uses the seed rows that it was given.",
        against="Nobody: these rows are disclosed outright.",
        price="The model learns from few rows, and from nothing else that providers hold.",
    ),
)
