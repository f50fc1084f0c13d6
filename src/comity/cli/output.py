"""Where results go: JSON to a file or standard output, tables to the terminal, nothing half-written."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from comity.errors import BadInput, UsageError

PRIVATE = 0o600
"""The mode of files that describe raw rows: for their owner alone."""


def json_text(document: Any) -> str:
    """What a JSON file holds. NaN never stands in it."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(document: Any, target: str, *, mode: int = 0o666) -> None:
    """Write JSON to a path, or alone to standard output for `-`.

    Args:
        mode: of the file, less what the umask takes away.

    Raises:
        BadInput: if the file cannot be written; what was there before is still there.
    """
    text = json_text(document)
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(text, Path(target), mode=mode)


def write_text(text: str, path: Path, *, mode: int = 0o666) -> None:
    """Write a file whole or not at all. It has its mode from the start.

    A device or a pipe (`/dev/null`, `/dev/stdout`) is written to as it is: a file put in its place would take
    it from everybody else. A link stays one: what it leads to is written.

    Raises:
        BadInput: if it cannot be written; what was there before is still there.
    """
    with made_whole({path: text}, mode=mode) as put_in_place:
        put_in_place()


@contextmanager
def made_whole(texts: Mapping[Path, str], *, mode: int = 0o666) -> Iterator[Callable[[], None]]:
    """Files made beside their places, and what puts all of them in place together, in a moment.

    Whatever ends it, Ctrl-C too, leaves no other file. What is written to as it is (see `write_text`) is
    written first: a pipe may wait for its reader.

    Raises:
        BadInput: if one cannot be written; what was there before is still there.
    """
    made: dict[Path, Path] = {}

    def put_in_place() -> None:
        for path, temporary in made.items():
            with _told_of(path):
                os.replace(temporary, path)

    try:
        for path, text in texts.items():
            with _told_of(path):
                place = path.resolve()
                if _is_stream(path):
                    path.write_text(text, encoding="utf-8")
                else:
                    made[place] = _temporary(place)
                    made[place].write_text(text, encoding="utf-8")
                    made[place].chmod(mode & ~_umask())
        yield put_in_place
    finally:
        for temporary in made.values():
            temporary.unlink(missing_ok=True)


def _is_stream(path: Path) -> bool:
    """Whether it is a device or a pipe, or stands for one (`/dev/stdout` may lead to an open file)."""
    if path.exists() and not path.is_file() and not path.is_dir():
        return True
    return path.parent.resolve().parts[1:2] in (("dev",), ("proc",))


def _temporary(path: Path) -> Path:
    """An empty file beside `path`, its owner's alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    return Path(name)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror}; no half of it was left behind; choose another place"
        ) from None


def check_apart(read: Mapping[str, object], written: Mapping[str, object]) -> None:
    """Refuse to write over what is read, or two results into one file.

    Args:
        read, written: files by what they are to the user (`the table`, `--json`); None and `-` are none.

    Raises:
        UsageError: naming both.
    """
    seen: dict[Path, str] = {}
    for what, place in (*read.items(), *written.items()):
        if place is None or str(place) == "-" or "://" in str(place):
            continue
        resolved = Path(str(place)).resolve()
        if resolved in seen and what in written:
            raise UsageError(f"{what} {place} is the same file as {seen[resolved]}; name another one")
        seen.setdefault(resolved, what)


def check_writable(target: str | None, option: str) -> None:
    """Say now, before minutes of work, that a result could not be written."""
    if target is None or target == "-":
        return
    path = Path(target)
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if path.is_dir():
        raise BadInput(f"{option} {path} is a folder; name a file")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise BadInput(f"{option} {path} cannot be written: {folder} is not a folder you may write in")


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
