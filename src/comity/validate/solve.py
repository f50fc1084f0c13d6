"""The fit: a correction from one noisy answer, by posterior mode and evidence.

The answer a = B' Phi' W y + noise has, given the correction theta, mean B' Phi' W p(theta) and covariance
C = B' Phi' W^2 V Phi B + s^2 I, V = diag(p (1 - p)). The mode of prior times this Gaussian likelihood is
found by Gauss-Newton steps with a line search. Then the blocks' variances move to where the evidence for the
answer is larger (EM on the linearised model, MacKay 1992; a few pseudo-observations hold them near where
they started), and the mode is found again.

Last, the guard: only a part c of the columns' correction is kept, so that it ends worse than the start at
most about once in 20 times, whether or not the prior is right. In the answer's whitened space, with what
constant and scale explain taken out, let r be the residual of the start, N(mean, I), and F the fit's smoother
with eigenvalues f_k. c F r saves 2 c mean'F r - c^2 |F r|^2 of deviance; mean'F r is estimated without bias
by r'F r - tr F (Stein 1981; Mallows' C_p), with variance about 2 tr F^2 + 4 mean'F^2 mean. c is the largest
number up to 1 for which the lower end of that is not below 0; if there is none, the order of records stays.
The constant and the scale are held to the same afterwards.
All of it is post-processing of the answer: it costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.prior import Prior
from comity.validate.terms import Terms

Floats = NDArray[np.float64]

_STEPS: Final = 12
_SMALL_STEP: Final = 2e-3
_EM_STEPS: Final = 10
_HELD: Final = 2.0
_ROUNDS: Final = 2
_MEAN_SHARE: Final = 0.5
"""How much of the second part of the variance counts: measured, all of it never failed and cost more."""
_SURE: Final = 1.6449
"""Normal quantile of 19 in 20."""


@dataclass(frozen=True, eq=False)
class Heard:
    """An answer and what it is about.

    Attributes:
        mix: (size, d); weights: (records,) how much each record was shortened, in [0, 1].
        sums: (d,) noisy sums; deviation: standard deviation of their noise.
    """

    mix: Floats
    weights: Floats
    sums: Floats
    deviation: float


@dataclass(eq=False)
class _State:
    """A point of the search: the directions' values z, chances, residual, and the last linearisation."""

    values: Floats
    chances: Floats
    residual: Floats
    slope: Floats
    factor: Any


def corrected(terms: Terms, prior: Prior, start: Floats, heard: Heard) -> Floats:
    """(size,) what each code adds to the start's score (log odds).

    Args:
        terms: the records' codes.
        prior: of the correction.
        start: (records,) scores.
        heard: the answer.
    """
    variances = prior.variances.copy()
    state = _mode(terms, prior, variances, start, heard, np.zeros(prior.root.shape[1]))
    for _ in range(_ROUNDS):
        variances, values = _by_evidence(prior, variances, state)
        state = _mode(terms, prior, variances, start, heard, values)
    return prior.root @ _guarded(prior, variances, state)


def shrunk(prior: Prior, slope: Floats, noise: Floats, sums: Floats) -> Floats:
    """(size,) what each code adds, from an answer that is linear in it: exact where labels are numbers.

    Args:
        prior: of the correction.
        slope: (answers, d) what one unit of each of the prior's directions adds to the expected answer.
        noise: (answers, answers) the answer's covariance given the correction.
        sums: (answers,) the answer.
    """
    from scipy.linalg import cho_factor

    start, nothing = np.zeros(prior.root.shape[1]), np.zeros(0)
    state = _State(start, nothing, sums, slope, cho_factor(noise, check_finite=False))
    variances, values = prior.variances.copy(), start
    for _ in range(_ROUNDS):
        variances, values = _by_evidence(prior, variances, state)
    state = _State(values, nothing, sums - slope @ values, slope, state.factor)
    return prior.root @ _guarded(prior, variances, state)


def _guarded(prior: Prior, variances: Floats, state: _State) -> Floats:
    """(d,) the directions' values, shortened as the module says: the columns' part, then the rest."""
    from scipy.linalg import cho_solve, solve_triangular

    columns, rest = slice(0, prior.telling), slice(prior.telling, len(state.values))
    triangle, lower = state.factor
    answer = state.residual + state.slope @ state.values
    white = solve_triangular(
        triangle,
        np.column_stack([state.slope, answer]),
        trans=0 if lower else 1,
        lower=lower,
        check_finite=False,
    )
    units = np.asarray(np.sqrt(variances[prior.blocks]), dtype=np.float64)
    slope = np.asarray(white[:, :-1] * units, dtype=np.float64)
    heard = np.asarray(white[:, -1], dtype=np.float64)
    # what constant and scale can explain is taken out of both sides
    aside, _ = np.linalg.qr(slope[:, rest])
    values = state.values.copy()
    values[columns] *= _safe_part(
        slope[:, columns] - aside @ (aside.T @ slope[:, columns]), heard - aside @ (aside.T @ heard)
    )
    posterior = state.slope.T @ cho_solve(state.factor, state.slope, check_finite=False)
    posterior[np.diag_indices_from(posterior)] += 1.0 / variances[prior.blocks]
    change = posterior[rest, columns] @ (state.values[columns] - values[columns])
    values[rest] += np.linalg.solve(posterior[rest, rest], change)
    values[rest] *= _safe_part(slope[:, rest], heard - white[:, columns] @ values[columns])
    return values


def _safe_part(slope: Floats, heard: Floats) -> float:
    """c of the module's text, between 0 and 1.

    Args:
        slope: (answers, directions) whitened, in units of the prior; heard: (answers,) r.
    """
    if not slope.size:
        return 0.0
    power, vectors = np.linalg.eigh(slope @ slope.T)
    power = np.maximum(power, 0.0)
    signal, kept = np.square(vectors.T @ heard), power / (1 + power)
    size = float(signal @ np.square(kept))
    if size <= 0:
        return 0.0
    by_noise = float(np.square(kept).sum())
    doubt = np.sqrt(2 * by_noise + _MEAN_SHARE * 4 * max(size - by_noise, 0.0))
    return float(np.clip(2 * (signal @ kept - kept.sum() - _SURE * doubt) / size, 0.0, 1.0))


def _mode(
    terms: Terms, prior: Prior, variances: Floats, start: Floats, heard: Heard, values: Floats
) -> _State:
    from scipy.linalg import cho_factor, cho_solve

    precision = 1.0 / variances[prior.blocks]
    sampled_weights = terms.sampled(heard.weights)

    def at(point: Floats) -> tuple[Floats, Floats]:
        score = start + terms.combine(prior.root @ point)
        chances = 1.0 / (1.0 + np.exp(-np.clip(score, -30, 30)))
        return chances, heard.sums - heard.mix.T @ terms.totals(heard.weights * chances)

    chances, residual = at(values)
    slope, factor = np.zeros((0, 0)), None
    for _ in range(_STEPS):
        spread: Floats = np.maximum(terms.sampled(chances * (1 - chances)), 1e-3)
        covariance = heard.mix.T @ terms.cross(sampled_weights**2 * spread) @ heard.mix
        covariance[np.diag_indices_from(covariance)] += heard.deviation**2
        factor = cho_factor(covariance, check_finite=False)
        slope = heard.mix.T @ terms.cross(sampled_weights * spread) @ prior.root
        ahead = cho_solve(factor, slope, check_finite=False)
        curvature = slope.T @ ahead
        curvature[np.diag_indices_from(curvature)] += precision
        step = np.linalg.solve(curvature, ahead.T @ residual - precision * values)

        def loss(point: Floats, off: Floats, factor: Any = factor) -> float:
            return float(off @ cho_solve(factor, off, check_finite=False) + precision @ np.square(point))

        before, length = loss(values, residual), 1.0
        while True:
            tried = values + length * step
            new_chances, new_residual = at(tried)
            if loss(tried, new_residual) <= before + 1e-9 or length < 0.02:
                break
            length /= 2
        moved = terms.combine(prior.root @ (length * step))
        values, chances, residual = tried, new_chances, new_residual
        if float(np.sqrt(np.mean(np.square(moved)))) < _SMALL_STEP:
            break
    return _State(values, chances, residual, slope, factor)


def _by_evidence(prior: Prior, variances: Floats, state: _State) -> tuple[Floats, Floats]:
    """Better variances of the blocks, and the mode of the linearised model under them."""
    from scipy.linalg import cho_solve

    ahead = cho_solve(state.factor, state.slope, check_finite=False)
    precision, pull = state.slope.T @ ahead, ahead.T @ (state.residual + state.slope @ state.values)
    count = np.bincount(prior.blocks, minlength=len(variances))
    values = state.values
    for _ in range(_EM_STEPS):
        curvature = precision.copy()
        curvature[np.diag_indices_from(curvature)] += 1.0 / variances[prior.blocks]
        covariance = np.linalg.inv(curvature)
        values = covariance @ pull
        power = np.square(values) + np.diagonal(covariance)
        energy = np.bincount(prior.blocks, weights=power, minlength=len(variances))
        variances = (energy + _HELD * prior.variances) / (count + _HELD)
    return variances, values
