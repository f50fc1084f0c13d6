"""Docs run: README.md and docs/ are executed block by block, and their links lead somewhere.

A fenced block tagged `bash` or `python` is run, in order, in one temporary folder per document, with the
environment's programs first on PATH. A block tagged `yaml file=NAME` is written to that file. Other blocks
(`console`, `text`, `yaml`) are not run. An HTML comment on the line before a block steers it:
`<!-- continues -->` runs a python block together with the python block before it, `<!-- slow -->` says that
the document takes more than a few seconds, and `<!-- not run: REASON -->` leaves a block out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LIMIT_S = 600

_FENCE = re.compile(r"^(?P<fence>```+|~~~+)\s*(?P<tag>[\w-]*)(?:\s+file=(?P<file>[\w.-]+))?")
_STEER = re.compile(r"^<!--\s*(?P<word>continues|slow|not run)(?::.*)?\s*-->\s*$")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<to>[^)\s]+)(?:\s+\"[^\"]*\")?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it starts, its tag, the word of the comment before it, and its text."""

    line: int
    tag: str
    steer: str
    text: str
    file: str = ""


def blocks(document: str) -> Iterator[Block]:
    """All fenced blocks of a Markdown document."""
    lines = document.splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        end = number + 1
        while end < len(lines) and lines[end].rstrip() != opening["fence"]:
            end += 1
        before = _STEER.match(lines[number - 1]) if number else None
        yield Block(
            line=number + 1,
            tag=opening["tag"],
            steer=before["word"] if before else "",
            text="\n".join(lines[number + 1 : end]) + "\n",
            file=opening["file"] or "",
        )
        number = end + 1


def programs(document: str) -> list[Block]:
    """The blocks to run, with continued python blocks joined to what they continue."""
    joined: list[Block] = []
    for block in blocks(document):
        if (block.tag not in ("bash", "python") and not block.file) or block.steer == "not run":
            continue
        if block.steer == "continues" and (earlier := [b for b in joined if b.tag == block.tag]):
            joined.append(Block(block.line, block.tag, "", earlier[-1].text + block.text))
            joined.remove(earlier[-1])
        else:
            joined.append(block)
    return joined


def run_block(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """One block as a program of its own. Bash stops at the first command that fails."""
    binaries = str(Path(sys.executable).parent)
    command = ["bash", "-euo", "pipefail", "-c"] if block.tag == "bash" else [sys.executable, "-c"]
    return subprocess.run(
        [*command, block.text],
        cwd=folder,
        env=os.environ | {"PATH": binaries + os.pathsep + os.environ["PATH"], "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def run_document(text: str, folder: Path) -> str | None:
    """The first failure of a document's blocks, in words, or None."""
    for block in programs(text):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
            continue
        done = run_block(block, folder)
        if done.returncode != 0:
            said = done.stdout + done.stderr
            return f"the {block.tag} block at line {block.line} exits {done.returncode}:\n{said}"
    return None


def _cases() -> Iterator[object]:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        slow = any(block.steer == "slow" for block in blocks(text))
        yield pytest.param(path, id=path.name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("path", list(_cases()))
def test_document_runs(path: Path, tmp_path: Path) -> None:
    assert run_document(path.read_text(encoding="utf-8"), tmp_path) is None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [match["to"].partition("#")[0] for match in _LINK.finditer(prose)]
    local = [to for to in targets if to and "://" not in to and not to.startswith("mailto:")]
    missing = [to for to in local if not (path.parent / to).exists()]
    assert not missing, f"{path.name} links to what does not exist: {missing}"


SAMPLE = """
```bash
printf 'a\\n1\\n' > table.csv
```
```python
from pathlib import Path
rows = Path("table.csv").read_text().splitlines()
```
<!-- continues -->
```python
assert rows == ["a", "1"]
```
```console
$ no-such-command
```
<!-- not run: needs another machine -->
```bash
no-such-command
```
"""


def test_runner_runs_in_order_and_joins(tmp_path: Path) -> None:
    assert [block.tag for block in programs(SAMPLE)] == ["bash", "python"]
    assert run_document(SAMPLE, tmp_path) is None


def test_runner_names_the_failing_block(tmp_path: Path) -> None:
    failure = run_document("text\n\n```bash\nfalse | true\necho on\n```\n", tmp_path)
    assert failure is not None
    assert failure.startswith("the bash block at line 3 exits 1")


def test_runner_puts_the_environment_first(tmp_path: Path) -> None:
    done = run_block(Block(1, "bash", "", "command -v python\n"), tmp_path)
    assert Path(done.stdout.strip()).parent == Path(sys.executable).parent
