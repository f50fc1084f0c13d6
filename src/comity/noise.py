"""All noise for differential privacy, on an integer grid; nothing else draws it.

Integers in, integers out. Floats never carry noise, so no rounding of the last bit tells a value
(Mironov 2012). Up to `OPENDP_DRAWS` draws come from OpenDP's core; above that an own vectorised sampler of
the same exact distributions (Canonne, Kamath and Steinke 2020, algorithms 1 to 3) draws from the operating
system's randomness. Its comparisons are exact: a uniform number is compared with an interval that holds
the true probability, and bits are added until it lies outside (the 60-digit path, once in about 2^38 draws).

What is guaranteed. Discrete Gaussian noise of scale sigma on integers of L2 sensitivity D has the Renyi
curve alpha D^2 / (2 sigma^2) of the continuous one. For (epsilon, delta) the analytic Gaussian mechanism
(Balle and Wang 2018) is tighter than that curve but speaks of continuous noise: rounding continuous noise
to whole numbers is post-processing of it, and the discrete Gaussian lies within `total_variation(sigma)`
per coordinate of the rounded one. So d coordinates are (epsilon, delta + delta')-private with
delta' = d (1 + e^epsilon) total_variation(sigma), which `discretisation_delta` states and callers add to
what they charge. At sigma = 2^20 and d = 1,000 delta' is below 1e-10 for epsilon = 1.

The sampler's running time depends on noise and sigma, never on the values.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

OPENDP_DRAWS: Final = 100_000
"""Up to this many draws come from OpenDP (about 14 microseconds each)."""

LARGEST: Final = 2**62
"""Sums and their noise stay below this in magnitude, so that no 64-bit integer wraps."""

_LARGEST_SCALE: Final = 2.0**55

_TAIL: Final = 40.0
"""Noise beyond this many scales has probability below e^-40 (Laplace) or e^-800 (Gaussian)."""

_OPENDP = threading.Lock()
_BLOCK: Final = 1 << 16


def add_discrete_gaussian(values: Integers, sigma: float) -> Integers:
    """Add independent discrete Gaussian noise, probability proportional to exp(-x^2 / (2 sigma^2)).

    Args:
        values: any shape, int64, in grid units.
        sigma: scale in grid units, above 0 and below 2^55.

    Raises:
        UsageError: for other dtypes or scales, or if the sum could leave the 64-bit range.
    """
    checked = _checked(values, sigma)
    if checked.size <= OPENDP_DRAWS:
        return _by_opendp("gaussian", checked, sigma)
    return checked + discrete_gaussian(checked.size, sigma).reshape(checked.shape)


def add_discrete_laplace(values: Integers, scale: float) -> Integers:
    """Add independent discrete Laplace noise, probability proportional to exp(-|x| / scale).

    Args:
        values: any shape, int64, in grid units.
        scale: in grid units (L1 sensitivity / epsilon), above 0 and below 2^55.

    Raises:
        UsageError: as `add_discrete_gaussian`.
    """
    checked = _checked(values, scale)
    if checked.size <= OPENDP_DRAWS:
        return _by_opendp("laplace", checked, scale)
    return checked + discrete_laplace(checked.size, scale).reshape(checked.shape)


def total_variation(sigma: float) -> float:
    """Upper bound on the total variation between the discrete Gaussian and a rounded continuous one.

    Both are compared with the density f at whole numbers. Rounding: |integral over a unit interval - f| is at
    most sup|f''|/24 there, and the suprema sum to at most the integral of |f''|, 4 e^(-1/2) / (sqrt(2 pi)
    sigma^2), plus the total variation of f'', (8 e^(-3/2) + 2) / (sqrt(2 pi) sigma^3). Normalising: by
    Poisson summation the densities sum to 1 + 2 sum_m exp(-2 pi^2 sigma^2 m^2).
    """
    if not sigma >= 1:
        return 1.0
    root = math.sqrt(2 * math.pi)
    rounding = (4 * math.exp(-0.5) / sigma**2 + (8 * math.exp(-1.5) + 2) / sigma**3) / (24 * root)
    normalising = 2.01 * math.exp(-2 * math.pi**2 * sigma**2)
    return min(1.0, (rounding + normalising) / 2 * (1 + 1e-12))


def discretisation_delta(sigma: float, dimensions: int, epsilon: float) -> float:
    """What is added to the analytic Gaussian's delta for noise on the grid.

    Moving both neighbours' distributions by at most t in total variation moves delta by (1 + e^epsilon) t,
    and t is at most `dimensions` times one coordinate's.

    Args:
        sigma: noise scale in grid units.
        dimensions: how many integers are released together.
        epsilon: of the guarantee, in nats.
    """
    if dimensions < 0 or not epsilon >= 0:
        raise UsageError(
            f"dimensions and epsilon must be 0 or more, not {dimensions} and {epsilon}: this is a plan's slip"
        )
    if epsilon > 700:
        return 1.0
    return min(1.0, dimensions * (1 + math.exp(epsilon)) * total_variation(sigma) * (1 + 1e-12))


def require_room(largest_sum: float, scale: float) -> None:
    """Refuse a release whose sum plus noise could leave the range of 64-bit integers.

    Args:
        largest_sum: bound on the magnitude of every sum, in grid units; a public fact.
        scale: noise scale in grid units.

    Raises:
        UsageError: if largest_sum + 40 scale reaches 2^62, or the scale itself 2^55.
    """
    if not (largest_sum + _TAIL * scale < LARGEST and scale < _LARGEST_SCALE):
        raise UsageError(
            f"a sum of up to {largest_sum:.3g} plus noise of scale {scale:.3g} does not fit into "
            "64-bit integers; ask for a larger epsilon, for sums of fewer or smaller values, or use "
            "a coarser grid"
        )


def sample(n: int, probability: float | Fraction) -> NDArray[np.bool_]:
    """(n,) booleans: whether a row is kept, each independently and with exactly that probability.

    A float stands for its exact binary value. 64 random bits decide, and 64 more where the first equal the
    probability's own: the probability that holds lies within 2^-128 of the one asked for.
    """
    if n < 0 or not 0 <= probability <= 1:
        raise UsageError(f"rows are sampled with a probability from 0 to 1, not {probability} (of {n} rows)")
    whole, rest = divmod(Fraction(probability) * 2**64, 1)
    if whole == 2**64:
        return np.ones(n, dtype=np.bool_)
    words = _words(n)
    kept = words < np.uint64(whole)
    tied = np.flatnonzero(words == np.uint64(whole))
    kept[tied] = _words(len(tied)) < np.uint64(rest * 2**64)
    return kept


def permutation(n: int) -> Integers:
    """(n,) the numbers 0 to n - 1, every order equally likely: that of n random words, if all differ."""
    if n < 0:
        raise UsageError(f"a permutation has 0 places or more, not {n}")
    while True:
        words = _words(n)
        order = np.argsort(words, kind="stable")
        if bool(np.all(np.diff(words[order]) > 0)):
            return order.astype(np.int64, copy=False)


def answers(codes: Integers, weights: Integers) -> Integers:
    """(n,) codes drawn for (n,) codes: y for x with probability exactly weights[x, y] / 2^62.

    Raises:
        UsageError: for (k, m) weights below 0 or rows with another sum.
    """
    if weights.ndim != 2 or bool((weights < 0).any()) or any(sum(row) != LARGEST for row in weights.tolist()):
        raise UsageError("every row of weights sums to 2^62 and holds no negative number")
    drawn = uniform_below(LARGEST, len(codes))
    for code in range(len(weights)):
        here = np.flatnonzero(codes == code)
        drawn[here] = np.searchsorted(np.cumsum(weights[code]), drawn[here], side="right")
    return drawn


def discrete_gaussian(count: int, sigma: float) -> Integers:
    """(count,) draws of the own sampler: discrete Laplace draws, thinned (CKS 2020, algorithm 3)."""
    width = math.floor(sigma) + 1
    variance = Fraction(sigma) ** 2
    kept: list[Integers] = []
    missing = count
    while missing > 0:
        block = min(_BLOCK, int(missing * 1.5) + 64)
        drawn = discrete_laplace(block, float(width)) if width < 2**53 else _laplace(block, width, 1)
        # gamma = (|y| - sigma^2/width)^2 / (2 sigma^2); Laplace draws have scale `width`
        shift = float(variance / width)
        # the difference is known to 2^-50 of its larger term
        size = np.abs(drawn).astype(np.float64)
        gap = np.abs(size - shift)
        slip = (size + shift) * 2.0**-50
        low = np.square(np.maximum(gap - slip, 0.0)) / (2 * sigma**2) * (1 - 2.0**-48)
        high = np.square(gap + slip) / (2 * sigma**2) * (1 + 2.0**-48)

        def exact(at: int, drawn: Integers = drawn) -> Fraction:
            return (abs(int(drawn[at])) - variance / width) ** 2 / (2 * variance)

        accepted = drawn[bernoulli_exp(low, high, exact)][:missing]
        kept.append(accepted)
        missing -= len(accepted)
    return np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)


def discrete_laplace(count: int, scale: float) -> Integers:
    """(count,) draws of the own sampler with probability proportional to exp(-|x| / scale)."""
    ratio = Fraction(scale)
    return _laplace(count, ratio.numerator, ratio.denominator)


def _laplace(count: int, top: int, bottom: int) -> Integers:
    """Discrete Laplace of scale top / bottom (CKS 2020, algorithm 2)."""
    if top >= 2**55 or bottom >= 2**55:
        raise UsageError("the noise scale is too large or too fine for 64-bit integers; use another grid")
    kept: list[Integers] = []
    missing = count
    while missing > 0:
        block = min(_BLOCK, int(missing * 1.8) + 64)
        rest = uniform_below(top, block)
        ratio = rest.astype(np.float64) / top

        def exact(at: int, rest: Integers = rest) -> Fraction:
            return Fraction(int(rest[at]), top)

        rest = rest[bernoulli_exp(ratio * (1 - 2.0**-50), ratio * (1 + 2.0**-50), exact)]
        whole = _geometric(len(rest))
        # whole stays far below 2^7 (probability e^-128 otherwise), so this fits
        size = (rest + top * whole) // bottom
        negative = _bits(len(size))
        valid = ~(negative & (size == 0))
        drawn = np.where(negative, -size, size)[valid][:missing]
        kept.append(drawn)
        missing -= len(drawn)
    return np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)


def _geometric(count: int) -> Integers:
    """(count,) numbers of successes of a coin of probability 1/e before its first failure."""
    successes = np.zeros(count, dtype=np.int64)
    going = np.arange(count)
    while len(going):
        one = np.ones(len(going))
        going = going[bernoulli_exp(one, one, _one)]
        successes[going] += 1
    return successes


def _one(_at: int) -> Fraction:
    return Fraction(1)


def bernoulli_exp(low: Floats, high: Floats, exact: Callable[[int], Fraction]) -> NDArray[np.bool_]:
    """Coins of probability exp(-gamma), exactly, where low <= gamma <= high.

    `exact(i)` gives coin i's gamma as a fraction; it is asked only where 53 random bits do not decide.
    """
    bits = _words(len(low)) >> np.uint64(11)
    uniform = bits.astype(np.float64) * 2.0**-53  # exact; the true uniform lies in [uniform, uniform + 2^-53)
    # the library's exp is good to a few units in the last place: 2^-46 is a wide margin
    surely = uniform + 2.0**-53 <= np.exp(-high) * (1 - 2.0**-46)
    surely_not = uniform >= np.exp(-low) * (1 + 2.0**-46) + 2.0**-1000
    result = surely.copy()
    for at in np.flatnonzero(~surely & ~surely_not).tolist():
        result[at] = _exact_coin(int(bits[at]), exact(at))
    return result


def _exact_coin(prefix: int, gamma: Fraction) -> bool:
    """Whether the uniform number with these first 53 bits lies below exp(-gamma); adds bits until sure."""
    length, digits = 53, 60
    while True:
        more = 64
        prefix = (prefix << more) | int.from_bytes(os.urandom(more // 8), "big")
        length += more
        with localcontext(Context(prec=digits, Emin=-(10**12), Emax=10**12)):
            power = (-Decimal(gamma.numerator) / Decimal(gamma.denominator)).exp()
            slip = (
                power
                * (abs(Decimal(gamma.numerator) / Decimal(gamma.denominator)) + 2)
                * Decimal(10) ** (2 - digits)
            )
            low, high = Fraction(power - slip), Fraction(power + slip)
        if Fraction(prefix + 1, 1 << length) <= low:
            return True
        if Fraction(prefix, 1 << length) >= high:
            return False
        digits += 30


def uniform_below(limit: int, count: int) -> Integers:
    """(count,) uniform whole numbers in [0, limit), by rejection; limit from 1 to 2^62."""
    if not 1 <= limit <= LARGEST:
        raise UsageError(f"uniform numbers lie below a limit from 1 to 2^62, not {limit}")
    if limit == 1:
        return np.zeros(count, dtype=np.int64)
    shift = np.uint64(64 - (limit - 1).bit_length())
    drawn = np.zeros(count, dtype=np.int64)
    open_places = np.arange(count)
    while len(open_places):
        candidates = (_words(len(open_places)) >> shift).astype(np.int64)
        fits = candidates < limit
        drawn[open_places[fits]] = candidates[fits]
        open_places = open_places[~fits]
    return drawn


def _words(count: int) -> NDArray[np.uint64]:
    return np.frombuffer(os.urandom(8 * count), dtype=np.uint64)


def _bits(count: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(os.urandom((count + 7) // 8), dtype=np.uint8)
    return np.unpackbits(packed)[:count].astype(np.bool_)


def _by_opendp(law: str, values: Integers, scale: float) -> Integers:
    """OpenDP's sampler; a lock, since its objects refuse a second thread."""
    if values.size == 0:
        return values.copy()
    with _OPENDP:
        domains, metrics = import_module("opendp.domains"), import_module("opendp.metrics")
        measurements = import_module("opendp.measurements")
        import_module("opendp.mod").enable_features("contrib")
        domain = domains.vector_domain(domains.atom_domain(T="i64"))
        if law == "gaussian":
            measurement = measurements.make_gaussian(domain, metrics.l2_distance(T="i64"), scale=scale)
        else:
            measurement = measurements.make_laplace(domain, metrics.l1_distance(T="i64"), scale=scale)
        noisy: list[int] = measurement(values.ravel().tolist())
    return np.array(noisy, dtype=np.int64).reshape(values.shape)


def _checked(values: Any, scale: float) -> Integers:
    array = np.asarray(values)
    if array.dtype != np.int64:
        raise UsageError(f"noise is added to int64 arrays, not to {array.dtype}")
    if not (math.isfinite(scale) and 0 < scale < _LARGEST_SCALE):
        raise UsageError(f"a noise scale must lie between 0 and 2^55 grid units, not {scale}")
    largest = max(abs(int(array.max())), abs(int(array.min()))) if array.size else 0
    if largest + _TAIL * scale >= LARGEST:
        # the text names no value: how large the sums are is private
        raise UsageError(
            f"a value plus noise of scale {scale:.3g} may leave the 64-bit range; use a coarser grid",
            private=True,
        )
    return array
