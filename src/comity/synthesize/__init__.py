"""Synthetic tables with differential privacy: MST and AIM over noisy marginals.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.data.people import Unit
    from comity.synthesize.purse import Purse
    from comity.synthesize.table import Method, Synthetic, make_synthetic, synthesize

_HOME = {
    "Method": "table",
    "Purse": "purse",
    "Synthetic": "table",
    "Unit": "table",
    "make_synthetic": "table",
    "synthesize": "table",
}

__all__ = ["Method", "Purse", "Synthetic", "Unit", "make_synthetic", "synthesize"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
