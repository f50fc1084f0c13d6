"""The models: gradients against finite differences, and what FedProx's term does."""

from __future__ import annotations

import numpy as np
import pytest

from comity.errors import BadInput
from comity.train.federated.networks import LocalTraining, Network, furthest_in


@pytest.mark.parametrize("hidden", [0, 5])
def test_the_gradient_is_that_of_the_loss(hidden: int) -> None:
    draw = np.random.default_rng(0)
    network = Network(4, hidden)
    features = draw.normal(size=(30, 4)).astype(np.float32)
    labels = draw.integers(0, 2, size=30).astype(np.uint8)
    weights = network.start(1) + draw.normal(size=network.size) * 0.3
    gradient = network.gradient(weights, features, labels)
    for at in range(network.size):
        step = np.zeros(network.size)
        step[at] = 1e-2
        up, down = (network.losses(weights + s * step, features, labels).mean() for s in (1, -1))
        assert gradient[at] == pytest.approx((up - down) / 2e-2, abs=3e-3)


def test_a_proximal_term_keeps_a_member_near_the_server() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, 3)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.uint8)
    network = Network(3)
    moved = [
        float(
            np.linalg.norm(LocalTraining(0.03, 200, 0.0, mu, 0).run(network, np.zeros(4), features, labels))
        )
        for mu in (0.0, 0.3, 3.0)
    ]
    assert moved[0] > 1.2 * moved[1] > 1.2 * moved[2]


def test_no_weight_moves_further_than_the_public_bound() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, 2)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.uint8)
    training, start = LocalTraining(0.03, 2_000, 0.0, 0.0, 0), np.array([1.0, 0.0, 0.0])
    moved = np.abs(training.run(Network(2), start, features, labels) - start)
    assert moved.max() == pytest.approx(training.furthest) == furthest_in(0, hidden=0)
    assert furthest_in(3, hidden=0) == pytest.approx(training.furthest / 2)


def test_training_without_rows_moves_nothing() -> None:
    network = Network(2, 3)
    start = network.start(0)
    empty = np.zeros((0, 2), dtype=np.float32)
    assert np.array_equal(
        LocalTraining(0.1, 5, 0.0, 0.0, 0).run(network, start, empty, np.zeros(0, np.uint8)), start
    )


def test_the_seed_fixes_start_and_order() -> None:
    network = Network(3, 4)
    assert np.array_equal(network.start(3), network.start(3))
    assert not np.array_equal(network.start(3), network.start(4))
    assert np.array_equal(Network(3).start(3), np.zeros(4))


@pytest.mark.parametrize(
    "settings", [(0.0, 1, 0.0, 0.0), (0.1, 0, 0.0, 0.0), (0.1, 1, -1.0, 0.0), (np.nan, 1, 0.0, 0.0)]
)
def test_settings_that_train_nothing_are_refused(settings: tuple[float, int, float, float]) -> None:
    with pytest.raises(BadInput):
        LocalTraining(*settings, seed=0)
    for width, hidden in ((0, 0), (3, 257), (3, -1)):
        with pytest.raises(BadInput):
            Network(width, hidden)
