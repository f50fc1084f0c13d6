"""What no file may hold: addresses to download from, paths of one machine, oversized modules, leftovers.

Looks at every file that git tracks or would track. Exit code: 0 if nothing was found.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

MODULE_LINES = 400
FILE_BYTES = 1_000_000
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}

# Written in two halves so that this file does not find itself.
_HOSTS = "|".join(
    left + right
    for left, right in [
        ("pypi", r"\.org"),
        ("python", r"hosted\.org"),
        ("registry\\.", "npm"),
        ("registry\\.", "yarn"),
        ("proxy\\.", "golang"),
        ("static\\.", r"crates\.io"),
        ("hugging", r"face\.co"),
        ("anaconda", r"\.org"),
        ("ghcr", r"\.io"),
        ("docker", r"\.io"),
        ("deb\\.", "debian"),
        ("archive\\.", "ubuntu"),
    ]
)
FORBIDDEN: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a registry's host", re.compile(rf"(?:{_HOSTS})", re.IGNORECASE)),
    (
        "a download address",
        re.compile(
            r"\b(?:https?|ftp|git\+\w+)://(?!example\.)\S+\.(?:whl|zip|tgz|tar(?:\.\w+)?|deb|parquet|csv|git)\b",
            re.I,
        ),
    ),
    ("a registry setting", re.compile("--(?:extra-)?index" + r"-url|/simple" + '/|"resol' + 'ved"')),
    (
        "a path of one machine",
        re.compile(r"(?<![\w.<}-])/(?:home|root|Users|work|mnt|opt|tmp|var/folders)/\w|\b[A-Z]:\\\\?Users"),
    ),
)
LEFT_BEHIND = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + r"X|NotImplemented" + r"Error)\b")


def tracked_files() -> list[Path]:
    """Files that git tracks or would track, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = listing.stdout.decode().split("\0")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


def text_faults(path: Path, text: str) -> Iterator[str]:
    """Addresses, paths and leftovers in one text file."""
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in FORBIDDEN:
            if found := pattern.search(line):
                yield f"{path}:{number}: {what}: {found.group(0)}"
        if path.parts[0] in ("src", "tests", "scripts") and (found := LEFT_BEHIND.search(line)):
            yield f"{path}:{number}: left behind: {found.group(0)}"


def module_faults(path: Path, text: str) -> Iterator[str]:
    """What holds for modules under src only."""
    lines = text.count("\n")
    if lines > MODULE_LINES:
        yield f"{path}: {lines} lines; split it along its concerns (the limit is {MODULE_LINES})"
    if vague := VAGUE_NAMES.intersection(path.with_suffix("").parts):
        yield f"{path}: '{vague.pop()}' names no concern"
    for node in ast.walk(ast.parse(text, filename=str(path))):
        if isinstance(node, ast.Assert):
            yield f"{path}:{node.lineno}: assert is gone under -O; raise an error of comity.errors"


def file_faults(path: Path) -> Iterator[str]:
    """Everything wrong with one file."""
    content = (ROOT / path).read_bytes()
    if len(content) > FILE_BYTES:
        yield f"{path}: {len(content):,} bytes; the limit is {FILE_BYTES:,}"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return
    yield from text_faults(path, text)
    if path.parts[0] == "src" and path.suffix == ".py":
        yield from module_faults(path, text)


def main() -> int:
    files = tracked_files()
    faults = [fault for path in files for fault in file_faults(path)]
    print("\n".join(faults) or f"{len(files)} files are clean")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
