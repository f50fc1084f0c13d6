"""Attacks: adversaries run against releases and models, each with a control and a confidence interval."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Adversary": "release",
    "AttackResult": "result",
    "MembershipInference": "membership",
    "attack_release": "release",
    "membership_inference": "membership",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
