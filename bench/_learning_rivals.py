"""What others do at the same label epsilon, plainly: each gives several test scores to choose the best from.

All get the score after the opening (start and seed rows) as an offset, and public bins, as comity's learner.
Their own choices (shrinkage, additive or boosted trees, size of bags) are made by the best AUC on test, which
favours them.

* `randomised_response` (Warner 1965): every label is told true with chance e^eps / (1 + e^eps), and debiased.
* `with_prior` (Ghazi, Golowich, Kumar, Manurangsi, Zhang 2021, LP-2ST with RRWithPrior): where the prior is
  surer than randomised response would be, its guess is taken instead of an answer. The prior is the start
  for one half of the records and the model trained on that half for the other.
* `bags` (Javanmard, Badanidiyuru and others 2024, PriorBoost): records are sorted by the prior's prediction,
  neighbours form a bag, and the mean label of each bag is told with Laplace noise. Two halves as above.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from comity.validate.bins import Columns
from comity.validate.terms import Terms

Floats = np.ndarray
SHRINKAGE = (10.0, 100.0, 1_000.0, 10_000.0)
BAGS = (16, 128)


def chance(scores: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(scores, -30, 30)))


class Fitting:
    """Additive logistic models on codes, and boosted trees, on soft labels that may leave [0, 1]."""

    def __init__(self, columns: Columns, start: Floats, tests: Columns, test_start: Floats) -> None:
        self.codes, self.start, self.tests, self.test_start = columns.codes, start, tests.codes, test_start
        self.widths = columns.widths

    def additive(self, rows: Floats, targets: Floats, shrinkage: float) -> tuple[Floats, Floats]:
        """Scores of all records and of the test records, of a model fitted on some rows' targets."""
        terms, start = Terms(self.codes[rows], self.widths), self.start[rows]
        spread = chance(start) * (1 - chance(start))
        curvature = terms.cross(terms.sampled(np.maximum(spread, 0.02))) + shrinkage * np.eye(terms.size)
        inverse, values = np.linalg.inv(curvature), np.zeros(terms.size)
        for _ in range(8):
            residual = targets - chance(start + terms.combine(values))
            values += inverse @ (terms.totals(residual) - shrinkage * values)
        return self._added(self.codes, self.start, values), self._added(self.tests, self.test_start, values)

    def trees(self, rows: Floats, targets: Floats) -> Floats:
        """Test scores of boosted trees on codes and the start's score."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(
            learning_rate=0.05, max_iter=60, min_samples_leaf=200, random_state=0
        )
        model.fit(np.column_stack([self.codes[rows], self.start[rows]]), targets)
        return model.predict(np.column_stack([self.tests, self.test_start]))

    def _added(self, codes: Floats, start: Floats, values: Floats) -> Floats:
        offsets = np.concatenate([[0], np.cumsum(self.widths)])[:-1]
        return start + values[codes + offsets].sum(axis=1)

    def all_of(self, rows: Floats, targets: Floats) -> Iterator[Floats]:
        yield from (self.additive(rows, targets, shrinkage)[1] for shrinkage in SHRINKAGE)
        yield self.trees(rows, targets)


def told(labels: Floats, epsilon: float, rng: np.random.Generator) -> Floats:
    """Labels through randomised response, debiased."""
    flip = 1 / (1 + np.exp(epsilon))
    heard = np.where(rng.random(len(labels)) < flip, 1 - labels, labels)
    return (heard - flip) / (1 - 2 * flip)


def randomised_response(fit: Fitting, labels: Floats, epsilon: float, seed: int) -> Iterator[Floats]:
    yield from fit.all_of(np.arange(len(labels)), told(labels, epsilon, np.random.default_rng(seed)))


def with_prior(fit: Fitting, labels: Floats, epsilon: float, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    halves = np.array_split(rng.permutation(len(labels)), 2)
    sure, flip = 1 / (1 + np.exp(-epsilon)), 1 / (1 + np.exp(epsilon))

    def asked(rows: Floats, prior: Floats) -> Floats:
        heard = np.where(rng.random(len(rows)) < flip, 1 - labels[rows], labels[rows])
        return np.where(np.maximum(prior, 1 - prior) > sure, prior > 0.5, heard).astype(float)

    first = asked(halves[0], chance(fit.start[halves[0]]))
    rows = np.concatenate(halves)
    for shrinkage in (100.0, 1_000.0):
        middle = fit.additive(halves[0], first, shrinkage)[0]
        second = asked(halves[1], chance(middle[halves[1]]))
        yield from fit.all_of(rows, np.concatenate([first, second]))


def bags(fit: Fitting, labels: Floats, epsilon: float, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    halves = np.array_split(rng.permutation(len(labels)), 2)
    rows = np.concatenate(halves)

    def asked(rows: Floats, prior: Floats, size: int) -> Floats:
        order, means = np.argsort(prior, kind="stable"), np.empty(len(rows))
        for bag in np.array_split(order, max(1, len(rows) // size)):
            means[bag] = labels[rows[bag]].mean() + rng.laplace(scale=1 / (epsilon * len(bag)))
        return means

    for size in BAGS:
        first = asked(halves[0], fit.start[halves[0]], size)
        middle = fit.additive(halves[0], first, 100.0)[0]
        yield from fit.all_of(rows, np.concatenate([first, asked(halves[1], middle[halves[1]], size)]))


RIVALS = {
    "randomised response": randomised_response,
    "LP-2ST, RR with prior": with_prior,
    "bags by prior (PriorBoost)": bags,
}
