"""One pool of party processes that serves a whole run, started once and ended with it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from comity.errors import PartyFailed, Withheld, error_from

_START_TIMEOUT_S = 120.0
_ORDER_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Report:
    """What a party's process said."""

    party: str
    event: str
    data: Mapping[str, Any]


class PartyProcess:
    """A running `python -m comity.node` and the pipe that steers it."""

    def __init__(self, name: str, folder: Path, *, threads: int, scratch: Path, fits_models: bool) -> None:
        """Start it.

        Args:
            threads: of each native thread pool.
            scratch: an existing folder for its temporary files, which its starter removes.
            fits_models: whether it loads scikit-learn before it is ready: no run is to be charged for that.
        """
        self.name = name
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log: IO[bytes] = open(folder / "node.log", "ab")  # noqa: SIM115  # open as long as the process
        loading = ("--fits-models",) if fits_models else ()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "comity.node", "--party", name, "--folder", str(folder), *loading],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(threads, scratch),
            text=True,
            start_new_session=True,
        )
        self._reports: queue.Queue[Report] = queue.Queue()
        threading.Thread(target=self._read, name=f"reports-{name}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def order(self, **order: Any) -> None:
        """Send one order.

        Raises:
            PartyFailed: if the process is gone.
        """
        if self._process.stdin is None:
            raise PartyFailed(f"party '{self.name}' takes no orders")
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise PartyFailed(self._epitaph()) from None

    def report(self, *, timeout_s: float | None) -> Report:
        """Its next report; one with event `gone` if the process has ended.

        Raises:
            PartyFailed: if none comes in time.
        """
        try:
            return self._reports.get(timeout=timeout_s)
        except queue.Empty:
            raise PartyFailed(f"party '{self.name}' did not answer within {timeout_s:g} seconds") from None

    def ask(self, *, timeout_s: float = _ORDER_TIMEOUT_S, **order: Any) -> Mapping[str, Any]:
        """Send one order and wait for what comes of it, failures raised."""
        self.order(**order)
        report = self.report(timeout_s=timeout_s)
        raise_failure(report)
        return report.data

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is not None:
            for line in stream:
                try:
                    data = json.loads(line)
                except ValueError:
                    continue
                self._reports.put(Report(self.name, data["event"], data))
        self._process.wait()
        self._reports.put(Report(self.name, "gone", {"message": self._epitaph()}))

    def _epitaph(self) -> str:
        code = self._process.poll()
        tail = _last_line(self.folder / "node.log")
        return f"the process of party '{self.name}' ended (exit {code}){': ' + tail if tail else ''}"

    def close(self) -> None:
        """Ask it to end by closing its input."""
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
        except BrokenPipeError:
            pass

    def reap(self, *, deadline: float) -> None:
        """Wait until `deadline` (monotonic seconds), then kill it."""
        try:
            self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Pool:
    """All parties of a run. Use it as a context manager: leaving it, however, ends every process.

    What their engines and sandboxes write while they work, raw rows too, goes with the pool: a process that
    is ended in the middle has no time to remove it.
    """

    def __init__(
        self, folders: Mapping[str, Path], *, threads: Mapping[str, int], fit_models: Iterable[str] = ()
    ) -> None:
        """Start a process for each party, in its folder.

        Args:
            threads: of each party's native thread pools; 1 where a party is not named.
            fit_models: the parties whose programs fit models.
        """
        fitting = frozenset(fit_models)
        started = time.monotonic()
        self.parties: dict[str, PartyProcess] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="comity-", ignore_cleanup_errors=True)
        try:
            for name, folder in folders.items():
                scratch = Path(self._scratch.name) / name
                scratch.mkdir(mode=0o700)
                self.parties[name] = PartyProcess(
                    name,
                    folder,
                    threads=threads.get(name, 1),
                    scratch=scratch,
                    fits_models=name in fitting,
                )
            ready = {name: self._ready(party) for name, party in self.parties.items()}
            self.keys: dict[str, str] = {name: data["key"] for name, data in ready.items()}
            self._connect(ready)
        except BaseException:
            self.close()
            raise
        self.startup_s = time.monotonic() - started

    def _ready(self, party: PartyProcess) -> Mapping[str, Any]:
        report = party.report(timeout_s=_START_TIMEOUT_S)
        raise_failure(report)
        return report.data

    def _connect(self, ready: Mapping[str, Mapping[str, Any]]) -> None:
        peers = {
            name: {
                "host": "127.0.0.1",
                "port": data["port"],
                "key": data["key"],
                "certificate": data["certificate"],
            }
            for name, data in ready.items()
        }
        for name, party in self.parties.items():
            others = {other: peer for other, peer in peers.items() if other != name}
            party.ask(do="connect", peers=others)

    @property
    def broken(self) -> bool:
        """Whether a party's process has ended; a new pool on the same folders takes this one's place."""
        return any(party.ended for party in self.parties.values())

    def sign(self, names: Iterable[str], agreement: str) -> dict[str, str]:
        """Every named party's signature under the agreement."""
        return {name: self.parties[name].ask(do="sign", agreement=agreement)["signature"] for name in names}

    def run(
        self,
        names: Sequence[str],
        *,
        session: str,
        run: str,
        agreement: str,
        architecture: str,
        task: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> dict[str, Mapping[str, Any]]:
        """Run one session at these parties at once and collect what each reports.

        Raises:
            ComityError: the first failure, after the other parties have been told and have stopped.
        """
        for name in names:
            self.parties[name].ask(do="open", session=session, run=run, agreement=agreement)
        for name in names:
            self.parties[name].order(
                do="run", session=session, architecture=architecture, task=task, options=options
            )
        done, failures = self._collect(names, session)
        for name in names:
            if not self.parties[name].ended:
                self.parties[name].ask(do="close", session=session)
        if failures:
            raise_failure(_cause(failures))
        return done

    def _collect(
        self, names: Sequence[str], session: str
    ) -> tuple[dict[str, Mapping[str, Any]], list[Report]]:
        """Wait for all; the first failure is told to the others. Failures come in the order they happened."""
        arrived: queue.Queue[Report] = queue.Queue()
        for name in names:
            party = self.parties[name]
            threading.Thread(
                target=lambda p=party: arrived.put(p.report(timeout_s=None)), daemon=True
            ).start()
        done: dict[str, Mapping[str, Any]] = {}
        failures: list[Report] = []
        waiting = set(names)
        while waiting:
            report = arrived.get()
            waiting.discard(report.party)
            if report.event == "done":
                done[report.party] = report.data
                continue
            failures.append(report)
            if len(failures) == 1:
                self._abort(waiting, session, report)
        return done, failures

    def _abort(self, names: Iterable[str], session: str, report: Report) -> None:
        for name in names:
            for other in self.parties:
                if other != name:
                    try:
                        self.parties[name].order(
                            do="abort", session=session, party=other, reason=f"'{report.party}' failed"
                        )
                    except PartyFailed:
                        break

    def close(self) -> None:
        """End every process; kill what does not end by itself in a few seconds."""
        for party in self.parties.values():
            party.close()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for party in self.parties.values():
            party.reap(deadline=deadline)
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _cause(failures: list[Report]) -> Report:
    """The first failure; where it tells of another party's refusal, that party's own, which says more."""
    first = failures[0]
    by = first.data.get("by")
    return next((each for each in failures if by is not None and each.party == by), first)


def raise_failure(report: Report) -> None:
    """Raise the error that a report of failure stands for; do nothing for any other report."""
    if report.event == "gone":
        raise PartyFailed(report.data["message"])
    if report.event != "failed":
        return
    message = f"party '{report.party}': {report.data['message']}"
    if report.data.get("code") == Withheld.code:
        withheld = Withheld(message, clause="see above")
        withheld.args = (message,)  # its words name the clause already
        raise withheld
    raise error_from(report.data["exit_code"], message)


def _environment(threads: int, scratch: Path) -> dict[str, str]:
    # one process per party on a few cores: each native thread pool is capped, or they fight over them
    caps = dict.fromkeys(
        (
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "POLARS_MAX_THREADS",
        ),
        str(threads),
    )
    return {**os.environ, **caps, "TMPDIR": str(scratch)}


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
