"""Queries and the mechanism: one changed label never moves an answer by more than it is charged for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm, rankdata

from comity import noise
from comity.attack.label import infer_labels
from comity.errors import BadInput, UsageError
from comity.ledger import gaussian_delta
from comity.validate import GroupCounts, Joined, Price, ScoreStatistics, WeightedSum, answer, calibrate
from comity.validate.class_queries import ClassSums
from comity.validate.number_queries import DifferenceSum
from comity.validate.queries import Query, owned


@st.composite
def queries(draw: st.DrawFn, rows: int = 12) -> Query:
    """Any kind of query, with random public parts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["groups", "weights", "joined", "scores"]))
    if kind == "groups":
        return GroupCounts(rng.integers(0, 4, rows), 4)
    if kind == "weights":
        return WeightedSum(rng.integers(-(10**6), 10**6, rows))
    if kind == "joined":
        parts = (WeightedSum.ranks(rng.normal(size=rows)), GroupCounts(rng.integers(0, 3, rows), 3))
        return Joined(parts, (3, 17))
    widths = tuple(rng.integers(1, 5, draw(st.integers(1, 6))).tolist())
    codes = np.stack([rng.integers(0, width, rows) for width in widths], axis=1).astype(np.uint16)
    mix = rng.integers(-1000, 1000, (sum(widths), draw(st.integers(1, 5)))).astype(np.int32)
    return ScoreStatistics(codes, widths, mix, draw(st.integers(1, 3000)))


@settings(max_examples=200, deadline=None)
@given(queries(), st.integers(0, 11), st.integers(0, 2**12 - 1))
def test_one_label_moves_the_sums_by_at_most_the_stated_norms(query: Query, record: int, bits: int) -> None:
    labels = np.array([bits >> at & 1 for at in range(12)], dtype=np.int8)
    changed = labels.copy()
    changed[record] ^= 1
    moved = query.sums(changed) - query.sums(labels)
    assert sum(int(value) ** 2 for value in moved) <= query.l2**2
    assert sum(abs(int(value)) for value in moved) <= query.l1
    assert (moved == query.row(record) * (1 if changed[record] else -1)).all()
    assert (np.abs(query.sums(labels)) <= query.largest_sum).all()


@settings(max_examples=60, deadline=None)
@given(queries(), st.integers(0, 2**12 - 1))
def test_sums_are_what_the_rows_add_up_to(query: Query, bits: int) -> None:
    labels = np.array([bits >> at & 1 for at in range(12)], dtype=np.int8)
    rows = np.stack([query.row(at) for at in range(12)])
    assert (query.sums(labels) == rows.T @ labels.astype(np.int64)).all()


@settings(max_examples=60, deadline=None)
@given(queries().filter(lambda query: isinstance(query, ScoreStatistics)))
def test_both_ways_to_norms_agree_with_each_other_and_with_the_definition(query: ScoreStatistics) -> None:
    assert (query._norms_by_pairs() == query._norms_by_rows()).all()
    for at, square in enumerate(query.squared_norms().tolist()):
        rows = query.mix[query.offsets[:-1] + query.codes[at]].astype(np.int64).sum(axis=0)
        assert square == int(rows @ rows)
        assert int(query.weights[at]) ** 2 * square <= query.l2**2


@settings(max_examples=30, deadline=None)
@given(queries().filter(lambda query: isinstance(query, ScoreStatistics)))
def test_a_query_survives_the_wire(query: ScoreStatistics) -> None:
    again = ScoreStatistics.from_message(*query.to_message())
    assert again.widths == query.widths
    assert again.cap == query.cap
    assert (again.mix == query.mix).all()
    assert (again.codes == query.codes).all()


def tampered() -> list[tuple[str, object]]:
    return [("rows", 13), ("widths", [1]), ("cap", 0), ("cap", 2**40), ("dimensions", -1), ("code_bytes", 3)]


@pytest.mark.parametrize(("key", "value"), [*tampered(), ("more", 1), ("cap", 1.5), ("rows", True)])
def test_a_message_that_does_not_fit_is_refused(key: str, value: object) -> None:
    codes = np.zeros((12, 2), dtype=np.uint16)
    body, parts = ScoreStatistics(codes, (2, 2), np.ones((4, 3), np.int32), 5).to_message()
    with pytest.raises(BadInput):
        ScoreStatistics.from_message({**body, key: value}, parts)


@pytest.mark.parametrize(
    ("codes", "widths", "mix", "cap"),
    [
        (np.full((3, 1), 2), (2,), np.ones((2, 1)), 1),
        (np.zeros((3, 2)), (2,), np.ones((2, 1)), 1),
        (np.zeros((3, 1)), (2,), np.ones((3, 1)), 1),
        (np.zeros((3, 1)), (2,), np.full((2, 1), 2**20), 1),
        (np.zeros((3, 1)), (2,), np.ones((2, 1)), 0),
        (np.zeros((3, 1)), (2,), np.ones((2, 0)), 1),
        (np.zeros((3, 0)), (), np.ones((0, 1)), 1),
    ],
)
def test_statistics_that_do_not_fit_are_refused(
    codes: np.ndarray, widths: tuple[int, ...], mix: np.ndarray, cap: int
) -> None:
    with pytest.raises(BadInput):
        ScoreStatistics(codes.astype(np.uint16), widths, mix.astype(np.int32), cap)


def test_a_lying_asker_gains_nothing() -> None:
    """Entries as large as they may be, and a tiny cap: every row is shortened to the cap."""
    mix = np.full((6, 40), 2**20 - 1, dtype=np.int32)
    query = ScoreStatistics(np.zeros((5, 3), np.uint16), (2, 2, 2), mix, 1)
    assert all(np.linalg.norm(query.row(at).astype(float)) <= query.l2 for at in range(5))


def test_ranks_are_doubled_and_centred() -> None:
    scores = np.array([0.3, 0.1, 0.3, 0.9, 0.1, 0.1])
    query = WeightedSum.ranks(scores)
    assert query.weights.tolist() == (2 * rankdata(scores) - 7).astype(int).tolist()
    assert query.weights.sum() == 0


@pytest.mark.parametrize(
    ("epsilon", "delta", "query"),
    [
        (1.0, 1e-6, GroupCounts(np.zeros(50, np.int64), 1)),
        (0.1, 1e-6, WeightedSum(np.arange(50))),
        (3.0, 1e-9, Joined((WeightedSum(np.arange(9)), WeightedSum(np.ones(9, np.int64))), (2, 9))),
    ],
)
def test_noise_is_calibrated_to_what_is_charged(epsilon: float, delta: float, query: Query) -> None:
    """Analytic delta at the noise used, plus the grid's own share, is within what is charged."""
    calibration = calibrate(query, Price(epsilon, delta))
    sensitivity = math.ldexp(float(query.l2), calibration.shift)
    spent = gaussian_delta(calibration.scale / sensitivity, epsilon)
    spent += noise.discretisation_delta(calibration.scale, query.dimensions, epsilon)
    assert spent <= delta
    assert calibration.scale >= 2.0**20
    assert (
        gaussian_delta(calibration.scale / sensitivity * 0.99, epsilon) > delta * 0.9
    )  # and no more than needed


def test_noise_variance_is_measured() -> None:
    """Over 4,000 answers the variance is the stated one (chi-square, false alarm below 1e-6)."""
    query = Joined((WeightedSum(np.array([3, -5, 7])), GroupCounts(np.array([0, 1, 1]), 2)), (4, 9))
    price, labels = Price(1.0, 1e-6), np.array([1, 0, 1], np.int8)
    calibration = calibrate(query, price)
    gains = calibration.answer(np.tile(query.sums(labels), (4000, 1))) - query.sums(labels)
    statistic = np.square(gains / calibration.deviation).sum()
    assert chi2.ppf(4e-7, gains.size) < statistic < chi2.isf(4e-7, gains.size)


def test_laplace_noise_where_delta_is_0() -> None:
    query = GroupCounts(np.arange(100) // 50, 2)
    noisy = answer(query, np.ones(100, np.int8), Price(1.0, 0.0))
    assert noisy.calibration.law == "laplace"
    assert noisy.deviation == pytest.approx(1.35696, rel=1e-4)  # discrete Laplace of scale 1
    assert np.abs(noisy.values - 50).max() < 20  # e^-20 per value


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 2.5])
def test_the_best_guess_at_a_canary_stays_under_the_bound(epsilon: float, delta: float) -> None:
    """The strongest record of a real query, everything else known, fresh runs (false alarm below 1e-8)."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 6, (400, 4)).astype(np.uint16)
    query: Query = ScoreStatistics(codes, (6,) * 4, rng.integers(-900, 900, (24, 30)).astype(np.int32), 700)
    if delta == 0:
        query = GroupCounts(codes[:, 0].astype(np.int64), 6)
    rows = np.stack([query.row(at) for at in range(400)]).astype(float)
    canary = rows[np.argmax(np.linalg.norm(rows, axis=1))]
    calibration = calibrate(query, Price(epsilon, delta))

    def draw(runs: int) -> np.ndarray:
        return calibration.answer(np.zeros((runs, query.dimensions), np.int64))

    found = infer_labels(draw, canary, epsilon=epsilon, delta=delta, trials=3000, seed=7)
    assert found.bound is not None
    assert found.control is not None
    assert found.low <= found.bound + 5.5 / math.sqrt(3000)
    assert abs(found.control) < 6 / math.sqrt(3000)
    if delta:  # Gaussian: what theory says this adversary reaches
        reach = 2 * norm.cdf(np.linalg.norm(canary) / calibration.deviation / 2) - 1
        assert abs(found.advantage - reach) < 6 / math.sqrt(3000)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-6), (math.nan, 0.0), (1.0, 1.0), (1.0, -1e-9)])
def test_prices_out_of_range_are_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(UsageError):
        Price(epsilon, delta)


def test_a_delta_below_the_grid_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        calibrate(GroupCounts(np.zeros(5, np.int64), 1), Price(1.0, 1e-16))


def test_sums_that_do_not_fit_are_refused_before_any_label_is_read() -> None:
    with pytest.raises(UsageError, match="64-bit"):
        calibrate(WeightedSum(np.full(4096, 2**52)), Price(1.0, 1e-6))


@pytest.mark.parametrize("through", ["itself", "a view", "a view that is read-only", "a part"])
def test_a_query_does_not_change_with_the_callers_array(through: str) -> None:
    """Its bounds are computed once; the array could be written to through what it is a view of."""
    whole = np.arange(12, dtype=np.int64)
    given_array = {"itself": whole, "a part": whole[2:8]}.get(through, whole.view())
    if through == "a view that is read-only":
        given_array.setflags(write=False)
    kept = given_array.copy()
    codes = np.asfortranarray(np.stack([kept % 3, kept % 2], axis=1).astype(np.uint16))
    mix = np.ones((5, 2), dtype=np.int32)
    made = [
        (WeightedSum(given_array), "weights"),
        (GroupCounts(given_array, 200), "groups"),
        (GroupCounts(given_array % 3, 3), "groups"),
        (DifferenceSum(given_array, 16, "difference"), "predicted"),
        (ClassSums(np.stack([given_array, given_array], axis=1), np.arange(2)), "weights"),
        (ScoreStatistics(codes, (3, 2), mix, 10), "codes"),
        (ScoreStatistics(codes, (3, 2), mix, 10), "mix"),
    ]
    before = [np.array(getattr(query, name)) for query, name in made]
    bounds = [(query.l2, query.largest_sum) for query, _ in made]
    whole[:], codes[:], mix[:] = 10**6, 0, 10**6
    for (query, name), same, bound in zip(made, before, bounds, strict=True):
        held = getattr(query, name)
        assert np.array_equal(held, same)
        assert (query.l2, query.largest_sum) == bound
        while isinstance(held, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                held[...] = 0
            held = held.base
    assert made[5][0].codes.flags.f_contiguous  # pyright: ignore[reportAttributeAccessIssue]


def test_what_nobody_can_write_to_is_not_copied() -> None:
    """So that a question of millions of records is not held twice."""
    weights = owned(np.arange(12, dtype=np.int64))
    assert np.shares_memory(WeightedSum(weights).weights, weights)
    bytes_of = np.frombuffer(bytes(96), dtype=np.int64)
    assert np.shares_memory(WeightedSum(bytes_of).weights, bytes_of)
    for buffer in (bytearray(96), memoryview(bytearray(96))):
        writable = np.frombuffer(buffer, dtype=np.int64)
        writable.setflags(write=False)
        assert not np.shares_memory(WeightedSum(writable).weights, writable)


@pytest.mark.parametrize("values", [[0.5, 1.0], ["a", "b"], [None, 1], np.ones(2), [2**70, 1]])
def test_weights_and_groups_are_whole_numbers(values: object) -> None:
    for make in (WeightedSum, lambda one: GroupCounts(one, 2), lambda one: DifferenceSum(one, 4, "square")):
        with pytest.raises(BadInput, match="whole"):
            make(values)
