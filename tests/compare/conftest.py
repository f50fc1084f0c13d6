"""What tests of comparisons share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def runs() -> ModuleType:
    """`runs.py` beside this file."""
    path = Path(__file__).with_name("runs.py")
    spec = importlib.util.spec_from_file_location("comity_tests_compare_runs", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
