"""StoredAnswers: what was drawn once is on disk before it leaves, and is said again byte for byte.

A second noise on the same sum would let whoever asks average them, and a second pad under one name would
cancel. So whoever draws for an answer keeps what it drew under the answer's name, with a digest of what was
asked. Asked the same again, also by a new process over the same folder, it repeats the bytes; asked anything
else under that name, it refuses. Of two processes at once the first to be on disk is the one both repeat.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from comity.crypto.canonical import canonical_bytes
from comity.crypto.pads import random_name
from comity.errors import BadInput, ClauseRefused

_NAME: Final = re.compile(r"[a-z]{1,16}(-[0-9a-f]{1,64})?")

Parts = Mapping[str, bytes]


class StoredAnswers:
    """One party's stored answers of one session.

    Args:
        folder: made if it is not there; readable by this account alone.
        clause: what a refusal names.
    """

    def __init__(self, folder: Path, *, clause: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._clause = clause

    def once(self, name: str, asked: str, draw: Callable[[], Parts]) -> dict[str, bytes]:
        """What is stored under a name; drawn and stored first where nothing is.

        Args:
            name: a short word, optionally with a hexadecimal number: `answer-0f3c`.
            asked: digest of everything that the answer depends on.
            draw: yields the parts; what it returns is durable before this returns.

        Raises:
            ClauseRefused: if something else was asked under this name.
            BadInput: for another form of name, or a stored file that has been damaged.
        """
        path = self._path(name)
        if not path.exists():
            self._store(path, _written(asked, draw()))
        known, parts = _read(path)
        if known != asked:
            raise ClauseRefused(
                "an answer was already given under this name, to another question",
                clause=self._clause,
                asked="a changed retry",
                would_pass="the same question again, byte for byte",
            )
        return parts

    def claim(self, name: str) -> None:
        """Take a name that may be used once, for all processes over this folder.

        Raises:
            ClauseRefused: if it was taken before.
        """
        mine = random_name()
        if self.once(name, "claimed", lambda: {"by": mine.encode()})["by"] != mine.encode():
            raise ClauseRefused(
                "this was used before, and it may be used once",
                clause=self._clause,
                asked=name.partition("-")[0],
                would_pass="a new one",
            )

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise BadInput("an answer is stored under a short word, with a hexadecimal number or none")
        return self._folder / f"{name}.answer"

    def _store(self, path: Path, data: bytes) -> None:
        """Durably, all or nothing, and never over what is there."""
        draft = self._folder / f"{path.stem}.{random_name()}.draft"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                return  # another process was first: its draw is the one that counts
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        finally:
            draft.unlink()


def _written(asked: str, parts: Parts) -> bytes:
    listed = [[name, len(data), hashlib.sha256(data).hexdigest()] for name, data in parts.items()]
    return b"\n".join((canonical_bytes({"asked": asked, "parts": listed}), b"".join(parts.values())))


def _read(path: Path) -> tuple[str, dict[str, bytes]]:
    head, _, data = path.read_bytes().partition(b"\n")
    try:
        document = json.loads(head)
        parts: dict[str, bytes] = {}
        start = 0
        for name, size, sha256 in document["parts"]:
            parts[name] = data[start : start + size]
            start += size
            if hashlib.sha256(parts[name]).hexdigest() != sha256:
                raise ValueError(name)
        return str(document["asked"]), parts
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"the stored answer {path} is damaged: it is not given, and not drawn again") from None
