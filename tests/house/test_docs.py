"""Docs and code tell the same: words, layers and exit codes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from comity import errors

ROOT = Path(__file__).resolve().parents[2]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _layers() -> list[str]:
    """The layers of the import contract, from ground to roof, siblings apart."""
    contract = tomllib.loads(_read("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    return [name.strip(" ()") for layer in reversed(contract["layers"]) for name in layer.split("|")]


def test_architecture_page_lists_the_layers_in_order() -> None:
    house = _read("docs/architecture.md").split("## The house")[1].split("### Adding")[0]
    rows = [line.split("|")[2] for line in house.splitlines() if line.startswith("|")][2:]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert listed == _layers()


def test_every_module_of_the_house_stands_in_a_layer() -> None:
    children = {
        path.stem for path in (ROOT / "src/comity").iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert children - {"__init__", "__pycache__"} <= set(_layers())


def test_every_architecture_is_in_the_glossary() -> None:
    glossary = _read("docs/glossary.md").split("## Architectures")[1]
    files = (ROOT / "src/comity/architectures").glob("*.py")
    programs = {
        path.stem.replace("_", "-") for path in files if "\nARCHITECTURE = " in path.read_text("utf-8")
    }
    assert programs <= set(re.findall(r"^\| `([a-z-]+)`", glossary, flags=re.MULTILINE))


def test_exit_codes_are_as_documented() -> None:
    table = _read("docs/architecture.md").split("## Errors")[1]
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ([^|]*) \|", table, flags=re.MULTILINE)
    for exit_code, status, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            error = getattr(errors, name)
            assert (error.exit_code, error.http_status) == (int(exit_code), int(status))


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_table_of_a_page_has_a_head(page: str) -> None:
    """A blank line in a table leaves the rows below it without one, and they are shown as text."""
    text = re.sub(r"^```.*?^```", "", _read(f"docs/{page}"), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        head = [*table.splitlines(), ""][1].strip()
        assert re.fullmatch(r"(\|\s*:?-+:?\s*)+\|", head), table[:200]
