"""A party's process is killed while it takes part: exit 5, no half result, and no process stays behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from comity.architectures import find, names
from comity.architectures.definition import Options
from comity.compare.draft import run_name
from comity.compare.run import run_comparison

PROVIDERS = ("north", "south", "west")
# tests/node/test_crashes.py kills these at every message
KILLED_ELSEWHERE = {"direct-release", "mediated-release", "validation", "blind-validation"}
CASES = [
    (name, mode)
    for name in names()
    if {"provider", "ml_party"} <= set(find(name).programs)
    and not find(name).baseline
    and name not in KILLED_ELSEWHERE
    for mode in find(name).modes[:1] or (None,)
]
# a provider sends one message there, and who holds its receipt may have all: it is killed as the run begins
SENDS_ONCE = {"plain", "synthetic", "homomorphic", "clean-room-exact"}
_LIMIT_S = 60.0


def killer(kept: Path, party: str, name: str, run: str, runs: ModuleType) -> Callable[[int, int, str], None]:
    """A progress that has the party killed once another one holds the first receipt of the run.

    From then on something of the party's, or of another provider's, has left: the run is under way.
    """

    def wait_and_kill() -> None:
        end = time.monotonic() + _LIMIT_S
        while time.monotonic() < end:
            if any(path.stat().st_size for path in kept.glob(f"*/sessions/{run}/receipts.jsonl")):
                break
            # a run whose shares nobody else opens gives no receipt: a moment after its session was opened
            opened = list(kept.glob(f"{party}/sessions/{run}"))
            if opened and time.time() - opened[0].stat().st_mtime > 1.0:
                break
            time.sleep(0.005)
        for pid in runs.processes_of(kept / party):
            os.kill(pid, signal.SIGKILL)

    def progress(done: int, total: int, what: str) -> None:
        if not what.startswith(name):
            return
        if run in SENDS_ONCE:
            for pid in runs.processes_of(kept / party):
                os.kill(pid, signal.SIGKILL)
        elif not started:
            started.append(threading.Thread(target=wait_and_kill, daemon=True))
            started[0].start()

    started: list[threading.Thread] = []
    return progress


def about_nobody(folder: Path) -> Path:
    """A schema that calls every column insensitive: what `plain` needs to run at all."""
    columns = {
        "pid": "{role: identifier, type: text}",
        "age": "{role: insensitive, type: integer, min: 18, max: 80}",
        "job": "{role: insensitive, type: category, values: [a, b, c]}",
        "pulse": "{role: insensitive, type: number, min: 0, max: 200}",
        "ill": '{role: target, type: category, values: ["no", "yes"]}',
    }
    path = folder / "schema.yaml"
    lines = [f"  {name}: {column}" for name, column in columns.items()]
    path.write_text("\n".join(["columns:", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"), CASES, ids=[name if mode is None else f"{name}-{mode}" for name, mode in CASES]
)
def test_a_killed_provider_ends_the_run_with_5(
    name: str, mode: str | None, tmp_path: Path, runs: ModuleType
) -> None:
    kept = tmp_path / "kept"
    run = run_name(find(name), Options(mode=mode), swept=False)
    given = {"schema": about_nobody(tmp_path)} if name == "plain" else {}
    settings = runs.settings_for(tmp_path, PROVIDERS, keep=kept, architectures=[name], mode=mode, **given)
    comparison = run_comparison(settings, killer(kept, "south", name, run, runs))
    if comparison.document["skipped"]:
        pytest.fail(f"{comparison.document['skipped']}: this test needs it to run")
    (result,) = comparison.document["results"]
    assert comparison.exit_code == 5
    assert "south" in result["error"]["message"]
    assert result["utility"] == dict.fromkeys(result["utility"])
    assert not list(kept.glob(f"*/sessions/{run}/scores.parquet"))
    assert runs.processes_of(tmp_path) == []
