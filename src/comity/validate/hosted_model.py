"""A model that somebody sends to run beside the data: ONNX, checked, run in the sandbox; never a pickle.

What a model gets is fixed by the schema alone (`HostedFeatures`): one float32 matrix, numbers within their
public bounds and levels as their place in the public list. What it gives is one score per row, or one per
class. Whether it stumbles over a row depends on private values, so `scores` never tells: scores that cannot
be had are neutral. `try_model` runs it on made-up rows first, where every fault is public and may be told in
full. Sizes inside the model may not follow from the features, so that a row takes as long as any other, and
what the trial took says what the rows will take.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity import sandbox
from comity.data.table import Table
from comity.errors import BadInput, BadSchema, MissingExtra
from comity.schema import Schema
from comity.validate.hosted_target import BINARY, HostedTarget

if TYPE_CHECKING:
    from onnx import ModelProto

Floats = NDArray[np.float64]

MOST_BYTES: Final = 16 << 20
_MOST_NODES: Final = 10_000
_MOST_CRASHES: Final = 20
_SLIP: Final = 1e-6
_TRIAL_ROWS: Final = 1024
_TRIAL_S: Final = 40.0
"""For the whole trial: a row takes at most 0.04 s, so the time allowed for the rows is never short."""
_START_S: Final = 60.0
_ROW_S: Final = 0.1
_LOG_BYTES: Final = 65_536
_SCORER: Final = Path(__file__).with_name("hosted_scorer.py")
_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_LIMITS: Final = sandbox.Limits(memory_bytes=4 << 30)

_ALLOWED: Final = """
Abs Add And ArgMax ArgMin ArrayFeatureExtractor AveragePool BatchNormalization Binarizer Cast CategoryMapper
Ceil Clip Concat Constant Conv Div Elu Equal Erf Exp FeatureVectorizer Flatten Floor Gather GatherElements
GatherND Gelu Gemm GlobalAveragePool Greater GreaterOrEqual HardSigmoid Identity Imputer IsInf IsNaN
LabelEncoder LayerNormalization LeakyRelu Less LessOrEqual LinearClassifier LinearRegressor Log LogSoftmax
MatMul Max MaxPool Mean Min Mul Neg Normalizer Not OneHotEncoder Or Pow PRelu Reciprocal ReduceL1 ReduceL2
ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round SVMClassifier
SVMRegressor Scaler ScatterElements ScatterND Selu Shape Sigmoid Sign Slice Softmax Softplus Softsign Split
Sqrt Squeeze Sub Sum Tanh TopK Transpose TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor Unsqueeze
Where Xor
"""
OPERATORS: Final = frozenset(_ALLOWED.split())
"""What a model may be made of. Left out: control flow, loops, sequences, random numbers, functions, whatever
is not ONNX's own, and what could make something as large as a private value says."""


_SIZED_BY: Final = {
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    **{name: (1,) for name in OPERATORS if name.startswith("Reduce")},
}
"""Which inputs of an operator say how large its output is."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What a model gave for each row, and what that cost in the sandbox. For the holder of the data only.

    Attributes:
        values: (rows,), or (rows, classes) for several classes.
        cpu_s: CPU-seconds; peak_mb: the most resident memory, in MiB.
    """

    values: Floats
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class HostedFeatures:
    """What a hosted model is given, from the schema alone: (rows, columns) float32.

    A number lies within its bounds (it is moved to the nearer one if not), a level is its place in the list
    of levels, any other level the number of levels; what is missing is NaN.

    Attributes:
        schema: bounds and levels, public by agreement.
        names: the columns, in order.
    """

    schema: Schema
    names: tuple[str, ...]

    @classmethod
    def of(cls, schema: Schema, names: Sequence[str]) -> Self:
        """Features in this order.

        Raises:
            BadSchema: naming the columns that lack bounds or levels.
        """
        lacking = [
            f"{name} ({'min and max' if schema[name].type.is_numeric else 'values'})"
            for name in names
            if (
                schema[name].min is None or schema[name].max is None
                if schema[name].type.is_numeric
                else schema[name].values is None
            )
        ]
        if lacking:
            raise BadSchema(f"hosted features need public bounds; add to the schema: {', '.join(lacking)}")
        return cls(schema, tuple(names))

    def matrix(self, table: Table) -> NDArray[np.float32]:
        """(rows, columns) what the model is given."""
        filled = np.empty((table.rows, len(self.names)), dtype=np.float32)
        for at, name in enumerate(self.names):
            column = self.schema[name]
            if column.type.is_numeric:
                numbers = table.numbers(name)
                filled[:, at] = np.clip(numbers, column.min, column.max)
            else:
                codes, found = table.levels(name)
                place = {level: code for code, level in enumerate(column.values or ())}
                lookup = np.array(
                    [*(place.get(level, len(place)) for level in found), np.nan], dtype=np.float32
                )
                filled[:, at] = lookup[codes]  # -1 is missing: the last entry
        return filled

    def made_up(self, rows: int = _TRIAL_ROWS) -> NDArray[np.float32]:
        """(rows, columns) rows that walk through bounds, levels and missing values; no data is used."""
        filled = np.empty((rows, len(self.names)), dtype=np.float32)
        for at, name in enumerate(self.names):
            column = self.schema[name]
            if column.type.is_numeric:
                values = np.linspace(column.min or 0.0, column.max or 0.0, rows)
            else:
                values = np.arange(rows) % (len(column.values or ()) + 1)
            filled[:, at] = np.roll(values, at)
            filled[at % rows, at] = np.nan
        return filled

    @property
    def categories(self) -> tuple[int, ...]:
        """Places of the columns that hold levels."""
        return tuple(at for at, name in enumerate(self.names) if not self.schema[name].type.is_numeric)


def check_model(data: bytes, features: HostedFeatures) -> None:
    """Refuse what is not a plain model over the agreed features; looks at the model only.

    Raises:
        BadInput: saying what is wrong: size, form, an operator, outside data, inputs or outputs.
        MissingExtra: if onnx is not installed.
    """
    if len(data) > MOST_BYTES:
        raise BadInput(f"the model has {len(data):,} bytes; at most {MOST_BYTES:,} are allowed")
    model = _parsed(data)
    domains = {entry.domain for entry in model.opset_import}
    if model.functions or not domains <= _DOMAINS:
        raise BadInput("the model brings operators of its own; only ONNX's own are allowed")
    graph = model.graph
    if len(graph.node) > _MOST_NODES or model.training_info or graph.sparse_initializer:
        raise BadInput(f"the model is no plain graph of at most {_MOST_NODES:,} operators")
    for node in graph.node:
        if node.domain not in _DOMAINS or node.op_type not in OPERATORS:
            raise BadInput(
                f"the model uses the operator '{node.op_type[:60]}', which a hosted model may not; "
                "see comity.validate.hosted_model.OPERATORS"
            )
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise BadInput(f"the operator '{node.op_type}' holds a graph of its own: no control flow")
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise BadInput(f"the operator '{node.op_type}' holds sparse numbers: write them out")
            _require_inside(attribute.t, *attribute.tensors)
    _require_inside(*graph.initializer)
    _check_sizes(graph)
    _check_ends(graph, len(features.names))
    _check_form(model)


def _parsed(data: bytes) -> ModelProto:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise MissingExtra("hosted validation", "hosted") from None
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise BadInput(f"the model is not valid ONNX: {str(error)[:200]}") from None
    if not model.graph.node:
        raise BadInput("the model is not valid ONNX: it has no graph")
    return model


def _check_form(model: ModelProto) -> None:
    """What the standard asks; last, so that the checker never meets outside data or foreign operators."""
    from onnx import checker

    try:
        checker.check_model(model)
    except (checker.ValidationError, ValueError) as error:
        raise BadInput(f"the model is not valid ONNX: {str(error)[:200]}") from None


def _require_inside(*tensors: Any) -> None:
    for tensor in tensors:
        if tensor.external_data or tensor.data_location:
            raise BadInput("the model keeps numbers in files beside it; a hosted model is one file")


def _check_sizes(graph: Any) -> None:
    """No size follows from the features: a row's time and memory would tell of its values."""
    fixed = {"", *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:
        for at in _SIZED_BY.get(node.op_type, ()):
            if at < len(node.input) and node.input[at] not in fixed:
                raise BadInput(
                    f"the operator '{node.op_type}' takes a size from the features: sizes in a hosted model "
                    "are constants, so that how long a row takes tells nothing of it"
                )
        # a shape is as fixed as all sizes are
        if node.op_type == "Shape" or all(name in fixed for name in node.input):
            fixed |= set(node.output)


def _check_ends(graph: Any, columns: int) -> None:
    """One input of the agreed width, one output of scores."""
    given = {tensor.name for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in given]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise BadInput(
            f"the model has {len(inputs)} inputs and {len(graph.output)} outputs; a hosted model has one "
            "each: the features, and the scores"
        )
    tensor = inputs[0].type.tensor_type
    widths = [entry.dim_value for entry in tensor.shape.dim]
    if tensor.elem_type != 1 or len(widths) != 2 or widths[1] != columns:
        raise BadInput(f"the model's input is not a float32 matrix of the {columns} agreed features")


def try_model(data: bytes, features: HostedFeatures, target: HostedTarget = BINARY) -> None:
    """Check the model and run it on made-up rows. What goes wrong here depends on public facts.

    Raises:
        BadInput: if it fails, takes too long, or gives something that is no score between 0 and 1, or no
            number within the target's bounds.
        NoSandbox, MissingExtra: if something is not installed.
    """
    check_model(data, features)
    done = _run(data, features.made_up(), target.outputs, seconds=_TRIAL_S)
    found = _read(done, _TRIAL_ROWS, target.outputs)
    if len(found) < _TRIAL_ROWS:
        why = f"it passed the cap on {done.cut}" if done.cut else done.printed.strip()[-300:]
        raise BadInput(f"the model does not run on made-up rows: {why or 'it gave no scores'}")
    if np.isnan(found).all():
        raise BadInput(f"the model does not give {target.words} on any made-up row")
    slip = _SLIP * (target.high - target.low)
    if not (np.isfinite(found) & (found > target.low - slip) & (found < target.high + slip)).any():
        raise BadInput(
            f"the model's scores are not between {target.low:g} and {target.high:g} on any made-up row"
        )


def scores(data: bytes, matrix: NDArray[np.float32], target: HostedTarget = BINARY) -> Floats:
    """The values that `scored` gives."""
    return scored(data, matrix, target).values


def scored(data: bytes, matrix: NDArray[np.float32], target: HostedTarget = BINARY) -> Scored:
    """The model's scores within the target's bounds. Every row is run by itself: it depends on no other row.

    What the model gives is clipped to the bounds; a row that it fails on, or brings the runtime down with, is
    neutral (`HostedTarget.neutral`), and the rows after it are run again from there. No fault is told to
    anybody. After 20 crashes the rest is neutral too. That is where rows do depend on each other: the
    guarantee assumes that nobody finds a model out of the allowed operators that brings the runtime down, or
    takes far longer than on made-up rows, on rows of its choice.
    """
    found = np.full((len(matrix), target.outputs), np.nan)
    first, cpu_s, peak = 0, 0.0, 0
    for _ in range(_MOST_CRASHES + 1):
        rest = len(matrix) - first
        done = _run(data, matrix, target.outputs, first, seconds=_START_S + _ROW_S * rest)
        cpu_s, peak = cpu_s + done.cpu_s, max(peak, done.peak_bytes)
        part = _read(done, rest, target.outputs)
        found[first : first + len(part)] = part
        first += len(part) + 1
        if first > len(matrix):
            break
    whole = np.isfinite(found).all(axis=1, keepdims=True)
    held = np.clip(np.where(whole, found, target.neutral), target.low, target.high)
    return Scored(held[:, 0] if target.outputs == 1 else held, cpu_s, peak / 2**20)


def _run(
    data: bytes, matrix: NDArray[np.float32], outputs: int, first: int = 0, *, seconds: float
) -> sandbox.Finished:
    """Run the scorer in the sandbox, on the rows from `first` on."""
    with tempfile.TemporaryDirectory(prefix="comity-hosted-") as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(data)
        np.save(folder / "rows.npy", np.ascontiguousarray(matrix), allow_pickle=False)
        inputs = {
            "model.onnx": folder / "model.onnx",
            "rows.npy": folder / "rows.npy",
            "scorer.py": _SCORER,
        }
        command = [sys.executable, "-I", "/in/scorer.py", "/in/model.onnx", "/in/rows.npy", "/out/scores"]
        job = sandbox.Job(
            [*command, str(first), str(outputs)],
            inputs=inputs,
            outputs=("scores",),
            tools=sandbox.python_tools(),
        )
        room = 4 * len(matrix) * outputs + _LOG_BYTES
        return sandbox.run(job, replace(_LIMITS, seconds=seconds, file_bytes=room))


def _read(done: sandbox.Finished, rows: int, outputs: int) -> NDArray[np.float32]:
    """(at most rows, outputs) scores that were written before the end."""
    written, size = done.outputs["scores"], 4 * outputs
    whole = written[: min(len(written) // size, rows) * size]
    return np.frombuffer(whole, dtype="<f4").reshape(-1, outputs)
