"""What `comity compare` and `comity try` say of themselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from comity.architectures import find, names
from comity.cli.compare import compare
from comity.cli.interrupt import Interrupted
from comity.compare.progress import Progress
from comity.errors import BadInput


def help_of(command: str) -> str:
    words = [sys.executable, "-c", "from comity.cli import main; main()", command, "--help"]
    wide = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(words, capture_output=True, text=True, timeout=180, check=True, env=wide).stdout


@pytest.mark.parametrize("command", ["try", "compare"])
def test_every_architecture_and_mode_is_named(command: str) -> None:
    told = help_of(command)
    chosen = next(line for line in told.splitlines() if "--mode" in line)
    for name in names():
        modes = find(name).modes
        assert all(mode in chosen for mode in modes)
        assert not modes or name in chosen
        assert command == "compare" or name in told


@pytest.mark.parametrize("progress", [False, True])
def test_without_a_terminal_steps_are_told_where_they_are_asked_for(
    progress: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends_soon(settings: object, told: Progress) -> None:
        told(1, 4, "alone")
        raise BadInput("enough")

    monkeypatch.setattr("comity.compare.run.run_comparison", ends_soon)
    with pytest.raises(BadInput, match="enough"):
        compare(provider=["north=north.csv"], target="ill", progress=progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ("comity: 1 of 4 steps done; now: alone\n" if progress else "")


def test_an_interrupted_run_says_that_nothing_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: object, told: Progress) -> None:
        told(3, 14, "plain")
        raise KeyboardInterrupt

    monkeypatch.setattr("comity.compare.run.run_comparison", interrupted)
    with pytest.raises(Interrupted, match=r"no result was written.*3 of 14 steps.*--architectures"):
        compare(provider=["north=north.csv"], target="ill")
