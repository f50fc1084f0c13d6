"""What others do at the same label epsilon, plainly. Each rival gives the test scores of all its settings.

All get the score after the opening (start and seed rows) as an offset, and public bins, as comity's learner.
What they leave open (shrinkage, additive or boosted trees, size of bags) is their setting, told by its name.

* `randomised_response` (Warner 1965): every label is told true with chance e^eps / (1 + e^eps), and debiased.
* `with_prior` (Ghazi, Golowich, Kumar, Manurangsi, Zhang 2021, LP-2ST with RRWithPrior): where the prior is
  surer than randomised response would be, its guess is taken instead of an answer. The prior is the start
  for one half of the records and the model trained on that half for the other.
* `bags` (Javanmard, Badanidiyuru and others 2024, PriorBoost): records are sorted by the prior's prediction,
  neighbours form a bag, and the mean label of each bag is told with Laplace noise. Two halves as above.

`BEFOREHAND` is the setting of each rival and epsilon, found by `--tune`: the one with the largest mean of the
gap closed on splits 201 to 205 of Adult, `flights`, `bike` and `digits`, the splits on which the learner's
own constants were set. One setting serves all data sets, as the learner's constants do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from comity.validate.bins import Columns
from comity.validate.terms import Terms

Floats = np.ndarray
Tried = Iterator[tuple[str, Floats]]
"""Names of settings, and the (tests,) scores of a model fitted with each."""

SHRINKAGE = (10.0, 100.0, 1_000.0, 10_000.0)
BAGS = (16, 128)
_STEPS: Final = 8


def chance(scores: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(scores, -30, 30)))


class Part:
    """Some of the records: their codes, start and the curvature of an additive model at the start."""

    def __init__(self, codes: Floats, widths: tuple[int, ...], start: Floats) -> None:
        self.terms, self.start = Terms(codes, widths), start
        spread = chance(start) * (1 - chance(start))
        self.curvature = self.terms.cross(self.terms.sampled(np.maximum(spread, 0.02)))

    def values(self, targets: Floats, shrinkage: float) -> Floats:
        """(size,) what each code adds, by steps towards the penalised likelihood's mode."""
        inverse = np.linalg.inv(self.curvature + shrinkage * np.eye(self.terms.size))
        values = np.zeros(self.terms.size)
        for _ in range(_STEPS):
            residual = targets - chance(self.start + self.terms.combine(values))
            values += inverse @ (self.terms.totals(residual) - shrinkage * values)
        return values


class Fitting:
    """Additive logistic models on codes, and boosted trees, on soft labels that may leave [0, 1].

    Args:
        columns, start: codes and scores of the records; tests, test_start: of the test records.
        seed: of the halves that two-stage rivals make.
    """

    def __init__(
        self, columns: Columns, start: Floats, tests: Columns, test_start: Floats, seed: int
    ) -> None:
        self.codes, self.start, self.tests, self.test_start = columns.codes, start, tests.codes, test_start
        self.widths = columns.widths
        self.halves = np.array_split(np.random.default_rng(seed).permutation(len(start)), 2)
        self.first = Part(self.codes[self.halves[0]], self.widths, start[self.halves[0]])
        self.whole = Part(self.codes, self.widths, start)

    def middle(self, targets: Floats, shrinkage: float) -> Floats:
        """(second half,) scores of an additive model fitted on the first half's targets."""
        second = self.halves[1]
        return self._added(self.codes[second], self.start[second], self.first.values(targets, shrinkage))

    def all_of(self, targets: Floats, name: str = "") -> Tried:
        """Test scores of models fitted on (records,) targets."""
        for shrinkage in SHRINKAGE:
            values = self.whole.values(targets, shrinkage)
            yield f"{name}additive {shrinkage:g}", self._added(self.tests, self.test_start, values)
        yield f"{name}trees", self.trees(targets)

    def trees(self, targets: Floats) -> Floats:
        """Test scores of boosted trees on codes and the start's score."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(
            learning_rate=0.05, max_iter=60, min_samples_leaf=200, random_state=0
        )
        model.fit(np.column_stack([self.codes, self.start]), targets)
        return model.predict(np.column_stack([self.tests, self.test_start]))

    def joined(self, first: Floats, second: Floats) -> Floats:
        """(records,) targets of both halves, in the records' order."""
        targets = np.empty(len(self.start))
        targets[self.halves[0]], targets[self.halves[1]] = first, second
        return targets

    def _added(self, codes: Floats, start: Floats, values: Floats) -> Floats:
        offsets = np.concatenate([[0], np.cumsum(self.widths)])[:-1]
        return start + values[codes + offsets].sum(axis=1)


def randomised_response(fit: Fitting, labels: Floats, epsilon: float, rng: np.random.Generator) -> Tried:
    flip = 1 / (1 + np.exp(epsilon))
    heard = np.where(rng.random(len(labels)) < flip, 1 - labels, labels)
    yield from fit.all_of((heard - flip) / (1 - 2 * flip))


def with_prior(fit: Fitting, labels: Floats, epsilon: float, rng: np.random.Generator) -> Tried:
    halves = fit.halves
    sure, flip = 1 / (1 + np.exp(-epsilon)), 1 / (1 + np.exp(epsilon))

    def asked(rows: Floats, prior: Floats) -> Floats:
        heard = np.where(rng.random(len(rows)) < flip, 1 - labels[rows], labels[rows])
        return np.where(np.maximum(prior, 1 - prior) > sure, prior > 0.5, heard).astype(float)

    first = asked(halves[0], chance(fit.start[halves[0]]))
    for shrinkage in (100.0, 1_000.0):
        second = asked(halves[1], chance(fit.middle(first, shrinkage)))
        yield from fit.all_of(fit.joined(first, second), f"prior {shrinkage:g}, ")


def bags(fit: Fitting, labels: Floats, epsilon: float, rng: np.random.Generator) -> Tried:
    halves = fit.halves

    def asked(rows: Floats, prior: Floats, size: int) -> Floats:
        order, means = np.argsort(prior, kind="stable"), np.empty(len(rows))
        for bag in np.array_split(order, max(1, len(rows) // size)):
            means[bag] = labels[rows[bag]].mean() + rng.laplace(scale=1 / (epsilon * len(bag)))
        return means

    for size in BAGS:
        first = asked(halves[0], fit.start[halves[0]], size)
        second = asked(halves[1], fit.middle(first, 100.0), size)
        yield from fit.all_of(fit.joined(first, second), f"bags of {size}, ")


RIVALS: dict[str, Callable[[Fitting, Floats, float, np.random.Generator], Tried]] = {
    "randomised response": randomised_response,
    "LP-2ST, RR with prior": with_prior,
    "bags by prior (PriorBoost)": bags,
}

BEFOREHAND: dict[str, dict[float, str]] = {
    "randomised response": {
        0.05: "additive 10000",
        0.1: "additive 10000",
        1.0: "trees",
    },
    "LP-2ST, RR with prior": {
        0.05: "prior 100, additive 10000",
        0.1: "prior 100, additive 10000",
        1.0: "prior 100, additive 10",
    },
    "bags by prior (PriorBoost)": {
        0.05: "bags of 16, additive 10000",
        0.1: "bags of 16, additive 1000",
        1.0: "bags of 16, additive 10",
    },
}
