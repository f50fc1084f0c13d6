"""What has to be deleted at whom after a withdrawal."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from comity.agreement import Agreement, Withdrawal, agreement_from, obligations
from comity.crypto.keys import SigningKey
from comity.errors import BadAgreement

DAY = date(2026, 6, 1)


def _withdrawn(agreement: Agreement, party: str, keys: dict[str, SigningKey]) -> Withdrawal:
    return Withdrawal.sign(agreement, party, keys[party], reason="no", on=DAY)


def _with(full: dict[str, Any], **changes: Any) -> Agreement:
    data = [{**entry, **changes} for entry in full["data"]]
    return agreement_from({**full, "data": data})


def test_a_providers_withdrawal_is_about_its_data(full: dict[str, Any], keys: dict[str, SigningKey]) -> None:
    agreement = _with(full, retention={"after_withdrawal_days": 30, "models": "delete"})
    due = obligations(agreement, _withdrawn(agreement, "north", keys))
    assert {one.provider for one in due} == {"north"}
    assert {one.holder for one in due} == {"mediator", "analyst"}
    assert {one.until for one in due} == {date(2026, 7, 1)}
    text = "\n".join(one.words() for one in due)
    for word in (
        "20 seed rows",
        "merged table",
        "padded words",
        "synthetic",
        "models made with",
        "2026-07-01",
    ):
        assert word in text
    assert all(one.clause.startswith("data.0.retention") for one in due)


@pytest.mark.parametrize("party", ["mediator", "analyst"])
def test_the_others_withdrawal_is_about_all_data(
    agreement: Agreement, keys: dict[str, SigningKey], party: str
) -> None:
    due = obligations(agreement, _withdrawn(agreement, party, keys))
    assert {one.provider for one in due} == {"north", "south", "east"}


def test_without_terms_it_is_the_same_day_and_models_are_open(
    agreement: Agreement, keys: dict[str, SigningKey]
) -> None:
    due = obligations(agreement, _withdrawn(agreement, "south", keys))
    models = [one for one in due if "models" in one.what]
    assert [one.until for one in models] == [None]
    assert "settle it between you" in models[0].words()
    assert {one.until for one in due if one not in models} == {DAY}


def test_models_that_may_be_kept_are_not_listed(full: dict[str, Any], keys: dict[str, SigningKey]) -> None:
    agreement = _with(full, retention={"after_withdrawal_days": 0, "models": "keep"})
    due = obligations(agreement, _withdrawn(agreement, "north", keys))
    assert not [one for one in due if "models" in one.what]


def test_nobody_but_recipients_has_to_delete(full: dict[str, Any], keys: dict[str, SigningKey]) -> None:
    allowed = {"validation": {**full["architectures"]["validation"]}}
    agreement = agreement_from({**_with(full, seed_rows=0).to_dict(), "architectures": allowed})
    due = obligations(agreement, _withdrawn(agreement, "north", keys))
    assert {one.holder for one in due} == {"analyst"}


def test_retention_says_both_things(full: dict[str, Any]) -> None:
    for wrong in (
        {"models": "keep"},
        {"after_withdrawal_days": 1},
        {"after_withdrawal_days": -1, "models": "keep"},
    ):
        with pytest.raises(BadAgreement, match="retention"):
            _with(full, retention=wrong)
