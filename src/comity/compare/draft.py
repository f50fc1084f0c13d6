"""The agreement that a pilot's run is held to: one architecture and its limits, signed by every party."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from comity.agreement import agreement_from
from comity.architectures.definition import (
    DELTA_ADDITIVE_SHARE,
    Architecture,
    Options,
    Parties,
    Task,
    rounded_delta,
)
from comity.compare.pool import Pool
from comity.compare.settings import MEDIATOR

_DAYS = 7


@dataclass(frozen=True)
class Draft:
    """An agreement before its signatures."""

    document: Mapping[str, Any]

    @property
    def text(self) -> str:
        return agreement_from(self.document).to_yaml()


def run_name(architecture: Architecture, options: Options, *, swept: bool) -> str:
    """The run's name, also its folder: `validation`, `validation-hosted`; in a sweep with `-epsilon-0.1`."""
    name = architecture.name
    if options.mode in architecture.beside:
        name += f"-{options.mode}"
    return f"{name}-epsilon-{options.epsilon:g}" if swept else name


def draft_agreement(
    architecture: Architecture,
    task: Task,
    options: Options,
    *,
    run: str,
    providers: Sequence[str],
    ml_party: str,
    keys: Mapping[str, str],
    seed_rows: Mapping[str, int],
    frame: Mapping[str, Any] | None = None,
    own_columns: Mapping[str, Sequence[str]] | None = None,
) -> Draft:
    """Write the agreement of one run of a pilot; its data lineage is the run's own, so runs do not add up."""
    clause = architecture.clause_of(options, Parties(tuple(providers), ml_party, MEDIATOR))
    if architecture.frame:
        clause["frame"] = dict(frame or {})
    roles = {**dict.fromkeys(providers, "provider"), ml_party: "ml_party"}
    if "mediator" in architecture.programs:
        roles[MEDIATOR] = "mediator"
    columns = task.schema.to_dict()["columns"]
    budget = {
        "epsilon": options.epsilon,
        "delta": options.delta,
        "delta_additive": rounded_delta(options.delta * DELTA_ADDITIVE_SHARE),
    }
    data = [
        {
            "provider": name,
            "lineage": f"pilot-{run}",
            "source": "the table that this provider brought to the pilot",
            "licence": "for this pilot only",
            "consent": "the provider's steward, for this pilot",
            "mediator_may_hold": options.mode == "entrusted",
            "seed_rows": seed_rows.get(name, 0),
            "columns": columns if own_columns is None else {at: columns[at] for at in own_columns[name]},
            "unit": task.schema.unit.model_dump(mode="json"),
            **({"budget": budget} if architecture.charged(options.mode) else {}),
        }
        for name in providers
    ]
    return Draft(
        {
            "comity": 1,
            "title": f"Pilot: {architecture.name}",
            "parties": [{"name": name, "role": role, "key": keys[name]} for name, role in roles.items()],
            "purpose": {
                "text": f"Measure what '{architecture.name}' buys and costs for predicting {task.target}",
                "legal_basis": "not_personal" if clause.get("not_personal") else "consent",
            },
            "data": data,
            "architectures": {architecture.name: clause},
            "expires": (datetime.now(UTC) + timedelta(days=_DAYS)).date().isoformat(),
        }
    )


def sign_by_all(draft: Draft, pool: Pool) -> str:
    """The signed agreement as YAML: each party's process signs with the key that only it has."""
    names = [party["name"] for party in draft.document["parties"]]
    signatures = pool.sign(names, draft.text)
    signed = {
        **draft.document,
        "signatures": [{"party": name, "signature": signatures[name]} for name in names],
    }
    return Draft(signed).text
