"""A party's hold on its engine's process: start it, tell it what to do, give it up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from comity.crypto.session_ca import SessionIdentity
from comity.errors import ComityError, MissingExtra, PartyFailed, error_from
from comity.train.encrypted.framing import read, write
from comity.train.encrypted.mesh import Member
from comity.train.encrypted.settings import Training
from comity.train.encrypted.sharing import Scheme, Words


class EngineProcess:
    """One compute party's engine, in a process of its own (`worker` says why). Use it as a context manager.

    Attributes:
        bytes_sent: what the engine has sent to the other compute parties, TLS included; after `run`.
        peak_rss_mb: memory that it needed; after `run`.
    """

    def __init__(self) -> None:
        """Start it; it loads its libraries while the party goes on."""
        # whatever the engine's libraries write goes into a folder that goes with the process
        self._folder = tempfile.TemporaryDirectory(prefix="comity-engine-", ignore_cleanup_errors=True)
        self._errors = Path(self._folder.name) / "errors.txt"
        with open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "comity.train.encrypted.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=self._folder.name,  # SPU's log, `spu.log`, goes wherever its process runs
                env=_environment(self._folder.name),
            )
        self._lock = threading.Lock()
        self._values = 0
        self.bytes_sent = 0
        self.peak_rss_mb = 0.0

    def compile(self, training: Training, asked: int = 0) -> str:
        """Make the program of a training, and one that scores rows by the shared model if any are asked for.

        Returns:
            The digest of both.

        Raises:
            MissingExtra: if SPU or JAX is not installed.
            PartyFailed: if the process ends.
        """
        told, _ = self._ask({"do": "compile", "training": training.to_dict(), "asked": asked})
        self._values = int(np.prod([int(side) for side in told["shape"]]))
        return str(told["program"])

    def connect(
        self, members: Sequence[Member], rank: int, identity: SessionIdentity, session: str, scheme: Scheme
    ) -> None:
        """Connect to the other members' engines, whose certificates have been verified.

        Raises:
            PartyFailed: if they do not come together.
        """
        header = {"do": "connect", "scheme": scheme.name, **_joining(members, rank, session)}
        self._ask(header, [identity.key_pem])

    def align(
        self,
        members: Sequence[Member],
        rank: int,
        identity: SessionIdentity,
        session: str,
        ids: Sequence[str],
        salt: bytes,
    ) -> list[str]:
        """The ids that the other of two members holds too, in an order that both share; both learn them.

        Args:
            salt: the same at both, and theirs alone.

        Raises:
            BadTable: if an id stands there twice; it is this party's own.
            PartyFailed: if they do not come together, or one of them stops.
        """
        header = {"do": "align", **_joining(members, rank, session)}
        told, parts = self._ask(header, [identity.key_pem, json.dumps(list(ids)).encode(), salt])
        self.bytes_sent += int(told["bytes"])
        return [str(id_) for id_ in json.loads(parts[0])]

    def put(self, name: str, words: Words, shape: Sequence[int]) -> None:
        """Give it this party's share, (values, held) words."""
        data = np.ascontiguousarray(words, dtype="<u8").tobytes()
        self._ask({"do": "put", "name": name, "shape": list(shape)}, [data])

    def run(self) -> Words:
        """Run the program with the others.

        Returns:
            (values, held) this party's share of what it makes.

        Raises:
            PartyFailed: if it stops, which it does when another party is gone.
        """
        told, parts = self._ask({"do": "run"})
        self.bytes_sent += int(told["bytes"])
        self.peak_rss_mb = float(told["peak_rss_mb"])
        return np.frombuffer(parts[0], dtype="<u8").astype(np.uint64).reshape(self._values, -1)

    def kill(self) -> None:
        """End it, whatever it is doing; from any thread, more than once if need be.

        There is no kinder end: libspu's waits for the other parties' ends.
        """
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.kill()

    def _last(self) -> str:
        """The last line that the process wrote before it ended."""
        try:
            lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f" ({lines[-1][:200]})" if lines else ""

    def _ask(
        self, header: Mapping[str, Any], parts: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise PartyFailed("the engine's process takes no orders")
        with self._lock:
            try:
                write(self._process.stdin, header, parts)
                told, came = read(self._process.stdout)
            except (EOFError, OSError, ValueError):
                last = self._last()
                raise PartyFailed(
                    f"the engine stopped: another compute party is gone, or its connection broke{last}",
                    private=bool(last),
                ) from None
        if "failed" in told:
            raise _failure(str(told["failed"]), int(told["code"]), private=bool(told["private"]))
        return told, came


def _environment(folder: str) -> dict[str, str]:
    """This process's variables for one that runs in another folder."""
    told = {**os.environ, "TMPDIR": folder}
    if os.environ.get("PYTHONPATH"):
        places = os.environ["PYTHONPATH"].split(os.pathsep)
        told["PYTHONPATH"] = os.pathsep.join(os.path.abspath(place) for place in places)
    return told


def _joining(members: Sequence[Member], rank: int, session: str) -> dict[str, Any]:
    listed = [[member.party, member.to_dict()] for member in members]
    return {"members": listed, "rank": rank, "session": session}


def _failure(message: str, code: int, *, private: bool) -> ComityError:
    """What failed in the engine's process, as private as it was there."""
    if code == MissingExtra.exit_code:
        return MissingExtra("training on secret shares", "encrypted")
    error = error_from(code, f"the engine: {message}", otherwise=PartyFailed)
    error.private = private
    return error
