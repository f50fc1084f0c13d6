"""`direct-release` (1.A): each provider de-identifies its table and releases it to the ML party.

At the provider: identifiers are dropped, the record id becomes a pseudonym under a key for this recipient
alone, quasi-identifiers are generalised until every class has k rows, the rest is suppressed. Before anything
leaves the gate reads the released bytes back, checks every class and runs the linkage attack; attacks that
need held-out people are the pilot's. At the ML party: released cells become
distributions over what they cover, so that tables generalised to different levels train one model.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from comity.architectures.models import fit_logistic, keep_scores, labels_of, membership_attack
from comity.attack.result import AttackResult
from comity.data.ipc import table_from_bytes, table_to_bytes
from comity.data.table import Table
from comity.errors import BadInput
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan, Verdict
from comity.schema import Column, ColumnType, Role, Schema
from comity.wire import Channel

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from comity.deidentify import Hierarchy
    from comity.deidentify.columns.pseudonymise import MasterKey
    from comity.deidentify.release.candidate import Protected
    from comity.wire import Message

_TOPIC = "release"
SUPPRESSION = 0.05


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    query = receive_query(channel, seat.ml_party, _TOPIC)
    seat.require_table("train")
    protector = _Protector(seat)
    plan = Plan(
        architecture="direct-release",
        purpose=f"release a table of {seat.party}, {protector.promise}",
        recipient=seat.ml_party,
        topic=_TOPIC,
        request=dict(query.body),
        asks={"k": seat.options.k, "suppression": SUPPRESSION, "l": protector.l, "t": protector.t},
        account=account_of(seat, unit=PrivacyUnit.record),
        cost=None,
        run=protector.run,
        check=protector.check,
    )
    send_answer(seat, channel, plan)
    return {"rows_used": protector.released_rows}


class _Protector:
    """Makes the candidate release, and checks it by a way of its own before it may leave."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._protected: Protected | None = None
        # what the agreement asks beyond k; without a clause the gate refuses before anything is made
        clause = seat.agreement.architectures.get("direct-release")
        self.l: int | None = getattr(clause, "l", None)
        self.t: float | None = getattr(clause, "t", None)

    @property
    def promise(self) -> str:
        """What the release is to satisfy, in public words."""
        models = [f"k-anonymous with k = {self._seat.options.k}"]
        models += [] if self.l is None else [f"l-diverse with l = {self.l}"]
        models += [] if self.t is None else [f"t-close with t = {self.t:g}"]
        return ", ".join(models)

    @property
    def released_rows(self) -> int:
        return 0 if self._protected is None else self._protected.table.rows

    def run(self) -> Outcome:
        from comity.deidentify.release.candidate import protect

        seat = self._seat
        master = master_key(seat.folder / "pseudonyms.key")
        recipient = seat.agreement.party(seat.ml_party)
        lineage = seat.agreement.data_of(seat.party).lineage
        self._protected = protect(
            Table(seat.table("train"), f"the table of {seat.party}"),
            schema_with_id(seat.task),
            k=seat.options.k,
            l=self.l,
            t=self.t,
            suppression=SUPPRESSION,
            hierarchies=read_hierarchies(seat),
            recipient_key=master.for_recipient(str(recipient.key), lineage=lineage),
            pseudonyms=[seat.task.id],
            measure_model=False,  # the pilot measures the model that the ML party trains
        )
        return Outcome(
            body={"manifest": json.loads(json.dumps(self._protected.manifest))},
            parts={"table": table_to_bytes(self._protected.table.arrow)},
        )

    def check(self, outcome: Outcome) -> Verdict:
        """The released bytes, read back, hold what was promised (`examined`)."""
        released = table_from_bytes(outcome.parts["table"])
        names = list(outcome.body["manifest"]["quasi_identifiers"])
        return examined(self._seat, released, names, l=self.l, t=self.t)


def examined(
    seat: Seat,
    released: pa.Table,
    names: Sequence[str],
    *,
    l: int | None,  # noqa: E741  # the model's own name
    t: float | None,
) -> Verdict:
    """Whether every class of a provider's released table satisfies every model that was promised, and has k
    rows, so that linking is right at most 1 in k times."""
    from comity.assess import reidentification_risk
    from comity.deidentify.models.checker import check
    from comity.deidentify.release.candidate import reference_counts
    from comity.deidentify.release.required import models_of

    schema = seat.task.schema
    k = seat.options.k * schema.unit.max_rows
    models = models_of(schema, seat.options.k, l, t)
    before = reference_counts(Table(seat.table("train")), models)
    found = check(released, names, models, reference=before)
    if not found.holds or found.rows == 0:
        return Verdict(passed=False, reason="; ".join(found.violations) or "no row is left")
    linked = reidentification_risk(released, names).prosecutor_max
    return Verdict(
        passed=linked <= 1 / k,
        reason=f"who knows the quasi-identifiers finds the row with probability {linked:.4f} at most",
        figures={"rows": found.rows, "classes": found.classes, "smallest_class": found.smallest},
    )


def master_key(path: Path) -> MasterKey:
    """The provider's key for pseudonyms, made on first use and readable by its owner only."""
    from comity.deidentify.columns.pseudonymise import MasterKey

    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
    return MasterKey(path.read_bytes())


def read_hierarchies(seat: Seat) -> dict[str, Hierarchy]:
    """The public hierarchies in the party's folder."""
    from comity.deidentify import Hierarchy

    path = seat.folder / "tables" / "hierarchies.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadInput(f"party '{seat.party}' has no readable hierarchies at {path}", private=True) from None
    return {name: Hierarchy.from_dict(entry) for name, entry in document.items()}


def schema_with_id(task: Task) -> Schema:
    """The task's schema, with the record id among its identifiers."""
    columns = dict(task.schema.columns)
    columns[task.id] = Column(role=Role.identifier, type=ColumnType.text)
    return Schema(columns=columns, unit=task.schema.unit)


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    for provider in seat.providers:
        send_query(channel, provider, _TOPIC, {"columns": [*seat.task.features, seat.task.target]}, {})
    tables: dict[str, pa.Table] = {}
    manifests: dict[str, Mapping[str, Any]] = {}
    for provider in seat.providers:
        message = receive_release(seat, channel, provider, _TOPIC)
        tables[provider], manifests[provider] = _received(seat, provider, message)
    scores = learn_from_releases(seat, tables, list(manifests.values()))
    keep_scores(seat, {"logistic": scores})
    return {"rows_used": sum(table.num_rows for table in tables.values())}


def _received(seat: Seat, provider: str, message: Message) -> tuple[pa.Table, Mapping[str, Any]]:
    table = table_from_bytes(message.parts["table"])
    manifest = message.body["outcome"]["manifest"]
    seat.keep(f"received-{provider}", table)
    path = seat.session / f"manifest-{provider}.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return table, manifest


def learn_from_releases(
    seat: Seat, tables: Mapping[str, pa.Table], manifests: Sequence[Mapping[str, Any]]
) -> NDArray[np.float64]:
    """Train on the released cells as distributions over what they cover; score the raw probe rows."""
    import numpy as np
    from scipy.sparse import csr_matrix, vstack

    from comity.deidentify.release.expand import SoftEncoder

    encoder = SoftEncoder.from_manifests(manifests, seat.task.schema)
    matrices: list[csr_matrix] = []
    weights: list[NDArray[np.float64]] = []
    labels: list[NDArray[np.uint8]] = []
    for table in (*tables.values(), seat.table("seed")):
        distinct, index = encoder.distinct(Table(table))
        positive = labels_of(table, seat.task)
        for value in (0, 1):
            counts = np.bincount(index[positive == value], minlength=len(distinct.indptr) - 1)
            present = np.flatnonzero(counts)
            matrices.append(distinct[present])
            weights.append(counts[present].astype(np.float64))
            labels.append(np.full(len(present), value, dtype=np.uint8))
    model = fit_logistic(
        csr_matrix(vstack(matrices, format="csr"), dtype=np.float64),
        np.concatenate(labels),
        seat.options.seed,
        np.concatenate(weights),
    )
    probe, index = encoder.distinct(Table(seat.table("probe")))
    return model.predict_proba(probe.astype(np.float64))[:, 1][index]


def _clause(options: Options) -> dict[str, Any]:
    return {"k": options.k, "suppression": SUPPRESSION}


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(
        k=options.k,
        unit="record",
        note="The target and all columns that are no quasi-identifier are released as they are; what the "
        "rows of a class have in common is told of each of them.",
    )


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    if not any(task.schema[name].role is Role.quasi_identifier for name in task.features):
        return "no column has the role quasi_identifier, so there is nothing to generalise; see --schema"
    return None


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """The release's own attacks on the largest release, and membership by the model's confidence."""
    import pyarrow.parquet as pq

    from comity.attack.release import Adversary, attack_release

    provider = max(pilot.members, key=lambda name: pilot.members[name].num_rows)
    session = pilot.sessions[pilot.ml_party]
    adversary = Adversary(
        release=Table(pq.read_table(session / f"received-{provider}.parquet")),
        manifest=json.loads((session / f"manifest-{provider}.json").read_text(encoding="utf-8")),
        members=Table(pilot.members[provider]),
        outsiders=Table(pilot.held_against(provider)),
        target=pilot.task.target,
    )
    return {
        **attack_release(adversary, seed=pilot.options.seed),
        "model-membership": membership_attack(pilot),
    }


ARCHITECTURE = Architecture(
    name="direct-release",
    summary="Each provider de-identifies its own table and hands the result to the ML party (1.A).",
    programs={"provider": _provider, "ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=(
        Trust("ml_party", "does not join the released tables with others, and does not pass them on"),
        Trust("provider", "names every column that others may know as a quasi-identifier"),
    ),
    seen_by={
        "ml_party": (
            "every provider's rows with generalised quasi-identifiers",
            "all other columns and the target as they are, and pseudonyms instead of ids",
            "which provider each row came from",
        ),
    },
    skip=_skip,
    attacks=_attacks,
    in_words=InWords(
        protects="Whose a row is, as far as its quasi-identifiers tell: no row can be told from k - 1 others "
        "by them.",
        against="The ML party and whoever gets the table from it, as far as they know no more than quasi-"
        "identifiers.",
        price="Values become coarser and some rows are left out; what is not generalised is readable, and"
        " there is no differential privacy.",
    ),
)
