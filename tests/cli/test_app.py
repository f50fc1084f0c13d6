"""What `comity` says of itself."""

from __future__ import annotations

from typer.testing import CliRunner

from comity import __version__
from comity.cli.app import app


def test_it_says_its_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.output == f"comity {__version__}\n"
