"""The helpers of this folder, loaded once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from comity.agreement import Agreement, read_agreement


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"node_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def agreements() -> dict[bytes, Agreement]:
    """Every agreement that this run has read, by its file's bytes."""
    return {}


@pytest.fixture(autouse=True)
def read_once(agreements: dict[bytes, Agreement], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of this process read the same agreement once: reading it takes longer than starting a node."""

    def read(path: Path) -> Agreement:
        content = path.read_bytes()
        if content not in agreements:
            agreements[content] = read_agreement(path)
        return agreements[content]

    monkeypatch.setattr("comity.node.folder.read_agreement", read)


@pytest.fixture(scope="session")
def houses() -> ModuleType:
    """`houses.py` beside this file."""
    return _loaded("houses")


@pytest.fixture(scope="session")
def crashing() -> ModuleType:
    """`crashing.py` beside this file."""
    return _loaded("crashing")
