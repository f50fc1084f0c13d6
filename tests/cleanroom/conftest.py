"""The tests' jobs, and the sandbox that they need."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def rooms() -> ModuleType:
    """`rooms.py` beside this file, which is no installed module."""
    name = "comity_tests_rooms"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("rooms.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def sandboxed() -> None:
    """These tests cannot say anything where bubblewrap is missing; the suite says so instead of passing."""
    from comity import sandbox

    reason = sandbox.missing()
    assert reason is None, f"install bubblewrap to run these tests: {reason}"
