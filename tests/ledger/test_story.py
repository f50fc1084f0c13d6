"""`comity ledger show`: the entries as sentences."""

from typing import Any

import pytest

from comity.errors import BudgetRefused, VerificationFailed
from comity.ledger import approximate, gaussian, without_dp
from comity.ledger.story import story

LABEL = "hospital/adult/label"
PER_LABEL = {"unit": "label", "relation": "change-one"}


def test_a_story(home: Any) -> None:
    digest = "ab" * 32
    with home.open(owner="hospital") as ledger:
        ledger.open_account(LABEL, (1.0, 1e-6))
        ledger.append(
            "asked", {"recipient": "analyst", "purpose": "auc", "plan": digest, "clause": "a.validation"}
        )
        ledger.charge(
            approximate(0.5, 1e-7, **PER_LABEL), account=LABEL, purpose="auc", clause=f"{digest}/a.validation"
        )
        ledger.append("released", {"recipient": "analyst", "purpose": "auc"})
        with pytest.raises(BudgetRefused):
            ledger.charge(gaussian(0.5, **PER_LABEL), account=LABEL, purpose="calibration")
        ledger.append("withheld", {"recipient": "analyst", "reason": "too close to the original"})
        ledger.charge(without_dp(**PER_LABEL), account=LABEL, purpose="k-anonymous table")
        ledger.append("note", {"text": "the steward was told"})
    lines = [line.split("  ", 2)[-1] for line in (line.strip() for line in story(home.place))]
    assert lines[0].startswith("hospital founded this ledger; it is signed with ed25519:")
    assert lines[1:] == [
        "account hospital/adult/label was opened with epsilon 1, delta 1e-06, per change-one",
        "analyst asked for 'auc' under a.validation (abababababab...)",
        "charged epsilon 0.5 and delta 1e-07 to hospital/adult/label for 'auc' under "
        f"abababababab.../a.validation; {lines[3].split('; ', 1)[1]}",
        "released to analyst for 'auc'",
        "refused Gaussian noise of multiplier 0.5 for 'calibration': "
        "the budget of account hospital/adult/label",
        "withheld: too close to the original; it stays charged",
        "charged a release without differential privacy to hospital/adult/label for 'k-anonymous table'",
        "note: the steward was told",
    ]
    assert "left: epsilon 0.5, delta 4e-07" in lines[3]


def test_notes_are_told_in_words(home: Any) -> None:
    digest = "ab" * 32
    with home.open(owner="hospital") as ledger:
        ledger.append(
            "note",
            {
                "note": "job-approved",
                "job": digest,
                "program": "cd" * 32,
                "title": "How many",
                "steward": "Ann",
            },
        )
        ledger.append(
            "note",
            {"own_key": f"{digest}/architectures.federated", "plan": digest, "account": LABEL, "queries": 3},
        )
        ledger.append("note", {"drawn": digest, "plan": digest, "account": LABEL})
        text = "notice to analyst about 'keys', made of no data"
        ledger.append("note", {"text": text, "clause": "architectures.federated", "notice": digest})
        ledger.append("note", {"later": 1})
    assert [line.strip().split("  ", 2)[-1] for line in story(home.place)][1:] == [
        "steward Ann approved the job 'How many' (abababababab...) with the program cdcdcdcdcdcd...: it may "
        "run beside the data",
        "counted 3 of the queries under abababababab.../architectures.federated for a share that nobody "
        "but its sender can open (abababababab...); it costs no budget",
        "took one of the answers that an earlier share has paid for; nothing more is charged",
        "let out a notice to analyst about 'keys', made of no data under architectures.federated",
        "a note without words, with: later",
    ]


def test_a_damaged_ledger_has_no_story(home: Any) -> None:
    with home.open() as ledger:
        ledger.append("note", {})
    home.edit("UPDATE events SET salt = zeroblob(32) WHERE seq = 1")
    with pytest.raises(VerificationFailed, match="seq 1"):
        story(home.place)
