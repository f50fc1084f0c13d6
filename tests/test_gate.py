"""The one door: its order, what it records, what it lets out, what a refusal says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comity.agreement import agreement_from
from comity.errors import (
    BadInput,
    BadTable,
    BudgetRefused,
    ClauseRefused,
    ComityError,
    PartyFailed,
    Refused,
    UsageError,
    VerificationFailed,
    Withheld,
)
from comity.gate import execute, refusal_of
from comity.gate_checks import MAX_ATTEMPTS
from comity.ledger import (
    Account,
    Ledger,
    PrivacyUnit,
    Relation,
    approximate,
    gaussian,
    pure,
    without_dp,
)
from comity.plan import Outcome, Plan, Release, Share, Verdict

LABELS = Account("north", "patients", PrivacyUnit.label)
RECORDS = Account("north", "patients", PrivacyUnit.record)
PASSES = Verdict(passed=True, reason="holds")


def spending(epsilon: float = 0.5, delta: float = 5e-7, **changes: Any) -> Plan:
    """A plan with differential privacy."""
    cost = approximate(epsilon, delta, unit=PrivacyUnit.label, relation=Relation.change_one)
    settings = {
        "architecture": "validation",
        "purpose": "count something",
        "recipient": "analyst",
        "topic": "feedback",
        "request": {"question": "how many"},
        "asks": {"minimum_group": 5},
        "account": LABELS,
        "cost": cost,
        "run": lambda: Outcome(body={"count": 7}, parts={"noise": b"xyz"}),
    }
    return Plan(**(settings | changes))


def exact(**changes: Any) -> Plan:
    """A plan without differential privacy."""
    settings = {
        "architecture": "direct-release",
        "purpose": "release a table",
        "recipient": "analyst",
        "topic": "release",
        "request": {"columns": ["age", "job"]},
        "asks": {"k": 3, "suppression": 0.1},
        "account": RECORDS,
        "cost": None,
        "run": lambda: Outcome(body={"rows": 30}, parts={"table": b"rows"}),
        "check": lambda _outcome: PASSES,
    }
    return Plan(**(settings | changes))


def kinds(ledger: Ledger) -> list[str]:
    return [entry.kind for entry in ledger.events()]


def test_a_release_leaves_with_a_receipt_that_verifies(pact: Any, ledger: Ledger) -> None:
    plan = spending()
    release = execute(plan, pact.agreement, ledger)
    assert isinstance(release, Release)
    assert release.body["outcome"] == {"count": 7}
    assert release.parts == {"noise": b"xyz"}
    receipt = release.receipt
    assert (receipt.agreement, receipt.clause) == (pact.agreement.digest, "architectures.validation")
    assert receipt.plan == plan.name
    assert kinds(ledger) == ["founded", "asked", "opened", "charged", "released"]
    assert ledger.verify().ok


def test_a_sealed_plan_leaves_as_a_share(pact: Any, ledger: Ledger) -> None:
    assert isinstance(execute(spending(sealed=True), pact.agreement, ledger), Share)


def test_the_charge_is_on_disk_before_a_private_byte_is_read(
    pact: Any, ledger: Ledger, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    def run() -> Outcome:
        with Ledger.open(tmp_path / "ledger.db", key=None) as other:
            seen.append(kinds(other))
        return Outcome(body={})

    execute(spending(run=run), pact.agreement, ledger)
    assert seen == [["founded", "asked", "opened", "charged"]]


def test_what_fails_after_the_charge_is_not_refunded(pact: Any, ledger: Ledger) -> None:
    def run() -> Outcome:
        raise ZeroDivisionError("row 17 holds 0 children")

    with pytest.raises(ComityError) as caught:
        execute(spending(run=run), pact.agreement, ledger)
    assert caught.value.private
    assert "17" not in caught.value.public_message
    assert ledger.remaining(LABELS).epsilon == pytest.approx(1.5)
    assert "released" not in kinds(ledger)


def test_the_account_and_the_clause_both_have_limits(pact: Any, ledger: Ledger) -> None:
    execute(spending(epsilon=0.6), pact.agreement, ledger)
    with pytest.raises(BudgetRefused) as caught:
        execute(spending(epsilon=0.6), pact.agreement, ledger)
    assert "architectures.validation" in caught.value.clause
    execute(spending(epsilon=0.4, delta=4e-7), pact.agreement, ledger)
    assert ledger.remaining(LABELS).epsilon == pytest.approx(1.0)


def test_a_renewed_agreement_does_not_refill_the_account(
    pact_with: Callable[..., Any], ledger: Ledger
) -> None:
    for left in (1.0, 0.0):
        renewed = pact_with()
        execute(spending(epsilon=1.0, delta=9e-7), renewed.agreement, ledger)
        assert ledger.remaining(LABELS).epsilon == pytest.approx(left)
    with pytest.raises(BudgetRefused):
        execute(spending(epsilon=0.1), pact_with().agreement, ledger)


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"architecture": "synthetic"}, "architectures.synthetic"),
        ({"recipient": "south"}, "parties.south"),
        ({"recipient": "eve"}, "parties"),
        ({"account": Account("north", "customers", PrivacyUnit.label)}, "data.north.lineage"),
        ({"account": Account("analyst", "patients", PrivacyUnit.label)}, "parties.analyst"),
        ({"asks": {"minimum_group": 4}}, "architectures.validation.minimum_group"),
        ({"asks": {"mode": "hosted", "minimum_group": 5}}, "architectures.validation.mode"),
    ],
)
def test_a_clause_that_forbids_it_is_named_and_nothing_is_charged_or_read(
    changes: dict[str, Any], clause: str, pact: Any, ledger: Ledger
) -> None:
    read: list[int] = []

    def run() -> Outcome:
        read.append(1)
        return Outcome(body={})

    with pytest.raises(ClauseRefused) as caught:
        execute(spending(**({"run": run} | changes)), pact.agreement, ledger)
    assert caught.value.clause == clause
    assert not read
    assert kinds(ledger) == ["founded", "asked", "refused"]


@pytest.mark.parametrize(
    ("asks", "name"), [({"k": 2, "suppression": 0.1}, "k"), ({"k": 3, "suppression": 0.2}, "suppression")]
)
def test_a_weaker_release_than_the_clause_allows_is_refused(
    asks: dict[str, Any], name: str, pact: Any, ledger: Ledger
) -> None:
    with pytest.raises(ClauseRefused) as caught:
        execute(exact(asks=asks), pact.agreement, ledger)
    assert caught.value.clause == f"architectures.direct-release.{name}"
    assert caught.value.would_pass is not None


def test_without_a_budget_nothing_with_differential_privacy_leaves(
    pact_with: Callable[..., Any], ledger: Ledger
) -> None:
    clauses = {"direct-release": {"k": 3, "suppression": 0.1}}
    bare = pact_with(clauses=clauses, budget={})
    with pytest.raises(ClauseRefused):
        execute(
            spending(architecture="direct-release", asks={"k": 3, "suppression": 0.1}), bare.agreement, ledger
        )


def test_an_agreement_out_of_force_opens_no_door(pact_with: Callable[..., Any], ledger: Ledger) -> None:
    with pytest.raises(ClauseRefused, match="expire"):
        execute(spending(), pact_with(days=-1).agreement, ledger)
    with pytest.raises(VerificationFailed):
        execute(spending(), pact_with(unsigned=("south",)).agreement, ledger)
    changed = pact_with().agreement.to_dict()
    changed["purpose"]["text"] = "something else"
    with pytest.raises(VerificationFailed):
        execute(spending(), agreement_from(changed), ledger)
    assert "charged" not in kinds(ledger)


def test_a_release_that_fails_its_check_is_withheld_and_its_reason_stays_home(
    pact: Any, ledger: Ledger
) -> None:
    secret = Verdict(passed=False, reason="the baker of 93 is alone in her class")
    with pytest.raises(Withheld) as caught:
        execute(exact(check=lambda _outcome: secret), pact.agreement, ledger)
    told = refusal_of(caught.value, topic="release")
    assert "baker" not in str(caught.value)
    assert "baker" not in str(dict(told.body))
    assert ledger.events("withheld")[0].body["reason"] == secret.reason
    assert kinds(ledger)[-1] == "withheld"


def test_attempts_without_differential_privacy_are_few(pact: Any, ledger: Ledger) -> None:
    failing = exact(check=lambda _outcome: Verdict(passed=False, reason="no"))
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(Withheld):
            execute(failing, pact.agreement, ledger)
    with pytest.raises(ClauseRefused) as caught:
        execute(failing, pact.agreement, ledger)
    assert caught.value.clause == "architectures.direct-release.attempts"


def test_one_release_without_differential_privacy_per_lineage(pact: Any, ledger: Ledger) -> None:
    first = execute(exact(), pact.agreement, ledger)
    again = execute(exact(), pact.agreement, ledger)
    assert first.receipt.outcome == again.receipt.outcome
    with pytest.raises(ClauseRefused, match="released once"):
        execute(exact(request={"columns": ["age"]}), pact.agreement, ledger)
    with pytest.raises(ClauseRefused, match="differs"):
        execute(exact(run=lambda: Outcome(body={"rows": 31})), pact.agreement, ledger)


def test_another_unit_is_no_way_around_one_release_per_lineage(pact: Any, ledger: Ledger) -> None:
    execute(exact(), pact.agreement, ledger)
    for unit in (PrivacyUnit.person, PrivacyUnit.label):
        other = exact(account=Account("north", "patients", unit), request={"columns": ["job"]})
        with pytest.raises(ClauseRefused, match="released once"):
            execute(other, pact.agreement, ledger)


def test_of_several_releases_at_once_one_leaves(pact: Any, ledger: Ledger) -> None:
    """Three different plans whose checks take their time: the first charge has the lineage to itself."""
    came: list[str] = []

    def slow(_outcome: Outcome) -> Verdict:
        time.sleep(0.3)
        return PASSES

    def ask(number: int) -> None:
        try:
            execute(exact(request={"columns": [str(number)]}, check=slow), pact.agreement, ledger)
            came.append("released")
        except ClauseRefused:
            came.append("refused")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == ["refused", "refused", "released"]
    assert len(ledger.events("released")) == 1


def test_of_several_queries_at_once_the_clause_lets_through_its_number(
    pact_with: Callable[..., Any], ledger: Ledger
) -> None:
    clause = {"mode": "linked", "epsilon": 1.0, "delta": 1e-6, "minimum_group": 5, "queries": 1}
    agreement = pact_with(clauses={"validation": clause}).agreement
    came: list[str] = []

    def ask() -> None:
        try:
            execute(spending(epsilon=0.1, delta=1e-8), agreement, ledger)
            came.append("released")
        except ClauseRefused:
            came.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came.count("released") == 1


def test_a_limit_of_the_clause_cannot_be_left_unsaid(pact: Any, ledger: Ledger) -> None:
    with pytest.raises(ComityError, match="does not say what it asks"):
        execute(exact(asks={"k": 3}), pact.agreement, ledger)


def test_a_cost_of_nothing_is_no_price() -> None:
    terms = {"unit": PrivacyUnit.label, "relation": Relation.change_one}
    for cost in (without_dp(**terms), pure(0.0, **terms)):
        with pytest.raises(ComityError, match="cost of nothing"):
            spending(cost=cost)


def test_a_plan_states_a_price_or_a_check_and_never_both() -> None:
    with pytest.raises(ComityError, match="neither"):
        exact(check=None)
    with pytest.raises(ComityError, match="would leak"):
        spending(check=lambda _outcome: PASSES)


def test_a_refusal_tells_the_asker_clause_and_remedy(pact: Any, ledger: Ledger) -> None:
    with pytest.raises(ClauseRefused) as caught:
        execute(exact(asks={"k": 2, "suppression": 0.1}), pact.agreement, ledger)
    refusal = refusal_of(caught.value, topic="release")
    assert refusal.body["code"] == "clause-refused"
    assert refusal.body["clause"] == "architectures.direct-release.k"
    assert refusal.body["would_pass"] == "3 or more"


def test_private_errors_leave_all_alike() -> None:
    """Neither its words nor which kind of error it was: both can depend on private values."""
    told = [
        refusal_of(error, topic="release").body
        for error in (
            BadTable("row 3, column income: 120000x"),
            UsageError("17 rows are too few", private=True),
            ClauseRefused("17 rows are too few", clause="data.north", left="17", private=True),
        )
    ]
    assert told == [{"code": "failed", "message": "failed: the holder of the data has the details"}] * 3


@pytest.mark.parametrize("kind", [BadInput, UsageError, PartyFailed, VerificationFailed, ComityError])
@pytest.mark.parametrize("where", ["run", "check", "drawn"])
def test_what_a_run_or_a_check_raises_stays_home_whoever_raised_it(
    pact: Any, ledger: Ledger, kind: type[ComityError], where: str
) -> None:
    """The words of an attack on private rows, in an error that nobody called private."""

    def fails(*_outcome: Outcome) -> Any:
        raise kind("123 scores of members are not finite numbers")

    plan = exact(run=fails) if where == "run" else exact(check=fails)
    if where == "drawn":
        share = exact(sealed=True, opens=1)
        execute(share, pact.agreement, ledger)
        plan = exact(request={"number": 1}, draws_on=share.name, check=fails)
    with pytest.raises(kind) as caught:
        execute(plan, pact.agreement, ledger)
    assert "123" in str(caught.value)
    told = refusal_of(caught.value, topic="release")
    assert "123" not in str(dict(told.body))
    assert told.body == refusal_of(ComityError("another", private=True), topic="release").body
    assert "123" not in str([dict(entry.body) for entry in ledger.events()])


def test_a_refusal_of_a_run_keeps_its_public_words(pact: Any, ledger: Ledger) -> None:
    def refuses() -> Outcome:
        raise ClauseRefused("fewer members than agreed", clause="architectures.validation.threshold")

    with pytest.raises(ClauseRefused) as caught:
        execute(spending(run=refuses), pact.agreement, ledger)
    told = refusal_of(caught.value, topic="release")
    assert told.body["clause"] == "architectures.validation.threshold"


def test_a_gaussian_release_is_charged_by_its_curve(pact: Any, ledger: Ledger) -> None:
    cost = gaussian(20.0, unit=PrivacyUnit.label, relation=Relation.change_one)
    for _ in range(2):
        execute(spending(cost=cost), pact.agreement, ledger)
    assert ledger.remaining(LABELS).epsilon < 2.0


def test_refused_is_what_all_refusals_are(pact: Any, ledger: Ledger) -> None:
    plan = replace(spending(), recipient="south")
    with pytest.raises(Refused):
        execute(plan, pact.agreement, ledger)


CRASH = """
    import os, signal, sys
    from comity.agreement import read_agreement
    from comity.gate import execute
    from comity.ledger import Account, Ledger, PrivacyUnit, Relation, approximate
    from comity.plan import Plan
    from pathlib import Path

    def run():
        os.kill(os.getpid(), signal.SIGKILL)

    plan = Plan(
        architecture="validation", purpose="crash", recipient="analyst", topic="feedback", request={},
        asks={"minimum_group": 5}, account=Account("north", "patients", PrivacyUnit.label),
        cost=approximate(0.5, 5e-7, unit=PrivacyUnit.label, relation=Relation.change_one), run=run,
    )
    execute(plan, read_agreement(Path(sys.argv[1])), Ledger.open(sys.argv[2], owner="north"))
"""


def test_a_crash_between_charge_and_release_loses_budget_not_privacy(pact: Any, tmp_path: Path) -> None:
    (tmp_path / "agreement.yaml").write_text(pact.agreement.to_yaml(), encoding="utf-8")
    script = textwrap.dedent(CRASH)
    command = [sys.executable, "-c", script, tmp_path / "agreement.yaml", tmp_path / "ledger.db"]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with Ledger.open(tmp_path / "ledger.db") as reopened:
        assert reopened.remaining(LABELS).epsilon == pytest.approx(1.5)
        assert "released" not in kinds(reopened)
        assert reopened.verify().ok
    assert os.path.exists(tmp_path / "ledger.db")
