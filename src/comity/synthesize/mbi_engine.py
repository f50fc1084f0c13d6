"""The model fitted by `mbi` (McKenna's private-PGM on JAX): the slow twin of `comity.synthesize.model`.

`mbi` compiles its loop anew for every set of marginals, some 5 s of CPU each for a table like Adult's, so the
choosing of marginals does not use it. It can fit the last model: `synthesize(..., engine="mbi")`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from comity.errors import MissingExtra
from comity.synthesize.graph import junction_tree
from comity.synthesize.model import Measured, Model, potentials_of

STEPS = 1000


def fit_by_mbi(
    sizes: Sequence[int], measured: Sequence[Measured], *, total: float, steps: int = STEPS
) -> Model:
    """As `model.fit`, by mbi's mirror descent in double precision.

    JAX takes 64-bit numbers in this thread and within this call only: other code that uses JAX in this
    process keeps its own setting.

    Raises:
        MissingExtra: if mbi is not installed.
    """
    mbi, enable_x64 = _loaded()
    given = tuple(int(size) for size in sizes)
    tree = junction_tree(given, [one.columns for one in measured])
    names = [f"c{at}" for at in range(len(given))]
    with enable_x64():
        found = mbi.estimation.mirror_descent(
            mbi.Domain(names, given),
            [_linear(mbi, one, names) for one in measured],
            known_total=total,
            iters=steps,
        )
        beliefs = tuple(
            np.array(found.project([names[at] for at in clique]).datavector(flatten=False), dtype=np.float64)
            for clique in tree.cliques
        )
    return Model(given, total, tree, tuple(potentials_of(tree, beliefs)), beliefs)


def _loaded() -> tuple[Any, Any]:
    """mbi and JAX's switch for one thread. Loading mbi turns 64-bit numbers on for the whole process; that is
    put back, since it would change what other users of JAX compute (and what they compiled before)."""
    try:
        import jax

        before = bool(jax.config.read("jax_enable_x64"))
        import mbi
        from jax.experimental import enable_x64
    except ImportError:
        raise MissingExtra("fitting by mbi", "synthetic") from None
    jax.config.update("jax_enable_x64", before)
    return mbi, enable_x64


def _linear(mbi: Any, one: Measured, names: Sequence[str]) -> Any:
    """A measurement in mbi's form; noise that differs by count is scaled to 1."""
    columns = tuple(names[at] for at in one.columns)
    if np.ndim(one.deviations) == 0:
        return mbi.LinearMeasurement(one.values.ravel(), columns, float(np.asarray(one.deviations)))
    scale = np.ravel(one.deviations)
    return mbi.LinearMeasurement(np.ravel(one.values) / scale, columns, 1.0, _scaled(scale))


def _scaled(scale: Any) -> Callable[[Any], Any]:
    return lambda factor: factor.datavector() / scale
