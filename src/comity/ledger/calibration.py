"""How much Gaussian noise an (epsilon, delta) takes, exactly: the analytic Gaussian mechanism.

Balle and Wang 2018, Theorem 8. With mu = 1 / noise multiplier, a = epsilon/mu - mu/2, b = epsilon/mu + mu/2,

    delta(epsilon) = Phi(-a) - exp(epsilon) Phi(-b) = phi(a) (R(a) - R(b)),

R(x) = Phi(-x)/phi(x) being Mills' ratio. The second form has no overflow, and what the subtraction loses is
bounded by (1 + b)/mu roundings; results are moved by more than that towards more noise. A noise multiplier
is the standard deviation divided by the L2 sensitivity. For discrete noise on a fine grid see `comity.noise`.
"""

from __future__ import annotations

import math
import sys

from comity.errors import UsageError

_ROUNDING = 16 * sys.float_info.epsilon
_SMALLEST_MULTIPLIER, _LARGEST_MULTIPLIER = 1e-6, 1e12
_LARGEST_EPSILON = 1e13


def gaussian_delta(noise_multiplier: float, epsilon: float) -> float:
    """The least delta for which Gaussian noise of this multiplier is (epsilon, delta)-private, rounded up.

    Raises:
        UsageError: unless noise_multiplier > 0 and epsilon >= 0, both finite.
    """
    _check(noise_multiplier, "a noise multiplier", above=0.0)
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise UsageError(f"epsilon must be 0 or more and finite, not {epsilon}")
    mu = 1.0 / noise_multiplier
    a, b = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    from scipy.special import erfcx, ndtr  # pyright: ignore[reportMissingTypeStubs]

    density = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    near_b = math.sqrt(math.pi / 2) * float(erfcx(b / math.sqrt(2)))
    if a > -5:
        near_a = math.sqrt(math.pi / 2) * float(erfcx(a / math.sqrt(2)))
        delta = density * (near_a - near_b)
    else:
        delta = float(ndtr(-a)) - density * near_b
    # exp(-a^2/2) carries the rounding of a, a^2 times over
    loss = _ROUNDING * (4 + (1 + b) / mu + a * a)
    return min(1.0, max(delta, 0.0) * (1 + loss) + sys.float_info.min)


def gaussian_noise_multiplier(epsilon: float, delta: float) -> float:
    """The least noise multiplier for which Gaussian noise is (epsilon, delta)-private, rounded up.

    Raises:
        UsageError: unless epsilon >= 0 is finite and 0 < delta < 1 (delta 0 takes another mechanism), or if
            the multiplier would pass 1e12.
    """
    _check(delta, "delta", above=0.0, below=1.0)
    low, high = _SMALLEST_MULTIPLIER, 1.0
    while gaussian_delta(high, epsilon) > delta:
        low, high = high, 2 * high
        if high > _LARGEST_MULTIPLIER:
            raise UsageError(
                f"no usable noise gives epsilon {epsilon:g} at delta {delta:g}: raise one of them"
            )
    while high - low > 1e-14 * high:
        middle = math.sqrt(low * high)
        if not low < middle < high:
            break
        if gaussian_delta(middle, epsilon) > delta:
            low = middle
        else:
            high = middle
    return high


def epsilon_of(noise_multiplier: float, delta: float) -> float:
    """The least epsilon for which Gaussian noise of this multiplier is (epsilon, delta)-private, rounded up.

    Raises:
        UsageError: unless noise_multiplier > 0 and 0 < delta < 1.
    """
    _check(noise_multiplier, "a noise multiplier", above=0.0)
    _check(delta, "delta", above=0.0, below=1.0)
    if gaussian_delta(noise_multiplier, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gaussian_delta(noise_multiplier, high) > delta:
        low, high = high, 2 * high
        if high > _LARGEST_EPSILON:
            raise UsageError(f"a noise multiplier of {noise_multiplier:g} is no protection: use more noise")
    while high - low > 1e-14 * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if gaussian_delta(noise_multiplier, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def _check(value: float, what: str, *, above: float, below: float = math.inf) -> None:
    if not (math.isfinite(value) and above < value < below):
        limit = f" and below {below:g}" if math.isfinite(below) else ""
        raise UsageError(f"{what} must be above {above:g}{limit}, not {value}")
