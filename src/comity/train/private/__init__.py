"""Private training: models fitted with noise drawn for (epsilon, delta), at the holder of the data.

Names are loaded when first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.train.private.boosting import PrivateBoostedTrees
    from comity.train.private.logistic import PrivateLogisticRegression

_HOME = {"PrivateBoostedTrees": "boosting", "PrivateLogisticRegression": "logistic"}

__all__ = ["PrivateBoostedTrees", "PrivateLogisticRegression"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
