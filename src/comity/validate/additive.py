"""Feedback that teaches: which sums of labels to ask for, and what to conclude from noisy ones.

The log-likelihood of an additive logistic model depends on the labels y only through X^T y, where X holds
one indicator per bin. `Design.make` chooses, from features and the start model alone, the combinations of
those sums that are worth their noise: the directions of the prior in which the Fisher information exceeds
the noise, each with the share of the noise budget that leaves least expected error (water filling), and a
cap on row lengths, which cuts the sensitivity and leaves the weighted estimating equation unbiased. `solve`
finds the effects that are most probable given the noisy answers and the prior, whose variance per column is
learned from the same answers (evidence); that is post-processing and costs no privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.validate.effects import Codes, Effects, Floats, Prior
from comity.validate.mechanism import NoisySums
from comity.validate.request import WEIGHT_BITS, ScoreStatistics

START_LIMIT = 6.0
"""Start scores (log-odds) are cut to this magnitude: a model fitted on few rows is surer than it may be."""

_VARIANCE = 0.1
_STRENGTH = 4.0
_SPREAD = 2.0
"""How far start scores may be off, as a variance of log-odds: it flattens the start model's probabilities."""
_SHORTENED = 0.7
"""The share of rows that the cap shortens."""
_MIX_SIZE = 2**18
_SAMPLE = 20_000
_PAIRS_SAMPLE = 100_000
_MOST_DIMENSIONS = 512
_ROUNDS, _STEPS, _STILL = 3, 8, 0.01


@dataclass(frozen=True, eq=False)
class Frame:
    """What the ML party knows of one provider's records: bins and start scores, in the frame's order."""

    codes: Codes
    start: Floats

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.start):
            raise UsageError("bins and start scores are about the same records, in the same order")

    @property
    def rows(self) -> int:
        return len(self.start)


@dataclass(frozen=True, eq=False)
class Design:
    """What to ask.

    Attributes:
        prior: of the effects.
        mix: (width, dimensions) int32, what a label in each bin adds to each sum.
        cap: rows longer than this are shortened to it.
    """

    prior: Prior
    mix: NDArray[np.int32]
    cap: int

    @classmethod
    def make(cls, effects: Effects, frames: Sequence[Frame], *, multiplier: float, seed: int) -> Design:
        """Choose the sums, before any label is used.

        Args:
            multiplier: noise scale over sensitivity of all providers' noise together.
            seed: of the sample of records that the choice looks at.
        """
        rows = sum(frame.rows for frame in frames)
        sample = _sample(frames, _SAMPLE, seed)
        counts = effects.sums(sample.codes, np.ones(sample.rows))
        prior = Prior.of(effects, counts, _VARIANCE)
        flat = sample.start / np.sqrt(1 + np.pi / 8 * _SPREAD)
        information = np.maximum(_variance(flat), 1e-3) * (rows / max(1, sample.rows))
        weights = np.ones(sample.rows)
        directions, cap = prior.root, 1.0
        for _ in range(3):
            fisher = prior.root.T @ effects.pair_sums(sample.codes, weights * information) @ prior.root
            heights, turns = np.linalg.eigh(fisher)
            turned = prior.root @ turns
            seen = effects.at(sample.codes, turned)
            lengths = np.maximum(np.mean((seen * weights[:, None]) ** 2, axis=0), 1e-15)
            shares = _water_filling(np.maximum(heights, 1e-12), lengths, multiplier)
            kept = np.argsort(-shares)[: min(_MOST_DIMENSIONS, max(1, int((shares > 0).sum())))]
            scale = np.sqrt(np.maximum(shares[kept], 1e-12) / lengths[kept])
            directions = turned[:, kept] * scale
            norms = np.linalg.norm(seen[:, kept] * scale, axis=1)
            cap = max(float(np.quantile(norms, 1 - _SHORTENED)), 1e-9)
            weights = np.minimum(1.0, cap / np.maximum(norms, 1e-12))
        grid = _MIX_SIZE / max(float(np.abs(directions).max()), 1e-300)
        mix = np.rint(directions * grid).astype(np.int32)
        return cls(prior, mix, max(1, int(cap * grid)))

    def query(self, frame: Frame) -> ScoreStatistics:
        """The question about one provider's records."""
        return ScoreStatistics(frame.codes, self.prior.effects.widths, self.mix, self.cap)


def _water_filling(heights: Floats, lengths: Floats, multiplier: float) -> Floats:
    """(directions,) shares of the squared sensitivity, adding up to 1, that minimise the expected error.

    A direction of information f and mean squared row length g, given the share t, has the posterior variance
    (1 + s / t) / (1 + f + s / t) with s = multiplier^2 g / f: those with too little information get nothing.
    """
    noise = multiplier**2 * lengths / heights
    low, high = 1e-12, 1e12
    shares = np.zeros_like(heights)
    for _ in range(100):
        level = float(np.sqrt(low * high))
        shares = np.maximum(0.0, (heights * np.sqrt(noise) * level - noise) / (1 + heights))
        if shares.sum() > 1:
            high = level
        else:
            low = level
    if not (shares > 0).any():
        shares[int(np.argmin(noise))] = 1.0
    return shares


def solve(design: Design, frames: Sequence[Frame], answers: Sequence[NoisySums]) -> Floats:
    """(width,) the most probable effects, given each provider's noisy answer.

    The answers of several providers add up, and so do the variances of their noise.
    """
    if len(frames) != len(answers) or not frames:
        raise UsageError("each frame has one answer, and there is at least one of them")
    observed = _Observed.of(design, frames, answers)
    believed = design.prior.variances
    prior = design.prior
    place = np.zeros(prior.root.shape[1])
    values = np.zeros(prior.effects.width)
    for round_ in range(_ROUNDS):
        place, covariance = observed.climb(prior, place)
        values = prior.root @ place
        if round_ == _ROUNDS - 1:
            break
        spread = prior.root @ covariance @ prior.root.T
        prior = prior.refined(values, spread, believed=believed, strength=_STRENGTH)
        place = np.linalg.lstsq(prior.root, values, rcond=None)[0]
    return values


@dataclass(frozen=True, eq=False)
class _Observed:
    """The noisy sums and what is needed to compare a model with them."""

    effects: Effects
    whole: Frame
    weights: Floats
    sample: NDArray[np.int64]
    mix: Floats
    sums: Floats
    noise: float

    @classmethod
    def of(cls, design: Design, frames: Sequence[Frame], answers: Sequence[NoisySums]) -> _Observed:
        whole = Frame(
            np.concatenate([frame.codes for frame in frames]),
            np.concatenate([frame.start for frame in frames]),
        )
        weights = np.concatenate([design.query(frame).weights for frame in frames]) / 2**WEIGHT_BITS
        # lengths near 1 keep the linear algebra well scaled
        unit = float(design.cap)
        sums = np.sum([answer.values for answer in answers], axis=0) / (unit * 2**WEIGHT_BITS)
        noise = float(np.sum([answer.deviation**2 for answer in answers])) / (unit * 2**WEIGHT_BITS) ** 2
        step = max(1, -(-whole.rows // _PAIRS_SAMPLE))
        sample = np.arange(0, whole.rows, step, dtype=np.int64)
        mix = design.mix.astype(np.float64) / unit
        return cls(design.prior.effects, whole, weights, sample, mix, sums, noise)

    def climb(self, prior: Prior, place: Floats) -> tuple[Floats, Floats]:
        """Gauss-Newton steps to the most probable place in the prior's coordinates, and its covariance."""
        root = prior.root
        covariance = np.eye(root.shape[1])
        for _ in range(_STEPS):
            scores = self.whole.start + self.effects.at(self.whole.codes, root @ place)
            chance = _logistic(scores)
            expected = self.mix.T @ self.effects.sums(self.whole.codes, self.weights * chance)
            slope, spread = self._moments(chance, root)
            weighted = np.linalg.solve(spread, slope)
            curvature = slope.T @ weighted + np.eye(root.shape[1])
            covariance = np.linalg.inv(curvature)
            step = covariance @ (weighted.T @ (self.sums - expected) - place)
            place = place + step
            if np.abs(step).max() < _STILL:
                break
        return place, covariance

    def _moments(self, chance: Floats, root: Floats) -> tuple[Floats, Floats]:
        """How expected sums move with the place, and the covariance of the sums (of labels and noise)."""
        codes = self.whole.codes[self.sample]
        weights = self.weights[self.sample]
        share = self.whole.rows / len(self.sample)
        variance = np.maximum(chance * (1 - chance), 1e-4)[self.sample] * share
        slope = self.mix.T @ self.effects.pair_sums(codes, weights * variance) @ root
        spread = self.mix.T @ self.effects.pair_sums(codes, weights**2 * variance) @ self.mix
        return slope, spread + self.noise * np.eye(len(spread))


def _sample(frames: Sequence[Frame], most: int, seed: int) -> Frame:
    codes = np.concatenate([frame.codes for frame in frames])
    start = np.concatenate([frame.start for frame in frames])
    if len(start) <= most:
        return Frame(codes, start)
    rows = np.random.default_rng([seed, 5]).choice(len(start), most, replace=False)
    return Frame(codes[rows], start[rows])


def _logistic(scores: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(scores / 2))


def _variance(scores: Floats) -> Floats:
    chance = _logistic(scores)
    return chance * (1 - chance)
