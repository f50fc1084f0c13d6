"""The repository's own checks see what they are there to see."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    """A script of `scripts/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "see https://files.python" + "hosted.org/packages/x",
        "pip install --index" + "-url x",
        "get https://data.somewhere.net/table" + ".zip",
        "open('/home" + "/anna/table.csv')",
        "cd /work" + "/somewhere",
        "# TO" + "DO later",
        "raise NotImplemented" + "Error",
    ],
)
def test_a_line_that_must_not_be_committed_is_found(line: str) -> None:
    assert list(load("check_files").text_faults(Path("src/comity/x.py"), line))


@pytest.mark.parametrize(
    "line",
    [
        "#!/usr/bin/env bash",
        "https://www.w3.org/2000/svg",
        "https://example.org/table.csv is no path",
        "except pa.ArrowNotImplementedError:",
        "tests/work/inputs.csv and src/home/page.py",
    ],
)
def test_an_ordinary_line_is_left_alone(line: str) -> None:
    assert not list(load("check_files").text_faults(Path("src/comity/x.py"), line))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/comity/x.py", "x = 1\n" * 401),
        ("src/comity/utils.py", "x = 1\n"),
        ("src/comity/common/x.py", "x = 1\n"),
        ("src/comity/x.py", "def f(x):\n    assert x\n"),
    ],
)
def test_a_module_that_must_not_be_committed_is_found(path: str, text: str) -> None:
    assert list(load("check_files").module_faults(Path(path), text))


def test_the_lock_holds_exact_versions_and_nothing_else() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[A-Za-z0-9.+!]+", line)]
    assert not wrong


def test_the_lock_satisfies_what_is_declared() -> None:
    check = load("check_dependencies")
    locked = check.pins()
    for requirement in check.declared():
        assert requirement.specifier.contains(locked[requirement.name.lower()], prereleases=True), requirement


def test_torch_never_comes_with_the_environment() -> None:
    locked = load("check_dependencies").pins()
    assert not {"torch", "opacus", "pyspark", "presidio-analyzer"} & set(locked)


@pytest.mark.parametrize("script", [".ci/run", "scripts/make_venv.sh"])
def test_shell_scripts_parse_and_stop_at_the_first_failure(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)
    assert "\nset -euo pipefail\n" in (ROOT / script).read_text(encoding="utf-8")


def test_ci_runs_tests_then_lint() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("make ")] == ["make test", "make lint"]


@pytest.mark.parametrize("target", ["venv", "demo", "test", "bench", "lint", "lock"])
def test_every_target_builds_the_environment_first(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}: \$\(STAMP\)$", makefile, flags=re.MULTILINE)
