"""At the ML party: a scikit-learn model becomes one ONNX file that a provider can check and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, MissingExtra
from comity.validate.hosted_model import HostedFeatures, check_model

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


def to_onnx(model: Any, features: HostedFeatures) -> bytes:
    """A fitted binary classifier as ONNX: one input of the features, one output of scores.

    Args:
        model: a scikit-learn classifier or pipeline that takes the float32 matrix that `features` makes.

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
            options={id(model): {"zipmap": False}},
            target_opset=_OPSETS,
        )
    except Exception as error:
        raise BadInput(f"the model cannot be converted to ONNX: {type(error).__name__}: {error}") from None
    kept = [output for output in converted.graph.output if output.name == "probabilities"]
    if not kept:
        raise BadInput("the model gives no probabilities; a hosted model is a classifier of two classes")
    del converted.graph.output[:]
    converted.graph.output.extend(kept)
    data = converted.SerializeToString()
    check_model(data, features)
    return data
