"""Hosted feedback: its counts, its price, its metrics, the models it takes, and its learner."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss, roc_auc_score

from comity import sandbox
from comity.data.encode import Encoder
from comity.data.table import Table
from comity.errors import BadInput, BadSchema, UsageError
from comity.ledger import PrivacyUnit, Relation, gaussian_noise_multiplier
from comity.mechanism import Noise
from comity.schema import Column, ColumnType, Role, Schema, Unit, parse_schema
from comity.validate import hosted_model
from comity.validate.hosted import HostedPrice, HostedQuestion, HostedUnit
from comity.validate.hosted_convert import start_pipeline, to_onnx
from comity.validate.hosted_learner import (
    QUERIES,
    SHARES,
    BinCounts,
    Gradient,
    HostedLearner,
    chances,
    log_odds,
    public_columns,
)
from comity.validate.hosted_model import HostedFeatures, check_model, scores, try_model
from comity.validate.hosted_target import BINARY
from comity.validate.mechanism import NoisySums

SCHEMA = parse_schema(
    {
        "columns": {
            "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 100},
            "job": {"role": "quasi_identifier", "type": "category", "values": ["a", "b", "c"]},
            "gain": {"role": "sensitive", "type": "number", "min": 0, "max": 1000},
            "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
        }
    },
    where="the test",
)
NAMES = ("age", "job", "gain")
FEATURES = HostedFeatures.of(SCHEMA, NAMES)


def rows(count: int, seed: int) -> tuple[Table, NDArray[np.int64]]:
    draw = np.random.default_rng(seed)
    age = draw.integers(0, 100, count)
    job = draw.integers(0, 3, count)
    gain = np.where(draw.random(count) < 0.8, 0.0, draw.random(count) * 1000)
    chance = 1 / (1 + np.exp(-(0.06 * (age - 50) + 1.5 * (job == 1) + 2.0 * (gain > 100) - 1.0)))
    labels = (draw.random(count) < chance).astype(np.int64)
    table = pa.table({"age": age, "job": np.array(["a", "b", "c"])[job], "gain": gain})
    return Table(table), labels


def exact(question: HostedQuestion, counts: NDArray[np.int64], deviation: float = 1e-9) -> Any:
    return question.read(NoisySums(counts.astype(np.float64), Noise("gaussian", 0, deviation)))


# -- counts and metrics


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30), st.integers(0, 200))
def test_counts_are_those_of_a_plain_loop(seed: int, bins: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    given_scores, labels = draw.random(count), draw.integers(0, 2, count)
    values = draw.choice(["a", "b", "z"], count).tolist()
    question = HostedQuestion.equal_width(bins, schema=SCHEMA, by="job")
    table = np.zeros((4, bins, 2), dtype=np.int64)
    for score, label, value in zip(given_scores, labels, values, strict=True):
        place = sum(score >= edge for edge in question.edges)
        table[{"a": 0, "b": 1, "c": 2}.get(value, 3), place, label] += 1
    assert (question.counts(given_scores, labels, values) == table.ravel()).all()


def test_a_record_moves_one_count_by_one() -> None:
    question = HostedQuestion.equal_width(20)
    draw = np.random.default_rng(1)
    given_scores, labels = draw.random(50), draw.integers(0, 2, 50)
    whole = question.counts(given_scores, labels)
    for at in range(50):
        without = question.counts(np.delete(given_scores, at), np.delete(labels, at))
        assert np.abs(whole - without).sum() == 1
    assert (question.sizes.l1, question.sizes.l2) == (1, 1)


def test_metrics_agree_with_sklearn_within_what_bins_hide() -> None:
    draw = np.random.default_rng(2)
    given_scores = np.clip(draw.beta(1, 2, 20_000), 0.011, 0.989)
    labels = (draw.random(20_000) < given_scores).astype(int)
    question = HostedQuestion.equal_width(20)
    metrics = exact(question, question.counts(given_scores, labels)).metrics
    predicted = given_scores >= 0.5
    truth = {
        "accuracy": accuracy_score(labels, predicted),
        "f1": f1_score(labels, predicted),
        "auc": roc_auc_score(labels, given_scores),
        "brier": brier_score_loss(labels, given_scores),
        "log_loss": log_loss(labels, given_scores),
    }
    for name in ("accuracy", "f1"):
        assert metrics[name].value == pytest.approx(truth[name], abs=1e-9)
    for name, value in truth.items():
        assert metrics[name].low - 1e-9 <= value <= metrics[name].high + 1e-9
    assert metrics["auc"].high - metrics["auc"].low < 0.06
    assert metrics["records"].value == 20_000
    assert metrics["calibration-4"].value == pytest.approx(0.225, abs=0.03)


def test_metrics_by_group_are_those_of_the_groups() -> None:
    table, labels = rows(3000, 3)
    given_scores = np.random.default_rng(3).random(3000)
    values = table.arrow.column("job").to_pylist()
    question = HostedQuestion.equal_width(10, schema=SCHEMA, by="job")
    feedback = exact(question, question.counts(given_scores, labels, values))
    assert set(feedback.by_group) == {"a", "b", "c", "other"}
    here = np.array(values) == "b"
    assert feedback.by_group["b"]["prevalence"].value == pytest.approx(labels[here].mean())
    assert feedback.metrics["prevalence"].value == pytest.approx(labels.mean())
    # a group that nobody is in is answered like any other: a refusal would tell that it is empty
    assert feedback.by_group["other"]["accuracy"].value is None


@pytest.mark.slow
def test_intervals_cover() -> None:
    """95% intervals, 200 repetitions: under 168 covers of any of the 7 has probability below 1e-6."""
    draw = np.random.default_rng(4)
    centres = (np.arange(20) + 0.5) / 20
    given_scores = centres[draw.integers(0, 20, 3000)]
    labels = (draw.random(3000) < given_scores).astype(int)
    question = HostedQuestion.equal_width(20)
    counts = question.counts(given_scores, labels)
    price = HostedPrice(1.0, 1e-6, HostedUnit(), question.dimensions)
    truth = exact(question, counts).metrics
    covered = dict.fromkeys(("accuracy", "precision", "recall", "f1", "auc", "brier", "records"), 0)
    for _ in range(200):
        metrics = question.read(price.answer(counts, question.sizes, 1.0)).metrics
        for name in covered:
            covered[name] += metrics[name].low <= truth[name].value <= metrics[name].high
    assert all(count >= 168 for count in covered.values()), covered


def test_groups_come_from_declared_levels_only() -> None:
    with pytest.raises(BadInput, match="levels in the schema"):
        HostedQuestion.equal_width(10, schema=SCHEMA, by="age")
    with pytest.raises(BadInput, match="ascending"):
        HostedQuestion((0.5, 0.5))


# -- price


def test_the_price_is_one_gaussian_and_its_shares_add_up() -> None:
    price = HostedPrice(1.0, 1e-6, HostedUnit(), 1000)
    assert price.cost.unit is PrivacyUnit.record
    assert price.cost.relation is Relation.add_remove
    assert math.fsum(SHARES) == pytest.approx(1.0, abs=1e-12)
    assert len(SHARES) == QUERIES
    least = gaussian_noise_multiplier(1.0, 1e-6)
    assert least <= price.multiplier < least * 1.0001
    question = HostedQuestion.equal_width(20)
    for share in SHARES:
        deviation = price.calibration(question.sizes, share).deviation
        assert deviation * math.sqrt(share) >= price.multiplier


def test_a_person_with_several_rows_costs_as_many() -> None:
    person = HostedUnit(PrivacyUnit.person, 3, "who")
    question = HostedQuestion.equal_width(20)
    one = HostedPrice(1.0, 1e-6, HostedUnit(), 40).calibration(question.sizes, 1.0)
    three = HostedPrice(1.0, 1e-6, person, 40).calibration(question.sizes, 1.0)
    assert three.deviation == pytest.approx(3 * one.deviation)
    assert person.kept(["x", "y", "x", "x", "x", "y"]).tolist() == [0, 1, 2, 3, 5]
    unit = Schema(columns=SCHEMA.columns, unit={"column": "job", "max_rows": 3})  # type: ignore[arg-type]
    assert HostedUnit.of(unit.unit) == HostedUnit(PrivacyUnit.person, 3, "job")
    identifier = {"job": Column(role=Role.identifier, type=ColumnType.text)}
    assert HostedUnit.of(unit.unit, identifier) == HostedUnit.of(unit.unit)
    record = HostedUnit.of(Unit(column="job"), identifier)
    assert record.unit is PrivacyUnit.record
    assert record.kept(["x", "y", "x", None]).tolist() == [0, 1]


def test_rows_that_name_nobody_do_not_count() -> None:
    assert HostedUnit(PrivacyUnit.person, 2, "who").kept([None, "x", None, "x", "x"]).tolist() == [1, 3]
    with pytest.raises(UsageError, match="max_rows"):
        HostedUnit.of(Unit(column="who", max_rows=5_000))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_a_person_moves_counts_by_no_more_than_its_rows(seed: int, most: int) -> None:
    """All rows of one person come or go: within the bound, whoever else is there and in whatever order."""
    draw = np.random.default_rng(seed)
    people = draw.integers(0, 6, 40).tolist()
    given_scores, labels = draw.random(40), draw.integers(0, 2, 40)
    unit, question = HostedUnit(PrivacyUnit.person, most, "who"), HostedQuestion.equal_width(5)

    def counted(places: list[int]) -> NDArray[np.int64]:
        kept = np.array(places)[unit.kept([people[at] for at in places])]
        return question.counts(given_scores[kept], labels[kept])

    everybody = list(range(40))
    without = [at for at in everybody if people[at] != 3]
    moved = counted(everybody) - counted(without)
    assert int(np.abs(moved).sum()) <= question.sizes.l1 * most
    assert float(np.square(moved).sum()) <= (question.sizes.l2 * most) ** 2


def test_a_delta_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        _ = HostedPrice(1.0, 1e-15, HostedUnit(), 10_000).multiplier


# -- models


def graph(nodes: list[Any], *, width: int = 3, outputs: tuple[str, ...] = ("scores",), **more: Any) -> bytes:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in outputs]
    made = helper.make_graph(nodes, "g", inputs, given, more.pop("initializer", []))
    opsets = [helper.make_opsetid("", 17), *more.pop("opsets", [])]
    return helper.make_model(made, opset_imports=opsets, ir_version=8, **more).SerializeToString()


def node(kind: str, *inputs: str, to: str = "scores", **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [to], **attributes)


def number(name: str, value: Any, kind: int = TensorProto.FLOAT) -> Any:
    array = np.asarray(value)
    return helper.make_tensor(name, kind, array.shape, array.ravel().tolist())


MEAN = [node("ReduceMean", "x", axes=[1], keepdims=1, to="m"), node("Sigmoid", "m")]


def test_a_plain_model_passes() -> None:
    check_model(graph(MEAN), FEATURES)


def branch() -> Any:
    inner = helper.make_graph(
        [node("Identity", "x", to="y")],
        "b",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])],
    )
    return node("If", "c", then_branch=inner, else_branch=inner)


BAD = {
    "control flow": (graph([branch()], initializer=[number("c", 1, TensorProto.BOOL)]), "operator 'If'"),
    "random numbers": (graph([node("RandomUniformLike", "x")]), "RandomUniformLike"),
    "data-sized": (graph([node("Range", "x", "x", "x")]), "Range"),
    "a width of its own": (graph(MEAN, width=4), "agreed features"),
    "two outputs": (graph([*MEAN], outputs=("scores", "m")), "2 outputs"),
    "own operators": (
        graph([node("Steal", "x", domain="evil")], opsets=[helper.make_opsetid("evil", 1)]),
        "own",
    ),
    "no ONNX at all": (b"not a model", "not valid ONNX"),
    "a pickle": (b"\x80\x04\x95\x10", "not valid ONNX"),
    "nothing": (b"", "not valid ONNX"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_plain_model_is_refused(name: str) -> None:
    data, words = BAD[name]
    with pytest.raises(BadInput, match=words):
        check_model(data, FEATURES)


def test_numbers_in_other_files_are_refused() -> None:
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 1])
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../south/tables/train.parquet")
    with pytest.raises(BadInput):
        check_model(graph([node("MatMul", "x", "w")], initializer=[outside]), FEATURES)


def test_a_large_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_model, "MOST_BYTES", 10)
    with pytest.raises(BadInput, match="bytes"):
        check_model(graph(MEAN), FEATURES)


def test_features_need_public_bounds() -> None:
    open_ended = parse_schema({"columns": {"age": {"role": "insensitive", "type": "integer"}}}, where="x")
    with pytest.raises(BadSchema, match="age"):
        HostedFeatures.of(open_ended, ["age"])


def test_features_stay_within_public_facts() -> None:
    table = Table(pa.table({"age": [-5, 500, None], "job": ["b", "new", None], "gain": [1.0, 2.0, 3.0]}))
    matrix = FEATURES.matrix(table)
    assert matrix[:2].tolist() == [[0.0, 1.0, 1.0], [100.0, 3.0, 2.0]]
    assert np.isnan(matrix[2, :2]).all()


def test_no_score_depends_on_another_row() -> None:
    """A model that adds up over the batch sees one row at a time; the control runs it on the batch."""
    spread = [
        node("ReduceSum", "x", "axes", keepdims=1, to="t"),
        node("Gemm", "t", "w", to="s"),
        node("Sigmoid", "s"),
    ]
    model = graph(
        spread,
        initializer=[number("axes", [0], TensorProto.INT64), number("w", [[0.001], [0.0], [0.0]])],
    )
    check_model(model, FEATURES)
    matrix = np.array([[10, 0, 0], [90, 0, 0], [50, 0, 0]], dtype=np.float32)
    together = scores(model, matrix)
    for at in range(3):
        assert scores(model, matrix[at : at + 1])[0] == together[at]
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    batch = session.run(None, {"x": matrix})[0].ravel()
    assert abs(float(batch[0]) - together[0]) > 1e-3


def test_faults_on_rows_are_neutral_and_touch_no_other_row() -> None:
    odd = graph([node("Log", "x", to="l"), node("ReduceMin", "l", axes=[1], keepdims=1)])
    matrix = np.array([[1, 1, 1.5], [0, 1, 1], [-1, 1, 1], [2, 2, 2]], dtype=np.float32)
    assert scores(odd, matrix).tolist() == pytest.approx([0.0, BINARY.neutral, BINARY.neutral, math.log(2)])
    # an index out of range is an error of the runtime, on that row alone
    picky = graph(
        [
            helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
            node("Gather", "table", "i", axis=0, to="g"),
            node("ReduceMax", "g", axes=[1], keepdims=1),
        ],
        initializer=[number("table", [0.1, 0.2, 0.9])],
    )
    matrix = np.array([[0, 0, 1], [0, 0, 7], [0, 0, 2]], dtype=np.float32)
    assert scores(picky, matrix).tolist() == pytest.approx([0.2, BINARY.neutral, 0.9])


def test_a_crash_costs_one_row_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A scorer that dies on a row stands for a model that brings the runtime down."""
    scorer = tmp_path / "scorer.py"
    scorer.write_text(
        "import os, struct, sys\n"
        "import numpy as np\n"
        "rows = np.load(sys.argv[2])\n"
        "with open(sys.argv[3], 'wb', buffering=0) as file:\n"
        "    for row in rows[int(sys.argv[4]):]:\n"
        "        if row[0] == 13: os.abort()\n"
        "        file.write(struct.pack('<f', row[0] / 100))\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(hosted_model, "_SCORER", scorer)
    matrix = np.array([[10, 0, 0], [13, 0, 0], [20, 0, 0], [13, 0, 0], [30, 0, 0]], dtype=np.float32)
    assert scores(b"", matrix).tolist() == pytest.approx([0.1, BINARY.neutral, 0.2, BINARY.neutral, 0.3])


def test_a_model_that_cannot_run_is_told_of_on_made_up_rows() -> None:
    large = graph(
        [node("MatMul", "x", "w", to="m"), node("Sigmoid", "m")],
        initializer=[number("w", np.ones((4, 1)))],
    )
    with pytest.raises(BadInput):
        try_model(large, FEATURES)
    with pytest.raises(BadInput, match="between 0 and 1"):
        try_model(graph([node("ReduceMax", "c", axes=[1])], initializer=[number("c", [[5.0]])]), FEATURES)


def test_without_a_sandbox_no_model_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "missing", lambda: "the program 'bwrap'")
    with pytest.raises(sandbox.NoSandbox, match="bwrap"):
        scores(graph(MEAN), np.zeros((2, 3), dtype=np.float32))


@pytest.mark.parametrize("kind", ["linear", "boosted"])
def test_a_scikit_learn_model_scores_the_same_beside_the_data(kind: str) -> None:
    table, labels = rows(600, 5)
    matrix = FEATURES.matrix(table)
    matrix[::7, 0] = np.nan
    if kind == "linear":
        model: Any = start_pipeline(FEATURES, matrix, labels, 0)
    else:
        model = HistGradientBoostingClassifier(max_iter=20).fit(matrix, labels)
    data = to_onnx(model, FEATURES)
    try_model(data, FEATURES)
    assert np.abs(scores(data, matrix) - model.predict_proba(matrix)[:, 1]).max() < 1e-5


# -- learner


def encoded(count: int = 400, seed: int = 6) -> tuple[Encoder, NDArray[np.uint16], NDArray[np.int64]]:
    table, labels = rows(count, seed)
    columns = public_columns(SCHEMA, rows(200, 7)[0], NAMES)
    return columns, columns.codes(table), labels


def gradient(columns: Encoder, scale: int) -> Gradient:
    draw = np.random.default_rng(8)
    matrix = draw.integers(-scale, scale, (columns.width, columns.width)).astype(np.int32)
    return Gradient(0.7, draw.normal(size=columns.width), matrix)


@pytest.mark.parametrize("scale", [10, 10_000, 10_000_000])
def test_no_record_moves_a_gradient_by_more_than_the_cap(scale: int) -> None:
    columns, codes, labels = encoded(60)
    question = gradient(columns, scale)
    start = np.random.default_rng(9).normal(size=60)
    whole = question.sums(columns, codes, start, labels)
    for at in range(60):
        keep = np.arange(60) != at
        without = question.sums(columns, codes[keep], start[keep], labels[keep])
        moved = [int(value) for value in whole - without]
        assert sum(value * value for value in moved) <= question.sizes.l2**2
        assert sum(map(abs, moved)) <= question.sizes.l1


def test_no_record_moves_the_counts_by_more_than_they_say() -> None:
    columns, codes, _ = encoded(30)
    question = BinCounts(columns)
    whole = question.sums(codes)
    moved = whole - question.sums(codes[1:])
    assert int((moved.astype(object) ** 2).sum()) <= question.sizes.l2**2
    assert int(np.abs(moved).sum()) <= question.sizes.l1


def test_a_small_gradient_is_that_of_the_log_likelihood() -> None:
    columns, codes, labels = encoded(300)
    matrix = np.eye(columns.width, dtype=np.int32) * 1000
    question = Gradient(1.0, np.zeros(columns.width), matrix)
    start = np.random.default_rng(10).normal(size=300)
    plain = columns.dense(codes).astype(np.float64).T @ (labels - chances(start))
    assert np.abs(question.sums(columns, codes, start, labels) / 1000 - plain).max() < 0.5


def test_a_gradient_survives_its_message() -> None:
    columns, _, _ = encoded()
    question = gradient(columns, 1000)
    again = Gradient.from_message(*question.to_message(), columns.width)
    assert (again.matrix == question.matrix).all()
    assert (again.weights == question.weights).all()
    body, parts = question.to_message()
    for broken in ({}, {**parts, "weights": parts["weights"][:-8]}, {**parts, "matrix": b"1234"}):
        with pytest.raises(BadInput):
            Gradient.from_message(body, broken, columns.width)
    with pytest.raises(BadInput, match="between"):
        Gradient(math.nan, question.weights, question.matrix)
    for large in (math.inf, -1e308, math.nan):
        with pytest.raises(BadInput, match="between"):
            Gradient(1.0, np.full(columns.width, large), question.matrix)


def test_extreme_questions_and_empty_tables_stay_within_the_cap() -> None:
    columns, codes, labels = encoded(5)
    width = columns.width
    extreme = Gradient(1e6, np.full(width, -1e6), np.full((width, width), -(2**31), dtype=np.int32))
    sums = extreme.sums(columns, codes, np.full(5, 9.0), labels)
    assert math.isqrt(sum(int(value) ** 2 for value in sums)) <= 5 * extreme.sizes.l2
    assert (extreme.sums(columns, codes[:0], np.zeros(0), labels[:0]) == 0).all()
    assert (BinCounts(columns).sums(codes[:0]) == 0).all()
    assert scores(graph(MEAN), np.zeros((0, 3), dtype=np.float32)).tolist() == []


def test_columns_use_seed_rows_and_public_facts_only() -> None:
    columns = public_columns(SCHEMA, rows(200, 7)[0], NAMES)
    assert columns.names == NAMES
    edges = columns.to_dict()["columns"][2]["edges"]
    assert 500.0 in edges
    assert min(edges) > 0


@pytest.mark.slow
def test_it_learns_from_answers_at_epsilon_1() -> None:
    seeds, seed_labels = rows(60, 11)
    table, labels = rows(8000, 12)
    held, held_labels = rows(4000, 13)
    start = start_pipeline(FEATURES, FEATURES.matrix(seeds), seed_labels, 0)
    first = start.predict_proba(FEATURES.matrix(table))[:, 1]
    columns = public_columns(SCHEMA, seeds, NAMES)
    codes = columns.codes(table)
    price = HostedPrice(1.0, 1e-6, HostedUnit(), columns.width * QUERIES)
    learner = HostedLearner(columns, columns.codes(seeds), noise=price.multiplier)
    counts = BinCounts(columns)
    learner.take_counts(counts.read(price.answer(counts.sums(codes), counts.sizes, SHARES[0]).values))
    for share in SHARES[1:-1]:
        question = learner.question()
        sums = question.sums(columns, codes, log_odds(first), labels)
        noisy = price.answer(sums, question.sizes, share)
        learner.step(noisy.values, noisy.deviation)
    begun = start.predict_proba(FEATURES.matrix(held))[:, 1]
    before = roc_auc_score(held_labels, begun)
    after = roc_auc_score(held_labels, learner.scores(held, begun))
    assert after > before + 0.005
