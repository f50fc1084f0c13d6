"""`comity demo`: the main job on the data that comity ships, three providers and an ML party."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="Where the tables, results.json and report.html go.")
]

EPSILONS = "0.1,0.3,1,3"


def demo(folder: Folder = Path("demo")) -> int:
    """Write the shipped table as three providers' files and compare every architecture on them."""
    from comity.cli import compare
    from comity.data.shipped import ADULT_FOLDER, write_adult_parts

    tables = folder / "tables"
    paths = write_adult_parts(tables)
    providers = [f"{name}={path}" for name, path in paths.items()]
    schema = ADULT_FOLDER / "schema.yaml"
    shown = [
        "comity", "compare",
        *(word for provider in providers for word in ("--provider", provider)),
        "--target", "income", "--id", "id", "--schema", str(schema), "--epsilon", EPSILONS,
        "--json", str(folder / "results.json"), "--html", str(folder / "report.html"),
    ]  # fmt: skip
    print(f"$ {shlex.join(shown)}", file=sys.stderr)
    return compare.compare(
        provider=providers,
        target="income",
        id="id",
        schema=schema,
        epsilon=EPSILONS,
        json=str(folder / "results.json"),
        html=str(folder / "report.html"),
    )
