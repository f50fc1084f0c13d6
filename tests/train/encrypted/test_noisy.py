"""Training with noise on shares: what a row can move, what the noise is worth, and what an attack finds."""

from __future__ import annotations

import importlib.util
import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from comity.attack.label import label_bound
from comity.attack.membership import control, membership_inference
from comity.data.table import Table
from comity.errors import BadInput, BadSchema, UsageError
from comity.ledger import PrivacyUnit, Relation, gaussian_delta
from comity.schema import Schema, parse_schema
from comity.train.encrypted.features import Bins, Features, Levels, Number
from comity.train.encrypted.noisy import (
    STEPS,
    WARM,
    NoiseParts,
    features_of,
    squares_of,
    training_of,
    turned,
)
from comity.train.encrypted.program import NOISE, compile_training, function_of, input_shapes
from comity.train.encrypted.settings import BITS, Kind, Partition, Training
from comity.train.encrypted.sharing import SCHEMES, held, opened, split, to_values, to_words

FEATURES = Features((Number("age", 18.0, 80.0), Number("dose", -1.0, 3.5)), (Levels("job", ("a", "b")),))


def told(epsilon: float = 1.0, delta: float = 1e-6, rows: int = 1_000, providers: int = 3) -> Training:
    return training_of(FEATURES, rows, epsilon, delta, providers=providers, colluders=1)


def parts_of(epsilon: float = 1.0, delta: float = 1e-6, providers: int = 3, colluders: int = 1) -> NoiseParts:
    return NoiseParts(told(epsilon, delta), providers, colluders)


ANY = st.one_of(st.none(), st.floats(-1e9, 1e9))
RECORDS = st.lists(
    st.tuples(ANY, ANY, st.one_of(st.none(), st.sampled_from(["a", "b", "other"]))), min_size=1, max_size=20
)


BINNED = Features(
    (), (Bins(Number("age", 18.0, 80.0), 16), Bins(Number("dose", -1.0, 3.5), 3), FEATURES.levels[0])
)


@pytest.mark.parametrize("features", [FEATURES, BINNED])
@given(
    records=RECORDS,
    labels=st.lists(st.sampled_from([0.0, 1.0]), min_size=20, max_size=20),
    rows=st.sampled_from([20, 1_000, 1_024, 2**18]),
)
def test_no_row_moves_a_sum_further_than_its_sensitivity(
    features: Features, records: list[tuple[Any, Any, Any]], labels: list[float], rows: int
) -> None:
    """Whatever stands in it; the residual is a whole number of at most 2^f in magnitude."""
    age, dose, job = zip(*records, strict=True)
    columns = {
        "age": pa.array(age, pa.float64()),
        "dose": pa.array(dose, pa.float64()),
        "job": pa.array(job, pa.string()),
    }
    encoded = features.encode(Table(pa.table(columns)))
    words = to_words(turned(encoded, np.array(labels[: len(records)])), BITS)
    training = training_of(features, rows, 1.0, 1e-6, providers=3, colluders=1)
    squares, *gradients = NoiseParts(training, 3, 1).releases
    for row in words.view(np.int64).astype(object):
        norm = int((row * row).sum()) * 2 ** (2 * BITS)  # the residual is at most 2^f
        assert all(norm <= one.l2**2 for one in gradients)
        assert abs(int(row[-1])) == 2**BITS
    for at in range(len(words)):
        moved = squares_of(words, rows) - squares_of(np.delete(words, at, axis=0), rows)
        assert int((moved.astype(object) ** 2).sum()) <= squares.l2**2
        assert 0 <= int(moved.min()) <= int(moved.max()) <= squares.most
    assert (
        int(squares_of(words, rows).max())
        <= squares.most * len(words)
        <= 2 ** (2 * BITS) * len(words) // rows * 2
    )


def test_numbers_are_cut_into_as_many_bins_as_there_is_room_for() -> None:
    def schema(columns: int) -> Schema:
        named = {
            f"c{at}": {"role": "insensitive", "type": "number", "min": 0, "max": 8} for at in range(columns)
        }
        return parse_schema({"columns": named}, where="the test")

    for columns, width in ((2, 2 * 17), (20, 20 * 9), (60, 60 * 5), (100, 100 * 2)):
        assert features_of(schema(columns), [f"c{at}" for at in range(columns)]).width == width
    with pytest.raises(BadSchema, match="302 columns"):
        features_of(schema(151), [f"c{at}" for at in range(151)])
    table = Table(pa.table({"c0": [0.0, 0.49, 0.5, 8.0, 99.0, -99.0, None]}))
    assert np.argmax(features_of(schema(1), ["c0"]).encode(table), axis=1).tolist() == [1, 1, 2, 16, 16, 1, 0]


@pytest.mark.parametrize(("providers", "colluders"), [(2, 1), (3, 1), (5, 2)])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0, 100.0])
def test_the_parts_of_those_who_keep_theirs_pay_for_the_price(
    epsilon: float, providers: int, colluders: int
) -> None:
    parts = parts_of(epsilon, providers=providers, colluders=colluders)
    enough = math.sqrt(providers - colluders)
    drawn = [needed.part(parts.calibrated.parts).scale * enough for needed in parts.needed]
    reach = [one.l2 for one in parts.releases for _ in range(one.times)]
    multiplier = sum((far / scale) ** 2 for far, scale in zip(reach, drawn, strict=True)) ** -0.5
    assert gaussian_delta(multiplier, epsilon) <= parts.training.delta
    assert multiplier > 0.2  # also for an epsilon without end
    assert parts.cost.unit is PrivacyUnit.record
    assert parts.cost.relation is Relation.add_remove
    assert parts.cost.delta >= parts.training.delta


def test_drawn_noise_has_the_scale_that_it_says() -> None:
    """False alarms: 2e-7 each."""
    parts = parts_of()
    low, high = chi2.ppf([1e-7, 1 - 1e-7], 4_000)
    for needed in (parts.needed[0], parts.needed[1], parts.needed[-1]):
        drawn = parts.drawn(needed, (4_000,)).astype(float) / needed.part(parts.calibrated.parts).scale
        assert low < np.square(drawn).sum() < high


def test_a_share_holds_squares_with_noise_then_noise_alone() -> None:
    """False alarms: 3e-9 (6 deviations, of 8 and of 96 numbers)."""
    parts = parts_of()
    squares = np.arange(7) << 2 * BITS
    shared = parts.share(squares)
    assert shared.shape == (1 + STEPS, 8)
    deviations = np.array([needed.part(parts.calibrated.parts).scale for needed in parts.needed])[:, None]
    held = shared - np.stack([np.append(squares, 0), *np.zeros((STEPS, 8), dtype=np.int64)])
    assert np.abs(held / deviations).max() < 6.5
    assert len(np.unique(shared)) == shared.size  # fresh in every place


def test_what_does_not_fit_is_refused_before_anything_is_charged() -> None:
    with pytest.raises(UsageError, match="work together"):
        parts_of(providers=2, colluders=2)
    with pytest.raises(UsageError, match="64-bit"):
        NoiseParts(told(rows=2**23), 3, 1)
    with pytest.raises(UsageError, match="finer than the grid"):
        NoiseParts(replace(told(epsilon=16.0), rows=2**20), 3, 1)
    with pytest.raises(UsageError, match="too small"):
        parts_of(delta=1e-25)
    for change in ({"kind": Kind.linear}, {"partition": Partition.columns}, {"rate": 0.0}, {"ones": 9}):
        with pytest.raises(BadInput):
            replace(told(), **change)


def test_the_schedule_follows_from_public_facts_and_fits_fixed_point() -> None:
    """Lengths of steps stay within what 20 fractional bits and a sum over all rows leave room for."""
    for rows in (20, 1_000, 40_000, 2**18):
        for epsilon in (0.05, 1.0, 16.0):
            training = told(epsilon, rows=rows)
            assert 0.99 * 2.0**-13 <= training.ridge / training.rows <= 1
            assert 0 < training.rate <= 1
    assert told(0.1).ridge > told(1.0).ridge > told(1.0, rows=100_000).ridge / 100
    many = Features((), tuple(Levels(f"c{at}", ("a",)) for at in range(100)))
    assert training_of(many, 1_000, 1.0, 1e-6, providers=3, colluders=1).rate < told().rate


def test_noise_is_in_the_compiled_sums_and_nowhere_else() -> None:
    """What the engine is given: a product over all rows and the rows of noise below them; 1,012 of them. The
    noise's first row, which has the squares in it, is read by itself."""
    lines = compile_training(told()).code.decode().splitlines()
    used = [line for line in lines if "%arg1" in line and "func" not in line]
    assert all("pphlo.slice" in line for line in used)
    slices = sorted(line.split("-> ")[-1] for line in used)
    assert slices == ["tensor<12x8x!pphlo.secret<f32>>", "tensor<1x8x!pphlo.secret<f32>>"]
    assert not [line for line in lines if "pphlo.concatenate" in line and "1013x8" in line]
    (joined,) = (line for line in lines if "pphlo.concatenate" in line and "tensor<1012x8x" in line)
    sums = [line for line in lines if "pphlo.dot" in line and "tensor<8x1012x!pphlo.secret<f32>>" in line]
    assert len(sums) == 1
    (whole, *_) = joined.split()
    (transposed,) = (line for line in lines if f"pphlo.transpose {whole}," in line)
    assert f"pphlo.dot {transposed.split()[0]}," in sums[0]


def trained(rows: np.ndarray, labels: np.ndarray, shared: np.ndarray, training: Training) -> np.ndarray:
    """The program on plain numbers, with squares and noise in units of 2^(-2f)."""
    given = (turned(rows, labels), np.ldexp(shared.astype(float), -BITS))
    return np.asarray(function_of(training)(*(each.astype(np.float32) for each in given)), dtype=float)


def summed(rows: np.ndarray, labels: np.ndarray, parts: NoiseParts | None, training: Training) -> np.ndarray:
    """What three providers share: the squares, and the noise if there is any."""
    squares = squares_of(to_words(turned(rows, labels), BITS), training.rows)
    if parts is None:
        found = np.zeros((1 + training.steps, training.columns + 1), dtype=np.int64)
        found[0, :-1] = squares
        return found
    return parts.share(squares) + sum(parts.share(np.zeros_like(squares)) for _ in range(2))


def test_it_learns_what_a_model_without_noise_learns_and_more_with_more_epsilon() -> None:
    """A made table: 20 levels and two numbers in bins, 20,000 rows. Without noise the order is that of plain
    logistic regression; with it the AUC grows with epsilon. False alarms: at .02 it is .62 with a deviation
    of .035, at 1 it is .790 with one of .0004; below 1e-4.
    """
    draw = np.random.default_rng(3)
    level, age, dose = (
        draw.integers(0, 20, 26_000),
        draw.integers(0, 16, 26_000),
        draw.integers(0, 16, 26_000),
    )
    odds = draw.normal(0, 1, 20)[level] + np.sin(age / 3) + (dose - 8) ** 2 / 30 - 1.5
    labels = (draw.uniform(size=26_000) < 1 / (1 + np.exp(-odds))).astype(float)
    rows = np.column_stack([np.eye(20)[level], np.eye(16)[age], np.eye(16)[dose]])
    features = Features((), tuple(Levels(name, tuple(map(str, range(size)))) for name, size in (
        ("level", 19), ("age", 15), ("dose", 15),
    )))  # fmt: skip
    best = LogisticRegression(max_iter=500).fit(rows[:20_000], labels[:20_000])
    wanted = roc_auc_score(labels[20_000:], best.decision_function(rows[20_000:]))

    def reached(epsilon: float, noisy: bool) -> float:
        training = training_of(features, 20_000, epsilon, 1e-6, providers=3, colluders=1)
        parts = NoiseParts(training, 3, 1) if noisy else None
        shared = summed(rows[:20_000], labels[:20_000], parts, training)
        found = trained(rows[:20_000], labels[:20_000], shared, training)
        return float(roc_auc_score(labels[20_000:], rows[20_000:] @ found[:-1] + found[-1]))

    assert reached(10.0, False) > wanted - 0.003
    small, large = reached(0.02, True), reached(1.0, True)
    assert small < large - 0.01
    assert wanted - 0.004 < large < wanted + 0.003


def test_columns_that_say_the_same_do_not_make_steps_overshoot() -> None:
    """Fourteen copies of one column, and one that has to be seen beside them."""
    draw = np.random.default_rng(5)
    one, other = draw.integers(0, 8, 9_000), draw.integers(0, 8, 9_000)
    labels = (draw.uniform(size=9_000) < 1 / (1 + np.exp(-(one + other - 7) / 1.5))).astype(float)
    rows = np.column_stack([*[np.eye(8)[one]] * 14, np.eye(8)[other]])
    features = Features((), tuple(Levels(f"c{at}", tuple("abcdefg")) for at in range(15)))
    training = training_of(features, 9_000, 10.0, 1e-6, providers=3, colluders=1)
    found = trained(rows, labels, summed(rows, labels, None, training), training)
    assert roc_auc_score(labels, rows @ found[:-1] + found[-1]) > roc_auc_score(labels, one + other) - 0.005


def test_an_attack_finds_members_without_noise_and_no_more_than_the_bound_with_it() -> None:
    """Every member has a level of its own and a coin for a label: all there is to learn is who was there.

    False alarms: with noise the advantage has a standard deviation below 0.08 around 0.12 at most (per own
    level a tenth of the noise's deviation), and its interval would have to begin 0.34 above that; without it
    is 1. Below 1e-7.
    """
    draw = np.random.default_rng(0)
    levels = np.concatenate([np.arange(150), np.tile(np.arange(150, 300), 6)])
    rows, labels = np.eye(300)[levels], draw.integers(0, 2, len(levels)).astype(float)
    features = Features((), (Levels("own", tuple(map(str, range(299)))),))
    training = training_of(features, 150, 1.0, 1e-6, providers=3, colluders=1)
    for parts, finds in ((None, True), (NoiseParts(training, 3, 1), False)):
        shared = summed(rows[:150], labels[:150], parts, training)
        weights = trained(rows[:150], labels[:150], shared, training)
        linear = rows @ weights[:-1] + weights[-1]
        sure = np.where(labels == 1, linear, -linear)
        found = membership_inference(sure[:150], sure[150:], seed=0)
        assert (found.low > label_bound(1.0, 1e-6)) is finds
        assert found.low <= found.advantage <= found.high
        assert control(sure[150:], seed=0).advantage < 0.5


@pytest.fixture(scope="module")
def engines() -> ModuleType:
    """`test_engine.py` beside this file: parties that compute together."""
    path = Path(__file__).with_name("test_engine.py")
    spec = importlib.util.spec_from_file_location("comity_tests_engines", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_on_shares(
    engines: ModuleType, folder: Path, training: Training, words: dict[str, np.ndarray]
) -> np.ndarray:
    """What three engines open."""
    with ExitStack() as stack:
        ring = engines.Ring(SCHEMES["aby3"], stack, folder)
        shapes = input_shapes(training)
        parts = {name: split(words[name], ring.scheme) for name in shapes}

        def act(rank: int) -> Any:
            engine = ring.engines[rank]
            engine.compile(training)
            ring.connect(rank)
            for name, shape in shapes.items():
                engine.put(name, held(parts[name][rank], ring.scheme, rank, math.prod(shape)), shape)
            return engine.run()

        return to_values(opened(ring.together(act), ring.scheme), BITS)


@pytest.mark.slow
def test_shared_noise_enters_the_sums_before_they_are_rounded(engines: ModuleType, tmp_path: Path) -> None:
    """On rows of zeros the weights are the noise itself, as finely as a result of 20 bits can tell."""
    training = replace(told(epsilon=8.0, rows=64), columns=3, numeric=0, ones=4)
    draw = np.random.default_rng(1)
    shared = draw.integers(-(2**42), 2**42, (1 + STEPS, 4))
    shared[0] = np.abs(shared[0]) // 16
    rows = np.zeros((64, 4))
    words = {"rows": to_words(rows, BITS), NOISE: shared.astype(np.int64).view(np.uint64)}
    found = run_on_shares(engines, tmp_path, training, words)
    given = (rows, np.ldexp(shared.astype(float), -BITS))
    plain = np.asarray(function_of(training)(*(each.astype(np.float32) for each in given)), dtype=float)
    assert np.abs(plain).max() > 0.01
    assert np.abs(found - plain).max() < 2e-3 * np.abs(plain).max()
    # the mean of all places hangs on each step's noise, the first ones' as well
    for step in (1, WARM, STEPS):
        other = shared.copy()
        other[step] = 0
        given = (rows, np.ldexp(other.astype(float), -BITS))
        without = np.asarray(function_of(training)(*(each.astype(np.float32) for each in given)), dtype=float)
        assert np.abs(without - plain).max() > 2e-2 * np.abs(plain).max()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [3_000, 60_000])
def test_shares_learn_what_plain_numbers_learn(rows: int, engines: ModuleType, tmp_path: Path) -> None:
    """The same squares and noise, in fixed point and in 32-bit floats."""
    draw = np.random.default_rng(2)
    level, age = (
        draw.choice(8, rows, p=np.array([60, 20, 10, 5, 3, 1, 0.9, 0.1]) / 100),
        draw.integers(0, 9, rows),
    )
    labels = (draw.uniform(size=rows) < 0.1 + 0.1 * (level % 4) + 0.05 * age).astype(float)
    x = np.column_stack([np.eye(8)[level], np.eye(9)[age]])
    features = Features((), (Levels("level", tuple("abcdefg")), Levels("age", tuple("abcdefgh"))))
    training = training_of(features, rows, 1.0, 1e-6, providers=3, colluders=1)
    shared = summed(x, labels, NoiseParts(training, 3, 1), training)
    words = {"rows": to_words(turned(x, labels), BITS), NOISE: shared.view(np.uint64)}
    found = run_on_shares(engines, tmp_path, training, words)
    plain = trained(x, labels, shared, training)
    scores, wanted = (x @ each[:-1] + each[-1] for each in (found, plain))
    assert np.abs(scores - wanted).max() < 0.02 * np.abs(wanted).max()
    assert abs(roc_auc_score(labels, scores) - roc_auc_score(labels, wanted)) < 0.001
