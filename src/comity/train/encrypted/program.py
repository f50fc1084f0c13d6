"""The program that the compute parties run on shares: a JAX function, compiled to SPU's own language.

Two things are shared of a table A = [X, 1] with labels y: its rows, and the products A^T A and A^T y over
the number of rows (each provider forms its own and shares them; sums over providers are sums of shares). From
the products come, all on shares, means and deviations of the numeric columns (standardisation), and the
inverse of a bound on the Hessian: A^T A / 4 for logistic regression (Boehning and Lindsay 1988), the Hessian
itself for linear. The inverse is found by Newton's iteration (Schulz 1933) from below, so that stopping early
only makes steps shorter. Then come `steps` accelerated steps over batches of rows, whose later half is
averaged; linear regression needs no rows.

Nothing of X is ever multiplied by anything but weights and residuals: the standardisation is folded into the
weights, because elementwise products of a whole table are what costs bytes.

The logistic function is a polynomial of degree 9 on [-6, 6], held at its ends outside: at most 0.0037 off,
and within 0 and 1. Half the bytes of SPU's own, which goes by an exponential and a reciprocal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from comity.errors import MissingExtra
from comity.train.encrypted.noisy import noisy_descent
from comity.train.encrypted.settings import Kind, Partition, Training

SIGMOID_RANGE: Final = 6.0
SIGMOID: Final = (1.45481, -3.30262, 5.53485, -4.83561, 1.64781)
"""Of t, t^3, ... t^9 with t = x / 6: least squares in Chebyshev's measure, rounded."""

INVERSIONS: Final = 14
FLOOR: Final = 2.0**-13
"""Added to the Hessian's diagonal, per row: levels that hardly occur take shorter steps."""

VARIANCE_FLOOR: Final = 2.0**-14

ROWS, LABELS, PRODUCTS, MOMENTS = "rows", "labels", "products", "moments"
NOISE = "noise"
MODEL, ASKED, SCORES = "model", "asked", "scores"


@dataclass(frozen=True)
class Compiled:
    """A program as the engine takes it.

    Attributes:
        code: SPU's own language, as text; the same bytes from the same settings and versions.
        inputs: names and shapes, in order.
        output: its name and shape.
    """

    code: bytes
    inputs: Mapping[str, tuple[int, ...]]
    output: tuple[str, tuple[int, ...]]

    @property
    def digest(self) -> str:
        """SHA-256 of the code and the names that it is run with: what the compute parties agree on."""
        sha = hashlib.sha256()
        for name, shape in (*self.inputs.items(), self.output):
            sha.update(f"{name}{list(shape)}\n".encode())
        sha.update(self.code)
        return sha.hexdigest()


def input_shapes(training: Training) -> dict[str, tuple[int, ...]]:
    """The shared inputs of a training and their shapes, in order."""
    wide = training.columns + 1
    if training.noisy:
        return {ROWS: (training.rows, wide), NOISE: (1 + training.steps, wide)}
    if training.partition is Partition.columns:
        return {ROWS: (training.rows, training.columns), LABELS: (training.rows,)}
    if training.kind is Kind.linear:
        return {PRODUCTS: (wide, wide), MOMENTS: (wide,)}
    return {ROWS: (training.rows, training.columns), LABELS: (training.rows,), PRODUCTS: (wide, wide)}


def compile_training(training: Training) -> Compiled:
    """The program of a training; it makes (columns + 1,) weights of the raw columns, the intercept last."""
    return compiled(function_of(training), input_shapes(training), MODEL)


def function_of(training: Training) -> Callable[..., Any]:
    """The program as a JAX function of the inputs, in order; it runs on plain arrays as well."""
    if training.noisy:
        return noisy_descent(training)
    if training.partition is Partition.columns:
        return _joined(training)
    return _logistic(training) if training.kind is Kind.logistic else _linear(training)


def compile_scores(rows: int, columns: int) -> Compiled:
    """Log odds (or predicted values) of shared rows by a model that stays shared."""

    def scores(x: Any, model: Any) -> Any:
        return x @ model[:-1] + model[-1]

    return compiled(scores, {ASKED: (rows, columns), MODEL: (columns + 1,)}, SCORES)


def compiled(function: Callable[..., Any], inputs: Mapping[str, tuple[int, ...]], output: str) -> Compiled:
    """Compile a JAX function of secret inputs with one output.

    Raises:
        MissingExtra: if JAX or SPU is not installed.
    """
    try:
        import jax
        import numpy as np
        from spu import libspu
        from spu.utils import frontend
    except ImportError:
        raise MissingExtra("training on secret shares", "encrypted") from None
    secret = [libspu.Visibility.VIS_SECRET] * len(inputs)
    shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in inputs.values()]
    executable, made = frontend.compile(
        frontend.Kind.JAX, function, shapes, {}, list(inputs), secret, lambda _outputs: [output]
    )
    code = executable.code
    text = code if isinstance(code, bytes) else str(code).encode()
    return Compiled(text, dict(inputs), (output, tuple(made.shape)))


def sigmoid(x: Any) -> Any:
    """The polynomial in place of the logistic function; of shares, or of any array."""
    import jax.numpy as jnp

    t = jnp.clip(x * (1 / SIGMOID_RANGE), -1.0, 1.0)
    square = t * t
    value = SIGMOID[-1]
    for coefficient in reversed(SIGMOID[:-1]):
        value = value * square + coefficient
    return value * t + 0.5


def _standardised(products: Any, training: Training) -> tuple[Any, Any]:
    """The matrix T with Z = A T (numeric columns centred and scaled), and T^T (A^T A / n) T."""
    import jax.numpy as jnp

    wide, numeric = training.columns + 1, training.numeric
    if not numeric:
        return jnp.eye(wide), products
    means = products[:numeric, -1]
    variances = jnp.diagonal(products)[:numeric] - means * means
    inverse = _inverse_root(jnp.maximum(variances, VARIANCE_FLOOR))
    scales = jnp.concatenate([inverse, jnp.ones(wide - numeric)])
    shifts = jnp.concatenate([-means * inverse, jnp.zeros(wide - numeric)])
    transform = jnp.eye(wide) * scales + jnp.zeros((wide, wide)).at[-1].set(1.0) * shifts
    return transform, transform.T @ products @ transform


def _inverse_root(values: Any) -> Any:
    """1 / sqrt of numbers from 2^-14 on: the engine's own, and one step of Newton's method after it."""
    import jax

    rough = jax.lax.rsqrt(values)
    return rough * (1.5 - 0.5 * values * rough * rough)


def _preconditioner(hessian: Any, wide: int) -> Any:
    """Close to the inverse of a positive matrix, from below: D (D H D)^-1 D with D = diag(H)^(-1/2)."""
    import jax
    import jax.numpy as jnp

    scale = _inverse_root(jnp.diagonal(hessian))
    unit = hessian * scale[:, None] * scale[None, :]
    bound = jnp.max(jnp.sum(jnp.abs(unit), axis=1))
    start = jnp.eye(wide) * (1.0 / bound)

    def newton(_at: Any, inverse: Any) -> Any:
        return inverse @ (2.0 * jnp.eye(wide) - unit @ inverse)

    inverse = jax.lax.fori_loop(0, INVERSIONS, newton, start)
    return inverse * scale[:, None] * scale[None, :]


def _ridge(training: Training) -> Any:
    """(columns + 1,) the ridge per row; 0 for the intercept."""
    import jax.numpy as jnp

    return jnp.concatenate([jnp.full(training.columns, training.ridge / training.rows), jnp.zeros(1)])


def _accelerated(step: Callable[[Any, Any], Any], training: Training) -> Any:
    """(columns + 1,) weights from zero: `steps` steps with momentum, the later half's weights averaged.

    The average takes out what the choice of batches adds (Polyak and Juditsky 1992).
    """
    import jax
    import jax.numpy as jnp

    momenta = jnp.array(momentum_of(training), dtype=jnp.float32)
    shares = jnp.array(average_of(training), dtype=jnp.float32)

    def body(at: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        here, before, mean = state
        after = step(at, here + momenta[at] * (here - before))
        return after, here, mean + shares[at] * after

    zero = jnp.zeros(training.columns + 1)
    return jax.lax.fori_loop(0, training.steps, body, (zero, zero, zero))[2]


def momentum_of(training: Training) -> list[float]:
    """(steps,) the momentum of each step: it grows to its full size in the first ones."""
    return [min(training.momentum, at / (at + 3)) for at in range(training.steps)]


def average_of(training: Training) -> list[float]:
    """(steps,) the share of each step's weights in the result."""
    later = training.steps - training.steps // 2
    return [1 / later if at >= training.steps // 2 else 0.0 for at in range(training.steps)]


def _batch(at: Any, rows: Any, labels: Any, training: Training) -> tuple[Any, Any]:
    import jax

    start = (at % training.batches) * training.batch_rows
    return (
        jax.lax.dynamic_slice_in_dim(rows, start, training.batch_rows),
        jax.lax.dynamic_slice_in_dim(labels, start, training.batch_rows),
    )


def _descent(training: Training, rows: Any, labels: Any, products: Any) -> Any:
    """(columns + 1,) weights of the raw columns, by accelerated steps over batches."""
    import jax.numpy as jnp

    logistic = training.kind is Kind.logistic
    transform, standard = _standardised(products, training)
    ridge = _ridge(training)
    wide = training.columns + 1
    bound = standard * (0.25 if logistic else 1.0) + jnp.eye(wide) * (ridge + FLOOR)
    preconditioner = _preconditioner(bound, wide)

    def step(at: Any, weights: Any) -> Any:
        x, y = _batch(at, rows, labels, training)
        raw = transform @ weights
        linear = x @ raw[:-1] + raw[-1]
        residual = (sigmoid(linear) if logistic else linear) - y
        sums = jnp.concatenate([x.T @ residual, jnp.sum(residual)[None]])
        gradient = transform.T @ (sums * (1.0 / training.batch_rows)) + ridge * weights
        return weights - preconditioner @ gradient

    return transform @ _accelerated(step, training)


def _logistic(training: Training) -> Callable[..., Any]:
    def logistic(rows: Any, labels: Any, products: Any) -> Any:
        return _descent(training, rows, labels, products)

    return logistic


def _joined(training: Training) -> Callable[..., Any]:
    """The products of the first batch, formed on shares, stand for those of all rows: to scale and steer."""

    def joined(rows: Any, labels: Any) -> Any:
        import jax.numpy as jnp

        some = training.batch_rows
        first = jnp.concatenate([rows[:some], jnp.ones((some, 1))], axis=1)
        products = (first.T @ first) * (1.0 / some)
        return _descent(training, rows, labels, products)

    return joined


def _linear(training: Training) -> Callable[..., Any]:
    def linear(products: Any, moments: Any) -> Any:
        import jax.numpy as jnp

        transform, standard = _standardised(products, training)
        ridge = _ridge(training)
        wide = training.columns + 1
        preconditioner = _preconditioner(standard + jnp.eye(wide) * (ridge + FLOOR), wide)
        target = transform.T @ moments

        def step(_at: Any, weights: Any) -> Any:
            return weights - preconditioner @ (standard @ weights + ridge * weights - target)

        return transform @ _accelerated(step, training)

    return linear
