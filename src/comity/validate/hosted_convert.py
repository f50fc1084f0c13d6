"""At the ML party: a scikit-learn model becomes one ONNX file that a provider can check and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, MissingExtra
from comity.validate.hosted_model import HostedFeatures, check_model
from comity.validate.hosted_target import BINARY, HostedTarget

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_OPSETS: Final = {"": 17, "ai.onnx.ml": 3}
_MISSING: Final = -1.0


def start_pipeline(features: HostedFeatures, matrix: NDArray[np.float32], labels: Any, seed: int) -> Pipeline:
    """A fitted logistic regression (L2, C = 1) on standardised numbers and one-hot levels.

    Args:
        matrix: (rows, columns) as `features` makes it.
        labels: (rows,) 0 or 1.
        seed: of the model.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    levels = list(features.categories)
    numbers = [at for at in range(len(features.names)) if at not in levels]
    prepare = ColumnTransformer(
        [
            # a column with no number at all keeps its place, as zeros
            ("numbers", make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
            (
                "levels",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value=_MISSING, keep_empty_features=True),
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ),
                levels,
            ),
        ]
    )
    model = make_pipeline(prepare, LogisticRegression(C=1.0, max_iter=1000, random_state=seed))
    return model.fit(matrix, labels)


def to_onnx(model: Any, features: HostedFeatures, target: HostedTarget = BINARY) -> bytes:
    """A fitted model as ONNX: one input of the features, one output of scores.

    Args:
        model: a scikit-learn classifier (of two classes, or of the target's), regressor or pipeline; it takes
            the float32 matrix that `features` makes.
        target: what it predicts.

    Raises:
        MissingExtra: if onnx and skl2onnx are not installed.
        BadInput: for a model that cannot be converted, or whose form a provider would refuse.
    """
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError:
        raise MissingExtra("converting a model for hosted validation", "hosted") from None
    try:
        converted: Any = convert_sklearn(
            model,
            initial_types=[("features", FloatTensorType([None, len(features.names)]))],
            options=None if not hasattr(model, "predict_proba") else {id(model): {"zipmap": False}},
            target_opset=_OPSETS,
        )
    except Exception as error:
        raise BadInput(f"the model cannot be converted to ONNX: {type(error).__name__}: {error}") from None
    wanted = "variable" if target.numeric else "probabilities"
    kept = [output for output in converted.graph.output if output.name == wanted]
    if not kept:
        kind = "a regressor" if target.numeric else "a classifier that gives probabilities"
        raise BadInput(f"the model gives no {wanted}; for this target a hosted model is {kind}")
    del converted.graph.output[:]
    converted.graph.output.extend(kept)
    if target.classes:
        _in_order(converted.graph, [str(name) for name in model.classes_], target.classes)
    data = converted.SerializeToString()
    check_model(data, features)
    return data


def _in_order(graph: Any, known: list[str], classes: tuple[str, ...]) -> None:
    """Put the model's chances into the order of the target's classes; one that it does not know has chance 0.

    Raises:
        BadInput: if the model knows a class that the target does not have.
    """
    from onnx import helper, numpy_helper

    foreign = sorted(set(known) - set(classes))
    if foreign:
        raise BadInput(f"the model knows a class that the target does not declare: {foreign[0]!r}")
    places = np.zeros((len(known), len(classes)), dtype=np.float32)
    for at, name in enumerate(known):
        places[at, classes.index(name)] = 1.0
    graph.initializer.append(numpy_helper.from_array(places, "comity_places"))
    graph.node.append(helper.make_node("MatMul", ["probabilities", "comity_places"], ["comity_chances"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("comity_chances", 1, [None, len(classes)]))
