"""What `comity` says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from comity import __version__
from comity.cli import _INTERRUPTED
from comity.cli.app import app
from comity.errors import ComityError


def test_it_says_its_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.output == f"comity {__version__}\n"


def test_the_readme_names_every_exit_code() -> None:
    def kinds(kind: type[ComityError]) -> Iterator[type[ComityError]]:
        yield kind
        for below in kind.__subclasses__():
            yield from kinds(below)

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (\d+) \|", readme.split("| exit code |")[1], re.MULTILINE)
    codes = {0, _INTERRUPTED, *(kind.exit_code for kind in kinds(ComityError))}
    assert {int(code) for code in told} == codes
