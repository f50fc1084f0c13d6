"""`mediated-release` (1.B): a mediator merges the providers' de-identified tables and hides rows' origin.

Each provider de-identifies its table and seals it to the mediator. The mediator takes out records of people
who stand at several providers, mixes the rest, generalises it again so that in every class the mix of
providers is close to the whole table's, takes off the origin, checks what would leave and tries an attack on
the origin. The ML party gets the union and nothing else. The programs are in `mediated_provider` and
`mediated_mediator`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from comity.architectures.direct_release import learn_from_releases
from comity.architectures.exchange import receive_release, send_query
from comity.architectures.mediated_mediator import mediator as mediate
from comity.architectures.mediated_pieces import Candidate, receive_pieces
from comity.architectures.mediated_provider import provider
from comity.architectures.mediated_reference import PART, sealed_reference
from comity.architectures.mediated_terms import (
    ASK,
    LEAST_PROVIDERS,
    ORIGIN_L,
    ORIGIN_T,
    RELEASE,
    SUPPRESSION,
    Terms,
    mediator_of,
)
from comity.architectures.models import keep_scores, membership_attack
from comity.attack.result import AttackResult
from comity.data.ipc import table_from_bytes
from comity.data.table import Table, concat_tables
from comity.errors import PartyFailed
from comity.schema import Role
from comity.wire import Channel

if TYPE_CHECKING:
    import pyarrow as pa

_RECEIVED = "received-union"
_MANIFEST = "manifest-union.json"


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    mediator = mediator_of(seat)
    reference = Terms.of(seat).reference
    if channel.resend(mediator) is None:  # sealing draws a key: what was stored is the same query again
        parts = {} if reference is None else {PART: sealed_reference(seat, reference, mediator)}
        send_query(channel, mediator, ASK, {"columns": [*seat.task.features, seat.task.target]}, parts)
    first = receive_release(seat, channel, mediator, RELEASE)
    manifest = first.body["outcome"].get("manifest")
    rows = _together([table_from_bytes(data) for data in receive_pieces(channel, first)])
    if not isinstance(manifest, dict) or rows is None:
        raise PartyFailed("the mediator released a table without a manifest, or without rows")
    seat.keep(_RECEIVED, rows)
    (seat.session / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    keep_scores(seat, {"logistic": learn_from_releases(seat, {"union": rows}, [_scorable(seat, manifest)])})
    return {"rows_used": rows.num_rows}


def _scorable(seat: Seat, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The manifest without columns that the rows to be scored do not have: those of a reference."""
    known = {*seat.task.features, seat.task.target}
    return {
        **manifest,
        "quasi_identifiers": {n: e for n, e in manifest["quasi_identifiers"].items() if n in known},
    }


def _together(tables: Sequence[pa.Table]) -> pa.Table | None:
    import pyarrow as pa

    return pa.concat_tables(tables) if tables else None


def _clause(options: Options) -> dict[str, Any]:
    return {
        "k": options.k,
        "suppression": SUPPRESSION,
        "origin_t": ORIGIN_T,
        "origin_l": ORIGIN_L,
        "linked_by": "mediator",
    }


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(
        k=options.k,
        unit="record",
        note="k-anonymous at every provider and again in the union. Who guesses a row's provider by its "
        "quasi-identifiers is right at most as often as the largest provider's share of the rows + "
        f"{ORIGIN_T:g}, if the mediator keeps the origins to itself. The target and all columns that are no "
        "quasi-identifier are released as they are; what they tell of the origin is tried by an attack.",
    )


def _skip(task: Task, providers: Sequence[str]) -> str | None:
    if len(providers) < LEAST_PROVIDERS:
        return (
            f"it hides which provider a row came from among at least {LEAST_PROVIDERS} providers; there are "
            f"{len(providers)}"
        )
    if not any(task.schema[name].role is Role.quasi_identifier for name in task.features):
        return "no column has the role quasi_identifier, so there is nothing to generalise; see --schema"
    return None


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """The release's own attacks on the union, membership by the model's confidence, and the origin."""
    import pyarrow.parquet as pq

    from comity.architectures.mediated_check import attack_candidate
    from comity.attack.release import Adversary, attack_release

    session = pilot.sessions[pilot.ml_party]
    manifest = json.loads((session / _MANIFEST).read_text(encoding="utf-8"))
    adversary = Adversary(
        release=Table(pq.read_table(session / f"{_RECEIVED}.parquet")),
        manifest=manifest,
        members=concat_tables([Table(table) for table in pilot.members.values()]),
        outsiders=Table(pilot.outsiders),
        target=pilot.task.target,
    )
    third = next(name for name in pilot.sessions if name not in pilot.members and name != pilot.ml_party)
    folder = pilot.sessions[third].parents[1] / "candidates" / str(pilot.figures[third]["candidate"])
    origin = attack_candidate(
        Candidate(folder), float(manifest["settings"]["origin_t"]), seed=pilot.options.seed
    )
    return {
        **attack_release(adversary, seed=pilot.options.seed),
        "model-membership": membership_attack(pilot),
        **({} if origin is None else {"origin": origin}),
    }


ARCHITECTURE = Architecture(
    name="mediated-release",
    summary="A mediator merges the providers' de-identified tables and hides who each row came from (1.B).",
    programs={"provider": provider, "mediator": mediate, "ml_party": _ml_party},
    fit_models=("mediator", "ml_party"),
    clause=_clause,
    guarantee=_guarantee,
    trust=(
        Trust(
            "mediator",
            "keeps the tables and the origin of their rows to itself, merges them as agreed, deletes them, "
            "and colludes neither with the ML party nor with a provider",
        ),
        Trust("ml_party", "does not join the released table with others, and does not pass it on"),
        Trust(
            "provider",
            "names every column that others may know as a quasi-identifier, and does not help the mediator "
            "to try ids against linkage tokens",
        ),
    ),
    seen_by={
        "mediator": (
            "every provider's rows with generalised quasi-identifiers, all other columns and the target as "
            "they are, and who sent them",
            "no identifier: linkage tokens, by which it learns which records of several providers are one "
            "person's",
        ),
        "ml_party": (
            "the union's rows with generalised quasi-identifiers, in a random order",
            "all other columns and the target as they are; no id or pseudonym, and not which provider a row "
            "came from",
        ),
    },
    skip=_skip,
    attacks=_attacks,
    in_words=InWords(
        protects="Whose a row is, as far as its quasi-identifiers tell, and which provider it came from.",
        against="The ML party and whoever gets the table from it; the mediator is trusted with the origin.",
        price="A mediator has to be found, values become coarser than in a direct release, and there is "
        "no differential privacy.",
    ),
)
