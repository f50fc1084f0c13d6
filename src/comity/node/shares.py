"""Shares on the disk: sealed, each under a key of its own, which is destroyed once the share has served.

Two of three parties' shares open everything, and who seizes disks, copies or backups later would have them.
So a node stores a share sealed (ChaCha20-Poly1305), and its key in a file of 32 bytes beside the state:
`shares/` in the party's folder. When the recipient has taken the share, or the program has used it, the key
is overwritten and deleted. What is left cannot be opened, be it in a database's log, its backups, or the free
pages of a file. The row stays without its content, so that nothing counts twice.

What a disk keeps of an overwritten file (copy-on-write, wear levelling) is out of reach, as everywhere else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from comity.crypto.exchange import KEY_BYTES, SharedKey
from comity.crypto.pads import random_key
from comity.errors import BadInput

_SEALED: Final = b"CMTYS"
_GONE: Final = b"CMTYG"
_SIZE_BYTES: Final = 8
_TAG_BYTES: Final = 16
_USE: Final = "stored share"
_TRIES: Final = 100


@dataclass(frozen=True)
class Place:
    """Which stored message: `box` is `in` or `out`, `peer` the other party."""

    session: str
    box: str
    peer: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.box}-{self.peer}-{self.number}"


class Shares:
    """The keys of stored shares, in a folder for its owner only; made when the first share is stored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seal(self, place: Place, data: bytes) -> bytes:
        """What may be stored of a share. Its key is on the disk when this returns.

        Raises:
            BadInput: if the key cannot be written.
        """
        key = random_key()
        path = self._path(place)
        try:
            # a crash may have left the key of a share that was not stored
            self._destroy(path)
            with os.fdopen(_made(path), "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            _sync(path.parent)
        except OSError as error:
            raise BadInput(f"the key of a share cannot be written to {path}: {error.strerror}") from None
        return _SEALED + SharedKey(key).seal(data, use=_USE)

    def open(self, place: Place, stored: bytes) -> bytes:
        """The message that was stored, a share or not; empty if it was a share that has served."""
        if stored.startswith(_GONE):
            return b""
        if not stored.startswith(_SEALED):
            return stored
        try:
            key = self._path(place).read_bytes()
        except FileNotFoundError:
            return b""
        if len(key) != KEY_BYTES or not any(key):  # the machine stopped while the key was being destroyed
            return b""
        return SharedKey(key).open(stored[len(_SEALED) :], use=_USE)

    def drop(self, place: Place) -> None:
        """Destroy a share's key, if it has one."""
        self._destroy(self._path(place))

    def drop_all(self, session: str) -> None:
        """Destroy the keys of all shares of a session."""
        for place in self.of(session):
            self.drop(place)

    def of(self, session: str) -> list[Place]:
        """The shares of a session whose keys are there."""
        return [place for place in self.all() if place.session == session]

    def all(self) -> Iterator[Place]:
        """Every share whose key is there."""
        for path in sorted(self._folder.glob("*/*-*-*")):
            box, _, rest = path.name.partition("-")
            peer, _, number = rest.rpartition("-")
            yield Place(path.parent.name, box, peer, int(number))

    def _path(self, place: Place) -> Path:
        return self._folder / place.session / place.name

    def _destroy(self, path: Path) -> None:
        try:
            with path.open("r+b") as file:
                file.write(bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return
        with suppress(OSError):  # there may be other keys in it
            path.parent.rmdir()


def _made(path: Path) -> int:
    """A new file for its owner only, open for writing.

    Raises:
        OSError: if it cannot be made.
    """
    for _ in range(_TRIES):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # the folder goes with the last key in it, perhaps at this very moment
        with suppress(FileNotFoundError):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    raise OSError(errno.EAGAIN, "its folder goes again and again")


def gone(size: int) -> bytes:
    """What stands in the place of a share of this size once it has served."""
    return _GONE + size.to_bytes(_SIZE_BYTES, "big")


def size_of(stored: bytes) -> int:
    """Bytes of the message that was stored, be it gone."""
    if stored.startswith(_GONE):
        return int.from_bytes(stored[len(_GONE) :], "big")
    return len(stored) - (len(_SEALED) + _TAG_BYTES if stored.startswith(_SEALED) else 0)


def is_share(stored: bytes) -> bool:
    """Whether a stored message is a share, or was one."""
    return stored.startswith((_SEALED, _GONE))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # so that a power cut does not lose the name
    finally:
        os.close(descriptor)
