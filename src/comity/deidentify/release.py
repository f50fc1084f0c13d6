"""Architecture 1.A at the provider: scrub, pseudonymise, generalise, check, and write the manifest.

What comes out is a candidate release: it leaves only through the gate. It is not differentially private, and
one such release is made per dataset lineage (docs/privacy.md, "Release").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.data.classes import equivalence_classes, table_codes
from comity.deidentify.builders import from_schema
from comity.deidentify.checker import Checked, check
from comity.deidentify.generalise import Anonymized, anonymize
from comity.deidentify.hierarchy import Hierarchy
from comity.deidentify.models import DistinctLDiversity, KAnonymity, PrivacyModel, TCloseness
from comity.deidentify.pseudonymise import RecipientKey, pseudonymise
from comity.deidentify.scrub import Scrubbed, Vulnerable, scrub
from comity.deidentify.typing_check import Expected, typing_check
from comity.errors import BadSchema, BadTable, UsageError
from comity.schema import Role, Schema

if TYPE_CHECKING:
    from comity.data import Table

FORMAT = 1

UNPROTECTED = {
    "intersection": "joined with another release about the same people, classes intersect and shrink "
    "(Ganta, Kasiviswanathan and Smith 2008)",
    "minimality": "who knows how levels are chosen can rule out tables that would have got other levels "
    "(Wong et al. 2007)",
    "downcoding": "hierarchical releases that lose as little as possible can be undone in part by who knows "
    "the distribution (Cohen 2022)",
}
HOMOGENEITY = (
    "a class whose rows share a sensitive value discloses it; no l or t was asked for (Machanavajjhala 2007)"
)


@dataclass(frozen=True)
class Protected:
    """A candidate release.

    Attributes:
        table: what would leave: no suppressed rows, rows in canonical order, quasi-identifiers as texts.
        manifest: what goes with it (JSON): settings, hierarchies as applied, levels, loss, risk before and
            after, row counts, and the attacks that it does not protect from. `reapply` and `SoftEncoder` read
            it.
        checked: what the independent check found in `table`; `protect` returns only what holds.
    """

    table: Table
    manifest: Mapping[str, Any]
    checked: Checked


def protect(
    table: Table,
    schema: Schema,
    *,
    k: int,
    l: int | None = None,  # noqa: E741  # the model's own name
    t: float | None = None,
    suppression: float = 0.05,
    hierarchies: Mapping[str, Hierarchy] | None = None,
    recipient_key: RecipientKey | None = None,
    pseudonyms: Sequence[str] = (),
    vulnerable: Sequence[Vulnerable] = (),
    method: str = "global",
    aggregate: str = "arithmetic",
) -> Protected:
    """Turn a table into one that may be offered to the gate.

    Identifier columns are dropped, those named in `pseudonyms` become keyed pseudonyms instead.
    Quasi-identifiers are generalised until every class has k rows (k units, where the schema allows several
    rows per unit: then k * max_rows rows) and, where asked, l distinct values and t-closeness of every
        sensitive column, or of the
    target where no column is sensitive. Rows that would break this are suppressed, at most `suppression` of
    them; they are left out of the release, because the class of the suppressed may be smaller than k, and all
    it could teach is how often each target value occurs in it. Rows are then sorted by their released values,
    so that the order of the file says nothing.

    Args:
        table: typed and checked against `schema` (`comity.data.check_table`).
        hierarchies: per quasi-identifier; by default intervals between public bounds, or value and "*".
        recipient_key: `MasterKey.for_recipient`; needed with `pseudonyms`.

    Raises:
        BadTable: private; if the limits cannot be met, or something is not as declared.
        BadSchema, UsageError: if the settings contradict the schema or each other.
    """
    names = schema.named(Role.quasi_identifier)
    if not names:
        raise BadSchema("the schema names no quasi-identifier: there is nothing to generalise")
    if pseudonyms and recipient_key is None:
        raise UsageError("pseudonyms need recipient_key: MasterKey.for_recipient(...)")
    odd = [name for name in pseudonyms if name not in schema.named(Role.identifier)]
    if odd:
        raise UsageError(f"'{odd[0]}' is no identifier column; only identifiers become pseudonyms")
    known = dict(hierarchies or {})
    known |= from_schema(schema, [name for name in names if name not in known])
    dropped = [name for name in schema.named(Role.identifier) if name not in pseudonyms]
    cleaned = scrub(table.select(list(schema)), columns=dropped, vulnerable=vulnerable)
    models = _models(schema, k, l, t)
    done = anonymize(
        cleaned.table.arrow,
        quasi_identifiers={name: known[name] for name in names},
        require=models,
        suppression_limit=suppression,
        method=method,
        aggregate=aggregate,
    )
    released = _released(cleaned.table, done, names, pseudonyms, recipient_key)
    typing_check(released, _expected(done, schema, names, pseudonyms), schema)
    checked = check(released.arrow, names, models, reference=_reference(cleaned.table, models))
    if not checked.holds:
        raise BadTable("the table may not leave: " + "; ".join(checked.violations))
    settings = {
        "k": k,
        "l": l,
        "t": t,
        "suppression": suppression,
        "method": method,
        "aggregate": aggregate,
        "rows_per_unit": schema.unit.max_rows,
        "models": [model.describe() for model in models],
    }
    manifest = _manifest(schema, settings, cleaned, done, released, names, pseudonyms)
    return Protected(released, manifest, checked)


def reapply(table: Table, manifest: Mapping[str, Any]) -> Table:
    """Generalise new rows as a release was (method "global"): a model trained on it then predicts on them.

    Raises:
        BadTable: naming values that a hierarchy does not hold.
        UsageError: if the release has no common levels.
    """
    for name, entry in manifest["quasi_identifiers"].items():
        if entry["level"] is None:
            raise UsageError("this release has levels that differ by row; train on soft features instead")
        table = table.with_column(
            name, _column(Hierarchy.from_dict(entry["hierarchy"]), table, name, entry["level"])
        )
    return table


def _column(hierarchy: Hierarchy, table: Table, name: str, level: int):
    from comity.deidentify.frames import code_column, label_column
    from comity.deidentify.tuples import leaves_of

    leaves, hierarchy = leaves_of(code_column(table.column(name)), hierarchy, name)
    return label_column(hierarchy.codes[level][leaves], hierarchy.labels[level])


def _models(schema: Schema, k: int, l: int | None, t: float | None) -> list[PrivacyModel]:  # noqa: E741
    models: list[PrivacyModel] = [KAnonymity(k * schema.unit.max_rows)]
    looked_at = schema.named(Role.sensitive) or schema.named(Role.target)
    if (l is not None or t is not None) and not looked_at:
        raise BadSchema("l and t need a sensitive column or a target in the schema")
    for name in looked_at:
        if l is not None:
            models.append(DistinctLDiversity(name, l))
        if t is not None:
            models.append(
                TCloseness(name, t, distance="ordered" if schema[name].type.is_numeric else "equal")
            )
    return models


def _released(
    table: Table,
    done: Anonymized,
    names: Sequence[str],
    pseudonyms: Sequence[str],
    key: RecipientKey | None,
) -> Table:
    order = [*pseudonyms, *names, *(name for name in table.names if name not in {*pseudonyms, *names})]
    for name in names:
        table = table.with_column(name, done.frame.column(name))
    kept = table.take(done.kept).select(order)
    if key is not None:
        kept = pseudonymise(kept, pseudonyms, key)
    codes = table_codes(kept, order)
    return kept.take(np.lexsort(codes.T[::-1]))


def _reference(table: Table, models: Sequence[PrivacyModel]) -> dict[str, dict[Any, int]]:
    """Counts of sensitive values before anything was suppressed: what t-closeness is measured against."""
    from collections import Counter

    columns = {model.sensitive for model in models if model.sensitive is not None}
    return {name: dict(Counter(table.column(name).to_pylist())) for name in sorted(columns)}


def _expected(done: Anonymized, schema: Schema, names: Sequence[str], pseudonyms: Sequence[str]) -> Expected:
    labels: dict[str, set[str | None]] = {}
    for name in names:
        hierarchy = done.hierarchies[name]
        levels = range(hierarchy.levels) if done.levels is None else [done.levels[name]]
        labels[name] = {label for level in levels for label in hierarchy.labels[level]}
    left = [name for name in schema if name not in names and schema[name].role is not Role.identifier]
    return Expected(labels, tuple(pseudonyms), {name: schema[name] for name in left})


def _risk(table: Table, names: Sequence[str]) -> dict[str, float | int]:
    """Risk from who knows that a person is in the table (prosecutor): one over the size of the class."""
    _, sizes = equivalence_classes(table_codes(table, names))
    return {
        "prosecutor_max": 1 / int(sizes.min()) if len(sizes) else 0.0,
        "prosecutor_mean": len(sizes) / table.rows if table.rows else 0.0,
        "sample_uniques": int((sizes == 1).sum()),
    }


def _manifest(
    schema: Schema,
    settings: dict[str, Any],
    cleaned: Scrubbed,
    done: Anonymized,
    released: Table,
    names: Sequence[str],
    pseudonyms: Sequence[str],
) -> dict[str, Any]:
    unprotected = dict(UNPROTECTED)
    if settings["l"] is None and settings["t"] is None:
        unprotected["homogeneity"] = HOMOGENEITY
    return {
        "format": FORMAT,
        "settings": settings,
        "columns": {
            name: {"role": schema[name].role.value, "type": schema[name].type.value}
            for name in released.names
        },
        "dropped_columns": list(cleaned.columns),
        "pseudonyms": list(pseudonyms),
        "quasi_identifiers": {
            name: {
                "level": None if done.levels is None else done.levels[name],
                "hierarchy": done.hierarchies[name].to_dict(),
                "digest": done.hierarchies[name].digest,
            }
            for name in names
        },
        "rows": {
            "scrubbed": cleaned.table.rows,
            "dropped_as_vulnerable": cleaned.dropped,
            "blanked_as_vulnerable": cleaned.blanked,
            "suppressed": done.suppressed,
            "released": released.rows,
        },
        "classes": done.classes,
        "smallest_class": done.smallest_class,
        "loss": done.loss,
        "risk": {"before": _risk(cleaned.table, names), "after": _risk(released, names)},
        "differential_privacy": None,
        "unprotected": unprotected,
    }
