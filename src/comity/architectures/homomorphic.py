"""`homomorphic`: the ML party scores rows that it cannot read, with a model that it does not show (CKKS).

In order: the ML party asks; each provider encrypts the columns of its rows under a key of its own, made for
this run, and sends them (a share that only it can open); the ML party weighs the columns, floods the sums
and returns ciphertexts of some 200 scores each; each provider opens its scores and keeps them. The ML party
answers when all have been heard; one that refuses is left out.

It is a way of using a model, not of learning from rows: the model is the one that the ML party has without
anybody, and how good it is, is what `alone` measures. docs/homomorphic.md tells it step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comity.architectures.definition import (
    Architecture,
    Figures,
    Guarantee,
    InWords,
    Options,
    Parties,
    Pilot,
    Task,
    Trust,
)
from comity.architectures.homomorphic_ml_party import ml_party
from comity.architectures.homomorphic_provider import (
    BYTES_PER_ANSWER,
    BYTES_PER_COLUMN,
    LINEAR,
    provider,
)
from comity.attack.result import AttackResult
from comity.train.homomorphic.columns import PublicColumns, lacking_bounds
from comity.train.homomorphic.scoring import PLACES, blocks_of

QUERIES = 100
"""Rows that each provider may have scored, where an agreement is drafted and nothing else is said."""
PILOT_QUERIES = 1_000_000
"""The same for a pilot, which scores all held-out rows to measure; its attack shows what that tells."""

MOST_COLUMNS = 1_000
"""Columns that a pilot encrypts: what is sent, and what its attack solves, grow with them."""


def _clause(options: Options) -> dict[str, Any]:
    return {"scheme": "ckks", "queries": QUERIES}


def _pilot_clause(options: Options, parties: Parties) -> dict[str, Any]:
    return {"scheme": "ckks", "queries": PILOT_QUERIES}


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(
        note="Nothing readable leaves a provider, so no epsilon applies: rows leave under a key that only "
        "their provider has (128-bit security). The model is not protected from who has many rows scored: a "
        "few more rows than columns tell all of it. Whatever key they use, scores tell no more than that, by "
        "an estimate.",
        short="rows stay encrypted",
    )


def _cost_note(figures: Figures) -> str:
    """A pilot scores rows only to measure. What a run of one's own sends follows from rows and columns."""
    scored = [told for told in figures.values() if "own_rows" in told and told.get("rows_scored")]
    if not scored:
        return ""
    columns, most = scored[0]["columns"], max(told["rows_scored"] for told in scored)
    one = blocks_of(QUERIES) * columns * BYTES_PER_COLUMN + BYTES_PER_ANSWER
    return (
        f"Time, CPU and bytes are for {most:,} rows at each provider: all providers' held-out rows and a "
        "sample of training rows, scored only to measure. A run of your own scores your own rows, at the "
        f"provider that has them. For {QUERIES} rows, as an agreement is drafted, about {one / 1e6:,.1f} MB "
        f"go between a provider and the ML party; sending costs as much again for every {PLACES:,} rows "
        "begun, and a score that comes back about 1.3 kB."
    )


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    lacking = lacking_bounds(task.schema, task.features)
    if lacking:
        return f"encrypted rows need public bounds; add to the schema: {', '.join(lacking)}"
    wide = PublicColumns.of(task.schema, task.features).parts
    if sum(len(part.labels) for part in wide) > MOST_COLUMNS:
        most = max(wide, key=lambda part: len(part.labels))
        return (
            f"the features make {sum(len(part.labels) for part in wide):,} columns to encrypt, "
            f"{len(most.labels):,} of them '{most.name}'; a pilot takes {MOST_COLUMNS:,}: leave it out, or "
            "group its levels"
        )
    return None


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """A provider solves for the model, out of as many scores as make it whole, and out of half as many as
    there are columns."""
    import pyarrow.parquet as pq

    from comity.attack.extraction import extraction_attack
    from comity.data.table import Table

    name = next(iter(pilot.members))
    columns = PublicColumns.of(pilot.task.schema, pilot.task.features)
    rows = columns.matrix(Table(pilot.outsiders.select(list(pilot.task.features))))
    scores = pq.read_table(pilot.sessions[name] / f"{LINEAR}.parquet").column("score").to_numpy()
    scores = scores[: len(rows)]
    seed, few = pilot.options.seed, max(2, len(columns.labels) // 2)
    enough = min(4 * len(columns.labels) + 100, len(rows) // 2)
    return {
        "extraction": extraction_attack(rows, scores, used=enough, seed=seed),
        "extract-few": extraction_attack(rows, scores, used=min(few, len(rows) // 2), seed=seed),
    }


ARCHITECTURE = Architecture(
    name="homomorphic",
    summary="The ML party scores rows that it cannot read; the model and the rows both stay their owners'.",
    programs={"provider": provider, "ml_party": ml_party},
    clause=_clause,
    clause_among=_pilot_clause,
    guarantee=_guarantee,
    trust=(
        Trust("ml_party", "scores with the model that it says: nobody can check which one it used"),
        Trust("ml_party", "is never told scores of rows whose ciphertexts it has: they could tell the key"),
        Trust("provider", "has no more rows scored than the agreement allows; enough of them tell the model"),
        Trust(
            "provider",
            "learns no more by a crafted key than by an honest one: an estimate, not a proof, for the some "
            "200 scores that come back in one ciphertext",
        ),
    ),
    seen_by={
        "provider": (
            "the score of each of its rows, with a stated error, and out of enough of them the model",
        ),
        "ml_party": ("how many rows and columns each provider has scored, and ciphertexts it cannot open",),
    },
    skip=_skip,
    cost_note=_cost_note,
    attacks=_attacks,
    bears_drop_outs=True,
    engine=("tenseal", "homomorphic"),
    in_words=InWords(
        protects="The rows that are scored; and the model's weights, while few rows are scored.",
        against="The ML party, whatever it does; for the weights, providers with few rows.",
        price="Nothing is learned from the rows; scores are off by about 0.00002 times the model's unit, by "
        "more with many columns or where that is agreed; a number becomes 16 bytes, a score 1.3 kB.",
    ),
)
