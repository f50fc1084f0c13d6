"""Logistic regression, and a small network with one hidden layer, as one vector of weights each.

Local training is Adam (Kingma and Ba 2015) on minibatches in an order that the seed fixes; FedProx (Li et
al. 2020) adds `proximal` / 2 |w - w_server|^2 to what is minimised, so that members with different rows
stay together. The network keeps a linear part beside its hidden units, so that it can do no less than the
regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

MOST_HIDDEN: Final = 256
BATCH: Final = 256
RATE: Final = 0.03
NETWORK_RATE: Final = 0.01
STEPS: Final = 100
_FIRST_MOMENT, _SECOND_MOMENT, _TINY = 0.9, 0.999, 1e-8


def chances(odds: Floats) -> Floats:
    """Probabilities of log odds."""
    return 0.5 * (1.0 + np.tanh(np.clip(odds, -700.0, 700.0) / 2.0))


@dataclass(frozen=True)
class Network:
    """The form of a model.

    Attributes:
        width: features.
        hidden: rectified units; 0 is logistic regression.
    """

    width: int
    hidden: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or not 0 <= self.hidden <= MOST_HIDDEN:
            raise BadInput(f"a model has one feature or more, and at most {MOST_HIDDEN} hidden units")

    @property
    def size(self) -> int:
        """Weights in all: linear ones, the constant, then those of the hidden layer."""
        return self.width + 1 + self.hidden * (self.width + 2)

    def start(self, seed: int) -> Floats:
        """(size,) first weights: zeros but for the hidden layer's inputs, which the seed fixes."""
        weights = np.zeros(self.size)
        if self.hidden:
            drawn = np.random.default_rng(seed).normal(size=(self.width, self.hidden))
            first = self.width + 1
            weights[first : first + drawn.size] = drawn.ravel() * math.sqrt(2.0 / self.width)
            weights[-self.hidden :] = 0.1 * np.where(np.arange(self.hidden) % 2, 1.0, -1.0)
        return weights

    def odds(self, weights: Floats, features: Matrix) -> Floats:
        """(rows,) log odds."""
        return self._forward(weights.astype(np.float32), features)[0].astype(np.float64)

    def scores(self, weights: Floats, features: Matrix) -> Floats:
        """(rows,) chances."""
        return chances(self.odds(weights, features))

    def losses(self, weights: Floats, features: Matrix, labels: NDArray[np.uint8]) -> Floats:
        """(rows,) log-loss of each row."""
        odds = self.odds(weights, features)
        return np.logaddexp(0.0, np.where(labels == 1, -odds, odds))

    def gradient(self, weights: Floats, features: Matrix, labels: NDArray[np.uint8]) -> Floats:
        """(size,) of the mean log-loss over these rows."""
        narrow = weights.astype(np.float32)
        odds, active = self._forward(narrow, features)
        rest = ((chances(odds.astype(np.float64)) - labels) / max(len(labels), 1)).astype(np.float32)
        parts = [features.T @ rest, rest.sum(keepdims=True)]
        if self.hidden:
            back = rest[:, None] * self._out(narrow)[None, :] * (active > 0)
            parts += [(features.T @ back).ravel(), back.sum(axis=0), active.T @ rest]
        return np.concatenate(parts).astype(np.float64)

    def _forward(self, weights: NDArray[np.float32], features: Matrix) -> tuple[Matrix, Matrix]:
        odds = features @ weights[: self.width] + weights[self.width]
        if not self.hidden:
            return odds, np.zeros((len(features), 0), dtype=np.float32)
        first = self.width + 1
        end = first + self.width * self.hidden
        into = weights[first:end].reshape(self.width, self.hidden)
        active = np.maximum(features @ into + weights[end : end + self.hidden], 0.0)
        return odds + active @ self._out(weights), active

    def _out(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        return weights[-self.hidden :]


@dataclass(frozen=True)
class LocalTraining:
    """How a member trains in one round.

    Attributes:
        rate: of the first step; it falls with the rounds.
        steps: minibatches, at least; more where two passes over the rows take more.
        penalty: of the squared weights, per row of the mean loss.
        proximal: FedProx's mu; 0 is FedAvg.
        seed: fixes the order of rows.
    """

    rate: float
    steps: int
    penalty: float
    proximal: float
    seed: int

    def __post_init__(self) -> None:
        sound = all(map(math.isfinite, (self.rate, self.penalty, self.proximal)))
        if not (sound and 0 < self.rate <= 1 and 1 <= self.steps <= 10_000):
            raise BadInput("local training has a rate up to 1 and 1 to 10,000 steps")
        if self.penalty < 0 or self.proximal < 0:
            raise BadInput("a penalty and a proximal term are 0 or more")

    @classmethod
    def in_round(
        cls, number: int, *, hidden: int, rows: int, members: int, proximal: float = 0.0, seed: int = 0
    ) -> Self:
        """What a member of so many does in a round, from 0 on, with so many rows of its own."""
        return cls(
            rate=(NETWORK_RATE if hidden else RATE) / math.sqrt(1 + number),
            steps=STEPS,
            penalty=1 / max(1, rows * members),
            proximal=proximal,
            seed=seed * 1_000 + number,
        )

    def run(self, network: Network, weights: Floats, features: Matrix, labels: NDArray[np.uint8]) -> Floats:
        """(size,) weights after training on these rows, from the server's."""
        rows = len(labels)
        if not rows:
            return weights.copy()
        order = np.random.default_rng(self.seed)
        held, first, second = weights.copy(), np.zeros(network.size), np.zeros(network.size)
        batch = min(BATCH, rows)
        steps = max(self.steps, math.ceil(2 * rows / batch))
        shuffled, at = order.permutation(rows), 0
        for step in range(1, steps + 1):
            if at + batch > rows:
                shuffled, at = order.permutation(rows), 0
            chosen = shuffled[at : at + batch]
            at += batch
            slope = network.gradient(held, features[chosen], labels[chosen])
            slope += self.penalty * held + self.proximal * (held - weights)
            first = _FIRST_MOMENT * first + (1 - _FIRST_MOMENT) * slope
            second = _SECOND_MOMENT * second + (1 - _SECOND_MOMENT) * slope**2
            mean, spread = first / (1 - _FIRST_MOMENT**step), second / (1 - _SECOND_MOMENT**step)
            held -= self.rate * mean / (np.sqrt(spread) + _TINY)
        return weights + np.clip(held - weights, -self.furthest, self.furthest)

    @property
    def furthest(self) -> float:
        """How far one weight moves at most, whoever trains: a public bound, and longer moves are cut to it.

        Adam moves a weight by about the rate in a step: this is twice that over `STEPS` steps, which is what
        tables of up to 12,800 rows take.
        """
        return 2 * STEPS * self.rate


def furthest_in(number: int, *, hidden: int) -> float:
    """`LocalTraining.furthest` in a round, from 0 on."""
    return LocalTraining.in_round(number, hidden=hidden, rows=1, members=1).furthest
