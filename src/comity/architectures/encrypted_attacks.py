"""Attacks on `encrypted`: membership on what is opened; with noise, a canary against all of its noisy sums.

The canary is stronger than anybody is: it reads every noisy sum, where the ML party gets the model alone,
and its record moves each of them as far as one can. The noise is that of the providers that do not collude.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from comity.architectures.definition import DELTA_ADDITIVE_SHARE, Options, Pilot, rounded_delta
from comity.architectures.encrypted_terms import COLLUDERS
from comity.architectures.membership_bounds import pilot_bound
from comity.architectures.models import membership_attack
from comity.attack.result import AttackResult
from comity.mechanism import Noise
from comity.train.encrypted.features import Features
from comity.train.encrypted.noisy import NoiseParts, features_of, training_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TRIALS: Final = 4_000


def attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """By name."""
    found = membership_attack(pilot)
    options = pilot.options
    if options.mode != "private":
        return {"membership": found}
    rows = sum(table.num_rows for table in pilot.members.values())
    features = features_of(pilot.task.schema, pilot.task.features)
    return {
        "membership": replace(found, bound=pilot_bound(pilot)),
        "canary": canary_attack(options, features, rows=rows, providers=len(pilot.members)),
    }


def canary_attack(
    options: Options, features: Features, *, rows: int, providers: int, trials: int = _TRIALS
) -> AttackResult:
    """Guess from the sums of all steps whether a coin-flip record was there, by fresh runs of the noise."""
    from comity.attack.label import infer_labels

    delta = rounded_delta(options.delta * DELTA_ADDITIVE_SHARE)
    told = training_of(features, rows, options.epsilon, delta, providers=providers, colluders=COLLUDERS)
    noise = NoiseParts(told, providers, COLLUDERS)
    scales = np.array([needed.scale for needed in noise.needed])

    def draw(count: int) -> NDArray[np.float64]:
        def one(needed: Noise) -> NDArray[Any]:
            return np.sum([noise.drawn(needed, (count,)) for _ in range(providers - COLLUDERS)], axis=0)

        return np.stack([one(needed) for needed in noise.needed], axis=1) / scales

    canary = np.array([sums.l2 for sums in noise.releases for _ in range(sums.times)]) / scales
    found = infer_labels(
        draw, canary, epsilon=options.epsilon, delta=options.delta, trials=trials, seed=options.seed
    )
    return replace(found, name="canary")
