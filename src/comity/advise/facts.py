"""What the providers' tables show about their own situation. It reads raw rows, at whoever holds them.

Each measure is quick and rough, and says what it rests on. People's own answers stand above it, except that
personal data that was found is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from comity.advise.results import USEFUL, count_of
from comity.advise.situation import Facts, Found
from comity.data.check import check_table
from comity.data.labels import binary_labels, positive_class
from comity.data.table import Table, concat_tables
from comity.errors import BadInput, BadTable, UsageError
from comity.schema import Role, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_ROWS: Final = 20_000
"""Of a larger table a sample of this many rows is looked at."""

MOST_APART: Final = 0.2
"""By how much a guess at a row's provider may be better than the largest share; as a clause's origin_t, which
a release has to stay below with the upper end of the attack's interval."""

_K: Final = 5
_DELTA: Final = 1e-6


def measure(
    tables: Mapping[str, Table],
    *,
    target: str | None = None,
    schema: Schema | None = None,
    base: Path | None = None,
    id: str | None = None,
    k: int = _K,
    epsilon: float = 1.0,
    seed: int = 0,
) -> Facts:
    """Measure what the tables answer.

    Args:
        tables: each provider's.
        target: the column to learn; without one nothing is said about models and noise.
        schema: types and roles; proposed ones where there is none. base: the folder of its hierarchies.
        id: the column of record ids.
        k: the size of classes of the release that is tried. epsilon: of the noise.
        seed: of samples and models.

    Raises:
        UsageError: if there is no table. BadInput: if a table cannot be used.
    """
    if not tables:
        raise UsageError("there is no table to measure")
    told: dict[str, tuple[str, str]] = {
        "providers": (count_of(list(tables)), f"{len(tables)} table{'s' if len(tables) > 1 else ''} given")
    }
    names = {frozenset(table.names) for table in tables.values()}
    if len(names) > 1:
        told["columns"] = ("spread", "the tables do not have the same columns")
        personal = tuple(_personal(tables, None, id))
        return Facts(told | _told_personal(personal), personal, _shared(tables, id))
    known, checked = _checked(tables, schema, target, id)
    personal = tuple(_personal(checked, target, id))
    told |= _told_personal(personal)
    notes = [*_risks(checked, known), *_shared(checked, id)]
    if target is not None:
        told |= _enough(checked, target, epsilon)
        told |= _suits(checked, known, base, target, k, seed)
    mixes, unsure = _mixes(checked, known, id, seed)
    return Facts(told | mixes, personal, (*notes, *unsure))


def _checked(
    tables: Mapping[str, Table], schema: Schema | None, target: str | None, id: str | None
) -> tuple[Schema, dict[str, Table]]:
    """The schema, proposed where there is none, and the tables held against it."""
    from comity.data.infer import infer_schema

    known = schema or infer_schema(list(tables.values()), target=target, id=id).schema
    columns = dict(known.columns)
    for name, role in ((target, Role.target), (id, Role.identifier)):
        if name is None:
            continue
        if name not in columns:
            raise BadTable(f"there is no column '{name}'; check --target and --id", private=False)
        columns[name] = columns[name].model_copy(update={"role": role})
    for name, column in columns.items():
        if column.role is Role.target and name != target and target is not None:
            columns[name] = column.model_copy(update={"role": Role.sensitive})
    known = Schema(columns=columns, unit=known.unit)
    return known, {name: check_table(table, known).table for name, table in tables.items()}


def _personal(tables: Mapping[str, Table], target: str | None, id: str | None) -> Iterator[Found]:
    """What looks personal; that record ids find records says nothing of what the records are about."""
    from comity.architectures.plain import personal_columns

    for provider, table in tables.items():
        for one in personal_columns(table, target=target if target in table.names else None):
            if one.of_persons or one.column != id:
                yield Found(provider, one.column, one.why, one.of_persons)


def _told_personal(personal: tuple[Found, ...]) -> dict[str, tuple[str, str]]:
    """Finding values of persons answers the question; finding nothing, or what finds a row, does not."""
    sure = [one for one in personal if one.of_persons]
    if not sure:
        return {}
    more = len({one.column for one in sure}) - 1
    others = f", and {more} more column{'s' if more > 1 else ''}" if more else ""
    return {"personal": ("yes", f"{sure[0].column} at {sure[0].provider}: {sure[0].why}{others}")}


def _risks(tables: Mapping[str, Table], schema: Schema) -> Iterator[str]:
    """How easily rows are found by what others may know of them."""
    from comity.assess import reidentification_risk

    known = schema.named(Role.quasi_identifier)
    if not known:
        return
    for provider, table in tables.items():
        risk = reidentification_risk(table, known)
        if risk.at_risk:
            yield (
                f"at {provider}, {risk.sample_uniques:.0%} of the rows are the only ones with their "
                f"quasi-identifiers, and {risk.at_risk:.0%} are like fewer than five (comity assess)"
            )


def _shared(tables: Mapping[str, Table], id: str | None) -> tuple[str, ...]:
    """Whether records of several providers have an id in common."""
    if id is None or any(id not in table for table in tables.values()):
        return ()
    seen: dict[str, int] = {}
    for table in tables.values():
        for value in set(table.strings(id)) - {None}:
            seen[str(value)] = seen.get(str(value), 0) + 1
    most = max(seen.values(), default=1)
    twice = sum(1 for count in seen.values() if count > 1)
    if not twice:
        return ()
    return (
        f"{twice:,} ids stand at several providers, one at up to {most}: an agreement for blind validation "
        f"needs providers_per_record: {most}, and a budget covers each provider by itself",
    )


def _enough(tables: Mapping[str, Table], target: str, epsilon: float) -> dict[str, tuple[str, str]]:
    """Noise of one count, added by every provider, beside the sampling error of the rarer kind's number."""
    try:
        positive = positive_class(concat_tables(list(tables.values())), target)
    except BadTable:
        return {}  # more than two values: what is rare depends on which one is meant
    rows = sum(table.rows for table in tables.values())
    rare = sum(int(binary_labels(table, target, positive).values.sum()) for table in tables.values())
    own = math.sqrt(rare * (rows - rare) / rows)
    noise = math.sqrt(2 * math.log(1.25 / _DELTA) * len(tables)) / epsilon
    words = (
        f"{rare:,} of {rows:,} records are '{positive}'; at epsilon {epsilon:g} the noise of a count is "
        f"{noise:,.0f}, its own sampling error {own:,.0f}"
    )
    return {"enough": ("yes" if own >= noise else "no", words)}


def _suits(
    tables: Mapping[str, Table], schema: Schema, base: Path | None, target: str, k: int, seed: int
) -> dict[str, tuple[str, str]]:
    """Make each table k-anonymous and see what a model of the target keeps: the worst of them counts."""
    if not schema.named(Role.quasi_identifier):
        return {}
    worst: tuple[float, str] | None = None
    for provider, table in tables.items():
        kept, words = _kept(_sample(table, seed), schema, base, target, k, seed)
        if kept is None:
            continue
        if worst is None or kept < worst[0]:
            worst = kept, f"{provider}: {words}"
    if worst is None:
        return {}
    return {"suits": ("yes" if worst[0] >= USEFUL else "no", worst[1])}


def _kept(
    table: Table, schema: Schema, base: Path | None, target: str, k: int, seed: int
) -> tuple[float | None, str]:
    """Share of what a model learns from the raw table that one learns from the k-anonymous one."""
    from comity.architectures.definition import Task
    from comity.architectures.hierarchies import hierarchies_of
    from comity.deidentify.release.candidate import protect

    try:
        positive = positive_class(table, target)
    except BadTable:
        return None, ""
    task = Task(schema=schema, target=target, positive=positive, id="")
    hierarchies = hierarchies_of(task, base)
    try:
        done = protect(table, schema, k=k, hierarchies=hierarchies, positive=positive, seed=seed)
    except BadInput:
        return 0.0, f"it cannot be made {k}-anonymous with at most 5% of its rows left out"
    utility = done.report.utility.model
    if utility is None or utility.kept is None:
        return None, ""
    kept = max(0.0, utility.kept)
    return kept, (
        f"made {k}-anonymous in {done.checked.classes:,} classes, a model keeps {kept:.0%} of what it learns "
        f"from the raw table (AUC {utility.release.auc:.3f}, raw {utility.raw.auc:.3f})"
    )


def _mixes(
    tables: Mapping[str, Table], schema: Schema, id: str | None, seed: int
) -> tuple[dict[str, tuple[str, str]], tuple[str, ...]]:
    """Guess each row's provider from its features; the answer, or what leaves it open."""
    import numpy as np

    from comity.attack.origin import LEAST_ROWS, origin_attack

    features = [name for name in schema.features if name != id]
    if len(tables) < 2 or not features:
        return {}, ()
    parts = [_sample(table, seed).select(features) for table in tables.values()]
    together = concat_tables(parts)
    if together.rows < LEAST_ROWS:
        return {}, ()
    origins = np.repeat(np.arange(len(parts)), [part.rows for part in parts])
    found = origin_attack(together, origins, seed=seed)
    words = (
        f"a guess at a raw row's provider is right {max(0.0, found.advantage):.0%} more often than one that "
        f"names the largest provider (interval up to {max(0.0, found.high):.0%})"
    )
    if found.high <= MOST_APART:
        return {"mixes": ("yes", words)}, ()
    if found.advantage > MOST_APART:
        return {"mixes": ("no", words)}, ()
    return {}, (f"mixes: {words}: too few rows to say that it is {MOST_APART:.0%} at most",)


def _sample(table: Table, seed: int) -> Table:
    from comity.data.split import parts

    if table.rows <= MOST_ROWS:
        return table
    share = MOST_ROWS / table.rows
    return table.take(parts(table.rows, [share, 1 - share], seed=seed)[0])
