"""What `comity compare` and `comity try` say of themselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from comity.architectures import find, names


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
