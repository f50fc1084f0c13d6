"""Gradient inversion: it reads a record off an update that is not masked, and nothing off one that is."""

from __future__ import annotations

import numpy as np
import pytest

from comity.attack.inversion import alignment, inversion_attack, invert_linear
from comity.crypto import masks
from comity.errors import BadInput
from comity.train.federated.networks import Network


def gradients(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    network = Network(features.shape[1])
    return np.stack(
        [
            network.gradient(
                np.zeros(network.size), features[at : at + 1].astype(np.float32), labels[at : at + 1]
            )
            for at in range(len(features))
        ]
    )


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(rows, 40)), draw.integers(0, 2, size=rows).astype(np.uint8)


def test_one_records_gradient_gives_the_record_back() -> None:
    features, labels = drawn(1, 0)
    gradient = gradients(features, labels)[0]
    assert invert_linear(gradient[:-1], gradient[-1]) == pytest.approx(features[0], abs=1e-5)
    with pytest.raises(BadInput):
        invert_linear(gradient[:-1], 0.0)


def test_it_finds_the_few_records_of_an_update_that_is_not_masked() -> None:
    inside, outside = gradients(*drawn(60, 1)), gradients(*drawn(60, 2))
    seen = inside.sum(axis=0)
    found = inversion_attack(alignment(seen, inside), alignment(seen, outside))
    assert found.low > 0.1
    assert found.name == "inversion"


def test_it_finds_nothing_in_masked_words() -> None:
    """20 independent masks; each attack's interval lies above 0 with probability 0.025 at most (no member is
    special to uniform words), so more than 10 of 20 do with probability below 1e-11."""
    inside, outside = gradients(*drawn(60, 1)), gradients(*drawn(60, 2))
    update = np.rint(inside.sum(axis=0) * 2**20).astype(np.int64).view(np.uint64)
    found = 0
    for _ in range(20):
        words = (update + masks.mask(masks.seed(), len(update))).view(np.int64).astype(np.float64)
        found += inversion_attack(alignment(words, inside), alignment(words, outside)).low > 0
    assert found <= 10


def test_alignment_is_a_cosine() -> None:
    assert alignment(np.array([2.0, 0.0]), np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]])).tolist() == [
        1,
        0,
        0,
    ]
    assert alignment(np.zeros(2), np.ones((1, 2))).tolist() == [0]
    with pytest.raises(BadInput, match="same columns"):
        alignment(np.zeros(2), np.ones((1, 3)))
