"""`alone-provider`: what each provider could learn from its own rows, without an ML party.

Where providers hold different columns of the same records it is what the one that has the target learns from
its own columns, on all of its own rows: nobody else has anything to learn by.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comity.architectures.definition import Architecture, Guarantee, InWords, Options, Seat, Task, Trust
from comity.architectures.models import boosted_scores, keep_scores, labels_of, logistic_scores
from comity.schema import Schema
from comity.wire import Channel

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    import pyarrow as pa

    task = seat.task
    if seat.options.partition == "columns":
        task = _of_own_columns(seat)
        if task.target not in task.schema:
            return {"rows_used": 0}  # no target, nothing to learn: another provider's figure counts
    rows = pa.concat_tables([seat.table("train"), seat.table("seed")])
    keep_scores(seat, _scores(rows, seat.table("probe"), task, seat.options.seed))
    return {"rows_used": rows.num_rows}


def _scores(rows: pa.Table, probe: pa.Table, task: Task, seed: int) -> dict[str, NDArray[np.float64]]:
    """By model, (probe rows,) scores; the same for all of them where there is no feature to tell them by, or
    all of the provider's rows have the same label."""
    import numpy as np

    share = float(labels_of(rows, task).mean())
    if not task.features or share in (0.0, 1.0):
        return {"share of positives": np.full(probe.num_rows, share)}
    return {
        "logistic": logistic_scores(rows, probe, task, seed),
        "boosted": boosted_scores(rows, probe, task, seed),
    }


def _of_own_columns(seat: Seat) -> Task:
    """The task as far as this provider's own columns go."""
    own = seat.agreement.data_of(seat.party).columns
    schema = seat.task.schema
    return replace(seat.task, schema=Schema(columns={name: schema[name] for name in schema if name in own}))


def _clause(options: Options) -> dict[str, Any]:
    return {"unsafe_pilot": True}


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(note="Nothing leaves a provider: each learns from its own rows.")


ARCHITECTURE = Architecture(
    name="alone-provider",
    summary="Each provider learns from its own rows; nothing leaves it. Figures are means over providers; "
    "split by columns, those of the provider that has the target, on its own columns.",
    programs={"provider": _provider},
    clause=_clause,
    guarantee=_guarantee,
    trust=(Trust("provider", "has the skill to train a model of its own"),),
    seen_by={"provider": ("its own table",), "ml_party": ("nothing",)},
    baseline=True,
    partitions=("rows", "columns"),
    in_words=InWords(
        protects="Every row: none leaves its provider.",
        against="Everybody else.",
        price="Each provider learns from its own rows alone, and has to build models itself.",
    ),
)
