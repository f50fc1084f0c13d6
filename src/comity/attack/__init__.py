"""Attacks: adversaries run against releases and models, each with a control and a confidence interval.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.attack.label import infer_labels, label_bound
    from comity.attack.membership import MembershipInference, membership_inference
    from comity.attack.origin import origin_attack
    from comity.attack.release import Adversary, attack_release
    from comity.attack.result import AttackResult

_HOME = {
    "Adversary": "release",
    "AttackResult": "result",
    "MembershipInference": "membership",
    "attack_release": "release",
    "infer_labels": "label",
    "label_bound": "label",
    "membership_inference": "membership",
    "origin_attack": "origin",
}

__all__ = [
    "Adversary",
    "AttackResult",
    "MembershipInference",
    "attack_release",
    "infer_labels",
    "label_bound",
    "membership_inference",
    "origin_attack",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
