"""Attacks by a model that is sent to run beside the data: each is refused with words, or gains nothing."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from comity import sandbox
from comity.errors import BadInput
from comity.schema import parse_schema
from comity.validate import hosted_model
from comity.validate.hosted import HostedPrice, HostedQuestion, HostedUnit
from comity.validate.hosted_model import HostedFeatures, check_model, scored, scores, try_model
from comity.validate.hosted_pace import paced

SCHEMA = parse_schema(
    {
        "columns": {
            "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 100},
            "gain": {"role": "sensitive", "type": "number", "min": 0, "max": 1000},
        }
    },
    where="the test",
)
FEATURES = HostedFeatures.of(SCHEMA, ("age", "gain"))


def number(name: str, value: Any, kind: int = TensorProto.FLOAT) -> Any:
    array = np.asarray(value)
    return helper.make_tensor(name, kind, array.shape, array.ravel().tolist())


def node(kind: str, *inputs: str, to: str = "scores", **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [to], **attributes)


def graph(nodes: list[Any], *given: Any, shape: Any = (None, None), **more: Any) -> Any:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)]
    made = helper.make_graph(nodes, "g", inputs, outputs, list(given))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **more)


def loop(kind: str) -> Any:
    body = helper.make_graph([], "body", [], [])
    return graph([node(kind, "m", "c", "x", body=body)])


def own_function() -> Any:
    function = helper.make_function(
        "evil", "Leak", ["a"], ["b"], [node("Identity", "a", to="b")], [helper.make_opsetid("", 17)]
    )
    model = graph([node("Leak", "x", domain="evil")], functions=[function])
    model.opset_import.append(helper.make_opsetid("evil", 1))
    return model


def outside(path: str) -> Any:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=path)
    return graph([node("MatMul", "x", "w")], tensor)


def outside_in_a_node() -> Any:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1])
    tensor.external_data.add(key="location", value="/etc/passwd")
    return graph([node("Constant", to="w", value=tensor), node("MatMul", "x", "w")])


def sized_by_the_row() -> Any:
    """A long constant of which the row says how much is worked on: time would tell the row."""
    return graph(
        [
            node("Gather", "x", "first", axis=1, to="age"),
            helper.make_node("Cast", ["age"], ["whole"], to=TensorProto.INT64),
            node("Reshape", "whole", "one", to="end"),
            node("Slice", "long", "zero", "end", to="part"),
            node("ReduceMean", "part", keepdims=1),
        ],
        number("first", [0], TensorProto.INT64),
        number("one", [1], TensorProto.INT64),
        number("zero", [0], TensorProto.INT64),
        number("long", np.zeros(100)),
    )


REFUSED = {
    "a loop": (loop("Loop"), "operator 'Loop'"),
    "a scan": (loop("Scan"), "operator 'Scan'"),
    "a sequence": (graph([node("SequenceConstruct", "x")]), "operator 'SequenceConstruct'"),
    "a function of its own": (own_function(), "operators of its own"),
    "an operator of its own": (graph([node("Leak", "x", domain="evil")]), "operator 'Leak'"),
    "a file beside it": (outside("../north/tables/train.parquet"), "one file"),
    "a file of the machine": (outside("/etc/passwd"), "one file"),
    "a file in a node": (outside_in_a_node(), "one file"),
    "random numbers": (graph([node("RandomNormalLike", "x")]), "operator 'RandomNormalLike'"),
    "a size as large as a value": (graph([node("ConstantOfShape", "x")]), "operator 'ConstantOfShape'"),
    "a part as long as a value": (sized_by_the_row(), "takes a size from the features"),
    "a growing tile": (graph([node("Tile", "x", "n")], number("n", [1, 10**9], TensorProto.INT64)), "'Tile'"),
    "an optional reach for files": (graph([node("StringNormalizer", "x")]), "operator 'StringNormalizer'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_words_before_it_runs(name: str) -> None:
    model, words = REFUSED[name]
    with pytest.raises(BadInput, match=words):
        check_model(model.SerializeToString(), FEATURES)


def test_more_numbers_than_memory_are_refused_on_made_up_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """(n, 1) + (1, n) has n^2 numbers: constants of a few bytes become more than the cap on memory."""
    monkeypatch.setattr(hosted_model, "_LIMITS", sandbox.Limits(memory_bytes=1 << 30))
    size = 40_000
    model = graph(
        [
            node("ReduceMean", "x", axes=[1], keepdims=1, to="m"),
            node("Add", "long", "m", to="a"),
            node("Transpose", "a", perm=[1, 0], to="b"),
            node("Add", "a", "b", to="c"),
            node("ReduceMean", "c", keepdims=1),
        ],
        number("long", np.zeros((size, 1))),
    )
    with pytest.raises(BadInput, match="made-up row"):
        try_model(model.SerializeToString(), FEATURES)


def test_a_model_that_takes_its_time_is_refused_on_made_up_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_model, "_TRIAL_S", 4.0)
    slow = [node("ReduceMean", "x", axes=[1], keepdims=1, to="m"), node("Mul", "w", "m", to="p0")]
    slow += [node("MatMul", f"p{at}", "w", to=f"p{at + 1}") for at in range(40)]
    model = graph([*slow, node("ReduceMean", "p40", keepdims=1)], number("w", np.zeros((400, 400))))
    with pytest.raises(BadInput, match="cap on time"):
        try_model(model.SerializeToString(), FEATURES)


def target_row(age: float) -> bytes:
    """A model whose score is 1 for one age and 0 for all others: it tells whether one is there."""
    return graph(
        [
            node("Gather", "x", "first", axis=1, to="age"),
            node("Equal", "age", "wanted", to="hit"),
            helper.make_node("Cast", ["hit"], ["scores"], to=TensorProto.FLOAT),
        ],
        number("first", [0], TensorProto.INT64),
        number("wanted", [[age]]),
    ).SerializeToString()


def test_a_model_that_encodes_a_record_in_its_scores_moves_one_count_by_one() -> None:
    """What it encodes reaches the ML party as a count with noise, like any other score."""
    model = target_row(42.0)
    check_model(model, FEATURES)
    others = np.array([[30, 1], [31, 2], [60, 3]], dtype=np.float32)
    with_target = np.vstack([others, [[42, 4]]]).astype(np.float32)
    question = HostedQuestion.equal_width(20)
    counts: list[NDArray[np.int64]] = []
    for matrix in (others, with_target):
        found = scores(model, matrix)
        counts.append(question.counts(found, np.ones(len(matrix), dtype=int)))
    assert int(np.abs(counts[1] - counts[0]).sum()) == 1
    price = HostedPrice(1.0, 1e-6, HostedUnit(), question.dimensions)
    assert price.calibration(question.sizes, 1.0).deviation > 3.5


def test_a_model_that_encodes_a_record_guesses_no_better_than_the_bound() -> None:
    """4,000 coin-flip canaries: the best guess at the one count it moves succeeds at most at the bound.

    Above it by more than 0.04 by chance has probability below 1e-6.
    """
    sizes, epsilon, trials = HostedQuestion.equal_width(20).sizes, 1.0, 4000
    price = HostedPrice(epsilon, 1e-6, HostedUnit(), sizes.dimensions)
    coins = np.random.default_rng(1).integers(0, 2, trials)
    told = price.answer(coins.astype(np.int64), sizes, 1.0).values
    right = ((told > 0.5) == coins).mean()
    assert 0.5 < right <= (math.e**epsilon + 1e-6) / (1 + math.e**epsilon) + 0.04


def test_what_a_model_gives_beyond_one_score_is_not_read() -> None:
    """A whole record as output: the last number is taken, clipped to [0, 1]."""
    model = graph([node("Identity", "x")]).SerializeToString()
    matrix = np.array([[10, 0.25], [20, 7.0], [30, -3.0]], dtype=np.float32)
    assert scores(model, matrix).tolist() == [0.25, 1.0, 0.0]


def test_a_program_in_the_sandbox_reads_no_other_file_and_reaches_no_network(tmp_path: Any) -> None:
    """The control runs outside and does both; inside there are the handed-in files only."""
    secret = tmp_path / "secret"
    secret.write_text("private", encoding="utf-8")
    program = (
        "import socket, sys\n"
        "out = open('/out/told', 'w')\n"
        "for attempt in (lambda: open(sys.argv[1]).read(), lambda: str(socket.socket())):\n"
        "    try:\n"
        "        out.write(attempt())\n"
        "    except OSError as error:\n"
        "        out.write(type(error).__name__ + ' ')\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program, encoding="utf-8")
    job = sandbox.Job(
        [sys.executable, "-I", "/in/program.py", str(secret)],
        inputs={"program.py": script},
        outputs=("told",),
        tools=sandbox.python_tools(),
    )
    done = sandbox.run(job, sandbox.Limits(seconds=20, memory_bytes=1 << 30, processes=1))
    told = done.outputs["told"].decode()
    assert "private" not in told
    assert "FileNotFoundError" in told
    assert "PermissionError" in told


@pytest.mark.parametrize("work", [0.0, 0.05, 0.13, 0.19])
def test_an_answer_leaves_at_one_of_few_times(work: float) -> None:
    begun = time.monotonic()
    assert paced(lambda: time.sleep(work) or 7, step=0.1) == 7
    took = time.monotonic() - begun
    due = min(due for due in (0.1, 0.2, 0.4, 0.8) if due >= work)
    # on a loaded machine the work itself may take longer, and then a later time is due: never an earlier one
    assert took >= due


def test_an_error_leaves_at_such_a_time_too() -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match="no answer"):
        paced(lambda: int("no answer"), step=0.1)
    assert time.monotonic() - begun >= 0.1


def test_rows_of_any_value_take_the_model_as_long() -> None:
    """CPU time of whole runs over rows at the bounds and over rows of tiny numbers: within a factor of 2."""
    dense = [node("MatMul", "x", "w1", to="h"), node("Relu", "h", to="r"), node("MatMul", "r", "w2", to="s")]
    model = graph(
        [*dense, node("Sigmoid", "s")],
        number("w1", np.full((2, 300), 1e-20)),
        number("w2", np.full((300, 1), 1e-20)),
    ).SerializeToString()

    def cpu(matrix: NDArray[np.float32]) -> float:
        return min(scored(model, matrix).cpu_s for _ in range(3))  # a start on a cold machine takes longer

    large = cpu(np.full((3000, 2), 100, dtype=np.float32))
    tiny = cpu(np.full((3000, 2), 1e-19, dtype=np.float32))
    assert 0.5 < tiny / large < 2.0
