"""The helpers of this folder, loaded once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"node_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def houses() -> ModuleType:
    """`houses.py` beside this file."""
    return _loaded("houses")


@pytest.fixture(scope="session")
def crashing() -> ModuleType:
    """`crashing.py` beside this file."""
    return _loaded("crashing")
