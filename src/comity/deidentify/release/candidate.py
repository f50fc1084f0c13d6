"""Architecture 1.A at the provider: prepare columns, generalise, check, and say what leaves and what stays.

The order: vulnerable records go; identifiers are enriched and free text is masked, as long as the columns
they look at are still there; identifier columns go; columns are perturbed; quasi-identifiers are generalised;
what remains of identifiers becomes pseudonyms. Then the typing check, the independent check of the models,
and the manifest.

What comes out is a candidate release: it leaves only through the gate. It is not differentially private,
unless `require` asks for it (SafePub, `sampling`), and one such release is made per dataset lineage
(docs/privacy.md, "Release").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from comity.data.classes import table_codes
from comity.data.table import Table
from comity.deidentify.columns.pseudonymise import RecipientKey, pseudonymise
from comity.deidentify.columns.scrub import Scrubbed, Vulnerable, scrub
from comity.deidentify.columns.steps import Prepared, Step, run_steps, without
from comity.deidentify.generalise import Anonymized
from comity.deidentify.hierarchies.builders import from_schema
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.hierarchies.opaque import Opaque, OpaqueKey, make_opaque
from comity.deidentify.models.checker import Checked, check
from comity.deidentify.models.class_models import PrivacyModel
from comity.deidentify.models.safepub import safepub_of
from comity.deidentify.release.manifest import make_manifest, unprotected
from comity.deidentify.release.reapplication import reapply
from comity.deidentify.release.request import Request, require_target, risk_of
from comity.deidentify.release.required import models_of, require_columns, require_reachable
from comity.deidentify.release.sampling import drawn, require_only_sampling, stated, told
from comity.deidentify.release.standing_out import standing_out, unchanged
from comity.deidentify.release.steward import StewardReport
from comity.deidentify.release.typing_check import Expected, typing_check
from comity.deidentify.search.tuples import SUPPRESSED
from comity.deidentify.utility.model_utility import LOGISTIC
from comity.deidentify.utility.objective import refuse_choice
from comity.errors import BadSchema, BadTable, UsageError
from comity.ledger.costs import Cost
from comity.schema import Role, Schema

__all__ = ["OBJECTIVES", "Protected", "protect", "reapply"]

OBJECTIVES = ("loss", "target")
SUPPRESSION = 0.05
"""Share of the rows that may be left out, unless something else is said."""


@dataclass(frozen=True)
class Protected:
    """A candidate release.

    Attributes:
        table: what would leave: no suppressed rows, rows in canonical order, quasi-identifiers as texts.
        manifest: what goes with it (JSON): settings, hierarchies as applied, levels, column tools, risk
            after, released rows, and the attacks that it does not protect from. `reapply` and `SoftEncoder`
            read it.
        checked: what the independent check found in `table`; `protect` returns only what holds.
        report: for the steward: counts of what was left out, risk before, utility, warnings. It does not
            leave.
        cost: what the account is charged for it, for a plan; None without differential privacy.
        opaque_key: what opaque labels stand for; None if there are none. It stays with the steward.
    """

    table: Table
    manifest: Mapping[str, Any]
    checked: Checked
    report: StewardReport
    cost: Cost | None = None
    opaque_key: OpaqueKey | None = field(default=None, repr=False)


def protect(
    table: Table,
    schema: Schema,
    *,
    k: int,
    l: int | None = None,  # noqa: E741  # the model's own name
    t: float | None = None,
    require: Sequence[PrivacyModel] = (),
    suppression: float | None = None,
    hierarchies: Mapping[str, Hierarchy] | None = None,
    opaque: Sequence[str] = (),
    level_limits: Mapping[str, tuple[int, int]] | None = None,
    weights: Mapping[str, float] | None = None,
    recipient_key: RecipientKey | None = None,
    pseudonyms: Sequence[str] = (),
    reversible: Sequence[str] = (),
    vulnerable: Sequence[Vulnerable] = (),
    steps: Sequence[Step] = (),
    method: str = "global",
    aggregate: str = "arithmetic",
    objective: str = "loss",
    target: str | None = None,
    positive: str | None = None,
    model: Any = LOGISTIC,
    population: int | None = None,
    measure_model: bool = True,
    seed: int = 0,
) -> Protected:
    """Turn a table into one that may be offered to the gate.

    Identifier columns are dropped, those named in `pseudonyms` become keyed pseudonyms instead.
    Quasi-identifiers are generalised until every class has k rows (k units, where the schema allows several
    rows per unit: then k * max_rows rows) and, where asked, l distinct values and t-closeness of every
    sensitive column, or of the target where no column is sensitive, and whatever else `require` asks. Rows
    that would break this are suppressed, at most `suppression` of them (by default 0.05; with SafePub 1);
    rows that came in suppressed, "*" in every quasi-identifier, count nowhere. All are left out of the
    release, because the class of the suppressed may be smaller than k, and all it could teach is how often
    each target value occurs in it. Rows are then sorted by their released values, so that the order of the
    file says nothing.

    Args:
        table: typed and checked against `schema` (`comity.data.check_table`).
        require: further models, beside those of k, l and t. `SafePub` samples the rows; it needs
            `level_limits` that fix every level, and no other column leaves (`sampling`).
        hierarchies: per quasi-identifier; by default intervals between public bounds, or value and "*".
        opaque: quasi-identifiers whose labels become letters; what they stand for is in
            `Protected.opaque_key`. Values shown as they are (level 0) become letters, too.
        level_limits, weights: as `anonymize`.
        recipient_key: `MasterKey.for_recipient`; needed with `pseudonyms`.
        reversible: those of `pseudonyms` that the provider can open again.
        steps: column tools (`steps`).
        objective: "loss" for the least loss; "target" for the release from which a model of the target learns
            most (`objective.best_for_target`).
        target: what the model learns; by default the schema's target. positive: its value that counts as 1.
        model: "logistic", "boosted-trees" or a scikit-learn classifier.
        population: how many people the rows were drawn from, for the steward's figures.
        measure_model: whether to train the model on the release and on the raw table, for the report.
        seed: of held-out rows and models; protection does not depend on it, except with objective "target".

    Raises:
        BadTable: private; if the limits cannot be met, or something is not as declared.
        BadSchema, UsageError: if the settings contradict the schema or each other.
    """
    _require_consistent(schema, pseudonyms, recipient_key, objective)
    scrubbed = scrub(table.select(list(schema)), vulnerable=vulnerable)
    prepared = _prepared(scrubbed, schema, pseudonyms, steps)
    names = prepared.schema.named(Role.quasi_identifier)
    if not names:
        raise BadSchema("the schema names no quasi-identifier: there is nothing to generalise")
    known, opaque_key = _hierarchies(prepared.schema, names, hierarchies or {}, opaque)
    models = [*models_of(prepared.schema, k, l, t), *require]
    require_columns(models, prepared.table.names)
    private = safepub_of(models)
    if objective == "target":
        refuse_choice(models)
    if private is not None:
        require_only_sampling(private, prepared.schema, prepared.table.names, names, pseudonyms, [*steps])
    learned = target if target is not None else prepared.schema.target
    require_target(target, prepared.schema)
    limit = suppression if suppression is not None else SUPPRESSION if private is None else 1.0
    source = _without_suppressed(prepared.table, names)
    if private is None:
        require_reachable(models, source, limit)
    taking_part, asked = drawn(
        source,
        {
            "quasi_identifiers": known,
            "require": models,
            "suppression_limit": limit,
            "method": method,
            "aggregate": aggregate,
            "level_limits": level_limits,
            "weights": weights,
        },
    )
    request = Request(
        table=taking_part,
        anonymize=asked,
        target=learned,
        learning={
            "features": [name for name in prepared.schema.features if name not in names],
            "positive": positive,
            "model": model,
            "seed": seed,
        },
        by_target=objective == "target",
    )
    done, choice = request.run()
    released = _released(taking_part, done, names, pseudonyms, reversible, recipient_key)
    typing_check(
        released,
        _expected(done, prepared.schema, names, pseudonyms),
        schema,
        # a private release holds labels alone, which are public, and is not conditioned on a look at rows
        source=table.select(list(schema)) if private is None else None,
    )
    checked = check(
        released.arrow,
        names,
        models,
        reference=reference_counts(taking_part, models),
        hierarchies=done.hierarchies,
        levels=done.levels,
    )
    if not checked.holds:
        raise BadTable("the table may not leave: " + "; ".join(checked.violations))
    not_protected = unprotected(
        sensitive_models=any(each.sensitive is not None for each in models),
        by_target=request.by_target,
        private=private is not None,
    )
    manifest = make_manifest(
        settings={
            "k": k,
            "l": l,
            "t": t,
            "suppression": limit,
            "method": method,
            "aggregate": aggregate,
            "objective": objective,
            "target": learned if request.by_target else None,
            "weights": None if weights is None else dict(weights),
            "rows_per_unit": schema.unit.max_rows,
            "models": [each.describe() for each in models],
        },
        schema=prepared.schema,
        names=released.names,
        dropped_columns=[name for name in schema if name not in released],
        pseudonyms={name: "reversible" if name in reversible else "keyed" for name in pseudonyms},
        steps=prepared.applied,
        done=done,
        hierarchies={
            name: done.hierarchies[name] if private is None else known[name].with_missing() for name in names
        },
        released_rows=released.rows,
        risk_after=risk_of(released, names),
        not_protected=not_protected,
        private=stated(private),
    )
    rows = {
        "read": table.rows,
        "dropped_as_vulnerable": scrubbed.dropped,
        "blanked_as_vulnerable": scrubbed.blanked,
        "scrubbed": prepared.table.rows,
        "already_suppressed": prepared.table.rows - source.rows,
        "taking_part": taking_part.rows,
        "suppressed": done.suppressed,
        "released": released.rows,
    }
    report = request.report(
        done,
        choice,
        rows=rows,
        risk={
            "before": risk_of(source, names, population),
            "after": risk_of(released, names, population),
        },
        k=k,
        steps=prepared.counted,
        unprotected=not_protected,
        measure_model=measure_model,
        models=[each.describe() for each in models],
        further=standing_out(
            released,
            names,
            [n for n in unchanged(scrubbed.table, prepared.table) if n not in {*names, *pseudonyms}],
        ),
        told=[*scrubbed.told, *told(private), *_letters(known)],
    )
    cost = None if private is None else private.cost
    return Protected(released, manifest, checked, report, cost, opaque_key)


def _require_consistent(
    schema: Schema, pseudonyms: Sequence[str], key: RecipientKey | None, objective: str
) -> None:
    if pseudonyms and key is None:
        raise UsageError("pseudonyms need recipient_key: MasterKey.for_recipient(...)")
    odd = [name for name in pseudonyms if name not in schema.named(Role.identifier)]
    if odd:
        raise UsageError(f"'{odd[0]}' is no identifier column; only identifiers become pseudonyms")
    if objective not in OBJECTIVES:
        raise UsageError(f"objective is {objective!r}: it is one of {', '.join(OBJECTIVES)}")


def _prepared(
    scrubbed: Scrubbed, schema: Schema, pseudonyms: Sequence[str], steps: Sequence[Step]
) -> Prepared:
    """The column tools, and identifier columns gone as soon as no tool looks at them."""
    early = [step for step in steps if step.stage != "perturb"]
    looked = run_steps(scrubbed.table, schema, early)
    gone = [name for name in looked.schema.named(Role.identifier) if name not in pseudonyms]
    lean = looked.table.drop(gone)
    late = run_steps(
        lean, without(looked.schema, lean.names), [step for step in steps if step.stage == "perturb"]
    )
    return Prepared(
        late.table, late.schema, (*looked.applied, *late.applied), (*looked.counted, *late.counted)
    )


def _hierarchies(
    schema: Schema, names: Sequence[str], given: Mapping[str, Hierarchy], opaque: Sequence[str]
) -> tuple[dict[str, Hierarchy], OpaqueKey | None]:
    """Of every quasi-identifier, in order; those of `opaque` with letters, and their key."""
    odd = [name for name in opaque if name not in names]
    if odd:
        raise UsageError(f"opaque names '{odd[0]}', which is no quasi-identifier: it has no labels to hide")
    found: dict[str, Hierarchy] = {name: given[name] for name in names if name in given}
    found |= from_schema(schema, [name for name in names if name not in found])
    if not opaque:
        return {name: found[name] for name in names}, None
    hidden, key = make_opaque({name: found[name] for name in opaque}, leaves=True)
    return {name: hidden.get(name, found[name]) for name in names}, key


def _letters(known: Mapping[str, Hierarchy]) -> list[str]:
    """For the steward: which columns read letters, and who can read them."""
    hidden = [name for name, tree in known.items() if isinstance(tree, Opaque)]
    if not hidden:
        return []
    return [
        f"The labels of {', '.join(hidden)} are letters. Whoever has the key reads them as they were: it "
        "stays with you, and new rows are mapped with it here. Letters hide words, not people: classes are "
        "as large as before, and who knows how often each group occurs can guess which is which."
    ]


def _without_suppressed(table: Table, names: Sequence[str]) -> Table:
    """The table without rows that came in suppressed; as it is where every row did."""
    gone = np.ones(table.rows, dtype=bool)
    for name in names:
        codes, levels = table.levels(name)
        gone &= np.array([*(level == SUPPRESSED for level in levels), False])[codes]
    return table.take(np.flatnonzero(~gone)) if gone.any() and not gone.all() else table


def _released(
    table: Table,
    done: Anonymized,
    names: Sequence[str],
    pseudonyms: Sequence[str],
    reversible: Sequence[str],
    key: RecipientKey | None,
) -> Table:
    order = [*pseudonyms, *names, *(name for name in table.names if name not in {*pseudonyms, *names})]
    for name in names:
        table = table.with_column(name, done.frame.column(name))
    kept = table.take(done.kept).select(order)
    if key is not None:
        kept = pseudonymise(kept, pseudonyms, key, reversible=reversible)
    codes = table_codes(kept, order)
    return kept.take(np.lexsort(codes.T[::-1]))


def reference_counts(table: Table, models: Sequence[PrivacyModel]) -> dict[str, dict[Any, int]]:
    """Counts of sensitive values before anything was suppressed: what t-closeness is measured against."""
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
