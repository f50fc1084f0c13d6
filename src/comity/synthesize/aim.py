"""AIM: marginals one after the other, each time one that the model gets most wrong.

McKenna, Mullins, Sheldon and Miklau 2022: in every round a marginal is chosen by the exponential mechanism
(how far the model is off, less what noise alone would cost, weighed by how much of the workload it serves),
measured, and the model fitted again; where a round told less than its noise, the next ones get a larger part
of the budget. The workload here is public: with a target, every pair of features together with the target and
what lies below it (a choice for tables that models are to learn from); without, every pair of columns.

What differs from the paper, and why: single columns and features with the target are counted before the first
round (both are in the workload in any case, and choosing them would cost); there are fewer rounds, since
tables of ten thousand rows cannot pay for sixteen a column; and prices are in mu squared rather than rho.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from comity.synthesize.graph import Clique, model_cells
from comity.synthesize.looks import MODEL_CELLS, Looks
from comity.synthesize.model import Measured, Model, fit, project

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS, CLASSES, CHOICE = 0.25, 0.30, 0.10
"""Parts of mu squared: single columns, features with the target; of each round, the part for choosing."""
_ROUND_STEPS = 60
_EXPECTED = math.sqrt(2 / math.pi)


def aim(looks: Looks, *, bins: int, rounds: int | None = None, model_cells: int = MODEL_CELLS) -> Model:
    """Spend the purse in rounds, and fit the model.

    Args:
        looks: the table behind its purse.
        bins: about how many bins of a number.
        rounds: by default twice the number of columns whose values differ; fewer happen where the budget is
            drawn together.
        model_cells: numbers in the model at most.

    What no round can spend (one column differs, or no pair fits the model) goes into the first counts again.
    """
    whole = looks.purse.whole
    looks.bin_columns(COLUMNS * whole, bins=bins)
    total, sizes, target = looks.total(), looks.sizes, looks.usable_target
    features = [at for at in looks.usable if at != target]
    weights = _workload(features, target)
    if target is not None and weights:
        share = CLASSES * whole / len(features)
        for at in features:
            looks.measure(tuple(sorted((at, target))), share)
    model = fit(sizes, looks.measured, total=total)
    price = _next(looks, looks.purse.left / (rounds or 2 * max(1, len(looks.usable))))
    while weights and looks.purse.left > 1e-6 * whole:
        sigma = looks.purse.sigma((1 - CHOICE) * price)
        candidates = _candidates(model, weights, target, looks.measured, model_cells)
        if not candidates:
            break
        at = looks.worst(
            candidates,
            CHOICE * price,
            less=[_EXPECTED * sigma * fitted.size for _, fitted in candidates],
            weights=[weights[columns] for columns, _ in candidates],
        )
        columns, before = candidates[at]
        looks.measure(columns, (1 - CHOICE) * price)
        model = fit(sizes, looks.measured, total=total, start=model, steps=_ROUND_STEPS)
        after = model.marginal(columns)
        if after is not None and np.abs(after - before).sum() <= _EXPECTED * sigma * before.size:
            price *= 4  # half the noise
        price = _next(looks, price)
    if looks.purse.left > 1e-6 * whole:
        looks.measure_all(looks.base)
    return fit(sizes, looks.measured, total=total, start=model)


def _next(looks: Looks, price: float) -> float:
    """What the next round costs: all that is left where it would not do for two."""
    return price if looks.purse.left >= 2 * price else looks.purse.left * (1 - 1e-9)


def _workload(features: list[int], target: int | None) -> dict[Clique, float]:
    """Every marginal that may be measured, and how much of the workload it overlaps with."""
    pairs = list(combinations(features, 2))
    if target is None:
        return dict.fromkeys(pairs, 2.0)
    closed = {tuple(sorted((*pair, target))): 3.0 for pair in pairs}
    return closed | dict.fromkeys(pairs, 2.0)


def _candidates(
    model: Model, weights: dict[Clique, float], target: int | None, known: list[Measured], most: int
) -> list[tuple[Clique, NDArray[np.float64]]]:
    """The marginals that the model's size allows, with what the model says of each."""
    have = list({one.columns for one in known})
    fits = [
        columns
        for columns in weights
        if model.tree.home(columns, model.sizes) is not None
        or model_cells(model.sizes, [*have, columns]) <= most
    ]
    wanted: dict[int, list[Clique]] = {}
    for columns in fits:
        first = next(column for column in columns if column != target)
        wanted.setdefault(first, []).append(columns)
    found: list[tuple[Clique, NDArray[np.float64]]] = []
    for first, group in wanted.items():
        fixed = (first,) if target is None else tuple(sorted((first, target)))
        joint = model.marginals_with(fixed)
        for columns in group:
            home = next(clique for clique in joint if set(columns) <= set(clique) | set(fixed))
            axes = tuple(sorted(set(fixed) | set(home)))
            found.append((columns, project(joint[home], axes, columns)))
    return found
