"""`synthetic`: each provider makes a synthetic table with differential privacy and releases it.

At the provider: noisy counts of few marginals are measured (`comity.synthesize`), a model is fitted to them,
and rows of nobody are drawn from it. The whole is charged before the table is read. The table goes to the ML
party with a manifest that says what it was made from; both are post-processing of the noisy counts. At the ML
party: ordinary models are trained on all synthetic tables and the seed rows, as if they were real ones.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comity.architectures.definition import (
    ROW_ID,
    Architecture,
    Guarantee,
    InWords,
    Options,
    Pilot,
    Seat,
    Task,
    Trust,
)
from comity.architectures.exchange import (
    account_of,
    additive_delta,
    receive_query,
    receive_release,
    send_answer,
    send_query,
)
from comity.architectures.membership_bounds import drawn_alike, moved_at_one, pilot_bound
from comity.architectures.models import boosted_scores, keep_scores, logistic_scores, membership_attack
from comity.attack.result import AttackResult
from comity.data.ipc import table_from_bytes, table_to_bytes
from comity.data.people import Unit
from comity.data.table import Table, concat_tables
from comity.errors import BadInput, PartyFailed
from comity.ledger import PrivacyUnit, Relation, approximate
from comity.plan import Outcome, Plan
from comity.schema import Role
from comity.synthesize.cells import MOST_CELLS
from comity.wire import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comity.schema import Schema
    from comity.wire import Message

_TOPIC = "synthetic-table"
METHOD = "aim"
MOST_ROWS = 1_000_000
"""A pilot's tables have at most so many synthetic rows; a table of fewer rows gets as many as it has, as far
as the noisy counts tell."""


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    query = receive_query(channel, seat.ml_party, _TOPIC)
    seat.require_table("train")
    additive = additive_delta(seat, seat.party, "synthetic")
    terms = seat.agreement.data_of(seat.party)
    unit = Unit.of(terms.unit, terms.columns)
    kind = kind_of(unit)
    clause = seat.agreement.architectures.get("synthetic")
    method, rows = str(getattr(clause, "method", METHOD)), getattr(clause, "rows", MOST_ROWS)
    plan = Plan(
        architecture="synthetic",
        purpose=f"release a synthetic table of {seat.party}, by {method}, of {rows} rows at most",
        recipient=seat.ml_party,
        topic=_TOPIC,
        request=dict(query.body),
        asks={"method": method, "rows": rows},
        account=account_of(seat, unit=kind),
        cost=approximate(seat.options.epsilon, additive, unit=kind, relation=Relation.add_remove),
        run=lambda: _made(seat, method, rows, additive, unit),
    )
    send_answer(seat, channel, plan)
    return {"rows_used": None}


def kind_of(unit: Unit) -> PrivacyUnit:
    """Whose coming or going is hidden: a record's, or a person's with several rows."""
    return PrivacyUnit.record if unit.of_records else PrivacyUnit.person


def _made(seat: Seat, method: str, rows: int, delta: float, unit: Unit) -> Outcome:
    """Read the table and make the synthetic one. Runs after the charge."""
    from comity.synthesize import make_synthetic

    names = _columns(seat.task)
    people = [unit.column] if unit.column is not None and unit.column not in names else []
    made = make_synthetic(
        Table(seat.table("train", columns=[*names, *people]), f"the table of {seat.party}"),
        seat.task.schema,
        names,
        epsilon=seat.options.epsilon,
        delta=delta,
        method=method,
        most_rows=rows,
        target=seat.task.target,
        unit=unit,
    )
    return Outcome(body={"manifest": made.manifest}, parts={"table": table_to_bytes(made.table.arrow)})


def _columns(task: Task) -> list[str]:
    return [*task.features, task.target]


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    names = _columns(seat.task)
    for provider in seat.providers:
        send_query(channel, provider, _TOPIC, {"columns": names}, {})
    tables = [Table(seat.table("seed").select(names), "the seed rows")]
    for provider in seat.providers:
        tables.append(_received(seat, provider, receive_release(seat, channel, provider, _TOPIC)))
    rows = concat_tables(tables).arrow
    probe = seat.table("probe")
    keep_scores(
        seat,
        {
            "logistic": logistic_scores(rows, probe, seat.task, seat.options.seed),
            "boosted": boosted_scores(rows, probe, seat.task, seat.options.seed),
        },
    )
    return {"rows_used": rows.num_rows}


def _received(seat: Seat, provider: str, message: Message) -> Table:
    """A provider's synthetic table, kept with its manifest; it has the columns that were agreed on."""
    from comity.data.check import check_table

    sent, manifest = message.parts.get("table"), message.body["outcome"].get("manifest")
    if sent is None or not isinstance(manifest, dict):
        raise PartyFailed(f"'{provider}' released no synthetic table with its manifest")
    names = _columns(seat.task)
    try:
        table = table_from_bytes(sent)
        if table.column_names != names:
            raise PartyFailed(
                f"'{provider}' released a synthetic table of other columns than those asked for"
            )
        checked = check_table(Table(table, f"the synthetic table of {provider}"), _schema(seat.task)).table
    except BadInput as error:
        raise PartyFailed(f"'{provider}' released a synthetic table that cannot be used: {error}") from None
    seat.keep(f"received-{provider}", checked.arrow)
    path = seat.session / f"manifest-{provider}.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return checked


def _schema(task: Task) -> Schema:
    from comity.schema import Schema

    return Schema(columns={name: task.schema[name] for name in _columns(task)})


def _clause(options: Options) -> dict[str, Any]:
    return {"method": METHOD, "rows": MOST_ROWS, "epsilon": options.epsilon, "delta": options.delta}


def _leaves_out(task: Task) -> dict[str, str]:
    """Columns that no synthetic table has, and why: roles and types alone say so, no value does."""
    told: dict[str, str] = {}
    for name, column in task.schema.columns.items():
        if column.role is not Role.identifier or name == ROW_ID:
            continue
        if name in (task.id, task.schema.unit.column):
            told[name] = "it says whose row it is"
        elif column.type.is_numeric:
            told[name] = "its role is identifier"
        else:
            told[name] = "its role is identifier, or it is text whose values the schema does not list"
    return told


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    many = {
        name: len(task.schema[name].values or ())
        for name in _columns(task)
        if len(task.schema[name].values or ()) >= MOST_CELLS
    }
    if not many:
        return None
    told = ", ".join(f"'{name}' ({levels:,})" for name, levels in many.items())
    return (
        f"a synthetic table takes at most {MOST_CELLS - 1:,} levels in a column, and the schema lists more "
        f"for {told}: group them, or give the column the role identifier"
    )


def _promise(options: Options, task: Task) -> Guarantee:
    return _guarantee(options, kind_of(Unit.of(task.schema.unit, task.schema.columns)))


def _guarantee(options: Options, unit: PrivacyUnit = PrivacyUnit.record) -> Guarantee:
    what = "record" if unit is PrivacyUnit.record else "person, with all its rows,"
    return Guarantee(
        epsilon=options.epsilon,
        delta=options.delta,
        unit=str(unit),
        relation="add-remove",
        note=f"Holds for each {what} at each provider, whatever else is known: the synthetic table would "
        "look much the same without it. Bounds and levels of the schema are public; the seed rows are "
        "outside it.",
    )


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """Membership and singling out on the largest table; membership by the model's confidence on all."""
    import pyarrow.parquet as pq

    from comity.attack.synthetic import SyntheticRelease, attack_synthetic

    provider = max(pilot.members, key=lambda name: pilot.members[name].num_rows)
    session = pilot.sessions[pilot.ml_party]
    release = SyntheticRelease(
        table=Table(pq.read_table(session / f"received-{provider}.parquet")),
        members=Table(pilot.members[provider]),
        outsiders=Table(pilot.held_against(provider)),
        epsilon=pilot.options.epsilon if drawn_alike(pilot) else None,
        delta=pilot.options.delta,
        moved=moved_at_one(pilot),
    )
    return {
        **attack_synthetic(release, seed=pilot.options.seed),
        # models are made of the tables and of seed rows alone: what holds for the tables holds for them
        "model-membership": replace(membership_attack(pilot), bound=pilot_bound(pilot)),
    }


ARCHITECTURE = Architecture(
    name="synthetic",
    summary="Each provider releases a synthetic table with differential privacy, to train models on.",
    programs={"provider": _provider, "ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    promise=_promise,
    charges=True,
    trust=(
        Trust("provider", "makes the synthetic table from its own rows, and adds the noise"),
        Trust("ml_party", "takes what the synthetic tables say for estimates, not for facts about people"),
    ),
    seen_by={
        "provider": ("that a synthetic table is wanted, and of which columns",),
        "ml_party": (
            "a synthetic table of each provider, which it may keep and look at as it likes",
            "which marginals each was made from, with how much noise",
        ),
    },
    skip=_skip,
    attacks=_attacks,
    leaves_out=_leaves_out,
    in_words=InWords(
        protects="Every record: rows are drawn from a model of noisy counts, and one that is like "
        "somebody's is so by chance.",
        against="The ML party and whoever gets the tables after it, whatever they know besides.",
        price="What the noisy counts do not say is lost: small groups, and most of what three or more "
        "features say only together. Ids and free text are in no table.",
    ),
)
