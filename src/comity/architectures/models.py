"""The ordinary models that baselines and releases are measured with, and where their scores go.

`logistic`: L2 logistic regression (C = 1) on standardised numbers and one-hot categories. `boosted`:
scikit-learn's histogram gradient boosting with its defaults. Both as CONTRACT names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from comity.architectures.definition import Pilot, Seat, Task
from comity.attack.result import AttackResult
from comity.data.labels import binary_labels
from comity.data.rawmatrix import RawEncoder
from comity.data.table import Table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression


def labels_of(rows: pa.Table, task: Task) -> NDArray[np.uint8]:
    """(rows,) 0 or 1, 1 for the positive value of the target."""
    return binary_labels(Table(rows), task.target, task.positive).values


def logistic_scores(rows: pa.Table, probe: pa.Table, task: Task, seed: int) -> NDArray[np.float64]:
    """Fit logistic regression on `rows`; (probe rows,) probabilities of the positive value."""
    encoder = RawEncoder.from_features(Table(rows), task.schema, names=task.features)
    model = fit_logistic(encoder.linear(Table(rows)), labels_of(rows, task), seed)
    return model.predict_proba(encoder.linear(Table(probe)))[:, 1]


def fit_logistic(
    matrix: csr_matrix, labels: NDArray[np.uint8], seed: int, weights: NDArray[np.float64] | None = None
) -> LogisticRegression:
    """A fitted L2 logistic regression with C = 1."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000, random_state=seed).fit(
        matrix, labels, sample_weight=weights
    )


def boosted_scores(rows: pa.Table, probe: pa.Table, task: Task, seed: int) -> NDArray[np.float64]:
    """Fit boosted trees on `rows`; (probe rows,) probabilities of the positive value."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    encoder = RawEncoder.from_features(Table(rows), task.schema, names=task.features)
    model = HistGradientBoostingClassifier(
        random_state=seed, categorical_features=encoder.categorical.tolist()
    )
    model.fit(encoder.ordinal(Table(rows)), labels_of(rows, task))
    return model.predict_proba(encoder.ordinal(Table(probe)))[:, 1]


def keep_scores(seat: Seat, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """Put each model's scores of the probe rows into the session's folder, for whoever measures."""
    import pyarrow as pa

    seat.keep("scores", pa.table({name: pa.array(values) for name, values in scores.items()}))


def keep_start(seat: Seat, scores: NDArray[np.float64]) -> None:
    """Put the start model's scores of the probe rows into the session's folder: where learning begins."""
    import pyarrow as pa

    seat.keep("start", pa.table({"start": pa.array(scores)}))


def membership_attack(pilot: Pilot) -> AttackResult:
    """Tell training rows from held-out rows by the model's confidence in their true label (Yeom et al. 2018).

    The held-out rows are the control: an adversary that learned nothing has the same scores on both.
    """
    import numpy as np

    from comity.attack.membership import control, membership_inference

    def confidence(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.where(labels == 1, scores, 1.0 - scores)

    inside = confidence(pilot.member_scores, pilot.member_labels)
    outside = confidence(pilot.outsider_scores, pilot.outsider_labels)
    seed = pilot.options.seed
    judged = membership_inference(inside, outside, seed=seed)
    return judged.result(control=control(outside, seed=seed).advantage)
