"""Midranks by words: exactly those of a plain sort, whatever the scores look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from comity.validate.ranking import doubled_centred_ranks, ordered


@settings(max_examples=300, deadline=None)
@given(
    arrays(
        np.float64,
        st.integers(1, 40),
        elements=st.one_of(
            st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from([0.0, -0.0, 1.0, np.nextafter(1.0, 2), 5e-324, -5e-324]),
        ),
    )
)
def test_words_give_the_order_of_the_scores(scores: np.ndarray) -> None:
    order, fresh = ordered(scores)
    assert (order == np.argsort(scores, kind="stable")).all()
    rising = scores[order]
    assert fresh.tolist() == [True, *(rising[1:] != rising[:-1]).tolist()]


def shapes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    many = 150_001
    close = 0.5 + rng.integers(0, 4000, many) * 2.0**-53
    return {
        "even": rng.random(many),
        "rounded": rng.random(many).round(2),
        "signed": rng.normal(size=many) * np.exp(rng.normal(size=many) * 20),
        "one value": np.full(many, 0.3),
        "two values": np.where(rng.random(many) < 0.5, 0.0, -0.0) + (rng.random(many) < 0.1),
        "close, with one far away": np.append(close, [1e300, -1e308, 1e308]),
        "close": close,
    }


@pytest.mark.parametrize("name", list(shapes()))
def test_ranks_of_many_scores(name: str) -> None:
    scores = shapes()[name]
    expected = 2 * rankdata(scores) - len(scores) - 1
    assert (doubled_centred_ranks(scores) == expected.astype(np.int64)).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_ranks_of_few_scores(count: int) -> None:
    assert doubled_centred_ranks(np.arange(count, dtype=np.float64)).tolist() == [
        2 * at + 1 - count for at in range(count)
    ]
