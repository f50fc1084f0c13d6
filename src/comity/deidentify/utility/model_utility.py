"""What a model keeps: trained on released cells, against trained on raw cells, both tested on raw rows.

The rows tested on are held out of both trainings. Levels were chosen with them in the table; for models that
only count rows the choice does not read the target, so the figure is an honest one. Where it does
(l-diversity, t-closeness, `objective="target"` measured here) it may flatter a little; `objective` keeps rows
apart for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.data.split import hold_out
from comity.deidentify.generalise import Anonymized
from comity.deidentify.utility.cells import Cells
from comity.deidentify.utility.quality import Quality, auc_difference, quality
from comity.errors import BadTable, UsageError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LOGISTIC = "logistic"
BOOSTED_TREES = "boosted-trees"
NO_INFORMATION = 0.5
"""The AUC of a model that knows nothing."""

HELD_OUT = 0.3
MOST_ROWS = 100_000
"""A larger table is measured on a sample of this many rows, drawn by the seed."""

_SAMPLE_STREAM = 101
_SPLIT_STREAM = 102


@dataclass(frozen=True)
class ModelUtility:
    """A model trained on the release against the same model trained on the raw table.

    Attributes:
        model: its name; target, positive: what it predicts.
        train_rows, test_rows: rows it was trained and tested on; suppressed rows train nothing.
        raw, release: quality on the held-out raw rows.
        difference: AUC of release less raw on the same rows; `low` and `high` are its 95% interval.
        kept: share of the raw model's advantage over 0.5 that the release's model has; None if the raw model
            has none.
    """

    model: str
    target: str
    positive: str
    train_rows: int
    test_rows: int
    raw: Quality
    release: Quality
    difference: float
    low: float
    high: float
    kept: float | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**body, "raw": self.raw.to_dict(), "release": self.release.to_dict()}

    def to_lines(self) -> list[str]:
        """In plain words."""
        raw, release = self.raw, self.release
        share = "" if self.kept is None else f": {max(0.0, self.kept):.0%} of what the raw table teaches"
        return [
            f"A model ({self.model}) of '{self.target}' reaches AUC {release.auc:.3f} ({release.low:.3f} to "
            f"{release.high:.3f}) from the release and {raw.auc:.3f} ({raw.low:.3f} to {raw.high:.3f}) from "
            f"the raw table{share}.",
            f"Its probabilities are off by {release.calibration_error:.3f} on average (raw: "
            f"{raw.calibration_error:.3f}); both were tested on {self.test_rows:,} raw rows held out of "
            "training.",
        ]


def model_utility(
    done: Anonymized,
    source: Any,
    *,
    target: str,
    features: Sequence[str] = (),
    model: Any = LOGISTIC,
    positive: str | None = None,
    seed: int = 0,
) -> ModelUtility:
    """Train twice, test once. Arguments and errors as `utility.measure_utility`."""
    cells = Cells.of(source, done.hierarchies, target, features=features, positive=positive)
    if cells.rows != len(done.kept):
        raise UsageError(
            f"the release has {len(done.kept)} rows in place, the source {cells.rows}: two tables"
        )
    train, test = split(cells.labels, seed)
    shown = cells.released(done.frame)
    seen = train[done.kept[train]]
    truth = cells.labels[test]
    if len(np.unique(truth)) < 2:
        raise BadTable(f"the target '{target}' has too few rows of one value to hold some out")
    raw = fitted_scores(cells, cells.leaves, train, test, model, seed)
    mine = fitted_scores(cells, shown, seen, test, model, seed, levels=done.levels)
    before, after = quality(truth, raw), quality(truth, mine)
    difference, low, high = auc_difference(truth, mine, raw)
    return ModelUtility(
        model=name_of(model),
        target=target,
        positive=cells.positive,
        train_rows=len(train),
        test_rows=len(test),
        raw=before,
        release=after,
        difference=difference,
        low=low,
        high=high,
        kept=share_kept(after.auc, before.auc),
    )


def share_kept(release: float, raw: float) -> float | None:
    """Share of the raw model's advantage over no information; None if that is under 0.01."""
    advantage = raw - NO_INFORMATION
    return (release - NO_INFORMATION) / advantage if advantage >= 0.01 else None


def split(
    labels: NDArray[np.uint8], seed: int, *, share: float = HELD_OUT, stream: int = _SPLIT_STREAM
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows to test on, stratified; of a large table, of a sample of it."""
    sample = np.arange(len(labels))
    if len(labels) > MOST_ROWS:
        _, sample = hold_out(labels, seed=seed, stream=_SAMPLE_STREAM, share=MOST_ROWS / len(labels))
    train, test = hold_out(labels[sample], seed=seed, stream=stream, share=share)
    return sample[train], sample[test]


def fitted_scores(
    cells: Cells,
    shown: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    model: Any,
    seed: int,
    *,
    levels: Mapping[str, int] | None = None,
) -> NDArray[np.float64]:
    """Probabilities of the positive class for rows `test`, by a model of the cells `shown` of rows `train`.

    Args:
        levels: of a release with common levels. A linear model predicts on single leaves; any other cuts
            where the release has values, so its rows are generalised to these levels first, as `reapply`
            does.
    """
    labels = cells.labels[train]
    if len(np.unique(labels)) < 2:
        return np.full(len(test), labels.mean() if len(labels) else NO_INFORMATION)
    matrix, index = cells.distinct(shown, train)
    asked = cells.leaves
    if levels is not None and model != LOGISTIC:
        asked = cells.at_levels([levels[column.name] for column in cells.columns])
    probe, place = cells.distinct(asked, test)
    import sklearn.linear_model  # noqa: F401  # what is loaded later would not keep to the limit
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # on rows this few, threads wait for each other longer than they work
        if model == LOGISTIC:
            fitted = _logistic(seed).fit(*_counted(matrix, index, labels))
            return np.asarray(fitted.predict_proba(probe))[:, 1][place]
        if model == BOOSTED_TREES:
            features, truth, counts = _counted(matrix, index, labels)
            fitted = _boosted(seed).fit(features.toarray(), truth, counts)
        else:
            fitted = _cloned(model).fit(matrix[index].toarray(), labels)
        return np.asarray(fitted.predict_proba(probe.toarray()))[:, 1][place]


def _counted(
    matrix: csr_matrix, index: NDArray[np.int64], labels: NDArray[np.uint8]
) -> tuple[csr_matrix, NDArray[np.int64], NDArray[np.float64]]:
    """Distinct rows with labels and counts: the same fit as on all rows, much sooner."""
    from scipy.sparse import csr_matrix, vstack

    parts, weights, truth = [], [], []
    for value in (0, 1):
        counts = np.bincount(index[labels == value], minlength=len(matrix.indptr) - 1)
        present = np.flatnonzero(counts)
        parts.append(matrix[present])
        weights.append(counts[present].astype(np.float64))
        truth.append(np.full(len(present), value))
    return csr_matrix(vstack(parts, format="csr")), np.concatenate(truth), np.concatenate(weights)


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000, random_state=seed)


def _boosted(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


def _cloned(model: Any) -> Any:
    from sklearn.base import clone

    if isinstance(model, str) or not hasattr(model, "fit") or not hasattr(model, "predict_proba"):
        raise UsageError(
            f"model is {model!r}: it is '{LOGISTIC}', '{BOOSTED_TREES}', or a scikit-learn classifier with "
            "predict_proba"
        )
    return clone(model)


def name_of(model: Any) -> str:
    """A model's name in reports."""
    return model if isinstance(model, str) else type(model).__name__
