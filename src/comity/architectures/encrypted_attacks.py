"""Attacks on `encrypted`: membership on what is opened; with noise, a canary against all of its noisy sums.

The canary is stronger than anybody is: it reads every step's sum, where the ML party gets the model alone,
and its record moves each of them as far as one can. The noise is that of the providers that do not collude.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from comity.architectures.definition import DELTA_ADDITIVE_SHARE, Options, Pilot, rounded_delta
from comity.architectures.encrypted_terms import COLLUDERS
from comity.architectures.models import membership_attack
from comity.attack.result import AttackResult
from comity.train.encrypted.features import Features
from comity.train.encrypted.noisy import NoiseParts, features_of, schedule, sensitivity
from comity.train.encrypted.settings import Kind, Training

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TRIALS: Final = 4_000


def attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """By name."""
    from comity.attack.membership import membership_bound

    found = membership_attack(pilot)
    options = pilot.options
    if options.mode != "private":
        return {"membership": found}
    rows = sum(table.num_rows for table in pilot.members.values())
    features = features_of(pilot.task.schema, pilot.task.features)
    return {
        "membership": replace(found, bound=membership_bound(options.epsilon, options.delta)),
        "canary": canary_attack(options, features, rows=rows, providers=len(pilot.members)),
    }


def canary_attack(
    options: Options, features: Features, *, rows: int, providers: int, trials: int = _TRIALS
) -> AttackResult:
    """Guess from the sums of all steps whether a coin-flip record was there, by fresh runs of the noise."""
    from comity.attack.label import infer_labels

    steps, rate = schedule(rows, options.epsilon)
    training = Training(
        Kind.logistic, rows=rows, columns=features.width, numeric=features.numeric, noisy=True, steps=steps,
        rate=rate,
    )  # fmt: skip
    delta = rounded_delta(options.delta * DELTA_ADDITIVE_SHARE)
    noise = NoiseParts(options.epsilon, delta, training, sensitivity(features), providers, COLLUDERS)

    def draw(count: int) -> NDArray[np.float64]:
        parts: list[NDArray[Any]] = [noise.drawn((count, steps)) for _ in range(providers - COLLUDERS)]
        return np.sum(parts, axis=0) / noise.needed

    canary = np.full(steps, sensitivity(features) / noise.needed)
    found = infer_labels(
        draw, canary, epsilon=options.epsilon, delta=options.delta, trials=trials, seed=options.seed
    )
    return replace(found, name="canary")
