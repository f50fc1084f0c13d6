"""`alone-provider`: what each provider could learn from its own rows, without an ML party."""

from __future__ import annotations

from typing import Any

from comity.architectures.definition import Architecture, Guarantee, InWords, Options, Seat, Trust
from comity.architectures.models import boosted_scores, keep_scores, logistic_scores
from comity.wire import Channel


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    import pyarrow as pa

    rows = pa.concat_tables([seat.table("train"), seat.table("seed")])
    probe = seat.table("probe")
    keep_scores(
        seat,
        {
            "logistic": logistic_scores(rows, probe, seat.task, seat.options.seed),
            "boosted": boosted_scores(rows, probe, seat.task, seat.options.seed),
        },
    )
    return {"rows_used": rows.num_rows}


def _clause(options: Options) -> dict[str, Any]:
    return {"unsafe_pilot": True}


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(note="Nothing leaves a provider: each learns from its own rows.")


ARCHITECTURE = Architecture(
    name="alone-provider",
    summary="Each provider learns from its own rows; nothing leaves it. Figures are means over providers.",
    programs={"provider": _provider},
    clause=_clause,
    guarantee=_guarantee,
    trust=(Trust("provider", "has the skill to train a model of its own"),),
    seen_by={"provider": ("its own table",), "ml_party": ("nothing",)},
    baseline=True,
    in_words=InWords(
        protects="Every row: none leaves its provider.",
        against="Everybody else.",
        price="Each provider learns from its own rows alone, and has to build models itself.",
    ),
)
