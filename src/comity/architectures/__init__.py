"""One file per architecture: what each role does over a Channel, and who must be trusted with what.

The file of architecture `direct-release` is `direct_release.py`; it holds one `ARCHITECTURE`. A new
architecture is a new file: `comity try` and `comity compare` find it by its name.
"""

from __future__ import annotations

import importlib
import pkgutil

from comity.architectures.definition import Architecture
from comity.errors import UsageError

__all__ = ["Architecture", "find", "names"]

_ORDER = (
    "alone",
    "alone-provider",
    "pooled",
    "plain",
    "direct-release",
    "mediated-release",
    "validation",
    "blind-validation",
    "federated",
    "encrypted",
    "homomorphic",
    "synthetic",
    "clean-room",
)


def names() -> tuple[str, ...]:
    """The architectures that have a file here, in the order in which people read them."""
    present = {
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(__path__)
        if module.name.replace("_", "-") in _ORDER
    }
    return tuple(name for name in _ORDER if name in present)


def find(name: str) -> Architecture:
    """The architecture of this name.

    Raises:
        UsageError: if there is none, with the names there are.
    """
    if name not in names():
        raise UsageError(f"there is no architecture '{name}'; there are: {', '.join(names())}")
    module = importlib.import_module(f"comity.architectures.{name.replace('-', '_')}")
    return module.ARCHITECTURE
