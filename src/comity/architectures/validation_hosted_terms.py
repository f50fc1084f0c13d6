"""`validation`, mode `hosted`: its clause, what it promises, whom it trusts, and the attacks on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from comity import sandbox
from comity.architectures.definition import (
    DELTA_ADDITIVE_SHARE,
    Exposure,
    Guarantee,
    InWords,
    Options,
    Pilot,
    Task,
    Trust,
    rounded_delta,
)
from comity.architectures.membership_bounds import pilot_bound
from comity.architectures.models import membership_attack
from comity.architectures.validation_hosted import dimensions
from comity.attack.result import AttackResult
from comity.errors import BadSchema
from comity.ledger import PrivacyUnit
from comity.validate.hosted import HostedPrice, HostedUnit
from comity.validate.hosted_learner import QUERIES, ROUNDS, SHARES, Gradient
from comity.validate.hosted_model import HostedFeatures
from comity.validate.mechanism import Sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CANARY_TRIALS = 20_000


def skip(task: Task, providers: Sequence[str]) -> str | None:
    """Why the mode cannot run here, or None: no sandbox, no ONNX, or features without public bounds."""
    reason = sandbox.missing()
    if reason is not None:
        return f"a model runs beside the data only in a sandbox, and that needs {reason}"
    absent = [name for name in ("onnx", "onnxruntime", "skl2onnx") if find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} is not installed. Install it with: pip install 'comity[hosted]'"
    try:
        HostedFeatures.of(task.schema, task.features)
    except BadSchema as error:
        return str(error)
    return None


def clause(options: Options) -> dict[str, Any]:
    """The clause of a pilot in this mode; a refusal by size would leak, so there is no smallest group."""
    return {"mode": "hosted", "epsilon": options.epsilon, "delta": options.delta, "queries": QUERIES}


def guarantee(options: Options, unit: HostedUnit | None = None) -> Guarantee:
    """Membership in a provider's table, and so everything that a record, or all rows of a person, say."""
    unit = unit or HostedUnit()
    if unit.unit is PrivacyUnit.record:
        whose = (
            "Holds for each record at each provider, features and label: whether it is in the table at all. "
            "A person with several rows is protected row by row only: give the schema's unit to protect "
            "persons."
        )
    else:
        whose = (
            f"Holds for all rows of one person ({unit.column}) at each provider together: whether the person "
            f"is in the table at all. At most {unit.rows} rows of a person count; the rest, and rows that "
            "name no person, are left out."
        )
    return Guarantee(
        epsilon=options.epsilon,
        delta=options.delta,
        unit=str(unit.unit),
        relation="add-remove",
        note=f"{whose} Seed rows are outside it. "
        "It assumes that no model brings the provider's ONNX runtime down, which scores each row by itself.",
    )


EXPOSURE = Exposure(
    trust=(
        Trust(
            "provider",
            "answers honestly, adds the noise, and keeps the model to itself: hosted reveals the model",
        ),
    ),
    seen_by={
        "provider": (
            "the ML party's model, and every correction it learns: hosted reveals the model",
            "the bins and weights of every question",
        ),
        "ml_party": (
            "noisy counts per bin of each feature, noisy sums of clipped gradients and of changes of rank, "
            "noisy counts of scores",
            "the schema's public bounds and levels; no id, no feature, no label",
        ),
    },
    skip=skip,
    in_words=InWords(
        protects="Each record, or each person, with differential privacy; no row, id or label leaves.",
        against="The ML party, whatever else it knows and however it combines answers.",
        price="The provider sees the ML party's model; answers are noisier than in linked mode.",
    ),
)


def attacks(pilot: Pilot) -> dict[str, AttackResult]:
    """Membership on the resulting model, and of a canary in the whole conversation."""
    return {
        "membership": replace(membership_attack(pilot), bound=pilot_bound(pilot)),
        "canary": canary_attack(pilot.options),
    }


def canary_attack(options: Options, *, width: int = 200, trials: int = _CANARY_TRIALS) -> AttackResult:
    """Guess from all answers whether a coin-flip canary was in the table, by fresh runs of the mechanism.

    The canary moves every answer as far as one record can, and the adversary knows all else: no guess can
    beat the likelihood ratio that it uses.
    """
    from comity.attack.label import infer_labels

    delta = rounded_delta(options.delta * DELTA_ADDITIVE_SHARE)
    price = HostedPrice(options.epsilon, delta, HostedUnit(), dimensions(width))
    cap = Gradient(1.0, np.zeros(1), np.zeros((1, 1), dtype=np.int32)).sizes.l2
    moves = [1 << 10, *(cap,) * (ROUNDS + 1), 1]
    sizes = [Sizes(dimensions=1, l1=move, l2=move, largest_sum=move) for move in moves]
    scales = [price.calibration(size, share).deviation for size, share in zip(sizes, SHARES, strict=True)]

    def draw(count: int) -> NDArray[np.float64]:
        zeros = np.zeros(count, dtype=np.int64)
        noises = [price.answer(zeros, size, share).values for size, share in zip(sizes, SHARES, strict=True)]
        return np.column_stack(noises) / scales

    found = infer_labels(
        draw,
        np.array(moves) / np.array(scales),
        epsilon=options.epsilon,
        delta=options.delta,
        trials=trials,
        seed=options.seed,
    )
    return replace(found, name="canary")
