"""The rule that chooses among the models of population uniqueness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.assess.population import MODELS, NO_POPULATION, population_uniques

ZIPF = np.unique(np.minimum(np.random.default_rng(0).zipf(1.5, 5000), 10**6), return_counts=True)[1]


def test_without_a_population_there_is_no_estimate() -> None:
    found = population_uniques(np.array([1, 2]), None)
    assert found.shares == dict.fromkeys(MODELS)
    assert set(found.notes.values()) == {NO_POPULATION}
    assert found.chosen == ""


def test_a_sample_without_uniques_has_none() -> None:
    found = population_uniques(np.array([2, 2, 3]), 1000)
    assert (found.shares, found.notes) == (dict.fromkeys(MODELS, 0.0), {})


def test_small_samples_go_by_pitman_and_large_ones_by_the_smaller_of_the_others() -> None:
    small = population_uniques(ZIPF, 50_000)
    assert (small.chosen, small.shares["dankar"]) == ("pitman", small.shares["pitman"])
    large = population_uniques(ZIPF, 49_999)
    others = [share for name in ("zayatz", "snb") if (share := large.shares[name]) is not None]
    assert large.shares["dankar"] == min(others)
    assert large.chosen in ("zayatz", "snb")


def test_zayatz_stands_in_where_pitman_has_no_fit() -> None:
    found = population_uniques(np.ones(50, dtype=int), 10_000)
    assert found.shares["pitman"] is None
    assert "no finite fit" in found.notes["pitman"]
    assert (found.chosen, found.shares["dankar"]) == ("zayatz", found.shares["zayatz"])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=50).map(np.array), st.integers(0, 10**9))
def test_every_estimate_is_a_share_and_every_gap_has_a_reason(sizes: np.ndarray, more: int) -> None:
    found = population_uniques(sizes, int(sizes.sum()) + more)
    for model in MODELS:
        share = found.shares[model]
        assert (share is None) == (model in found.notes)
        assert share is None or 0 <= share <= 1
    assert found.shares["dankar"] == pytest.approx(found.shares[found.chosen])
