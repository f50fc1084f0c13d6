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

from comity.attack.label import label_bound
from comity.attack.membership import control, membership_inference
from comity.data.table import Table
from comity.errors import BadInput, BadSchema, UsageError
from comity.ledger import PrivacyUnit, Relation, gaussian_delta
from comity.schema import Schema, parse_schema
from comity.train.encrypted.features import Bins, Features, Levels, Number
from comity.train.encrypted.noisy import NoiseParts, features_of, schedule, sensitivity
from comity.train.encrypted.program import NOISE, compile_training, function_of, input_shapes
from comity.train.encrypted.settings import BITS, Kind, Partition, Training
from comity.train.encrypted.sharing import SCHEMES, held, opened, split, to_values, to_words

FEATURES = Features((Number("age", 18.0, 80.0), Number("dose", -1.0, 3.5)), (Levels("job", ("a", "b")),))
TRAINING = Training(Kind.logistic, rows=1_000, columns=7, numeric=2, noisy=True, steps=16)


def parts_of(epsilon: float = 1.0, delta: float = 1e-6, providers: int = 3, colluders: int = 1) -> NoiseParts:
    return NoiseParts(epsilon, delta, TRAINING, sensitivity(FEATURES), providers, colluders)


ANY = st.one_of(st.none(), st.floats(-1e9, 1e9))
RECORDS = st.lists(
    st.tuples(ANY, ANY, st.one_of(st.none(), st.sampled_from(["a", "b", "other"]))), min_size=1, max_size=20
)


BINNED = Features(
    (), (Bins(Number("age", 18.0, 80.0), 16), Bins(Number("dose", -1.0, 3.5), 3), FEATURES.levels[0])
)


@pytest.mark.parametrize("features", [FEATURES, BINNED])
@given(records=RECORDS)
def test_no_row_moves_a_sum_further_than_its_sensitivity(
    features: Features, records: list[tuple[Any, Any, Any]]
) -> None:
    """Whatever stands in it; the residual is a whole number of at most 2^f in magnitude."""
    age, dose, job = zip(*records, strict=True)
    columns = {
        "age": pa.array(age, pa.float64()),
        "dose": pa.array(dose, pa.float64()),
        "job": pa.array(job, pa.string()),
    }
    rows = to_words(features.encode(Table(pa.table(columns))), BITS).view(np.int64).astype(object)
    for row in rows:
        squares = (int((row * row).sum()) + 2 ** (2 * BITS)) * 2 ** (2 * BITS)
        assert squares <= int(sensitivity(features)) ** 2


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
    carried = parts.part * math.sqrt(providers - colluders)
    multiplier = carried / (parts.reach * math.sqrt(TRAINING.steps))
    assert gaussian_delta(multiplier, epsilon) <= parts.delta
    assert multiplier > 0.3  # also for an epsilon without end
    assert parts.cost.unit is PrivacyUnit.record
    assert parts.cost.relation is Relation.add_remove
    assert parts.cost.delta >= parts.delta


def test_drawn_noise_has_the_scale_that_it_says() -> None:
    """False alarms: 2e-7."""
    parts = parts_of()
    drawn = parts.drawn((4_000,)).astype(float) / parts.part
    low, high = chi2.ppf([1e-7, 1 - 1e-7], len(drawn))
    assert low < np.square(drawn).sum() < high
    assert parts.draw().shape == (16, 8)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="work together"):
        parts_of(providers=2, colluders=2)
    many = replace(TRAINING, rows=2**23)
    with pytest.raises(UsageError, match="64-bit"):
        NoiseParts(1.0, 1e-6, many, sensitivity(FEATURES), 3, 1)
    for change in ({"kind": Kind.linear}, {"partition": Partition.columns}, {"rate": 0.0}):
        with pytest.raises(BadInput):
            replace(TRAINING, **change)
    assert schedule(100, 0.1)[0] < schedule(40_000, 1.0)[0]


def test_noise_is_in_the_compiled_sum_and_nowhere_else() -> None:
    """What the engine is given: a product over all rows and the rows of noise below them; 1,016 of them."""
    lines = compile_training(TRAINING).code.decode().splitlines()
    (joined,) = (line for line in lines if "%arg2" in line and "func" not in line)
    assert "pphlo.concatenate" in joined
    assert "tensor<1016x8x!pphlo.secret<f32>>" in joined
    sums = [line for line in lines if "pphlo.dot" in line and "tensor<8x1016x!pphlo.secret<f32>>" in line]
    assert len(sums) == 1
    (whole, *_) = joined.split()
    (turned,) = (line for line in lines if f"pphlo.transpose {whole}," in line)
    assert f"pphlo.dot {turned.split()[0]}," in sums[0]


def trained(rows: np.ndarray, labels: np.ndarray, noise: np.ndarray, training: Training) -> np.ndarray:
    """The program on plain numbers, with noise in units of 2^(-2f)."""
    given = (rows, labels, np.ldexp(noise.astype(float), -BITS))
    return np.asarray(function_of(training)(*(each.astype(np.float32) for each in given)), dtype=float)


def test_an_attack_finds_members_without_noise_and_no_more_than_the_bound_with_it() -> None:
    """Every member has a level of its own and a coin for a label: all there is to learn is who was there.

    False alarms: with noise the advantage has a standard deviation below 0.08 around 0.12 at most (per own
    level a tenth of the noise's deviation), and its interval would have to begin 0.34 above that; without it
    is 1. Below 1e-7.
    """
    draw = np.random.default_rng(0)
    levels = np.concatenate([np.arange(150), np.tile(np.arange(150, 300), 6)])
    rows, labels = np.eye(300)[levels], draw.integers(0, 2, len(levels)).astype(float)
    training = replace(TRAINING, rows=150, columns=300, numeric=0, rate=4.0)
    noise = NoiseParts(1.0, 1e-6, training, math.sqrt(2) * 2.0 ** (2 * BITS), 3, 1)
    parts = np.sum([noise.draw() for _ in range(3)], axis=0)
    for drawn, finds in ((np.zeros_like(parts), True), (parts, False)):
        weights = trained(rows[:150], labels[:150], drawn, training)
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


@pytest.mark.slow
def test_shared_noise_enters_the_sum_before_it_is_rounded(engines: ModuleType, tmp_path: Path) -> None:
    """One step on rows of zeros opens the noise itself, as finely as a result of 20 bits can tell."""
    training = Training(Kind.logistic, rows=64, columns=3, numeric=0, noisy=True, steps=2, rate=1.0)
    draw = np.random.default_rng(1)
    noise = draw.integers(-(2**46), 2**46, (2, 4))
    rows = np.zeros((64, 3))
    labels = np.tile([0.0, 1.0], 32)
    words = {
        "rows": to_words(rows, BITS),
        "labels": to_words(labels, BITS),
        NOISE: noise.astype(np.int64).view(np.uint64),
    }
    with ExitStack() as stack:
        ring = engines.Ring(SCHEMES["aby3"], stack, tmp_path)
        shapes = input_shapes(training)
        parts = {name: split(words[name], ring.scheme) for name in shapes}

        def act(rank: int) -> Any:
            engine = ring.engines[rank]
            engine.compile(training)
            ring.connect(rank)
            for name, shape in shapes.items():
                engine.put(name, held(parts[name][rank], ring.scheme, rank, math.prod(shape)), shape)
            return engine.run()

        found = to_values(opened(ring.together(act), ring.scheme), BITS)
    # rows of zeros: a weight moves by the noise alone; the second step's place is what is told
    first, second = (np.ldexp(one.astype(float), -2 * BITS) / 64 for one in noise)
    expected = -(first * (1 + training.momentum) + second)
    assert np.abs(found[:3] - expected[:3]).max() < 1e-3 * np.abs(expected).max()
    assert np.allclose(found, trained(rows, labels, noise, training), atol=1e-3 * np.abs(expected).max())
