"""Origin: which provider does a released row come from?

The adversary learns the providers of three quarters of the rows and guesses those of the last quarter from
everything that was released of them, four times over, so that no row helps to guess its own provider
(cross-fitting). That is more than an ML party has: it has rows, and no provider of any of them.

Success is measured above the best guess without looking, the largest provider, as t-closeness of the provider
bounds it: where in every class the mix of providers lies within total variation t of the whole table's, no
guess from the class is right more often than the largest share + t (docs/privacy.md, "Release"). Columns that
are released as they are stand outside the classes, so that this bound can fail for a guess from them: that is
what the attack is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from comity.attack.interval import wilson
from comity.attack.result import AttackResult
from comity.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from comity.data import Table

LEAST_ROWS = 50
MOST_ROWS = 20_000
"""The adversary looks at this many rows, drawn by the seed: the interval is narrow enough."""
_FOLDS = 4
_MOST_CATEGORIES = 200
"""A column of texts with more values is taken by their order, as the trees cannot hold that many apart."""


def origin_attack(
    release: Table,
    origins: NDArray[np.integer],
    *,
    shares: Sequence[float] | None = None,
    t: float | None = None,
    seed: int = 0,
) -> AttackResult:
    """Guess the provider of released rows.

    Args:
        release: the released rows.
        origins: (rows,) the number of each row's provider, from 0 on.
        shares: each provider's share of the rows before any were suppressed, which is what t-closeness
            compares with; by default those of the released rows.
        t: the bound on the total variation of the providers' mix; None if none was promised.
        seed: of the sample, the folds and the shuffled control.

    Returns:
        `advantage` is the share of right guesses above the largest share; `control` the same adversary's
        where the providers were dealt out to the rows anew.

    Raises:
        BadInput: if there are fewer than 50 rows, or the rows and origins do not fit.
    """
    if len(origins) != release.rows or release.rows < LEAST_ROWS:
        raise BadInput(
            f"an attack on the origin needs at least {LEAST_ROWS} rows with their providers, not "
            f"{release.rows} rows with {len(origins)}"
        )
    generator = np.random.default_rng([seed, 9])
    if release.rows > MOST_ROWS:
        chosen = np.sort(generator.choice(release.rows, MOST_ROWS, replace=False))
        whole, release, origins = origins, release.take(chosen), origins[chosen]
    else:
        whole = origins
    prior = float(np.max(np.bincount(whole) / len(whole) if shares is None else shares))
    features, categorical = _features(release)
    folds = generator.integers(0, _FOLDS, size=len(origins))
    right = _right(features, categorical, origins, folds, seed)
    shuffled = generator.permutation(origins)
    blind = _right(features, categorical, shuffled, folds, seed)
    low, high = wilson(right, len(origins))
    return AttackResult(
        name="origin",
        advantage=right / len(origins) - prior,
        low=low - prior,
        high=high - prior,
        bound=t,
        control=blind / len(origins) - prior,
        trials=len(origins),
    )


def _right(
    features: NDArray[np.float64],
    categorical: NDArray[np.bool_],
    origins: NDArray[np.integer],
    folds: NDArray[np.int64],
    seed: int,
) -> int:
    """How many rows' providers are guessed by a model of the other folds."""
    import sklearn.ensemble  # its threads are counted once it is loaded
    from threadpoolctl import threadpool_limits

    right = 0
    # so many small trees: threads that wait for each other cost more than they save
    with threadpool_limits(1):
        for fold in range(_FOLDS):
            out = folds == fold
            known = origins[~out]
            if out.any() and len(np.unique(known)) < 2:
                right += int((origins[out] == known[0]).sum())
            elif out.any():
                model = _classifier(sklearn.ensemble, categorical, seed).fit(features[~out], known)
                right += int((model.predict(features[out]) == origins[out]).sum())
    return right


def _classifier(module: Any, categorical: NDArray[np.bool_], seed: int) -> Any:
    return module.HistGradientBoostingClassifier(
        max_iter=20,
        learning_rate=0.2,
        max_leaf_nodes=15,
        l2_regularization=1.0,
        early_stopping=False,  # type: ignore[arg-type]  # scikit-learn's own annotation is too narrow
        categorical_features=categorical,  # type: ignore[arg-type]
        random_state=seed,
    )


def _features(release: Table) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(rows, columns) numbers as they are and texts by their codes, and which columns are categories."""
    columns: list[NDArray[np.float64]] = []
    categorical: list[bool] = []
    for name in release.names:
        if release.type(name).is_numeric:
            columns.append(release.numbers(name))
            categorical.append(False)
        else:
            codes, levels = release.levels(name)
            columns.append(np.where(codes < 0, np.nan, codes.astype(np.float64)))
            categorical.append(len(levels) <= _MOST_CATEGORIES)
    return np.stack(columns, axis=1), np.array(categorical)
