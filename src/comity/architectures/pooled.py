"""`pooled`: all raw rows in one place, the ceiling to measure the others against. It protects nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comity.architectures.definition import Architecture, Guarantee, InWords, Options, Pilot, Seat, Trust
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
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan, Verdict
from comity.wire import Channel

if TYPE_CHECKING:
    import pyarrow as pa

_TOPIC = "raw-table"


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    query = receive_query(channel, seat.ml_party, _TOPIC)
    columns = [*seat.task.features, seat.task.target]
    if seat.options.partition == "columns":
        own = seat.agreement.data_of(seat.party).columns
        columns = [seat.task.id, *(name for name in columns if name in own)]

    def run() -> Outcome:
        rows = seat.table("train", columns=columns)
        return Outcome(body={"rows": rows.num_rows}, parts={"table": table_to_bytes(rows)})

    plan = Plan(
        architecture="pooled",
        purpose="hand over the raw table, for a baseline",
        recipient=seat.ml_party,
        topic=_TOPIC,
        request=dict(query.body),
        asks={"unsafe_pilot": True},
        account=account_of(seat, unit=PrivacyUnit.record),
        cost=None,
        run=run,
        check=lambda _outcome: Verdict(passed=True, reason="a baseline: nothing is protected"),
    )
    send_answer(seat, channel, plan)
    return {}


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    import pyarrow as pa

    for provider in seat.providers:
        send_query(channel, provider, _TOPIC, {"columns": list(seat.task.features)}, {})
    seeds = seat.table("seed").select([*seat.task.features, seat.task.target])
    tables = [
        table_from_bytes(receive_release(seat, channel, provider, _TOPIC).parts["table"])
        for provider in seat.providers
    ]
    if seat.options.partition == "columns":
        tables = [_joined(seat, tables)]
    rows = pa.concat_tables([seeds, *tables], promote_options="permissive")
    probe = seat.table("probe")
    keep_scores(
        seat,
        {
            "logistic": logistic_scores(rows, probe, seat.task, seat.options.seed),
            "boosted": boosted_scores(rows, probe, seat.task, seat.options.seed),
        },
    )
    return {"rows_used": rows.num_rows}


def _joined(seat: Seat, tables: Sequence[pa.Table]) -> pa.Table:
    """The records that every provider sent, with the columns of all of them."""
    rows = tables[0]
    for table in tables[1:]:
        rows = rows.join(table, keys=seat.task.id, join_type="inner")
    return rows.select([*seat.task.features, seat.task.target])


def _clause(options: Options) -> dict[str, Any]:
    return {"unsafe_pilot": True}


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(note="None: the ML party gets every raw row.")


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    return {"membership": membership_attack(pilot)}


ARCHITECTURE = Architecture(
    name="pooled",
    summary="Every raw row goes to the ML party, which trains ordinary models on them; no protection at all.",
    programs={"provider": _provider, "ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=(Trust("ml_party", "may see, keep and use every raw row"),),
    seen_by={"ml_party": ("every provider's raw rows, features and labels",)},
    attacks=_attacks,
    baseline=True,
    partitions=("rows", "columns"),
    in_words=InWords(
        protects="Nothing.",
        against="Nobody: the ML party gets every raw row.",
        price="Whatever is personal or secret in the tables is given away.",
    ),
)
