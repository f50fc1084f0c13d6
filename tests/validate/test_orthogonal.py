"""Numbers orthogonal to groupings: they add up to 0 over every group, and over nothing else by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.validate.isolation import RowSpace
from comity.validate.modular import echelon, group_sums, product
from comity.validate.orthogonal import Uniform, orthogonal

PRIME = 998_244_353


def uniform(rng: np.random.Generator) -> Uniform:
    return lambda count: rng.integers(0, PRIME, (count, 2))


def indicators(groupings: list[np.ndarray]) -> np.ndarray:
    """(groups, records) 0/1."""
    return np.array(
        [grouping == group for grouping in groupings for group in np.unique(grouping[grouping >= 0])],
        dtype=np.int64,
    ).reshape(-1, len(groupings[0]))


def rank(matrix: np.ndarray, prime: int = PRIME) -> int:
    work = matrix % prime
    return len(echelon(work, work.shape[1], prime)[0])


@st.composite
def groupings(draw: st.DrawFn) -> list[np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    records, lowest = draw(st.integers(1, 60)), draw(st.integers(-1, 0))
    widths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    return [rng.integers(lowest, width, records) for width in widths]


@settings(max_examples=100, deadline=None)
@given(groupings(), st.integers(0, 2**32 - 1))
def test_they_add_up_to_0_over_every_group_and_have_the_rank(given: list[np.ndarray], seed: int) -> None:
    numbers, found = orthogonal(given, len(given[0]), PRIME, uniform(np.random.default_rng(seed)))
    for grouping in given:
        assert not group_sums(grouping, numbers, int(grouping.max()) + 1, PRIME).any()
    assert found == rank(indicators(given))


@settings(max_examples=30, deadline=None)
@given(groupings(), st.integers(0, 2**32 - 1))
def test_they_fill_all_of_the_space_that_is_left(given: list[np.ndarray], seed: int) -> None:
    """As many draws as records span everything orthogonal to the groups (false alarm below 40 / PRIME)."""
    records = len(given[0])
    draw = uniform(np.random.default_rng(seed))
    drawn = np.stack([orthogonal(given, records, PRIME, draw)[0][:, 0] for _ in range(records)])
    assert rank(drawn) == records - rank(indicators(given))


def test_groups_that_few_records_tell_apart_are_met_too() -> None:
    """A third grouping that parts from a union of the first two's cells in a few records: the sample of edges
    that is tried first does not have them."""
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 30, 40_000), rng.integers(0, 20, 40_000)
    third = first.copy()
    for group in range(30):
        third[np.flatnonzero(first == group)[:3]] = 29 - group
    space = RowSpace(40_000).extended([first, second, third])
    assert space.rank == rank(indicators([first, second, third]))
    for grouping in space.groupings:
        assert not space.residues(grouping, int(grouping.max()) + 1).any()


@pytest.mark.parametrize("prime", [2, 3, 5, 7])
def test_two_groupings_have_their_rank_modulo_every_prime(prime: int) -> None:
    rng = np.random.default_rng(7)
    first, second = rng.integers(-1, 6, 50), rng.integers(-1, 5, 50)
    found = RowSpace(50, prime=prime).extended([first, second]).rank
    assert found == np.linalg.matrix_rank(indicators([first, second]))


def test_unions_of_groups_are_left_out() -> None:
    fine = np.arange(1000) % 40
    space = RowSpace(1000).extended([fine // 4, fine, fine // 2, np.where(fine < 8, fine // 2, -1)])
    assert space._finest == (1,)
    assert space.rank == 40


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (70, 40), (40, 70), (64, 64)])
def test_the_reduced_form_spans_the_same_rows(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    thin = max(1, min(shape) - 2)
    matrix = product(
        rng.integers(0, PRIME, (shape[0], thin)), rng.integers(0, PRIME, (thin, shape[1])), PRIME
    )
    work = matrix.copy()
    rows, columns = echelon(work, shape[1], PRIME)
    assert len(rows) == thin
    assert (work[np.ix_(rows, columns)] == np.eye(thin, dtype=np.int64)).all()
    rest = np.setdiff1d(np.arange(shape[0]), rows)
    assert not work[rest].any()
    # every row is the combination of the pivots' rows that its entries in their columns name
    assert (product(matrix[:, columns], work[rows], PRIME) == matrix).all()


def test_products_are_exact() -> None:
    rng = np.random.default_rng(4)
    one, two = rng.integers(0, PRIME, (7, 300)), rng.integers(0, PRIME, (300, 5))
    exact = one.astype(object) @ two.astype(object) % PRIME
    assert (product(one, two, PRIME) == exact.astype(np.int64)).all()
