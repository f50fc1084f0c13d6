"""Linking records of several providers: tokens that two of them make alike, and who stands twice.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.link.duplicates import Duplicates, find_duplicates
    from comity.link.tokens import TOKEN_BYTES, LinkageKey, written_alike

_HOME = {
    "TOKEN_BYTES": "tokens",
    "Duplicates": "duplicates",
    "LinkageKey": "tokens",
    "find_duplicates": "duplicates",
    "written_alike": "tokens",
}

__all__ = ["TOKEN_BYTES", "Duplicates", "LinkageKey", "find_duplicates", "written_alike"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
