"""Real processes on one ledger: charging at once, killed in the middle, out of disk, locked out."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from comity.errors import BadInput, BudgetRefused
from comity.ledger import Account, Budget, Ledger, gaussian, pure, verify_ledger
from comity.ledger.replay import Accounts, Charge

LABEL = "hospital/adult/label"
PER_LABEL = {"unit": "label", "relation": "change-one"}

OPEN = """
import sys
from pathlib import Path
from comity.crypto.keys import SigningKey
from comity.ledger import Ledger

def opened():
    in_postgres = "://" in sys.argv[1]
    return Ledger.open(sys.argv[1], key=SigningKey.load(Path(sys.argv[2])) if in_postgres else None)
"""

SPEND = (
    OPEN
    + """
from comity.errors import BudgetRefused
from comity.ledger import Budget, Ledger, gaussian, pure

terms = {"unit": "label", "relation": "change-one"}
tasks = {
    "hospital/adult/label": (Budget(1.0, 0.0), pure(0.03, **terms)),
    "hospital/scans/label": (Budget(1.0, 1e-6), gaussian(30.0, **terms)),
}
print("ready", flush=True)
sys.stdin.readline()
with opened() as ledger:
    for account, (budget, cost) in tasks.items():
        ledger.open_account(account, budget)
    for account, (budget, cost) in tasks.items():
        admitted = 0
        try:
            while True:
                ledger.charge(cost, account=account)
                admitted += 1
        except BudgetRefused:
            print(admitted, flush=True)
"""
)

CHARGE_THEN_WAIT = (
    OPEN
    + """
import time
from comity.ledger import Ledger, pure

ledger = opened()
entry = ledger.charge(pure(0.25, unit="label", relation="change-one"), account="hospital/adult/label")
print("charged", entry.seq, flush=True)
time.sleep(60)
ledger.append("released", {"account": "hospital/adult/label"})
"""
)

APPEND_FOREVER = (
    OPEN
    + """
ledger = opened()
while True:
    print(ledger.append("note", {"text": "x" * 3000}).seq, flush=True)
"""
)

FILL = """
import resource, sys
from comity.errors import BadInput
from comity.ledger import Ledger

ledger = Ledger.open(sys.argv[1])
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
appended = ledger.size
try:
    while True:
        appended = ledger.append("note", {"text": "x" * 1000}).seq + 1
except BadInput as error:
    print(appended, error, flush=True)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def founded(opened: Ledger, budget: Budget) -> None:
    with opened as ledger:
        ledger.open_account(LABEL, budget)


def gaussians_admitted() -> int:
    """How many of `SPEND`'s Gaussian charges the filter admits, one after the other in one process."""
    accounts, account = Accounts(), Account.parse("hospital/scans/label")
    budget = Budget(1.0, 1e-6).settled(account.unit)
    accounts.apply("opened", {"account": str(account), "budget": budget.to_dict()})
    charge = Charge(account, gaussian(30.0, **PER_LABEL))
    count = 0
    while accounts.obstacle(charge) is None:
        accounts.apply("charged", charge.to_dict())
        count += 1
    return count


@pytest.mark.slow
def test_eight_processes_at_once_found_one_ledger_and_fill_its_budgets_exactly(home: Any) -> None:
    if home.in_postgres:
        home.key()
    processes = [start(SPEND, home.place, home.key_file) for _ in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    admitted = [0, 0]
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        admitted = [sum(pair) for pair in zip(admitted, map(int, out.split()), strict=True)]
    assert admitted == [33, gaussians_admitted()]
    assert home.in_postgres or [p.name for p in home.key_file.parent.glob("*.key*")] == ["ledger.db.key"]
    report = verify_ledger(home.place)
    assert report.ok, report.faults
    with home.open() as ledger:
        kinds = [entry.kind for entry in ledger.events()]
    assert kinds.count("founded") == 1
    assert kinds.count("opened") == 2
    assert kinds.count("charged") == sum(admitted)
    assert kinds.count("refused") == 16


def test_killed_between_charge_and_release_the_budget_is_gone(home: Any) -> None:
    founded(home.open(), Budget(1.0, 1e-6))
    process = start(CHARGE_THEN_WAIT, home.place, home.key_file)
    assert process.stdout is not None
    assert process.stdout.readline() == "charged 2\n"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    with home.open() as ledger:
        assert [entry.kind for entry in ledger.events()] == ["founded", "opened", "charged"]
        assert ledger.remaining(LABEL).epsilon == pytest.approx(0.75)
        assert ledger.verify()
    assert verify_ledger(home.place).ok


@pytest.mark.parametrize("wait", [0.05, 0.2, 0.4])
def test_killed_while_appending_nothing_acknowledged_is_lost(home: Any, wait: float) -> None:
    home.open().close()
    process = start(APPEND_FOREVER, home.place, home.key_file)
    assert process.stdout is not None
    last = int(process.stdout.readline())
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    for line in process.stdout.read().splitlines(keepends=True):
        if line.endswith("\n"):
            last = int(line)
    process.wait(timeout=30)
    with home.open() as ledger:
        assert ledger.size in (last + 1, last + 2)
        assert ledger.verify()
        ledger.append("note", {})


def test_a_full_disk_leaves_nothing_half_written(place: Path) -> None:
    with Ledger.open(place) as ledger:
        ledger.append("note", {})
    process = start(FILL, place, 200_000)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = re.fullmatch(r"(\d+) the ledger .* cannot be read or written .*full disk.*\n", out)
    assert found, out
    with Ledger.open(place) as ledger:
        assert ledger.size == int(found[1])
        assert ledger.verify()
        ledger.append("note", {"text": "there is room again"})


def test_a_full_database_is_told_and_undone(place: Path) -> None:
    ledger = Ledger.open(place)
    ledger.open_account(LABEL, (1.0, 1e-6))
    with ledger._store.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    size = ledger.size
    with pytest.raises(BadInput, match=r"the disk that holds the ledger .* is full: nothing was written"):
        ledger.append("note", {"text": "x" * 100_000})
    assert ledger.size == size
    with pytest.raises(BadInput, match="is full"):
        ledger.append("asked", {"text": "x" * 100_000})
    with ledger._store.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    ledger.charge(pure(0.1, **PER_LABEL), account=LABEL)
    assert ledger.verify()


def test_a_locked_ledger_is_told(place: Path) -> None:
    founded(Ledger.open(place), Budget(1.0, 1e-6))
    ledger = Ledger.open(place, wait=0.2)
    holder = sqlite3.connect(place, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BadInput, match=r"another process keeps the ledger .* locked"):
        ledger.charge(pure(0.1, **PER_LABEL), account=LABEL)
    assert ledger.remaining(LABEL).epsilon == 1.0  # reading does not wait
    holder.execute("ROLLBACK")
    holder.close()
    ledger.charge(pure(0.1, **PER_LABEL), account=LABEL)
    with pytest.raises(BudgetRefused):
        ledger.charge(pure(1.0, **PER_LABEL), account=LABEL)


def test_the_running_ledger_can_be_verified_by_another_process(ledger: Ledger, home: Any) -> None:
    ledger.charge(pure(0.1, **PER_LABEL), account=LABEL)
    script = "import sys; from comity.ledger import verify_ledger; print(verify_ledger(sys.argv[1]).size)"
    out, err = start(script, home.place, home.key_file).communicate(timeout=60)
    assert out == "3\n", err


def test_a_closed_ledger_keeps_no_file_open(place: Path) -> None:
    with Ledger.open(place) as ledger:
        ledger.append("note", {})
    open_files = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert not [name for name in open_files if name.startswith(str(place))]
