"""The whole comparison with real processes: complete, honest about failure, and gone when it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest

from comity.architectures import find, names
from comity.compare.progress import quiet
from comity.compare.run import Comparison, run_comparison
from comity.compare.settings import Settings
from comity.errors import BadInput
from comity.ledger import verify_ledger
from comity.report.attack_words import ATTACKS
from comity.report.figures import explained, parts_of

pytestmark = pytest.mark.slow


def kill_when(title: str, folder: Path, party: str, runs: ModuleType) -> Callable[[int, int, str], None]:
    """A progress that kills a party's process when a job begins."""

    def progress(done: int, total: int, what: str) -> None:
        if what.startswith(title):
            for pid in runs.processes_of(folder / party):
                os.kill(pid, signal.SIGKILL)

    return progress


@dataclass(frozen=True)
class Whole:
    """A run of everything that three providers' rows can be used for, and its folder."""

    comparison: Comparison
    settings: Settings
    folder: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, runs: ModuleType) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    settings = runs.settings_for(folder, ("north", "south", "west"), keep=folder / "kept")
    return Whole(run_comparison(settings, quiet), settings, folder)


def test_every_architecture_in_one_run(whole: Whole, runs: ModuleType) -> None:
    document = whole.comparison.document
    assert whole.comparison.exit_code == 0, [result.get("error") for result in document["results"]]
    json.dumps(document, allow_nan=False)
    starts = {result["architecture"] for result in document["results"] if result["utility"]["start_auc"]}
    assert starts == {"validation", "blind-validation"}
    assert [(result["architecture"], result["mode"]) for result in document["results"]] == [
        (name, mode)
        for name in names()
        if name not in {entry["architecture"] for entry in document["skipped"]}
        for mode in (*(find(name).modes[:1] or (None,)), *find(name).beside)
    ]
    for result in document["results"]:
        assert result["utility"]["auc"] > 0.5
        assert result["cost"]["cpu_s"] > 0
        assert all(name in ATTACKS for name in result["privacy"]["attacks"])
        for name, figure in ((name, said[name]) for said in result["figures"].values() for name in said):
            assert all(explained(name, part) is not None for part, _ in parts_of(name, figure)), name
    by_name = {result["architecture"]: result for result in document["results"]}
    assert by_name["synthetic"]["left_out"] == [{"column": "pid", "why": "it says whose row it is"}]
    assert by_name["validation"]["left_out"] == []
    assert by_name["validation"]["cost_note"] is None
    if "homomorphic" in by_name:
        assert "scored only to measure" in by_name["homomorphic"]["cost_note"]
    assert by_name["alone"]["cost"]["messages"] == 0
    assert by_name["pooled"]["cost"]["messages"] == 6
    ledgers = list((whole.folder / "kept").glob("*/ledger.db"))
    assert ledgers
    assert all(verify_ledger(ledger).ok for ledger in ledgers)
    assert runs.processes_of(whole.folder) == []


def test_the_seed_fixes_splits_and_models(whole: Whole) -> None:
    again = run_comparison(replace(whole.settings, architectures=("alone", "pooled"), keep=None), quiet)
    first, second = (
        {result["architecture"]: result["utility"] for result in comparison.document["results"]}
        for comparison in (whole.comparison, again)
    )
    assert second == {name: first[name] for name in ("alone", "pooled")}


def test_a_killed_party_fails_its_run_and_the_others_finish(tmp_path: Path, runs: ModuleType) -> None:
    kept = tmp_path / "kept"
    some = ["pooled", "direct-release", "validation"]
    settings = runs.settings_for(tmp_path, keep=kept, architectures=some, epsilon="1,16,50")
    comparison = run_comparison(settings, kill_when("direct-release", kept, "south", runs))
    swept = [
        result["privacy"]
        for result in comparison.document["results"]
        if result["architecture"] == "validation"
    ]
    assert sorted(promise["epsilon"] for promise in swept) == [1.0, 16.0]
    (same,) = comparison.document["skipped"]
    assert (same["architecture"], same["reason"]) == (
        "validation", "epsilon 50 is charged as 16, which is measured already"
    )  # fmt: skip
    results = {result["architecture"]: result for result in comparison.document["results"]}
    assert comparison.exit_code == 5
    assert "south" in results["direct-release"]["error"]["message"]
    assert results["direct-release"]["utility"]["auc"] is None
    assert all("error" not in result for name, result in results.items() if name != "direct-release")
    assert runs.processes_of(tmp_path) == []


def test_a_failure_is_told_in_the_words_of_the_party_that_failed(tmp_path: Path, runs: ModuleType) -> None:
    """The ML party learns only that a provider has no answer; a pilot is the provider's own."""
    settings = runs.settings_for(tmp_path, architectures=["direct-release"], k=450)
    comparison = run_comparison(settings, quiet)
    assert comparison.exit_code == 5
    (failed,) = (each for each in comparison.document["results"] if "error" in each)
    assert re.match("party '(north|south)': k-anonymity, k = 450 cannot hold", failed["error"]["message"])


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path, runs: ModuleType) -> None:
    (tmp_path / "kept" / "analyst").mkdir(parents=True)
    with pytest.raises(BadInput, match="already holds a run"):
        run_comparison(runs.settings_for(tmp_path, keep=tmp_path / "kept"), quiet)


def test_ctrl_c_leaves_no_process_and_no_result(tmp_path: Path, runs: ModuleType) -> None:
    runs.settings_for(tmp_path)
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from comity.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "compare", "--provider", "north=north.csv", "--target", "ill"]
    running = subprocess.Popen(
        [*command, "--seed-rows", "40", "--json", "out.json", "--keep", str(tmp_path / "kept")],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not runs.processes_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert runs.processes_of(tmp_path)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130
    (line,) = errors.splitlines()
    assert line.startswith("comity: interrupted; every party's process has been ended; no result was written")
    assert "--architectures" in line
    # one that was just being started when Ctrl-C came ends by itself as soon as it finds its input closed
    deadline = time.monotonic() + 20
    while runs.processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert runs.processes_of(tmp_path) == []
    assert not (tmp_path / "out.json").exists()
