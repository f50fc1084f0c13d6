"""`plain`: tables as they are, only for data that is neither sensitive nor personal.

The blueprint's first case (section IV-C): where data is neither, no privacy-enhancing tactics are required.
So nothing is protected here, and the provider's own program makes sure that there is nothing to protect. It
refuses by public facts: a clause that does not say `not_sensitive: true` and `not_personal: true`, a column
that is private, a privacy unit that is a person. Record ids and other identifiers stay, so a table may have
them; one that would be handed over is refused. Before the table leaves it reads the bytes back and looks for
personal data in their values; what it finds is its steward's to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from comity.agreement import PlainClause
from comity.architectures.definition import (
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
    receive_query,
    receive_release,
    send_answer,
    send_query,
)
from comity.architectures.models import boosted_scores, keep_scores, logistic_scores, membership_attack
from comity.attack.result import AttackResult
from comity.data.ipc import table_from_bytes, table_to_bytes
from comity.data.table import Table
from comity.errors import ClauseRefused
from comity.gate import asked_of, refusal_body, refusal_of
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan, Verdict
from comity.schema import Role
from comity.wire import Channel

if TYPE_CHECKING:
    import pyarrow as pa

    from comity.assess.columns import ColumnAssessment

_TOPIC = "plain-table"
_CLAUSE = "architectures.plain"
_STATED = {"not_sensitive": True, "not_personal": True}
_OPEN = (Role.insensitive, Role.target)
_KEPT = Role.identifier
"""What may be in the table because it does not leave with it."""

OF_PERSONS: Final = frozenset({"date_of_birth", "age", "gender", "blood_group", "job"})
"""Kinds of values that others know of a person, and that things and places do not have."""

OF_THINGS: Final = frozenset({"coordinates", "ip", "mac", "uuid", "vin", "web"})
"""Kinds that find one row or device, which need not be anybody's: an agreement may say so."""


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    query = receive_query(channel, seat.ml_party, _TOPIC)
    columns = [*seat.task.features, seat.task.target]

    def run() -> Outcome:
        rows = seat.table("train", columns=columns)
        return Outcome(body={"rows": rows.num_rows}, parts={"table": table_to_bytes(rows)})

    plan = Plan(
        architecture="plain",
        purpose=f"hand over the table of {seat.party} as it is",
        recipient=seat.ml_party,
        topic=_TOPIC,
        request={**query.body, "columns": columns},
        asks=_STATED,
        account=account_of(seat, unit=PrivacyUnit.record),
        cost=None,
        run=run,
        check=lambda outcome: examined(seat, table_from_bytes(outcome.parts["table"])),
    )
    refusal = _unfit(seat, columns)
    if refusal is not None:
        _refuse(seat, channel, plan, refusal)
    seat.require_table("train")  # an attempt is not charged for a table that is not there
    send_answer(seat, channel, plan)
    return {}


def _unfit(seat: Seat, columns: Sequence[str]) -> ClauseRefused | None:
    """Why the agreement does not let a table leave as it is, by public facts; None if it does."""
    clause = seat.agreement.architectures.get("plain")
    if clause is None:
        return None  # the gate says so
    for name in _STATED:
        if not getattr(clause, name):
            return ClauseRefused(
                "a table leaves as it is only where the agreement says by name that it may",
                clause=f"{_CLAUSE}.{name}",
                asked="a table as it is",
                would_pass=f"an agreement with {name}: true",
            )
    data = seat.agreement.data_of(seat.party)
    place = f"data.{seat.party}"
    private = [
        name
        for name, column in data.columns.items()
        if column.role not in _OPEN and (column.role is not _KEPT or name in columns)
    ]
    unagreed = [name for name in columns if name not in data.columns]
    if private:
        return ClauseRefused(
            f"the column '{private[0]}' has the role {data.columns[private[0]].role}, and tables leave as "
            "they are only where no column is private",
            clause=f"{place}.columns",
            would_pass="columns that are insensitive or the target, and identifiers that stay",
        )
    if unagreed:
        return ClauseRefused(
            f"the agreement has no column '{unagreed[0]}'", clause=f"{place}.columns", asked=unagreed[0]
        )
    if data.unit.column is not None:
        return ClauseRefused(
            f"the privacy unit is all rows with one value of '{data.unit.column}': rows belong to somebody",
            clause=f"{place}.unit",
            would_pass="data in which no rows are anybody's",
        )
    return None


def _refuse(seat: Seat, channel: Channel, plan: Plan, refusal: ClauseRefused) -> None:
    """Record the refusal and send it, once.

    Raises:
        ClauseRefused: afterwards, so that this party's program stops.
    """
    if channel.resend(plan.recipient) is None:
        seat.ledger.append("asked", asked_of(plan, _CLAUSE))
        seat.ledger.append("refused", refusal_body(plan, refusal))
        channel.send(plan.recipient, refusal_of(refusal, topic=plan.topic))
    raise refusal


def examined(seat: Seat, released: pa.Table) -> Verdict:
    """Whether the released bytes, read back, hold nothing that names a person, reaches one, or is one's."""
    clause = seat.agreement.clause(PlainClause)
    found = personal_columns(Table(released), target=seat.task.target, confirmed=clause.confirmed or ())
    return Verdict(
        passed=not found,
        reason="; ".join(f"{one.column}: {one.why}" for one in found)
        or "no column's values name a person, reach one or are one's own",
        figures={"rows": released.num_rows, "columns": [one.column for one in found]},
    )


@dataclass(frozen=True)
class Suspect:
    """A column that looks personal.

    Attributes:
        why: the evidence, in words that quote no value.
        of_persons: whether its values are of a kind that persons have, and not only such that one finds one
            row, which may be a thing's.
    """

    column: str
    why: str
    of_persons: bool


def personal_columns(
    table: Table, *, target: str | None = None, confirmed: Sequence[str] = ()
) -> tuple[Suspect, ...]:
    """The columns that look personal, in the table's order.

    A column does if its values name or reach a person, if they are what others know of a person (a date of
    birth, a job), or if a value finds one row. Of the columns that the parties have `confirmed` to be about
    no person only those do whose values are of a kind that names or reaches persons (`OF_THINGS` do not) or
    that is known of them (`OF_PERSONS`): a thing's values that look so are written otherwise, dates as years.

    Raises:
        BadTable: if the target is no column.
    """
    from comity.assess import assess_columns

    found = (_suspect(column, set(confirmed)) for column in assess_columns(table, target=target))
    return tuple(one for one in found if one is not None)


def _suspect(column: ColumnAssessment, confirmed: set[str]) -> Suspect | None:
    who = [each for each in column.pii if each.kind not in OF_THINGS]
    if who:
        return Suspect(column.name, str(who[0]), of_persons=True)
    about = [each for each in column.kinds if each.kind in OF_PERSONS]
    if about:
        return Suspect(column.name, str(about[0]), of_persons=True)
    if column.name in confirmed:
        return None
    if column.pii:
        return Suspect(column.name, str(column.pii[0]), of_persons=False)
    if column.proposed_role == Role.identifier:
        return Suspect(column.name, column.evidence, of_persons=False)
    return None


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    import pyarrow as pa

    columns = [*seat.task.features, seat.task.target]
    for provider in seat.providers:
        send_query(channel, provider, _TOPIC, {"columns": columns}, {})
    tables = [seat.table("seed").select(columns)]
    for provider in seat.providers:
        release = receive_release(seat, channel, provider, _TOPIC)
        tables.append(table_from_bytes(release.parts["table"]))
        seat.keep(f"received-{provider}", tables[-1])
    rows = pa.concat_tables(tables, promote_options="permissive")
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
    return dict(_STATED)


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(
        note="None: every row is handed over as it is, on the parties' word that nothing in it is private."
    )


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    private = next((name for name in task.schema if task.schema[name].role not in (*_OPEN, _KEPT)), None)
    if private is not None:
        return (
            f"the column '{private}' has the role {task.schema[private].role}; plain is for data that is "
            "neither sensitive nor personal: see --schema"
        )
    if task.schema.unit.column is not None:
        return f"rows belong to somebody: the schema's unit is '{task.schema.unit.column}'"
    return None


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    return {"membership": membership_attack(pilot)}


ARCHITECTURE = Architecture(
    name="plain",
    summary="Each provider hands its table over as it is; for data neither sensitive nor personal.",
    programs={"provider": _provider, "ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=(
        Trust("provider", "is right that nothing in its table is about a person, or a secret of its own"),
        Trust("ml_party", "may see, keep and use every row, within the agreement's purpose and retention"),
    ),
    seen_by={"ml_party": ("every provider's rows as they are, and which provider each came from",)},
    skip=_skip,
    attacks=_attacks,
    in_words=InWords(
        protects="Nothing: there has to be nothing to protect, and the provider's own node withholds a table "
        "in which it finds what looks personal.",
        against="Nobody. What the ML party may do with the rows is a promise in the agreement, no more.",
        price="No accuracy is lost. A table that has left cannot be called back.",
    ),
)
