"""Federated training: sums of masked vectors, on Flower's ClientApp, ServerApp and strategies.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.train.federated.collector import Collector
    from comity.train.federated.group import Group
    from comity.train.federated.member import Member
    from comity.train.federated.memory import Trained, assemble, train_together
    from comity.train.federated.shared_noise import SharedNoise

_HOME = {
    "Collector": "collector",
    "Group": "group",
    "Member": "member",
    "SharedNoise": "shared_noise",
    "Trained": "memory",
    "assemble": "memory",
    "train_together": "memory",
}

__all__ = ["Collector", "Group", "Member", "SharedNoise", "Trained", "assemble", "train_together"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
