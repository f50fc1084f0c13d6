"""Per-record clipped gradients as integers, summed without noise: what one record adds is bounded exactly.

Pure functions, of one holder's records alone, for private training here and for federated training: first
constrain the sensitivity (this module), then add noise (`comity.mechanism`), never both at once. Neighbours
differ in one record that is there or not (add-remove); of a person with up to k records, k times as much.
What these functions give back is exact: it stays with the holder.

The loss. A record with score s (log odds) and label y moves the sum by r(s, y) x, r between -1 and 1:
r = -min(1, e^-s) for y = 1 and min(1, e^s) for y = 0. Like the logistic loss's p - y its expectation is 0
where s is the true log odds, so the loss is proper, and it is convex. But at log odds of chance p its slope
is min(p, 1 - p) instead of p (1 - p): with |r| <= 1 as before, the same noise moves the solution less, by
1/(1 - p) for p below a half. Noise, not sampling, is what private training loses most to.

Rows are one-hot: a record is one code per block, block b weighs `weights[b]`. Its row's norm is the same for
every record, and its part of the sum is at most `Blocks.l2`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.noise_grid import Grid, norm_bounds

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

RESIDUAL_BITS: Final = 20
"""Residuals are whole numbers of 2^-20."""

_RESIDUALS: Final = Grid(RESIDUAL_BITS)


@dataclass(frozen=True)
class Blocks:
    """One-hot rows: block b has `widths[b]` codes and weighs `weights[b]`, a whole number. Public facts."""

    widths: tuple[int, ...]
    weights: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.weights) or not self.widths:
            raise UsageError("blocks have one width and one weight each, and there is at least one")
        if min(self.widths) < 1 or min(self.weights) < 1:
            raise UsageError("widths and weights of blocks are whole numbers of 1 or more")

    @property
    def dimensions(self) -> int:
        return sum(self.widths)

    @cached_property
    def offsets(self) -> Integers:
        """(blocks + 1,) where each block starts."""
        return np.concatenate([[0], np.cumsum(self.widths)]).astype(np.int64)

    @property
    def norm(self) -> float:
        """Every row's L2 norm, in weight units."""
        return math.sqrt(sum(weight * weight for weight in self.weights))

    @property
    def l2(self) -> int:
        """How far one record moves `clipped_gradient_sum`, at most: |r| times the row's norm, rounded up."""
        squared = sum(weight * weight for weight in self.weights) << (2 * RESIDUAL_BITS)
        root = math.isqrt(squared)
        return root if root * root == squared else root + 1

    @property
    def most(self) -> int:
        """How much one record adds to one sum, at most."""
        return max(self.weights) << RESIDUAL_BITS


def residuals(scores: Floats, positive: NDArray[np.bool_]) -> Integers:
    """(n,) residuals in units of 2^-20, each from -2^20 to 2^20 and from its own record alone.

    Args:
        scores: (n,) log odds; NaN counts as 0.
        positive: (n,) whether the label is the second class.
    """
    sign = np.where(positive, -1.0, 1.0)
    margin = np.nan_to_num(sign * np.asarray(scores, dtype=np.float64), nan=0.0, posinf=0.0, neginf=-800.0)
    sizes: Floats = np.exp(np.clip(margin, -800.0, 0.0))
    return _RESIDUALS.quantise(np.multiply(sign, sizes))


def summed_effects(codes: NDArray[Any], blocks: Blocks, effects: Floats) -> Floats:
    """(n,) log odds of records, the sum of their codes' effects.

    Args:
        codes: (n, blocks).
        blocks: the rows' shape.
        effects: (dimensions,) what each code adds.
    """
    total = np.zeros(len(codes))
    for at, start in enumerate(blocks.offsets[:-1].tolist()):
        total += effects[start : start + blocks.widths[at]][codes[:, at]]
    return total


def clipped_gradients(codes: NDArray[Any], blocks: Blocks, residual: Integers) -> Integers:
    """(n, dimensions) what each record adds to `clipped_gradient_sum`: for who attacks the sums."""
    held = np.clip(residual, -(1 << RESIDUAL_BITS), 1 << RESIDUAL_BITS)
    rows = np.zeros((len(codes), blocks.dimensions), dtype=np.int64)
    for at, (start, weight) in enumerate(zip(blocks.offsets[:-1].tolist(), blocks.weights, strict=True)):
        rows[np.arange(len(codes)), start + codes[:, at].astype(np.int64)] = weight * held
    return rows


def clipped_gradient_sum(codes: NDArray[Any], blocks: Blocks, residual: Integers) -> Integers:
    """(dimensions,) sum over records of residual times one-hot row; no noise.

    One record moves it by at most `blocks.l2` in L2, and each sum by at most `blocks.most`.

    Args:
        codes: (n, blocks) whole numbers, each from 0 to its block's width - 1.
        blocks: the rows' shape.
        residual: (n,) as `residuals` gives them; beyond +-2^20 they are held there.

    Raises:
        UsageError: for codes or residuals of another shape.
    """
    if codes.shape != (len(residual), len(blocks.widths)):
        raise UsageError(f"there are {len(residual)} residuals and {len(blocks.widths)} blocks: codes differ")
    held = np.clip(residual, -(1 << RESIDUAL_BITS), 1 << RESIDUAL_BITS)
    total = np.zeros(blocks.dimensions, dtype=np.int64)
    for at, (start, width, weight) in enumerate(
        zip(blocks.offsets[:-1].tolist(), blocks.widths, blocks.weights, strict=True)
    ):
        total[start : start + width] = weight * summed_by_code(codes[:, at], held, width)
    return total


def summed_by_code(codes: NDArray[Any], values: Integers, width: int) -> Integers:
    """(width,) exact sum of the values of each code.

    Floating point adds whole numbers exactly below 2^53: values up to 2^20 of up to 2^31 records.
    """
    added = np.bincount(codes, weights=values.astype(np.float64), minlength=width)
    if len(added) != width:
        raise UsageError("a code lies beyond its block's width: the encoder and the blocks differ")
    return added.astype(np.int64)


def clipped_sum(gradients: Floats, clip: float, *, bits: int = RESIDUAL_BITS) -> Integers:
    """(d,) sum of any per-record gradients, each clipped to L2 norm `clip` on the integer grid; no noise.

    One record moves it by at most `clipped_l2(clip, bits)`. A gradient that is not finite counts as 0.

    Args:
        gradients: (n, d).
        clip: bound on a record's norm, above 0.
        bits: whole numbers stand for multiples of 2^-bits.
    """
    largest = clipped_l2(clip, bits)
    rows = np.where(np.isfinite(gradients).all(axis=1, keepdims=True), gradients, 0.0)
    # the largest entry first, so that no square overflows
    top = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    with np.errstate(over="ignore"):  # whether there is a warning would tell of single records
        norms = top * np.sqrt(np.square(rows / np.where(top > 0, top, 1.0)).sum(axis=1, keepdims=True))
        shrunk = rows * np.minimum(1.0, clip / np.where(norms > 0, norms, 1.0)) * (1 - 2.0**-40)
    whole = Grid(bits).quantise(shrunk)
    # the bound holds on the integers themselves: a row that roundings left beyond it is left out
    return np.where((norm_bounds(whole) <= largest)[:, None], whole, 0).sum(axis=0)


def clipped_l2(clip: float, bits: int = RESIDUAL_BITS) -> int:
    """How far one record moves `clipped_sum`, at most, in whole numbers of 2^-bits.

    Raises:
        UsageError: for a clip that is not above 0, or too small for the grid.
    """
    if not (math.isfinite(clip) and clip > 0) or math.ldexp(clip, bits) < 1:
        raise UsageError(f"a clipping norm is finite and at least one grid step, not {clip}")
    return math.ceil(math.ldexp(clip, bits))
