"""The journalist's estimated risk, against the mean it stands for and a population that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.assess.journalist import class_risk, estimated_risks
from comity.assess.uniqueness import pitman_fit


@settings(max_examples=50)
@given(st.integers(1, 60), st.floats(0.05, 0.99), st.floats(-30, 0.95))
def test_it_is_the_mean_of_one_over_the_class_in_the_population(
    size: int, chance: float, alpha: float
) -> None:
    from scipy.stats import nbinom

    more = np.arange(20_000)
    mean = (nbinom.pmf(more, size - alpha, chance) / (size + more)).sum()
    assert class_risk(np.array([size]), chance, alpha)[0] == pytest.approx(mean, rel=1e-6)


def test_the_closed_form_of_benedetti_and_franconi() -> None:
    for chance in (0.5, 0.01, 1e-6):
        one = chance / (1 - chance) * np.log(1 / chance)
        two = chance / (1 - chance) ** 2 * (chance * np.log(chance) + 1 - chance)
        assert class_risk(np.array([1, 2]), chance) == pytest.approx([one, two], rel=1e-9)


def test_the_edges() -> None:
    sizes = np.array([1, 2, 1000, 10**6])
    assert class_risk(sizes, 1.0) == pytest.approx(1 / sizes)
    few = class_risk(sizes, 1e-8, 0.7)
    assert (np.isfinite(few) & (few > 0) & (few <= 1 / sizes)).all()
    assert (np.diff(few) < 0).all()


@pytest.mark.parametrize("exponent", [1.2, 1.4, 1.6])
@pytest.mark.parametrize("rows", [2_000, 50_000])
def test_estimates_of_a_population_that_is_known(exponent: float, rows: int) -> None:
    """Zipf-like classes of 300,000 people; the mean risk lies within a quarter of the truth (fixed seed)."""
    generator = np.random.default_rng(5)
    people = np.minimum(generator.zipf(exponent, 300_000), 10**7)
    _, index, counts = np.unique(people, return_inverse=True, return_counts=True)
    drawn = generator.choice(len(people), rows, replace=False)
    sizes = np.unique(people[drawn], return_counts=True)[1]
    fit = pitman_fit(sizes)
    assert not isinstance(fit, str)
    highest, mean = estimated_risks(sizes, len(people), fit)
    assert mean == pytest.approx(float((1 / counts[index[drawn]]).mean()), rel=0.25)
    assert mean < highest <= 1
