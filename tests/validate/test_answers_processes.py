"""One store, several processes: a question is charged once, and what a killed one was charged stays spent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from comity.errors import BudgetRefused, ClauseRefused
from comity.validate import LocalValidator

ROWS = 200

START = """
import sys, time, json
from pathlib import Path
import numpy as np
from comity.errors import ClauseRefused, BudgetRefused
from comity.validate import LocalValidator, answers, validator

def opened(place):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200).astype(np.int8)
    return LocalValidator(range(200), labels, epsilon=1.0, store=place), rng.random(200)
"""

ASKS = """
provider, scores = opened(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
told = []
for turn in range(4):
    asked = np.roll(scores, turn * 50)
    said = provider.feedback(range(200), asked, ["auc"], 0.05, asker=sys.argv[2])
    told.append([said.estimates["auc"].hex(), said.repeated])
print(json.dumps(told), flush=True)
"""

DIFFERENCES = """
provider, scores = opened(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
without = int(sys.argv[2])
try:
    provider.feedback(range(without, 200), scores[without:], ["prevalence"], 0.05)
    print("told", flush=True)
except ClauseRefused:
    print("refused", flush=True)
"""

DIES_BEFORE_KEEPING = """
def hang(*_):
    print("charged", flush=True)
    time.sleep(600)

validator.answer = hang
provider, scores = opened(sys.argv[1])
provider.feedback(range(200), scores, ["auc"], 0.3)
"""

DIES_AFTER_KEEPING = """
keep = answers.Answers.keep

def hang(self, asked, groupings, sums):
    keep(self, asked, groupings, sums)
    print(sums.values.tobytes().hex(), flush=True)
    time.sleep(600)

answers.Answers.keep = hang
provider, scores = opened(sys.argv[1])
provider.feedback(range(200), scores, ["auc"], 0.3)
"""


def process(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", START + program, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def stream(one: IO[str] | None) -> IO[str]:
    assert one is not None
    return one


def together(program: str, place: Path, arguments: list[str]) -> list[str]:
    """What processes print that are let go at the same moment."""
    started = [process(program, str(place), argument) for argument in arguments]
    try:
        for one in started:
            assert stream(one.stdout).readline() == "open\n"
        for one in started:
            stream(one.stdin).write("go\n")
            stream(one.stdin).flush()
        return [stream(one.stdout).readline().strip() for one in started]
    finally:
        for one in started:
            one.communicate(timeout=120)


def reopened(place: Path) -> tuple[LocalValidator, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, ROWS).astype(np.int8)
    return LocalValidator(range(ROWS), labels, epsilon=1.0, store=place), rng.random(ROWS)


def killed(program: str, place: Path) -> str:
    """What a process printed before it was killed while it hung."""
    one = process(program, str(place))
    try:
        return stream(one.stdout).readline().strip()
    finally:
        one.kill()  # SIGKILL: nothing in it can clean up
        one.communicate()


def test_processes_that_ask_the_same_are_charged_once_and_told_the_same(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    told = [json.loads(line) for line in together(ASKS, place, ["one", "two", "three"])]
    assert all([value for value, _ in one] == [value for value, _ in told[0]] for one in told)
    firsts = sum(not repeated for one in told for _, repeated in one)
    assert firsts == 4
    provider, scores = reopened(place)
    assert len(provider.ledger.events("charged")) == 4
    assert provider.feedback(range(ROWS), scores, ["auc"], 0.05).estimates["auc"].hex() == told[0][0][0]
    provider.ledger.verify()
    provider.close()


def test_processes_cannot_difference_between_them(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    reopened(place)[0].close()
    assert sorted(together(DIFFERENCES, place, ["0", "1", "2"])) == ["refused", "refused", "told"]
    assert len(reopened(place)[0].ledger.events("charged")) == 1


def test_a_validator_that_is_already_open_sees_what_another_process_answered(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    provider, scores = reopened(place)
    other, _ = reopened(place)  # as another process: nothing is shared but the files
    first = other.feedback(range(ROWS), scores, ["auc"], 0.3)
    again = provider.feedback(range(ROWS), scores, ["auc"], 0.3)
    assert again.repeated
    assert again.estimates == first.estimates
    assert provider.remaining() == other.remaining()
    with pytest.raises(ClauseRefused):
        provider.feedback(range(ROWS - 1), scores[: ROWS - 1], ["prevalence"], 0.1)
    provider.comparisons(0.2)
    with pytest.raises(BudgetRefused):
        other.comparisons(0.7)


def test_a_charge_of_a_process_that_was_killed_is_spent(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    assert killed(DIES_BEFORE_KEEPING, place) == "charged"
    provider, scores = reopened(place)
    assert len(provider.ledger.events("charged")) == 1
    left = provider.remaining()
    assert left.epsilon < 1.0
    start = time.monotonic()
    told = provider.feedback(range(ROWS), scores, ["auc"], 0.3)  # its lock went with it
    assert time.monotonic() - start < 30
    assert not told.repeated
    assert len(provider.ledger.events("charged")) == 2
    assert provider.remaining().epsilon < left.epsilon
    provider.ledger.verify()


def test_an_answer_that_was_kept_is_given_though_its_process_was_killed(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    kept = killed(DIES_AFTER_KEEPING, place)
    provider, scores = reopened(place)
    told = provider.feedback(range(ROWS), scores, ["auc"], 0.3)
    assert told.repeated
    assert told.cost.epsilon == 0
    assert len(provider.ledger.events("charged")) == 1
    (note,) = [entry.body for entry in provider.ledger.events("note") if "sums" in entry.body]
    assert provider._answers.kept(note["digest"]).values.tobytes().hex() == kept  # type: ignore[union-attr]
