"""Differential privacy by sampling (SafePub) in `protect`: what it goes with, and what is said of it.

Nothing that depends on rows may leave beside the released rows, so the manifest of such a release holds no
counts, and its hierarchies have a leaf for missing values whether or not a row has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comity.data.table import Table
from comity.deidentify.columns.steps import Step
from comity.deidentify.models.safepub import SafePub, sampled
from comity.deidentify.search.settings import Settings
from comity.errors import UsageError
from comity.schema import Schema


def require_only_sampling(
    model: SafePub,
    schema: Schema,
    released: Sequence[str],
    names: Sequence[str],
    pseudonyms: Sequence[str],
    steps: Sequence[Step],
) -> None:
    """Refuse what SafePub's guarantee does not cover.

    Args:
        released: the columns that would leave. names: those of them that are quasi-identifiers.

    Raises:
        UsageError: why, and what to do.
    """
    if pseudonyms:
        raise UsageError(
            f"SafePub releases quasi-identifiers only, and '{pseudonyms[0]}' would leave as a pseudonym: it "
            "follows one person. Drop pseudonyms, or SafePub"
        )
    if steps:
        raise UsageError(
            f"SafePub holds for rows as they are, and the step '{steps[0].name or steps[0].stage}' may carry "
            "something from one row to another. Take the step before, on public facts, or drop it"
        )
    if schema.unit.max_rows > 1:
        raise UsageError(
            f"SafePub protects one row, and the schema allows {schema.unit.max_rows} rows per unit: "
            "give a table with one row per unit"
        )
    others = [name for name in released if name not in names]
    if others:
        raise UsageError(
            f"SafePub protects generalised quasi-identifiers only, and '{others[0]}' "
            f"({schema[others[0]].role.value}) would leave as it is. Leave the column out of the schema, or "
            "make it a quasi-identifier with a hierarchy or public bounds or levels"
        )


def drawn(table: Table, asked: Mapping[str, Any]) -> tuple[Table, dict[str, Any]]:
    """The rows that take part, and what `anonymize` is then asked for.

    Without SafePub: all of them, and what was asked.

    Raises:
        UsageError: if levels are open, or something else contradicts the model.
        BadTable: private; if no row was drawn.
    """
    taken, settings = sampled(table, Settings.checked(**asked))
    return taken, {**asked, "require": list(settings.models)}


def stated(model: SafePub | None) -> dict[str, Any] | None:
    """The manifest's entry: guarantee, unit, relation and mechanism. It holds public settings alone."""
    if model is None:
        return None
    return {
        "epsilon": model.epsilon,
        "delta": model.delta,
        "unit": str(model.cost.unit),
        "relation": str(model.cost.relation),
        "mechanism": "safepub",
        "sampling_probability": float(model.probability),
        "least_class": model.k,
    }


def told(model: SafePub | None) -> tuple[str, ...]:
    """For the steward, in words."""
    if model is None:
        return ()
    return (
        f"The released rows are ({model.epsilon:g}, {model.delta:g})-differentially private for one row, "
        "added or removed. This holds for the first draw: each further one costs the same again, and to "
        "choose among several draws breaks it.",
        "It holds if hierarchies, bounds and levels were known without the data: proposals read off the data "
        "are not.",
        "It covers the release and its manifest alone. Every figure of this report is exact, the number of "
        "rows read and left out among them: none of it may be told.",
    )
