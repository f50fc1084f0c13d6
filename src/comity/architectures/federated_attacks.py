"""Attacks on `federated`: membership on the result, gradient inversion on what the ML party saw, canaries.

`inversion` points candidates' gradients at the opened sums of all rounds; `inversion-masked` at the words
of one provider, which is what there is to see of it. `canary` guesses from fresh runs of the mechanism, at
this run's price, whether a record that moves every sum as far as one can was there, with the noise of the
providers that the guarantee counts on and no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from comity.architectures.definition import DELTA_ADDITIVE_SHARE, Options, Pilot, rounded_delta
from comity.architectures.federated_features import Features
from comity.architectures.federated_terms import COLLUDERS, FEATURES, HIDDEN, SEEN, threshold
from comity.architectures.membership_bounds import pilot_bound
from comity.architectures.models import labels_of, membership_attack
from comity.attack.result import AttackResult
from comity.data.encode import Encoder, LevelColumn
from comity.data.table import Table, concat_tables
from comity.ledger import PrivacyUnit
from comity.train.federated.descent import EFFECTS, ROUNDS, START, course_of
from comity.train.federated.fixed_point import weighted_mean
from comity.train.federated.networks import Network
from comity.train.federated.shared_noise import SharedNoise
from comity.train.private.descent import record_gradients

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_CANDIDATES: Final = 2_000
_LEVELS: Final = 200
_CANARY_TRIALS: Final = 20_000


def attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """Membership, gradient inversion on sums and on one provider's words; in private mode a canary too."""
    exact = pilot.options.mode == "exact"
    bound = None if exact else pilot_bound(pilot)
    found = {"membership": replace(membership_attack(pilot), bound=bound), **_inversion(pilot, bound)}
    return found if exact else {**found, "canary": canary_attack(pilot.options, len(pilot.members))}


def _inversion(pilot: Pilot, bound: float | None) -> dict[str, AttackResult]:
    from comity.attack.inversion import inversion_attack

    seen = _Seen.of(pilot)
    inside, outside = (
        seen.candidates(concat_tables([Table(each) for each in pilot.members.values()]).arrow),
        (seen.candidates(pilot.outsiders)),
    )
    aligned = _exact_alignment if pilot.options.mode == "exact" else _private_alignment
    return {
        name: replace(
            inversion_attack(
                aligned(seen, inside, what),
                aligned(seen, outside, what),
                bound=bound,
                seed=pilot.options.seed,
            ),
            name=name,
        )
        for name, what in (("inversion", "sum"), ("inversion-masked", "words"))
    }


@dataclass(frozen=True)
class _Seen:
    """What the ML party saw, and the features that it was about."""

    pilot: Pilot
    arrays: Mapping[str, NDArray[Any]]
    features: Features

    @classmethod
    def of(cls, pilot: Pilot) -> _Seen:
        session = pilot.sessions[pilot.ml_party]
        with np.load(session / SEEN, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        document = json.loads((session / FEATURES).read_text(encoding="utf-8"))
        return cls(pilot, arrays, Features.from_dict(document, pilot.task))

    @cached_property
    def rounds(self) -> int:
        return sum(name.startswith("sum-") for name in self.arrays)

    def candidates(self, rows: pa.Table) -> tuple[Table, NDArray[np.uint8]]:
        """A sample of rows with their labels, the same for the same seed."""
        order = np.random.default_rng(self.pilot.options.seed).permutation(rows.num_rows)[:_CANDIDATES]
        taken = rows.take(order)
        return Table(taken), labels_of(taken, self.pilot.task)


def _private_alignment(seen: _Seen, rows: tuple[Table, NDArray[np.uint8]], what: str) -> NDArray[np.float64]:
    """Cosines between the rounds' gradients and each row's own, added up."""
    from comity.attack.inversion import alignment

    columns = course_of(seen.features.encoder).columns
    codes = columns.rows(seen.features.codes(rows[0]))
    start = seen.features.odds(seen.arrays[f"{START}-1"], rows[0])
    total = np.zeros(len(codes))
    for number in range(1, seen.rounds):
        effects = seen.arrays[f"{EFFECTS}-{number}"]
        own = record_gradients(columns, codes, rows[1] == 1, effects, start)
        total += alignment(seen.arrays[f"{what}-{number}"].astype(np.float64), own.astype(np.float64))
    return total


def _exact_alignment(seen: _Seen, rows: tuple[Table, NDArray[np.uint8]], what: str) -> NDArray[np.float64]:
    """By how much the rounds' updates lower a row's loss: how its gradient points along them."""
    features = seen.features.matrix(rows[0])
    size = len(seen.arrays["weights-0"])
    linear = Network(seen.features.width)
    network = linear if size == linear.size else Network(seen.features.width, HIDDEN)
    total = np.zeros(len(features))
    for number in range(seen.rounds):
        weights, words = seen.arrays[f"weights-{number}"], seen.arrays[f"{what}-{number}"]
        if what == "sum":
            update, _ = weighted_mean(words)
        else:
            # words are as long as any others: scaled to the length that an update may have
            update = words[:-1] / 2.0**63
        before = network.losses(weights, features, rows[1])
        total += before - network.losses(weights + update, features, rows[1])
    return total


def canary_attack(options: Options, members: int, *, trials: int = _CANARY_TRIALS) -> AttackResult:
    """Guess from all sums whether a coin-flip canary was in a table, by fresh runs of the noise."""
    from comity.attack.label import infer_labels

    # one column: its records are as long as any row, whatever the columns
    course = course_of(Encoder((LevelColumn("canary", tuple(map(str, range(_LEVELS)))),)))
    releases = course.releases()
    shared = SharedNoise(
        epsilon=options.epsilon,
        delta=rounded_delta(options.delta * DELTA_ADDITIVE_SHARE),
        unit=PrivacyUnit.record,
        releases=releases,
        members=members,
        threshold=threshold(members),
        colluders=COLLUDERS,
    )
    scales = np.array([shared.needed(number).deviation for number in range(ROUNDS)])
    lengths = np.array([shared.release(number).l2 for number in range(ROUNDS)])

    def draw(count: int) -> NDArray[np.float64]:
        zeros = np.zeros((shared.parts.enough, count), dtype=np.int64)
        sums = [shared.part(number).answer(zeros).sum(axis=0) for number in range(ROUNDS)]
        return np.column_stack(sums) / scales

    found = infer_labels(
        draw,
        lengths / scales,
        epsilon=options.epsilon,
        delta=options.delta,
        trials=trials,
        seed=options.seed,
    )
    return replace(found, name="canary")
