"""The model's marginals are those of its joint distribution, and it fits what was measured, as mbi does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.synthesize.graph import Clique, junction_tree
from comity.synthesize.model import Measured, Model, calibrate, fit, project

SIZES = (2, 3, 2, 3, 2)
EVERY: Clique = (0, 1, 2, 3, 4)
SETS = st.lists(
    st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True).map(lambda c: tuple(sorted(c))),
    min_size=1,
    max_size=6,
)


def joint_of(tree_model: Model) -> np.ndarray:
    """The slow twin: the whole table of the joint distribution."""
    joint = np.ones(SIZES)
    for clique, potential in zip(tree_model.tree.cliques, tree_model.potentials, strict=True):
        joint = joint * np.exp(potential).reshape([SIZES[c] if c in clique else 1 for c in EVERY])
    return joint * tree_model.total / joint.sum()


def random_model(marginals: list[Clique], seed: int) -> Model:
    tree = junction_tree(SIZES, marginals)
    draw = np.random.default_rng(seed)
    potentials = [draw.normal(0, 2, [SIZES[c] for c in clique]) for clique in tree.cliques]
    return Model(SIZES, 50.0, tree, tuple(potentials), tuple(calibrate(tree, potentials, 50.0)))


@given(SETS, st.integers(0, 2**20))
@settings(max_examples=60)
def test_messages_give_the_marginals_of_the_joint(marginals: list[Clique], seed: int) -> None:
    model = random_model(marginals, seed)
    joint = joint_of(model)
    for clique, belief in zip(model.tree.cliques, model.beliefs, strict=True):
        assert np.allclose(belief, project(joint, EVERY, clique))
    for marginal in marginals:
        assert np.allclose(model.marginal(marginal), project(joint, EVERY, marginal))
        for clique, found in model.marginals_with(marginal).items():
            together = tuple(sorted(set(marginal) | set(clique)))
            assert np.allclose(found, project(joint, EVERY, together))


@given(SETS, st.integers(0, 2**20))
@settings(max_examples=25, deadline=None)
def test_exact_marginals_are_fitted(marginals: list[Clique], seed: int) -> None:
    joint = np.random.default_rng(seed).dirichlet(np.ones(72)).reshape(SIZES) * 1000
    measured = [Measured(m, project(joint, EVERY, m), 1.0) for m in marginals]
    model = fit(SIZES, measured, total=1000.0, steps=3000, closeness=0)
    for one in measured:
        assert np.abs(model.marginal(one.columns) - one.values).max() < 1.0


def test_chances_too_small_for_numbers_are_none() -> None:
    """Potentials far apart, as a long descent makes them: marginals stay finite and add up."""
    tree = junction_tree(SIZES, [(0, 1), (1, 2), (2, 3), (3, 4)])
    draw = np.random.default_rng(9)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for scale in (30.0, 100.0, 150.0):
            potentials = [draw.normal(0, scale, [SIZES[c] for c in clique]) for clique in tree.cliques]
            for belief in calibrate(tree, potentials, 50.0):
                assert np.isfinite(belief).all()
                assert belief.sum() == pytest.approx(50.0)


def noisy(seed: int, sigma: float = 10.0) -> list[Measured]:
    draw = np.random.default_rng(seed)
    joint = draw.dirichlet(np.full(72, 0.3)).reshape(SIZES) * 1000
    sets: list[Clique] = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 1, 4), (4,)]
    measured: list[Measured] = []
    for columns in sets:
        values = project(joint, EVERY, columns)
        deviations = sigma if columns != (4,) else np.array([sigma, 2 * sigma])
        measured.append(Measured(columns, values + draw.normal(0, sigma, values.shape), deviations))
    return measured


def error_of(model: Model, measured: list[Measured]) -> float:
    return sum(
        0.5 * float(np.square((model.marginal(one.columns) - one.values) / one.deviations).sum())
        for one in measured
    )


def test_it_goes_on_from_an_earlier_model() -> None:
    measured = noisy(3)
    first = fit(SIZES, measured[:2], total=1000.0)
    second = fit(SIZES, measured, total=1000.0, start=first, steps=2000, closeness=0)
    fresh = fit(SIZES, measured, total=1000.0, steps=2000, closeness=0)
    assert error_of(second, measured) == pytest.approx(error_of(fresh, measured), rel=1e-3)


@pytest.mark.slow  # mbi compiles for seconds
def test_mbi_finds_the_same_model_and_leaves_jax_as_it_was() -> None:
    import jax

    from comity.synthesize.mbi_engine import fit_by_mbi

    before = jax.config.jax_enable_x64
    measured = noisy(5)[-3:]
    own = fit(SIZES, measured, total=1000.0, steps=5000, closeness=0)
    theirs = fit_by_mbi(SIZES, measured, total=1000.0, steps=600)
    assert jax.config.jax_enable_x64 == before
    assert error_of(own, measured) == pytest.approx(error_of(theirs, measured), rel=1e-3)
    for one, two in zip(own.beliefs, theirs.beliefs, strict=True):
        assert np.abs(one - two).max() < 1.0
    joint = joint_of(theirs)
    assert np.allclose(theirs.beliefs[0], project(joint, EVERY, theirs.tree.cliques[0]), atol=1e-3)


@given(st.floats(1e-6, 10).map(lambda epsilon: 2.0 / epsilon), st.integers(0, 2**20), st.booleans())
@settings(max_examples=80, deadline=None)
@pytest.mark.filterwarnings("error")
def test_a_descent_ends_however_large_the_noise(sigma: float, seed: int, near: bool) -> None:
    """Steps are so long at a large noise that the share of the new model rounds to 1."""
    draw = np.random.default_rng(seed)
    measured = [
        Measured(m, np.round(draw.normal(5, sigma, [SIZES[c] for c in m])), sigma)
        for m in ((0,), (1, 2), (2, 3), (3, 4))
    ]
    model = fit(SIZES, measured, total=1.0 if near else 1e6, closeness=0 if near else 0.65, steps=60)
    assert all(np.isfinite(belief).all() for belief in model.beliefs)
    assert all(belief.sum() == pytest.approx(model.total) for belief in model.beliefs)


@pytest.mark.parametrize("sigma", [1e-8, 1.0, 1e8, 1e20, 1e140])
@pytest.mark.filterwarnings("error")
def test_a_descent_ends_at_any_scale(sigma: float) -> None:
    measured = [Measured((0, 1), sigma * np.arange(-3.0, 3.0).reshape(2, 3), sigma)]
    model = fit(SIZES[:2], measured, total=1.0, closeness=0)
    assert np.isfinite(model.beliefs[0]).all()
