"""Whether an agreement is in force, given what else is known; withdrawals; copies signed in parallel."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.agreement import (
    Agreement,
    State,
    Withdrawal,
    agreement_from,
    differences,
    merge_agreements,
    read_withdrawal,
    replaces,
    standing,
)
from comity.crypto.keys import SigningKey
from comity.errors import BadAgreement, BadInput, ClauseRefused, UsageError, VerificationFailed

Keys = dict[str, SigningKey]
DAY = date(2026, 6, 1)


def _changed(agreement: Agreement, **changes: Any) -> Agreement:
    return agreement_from({**agreement.to_dict(), "signatures": [], **changes})


@pytest.fixture
def signed(agreement: Agreement, sign_all: Any) -> Agreement:
    return sign_all(agreement)


@pytest.fixture
def newer(signed: Agreement, sign_all: Any) -> Agreement:
    return sign_all(_changed(signed, title="Second", replaces=signed.digest))


@pytest.fixture
def withdrawal(signed: Agreement, keys: Keys) -> Withdrawal:
    return Withdrawal.sign(signed, "north", keys["north"], reason="the board said no", on=DAY)


def test_in_force_until_the_end_of_its_last_day(signed: Agreement) -> None:
    stands = standing(signed, [signed], [], signed.expires)
    assert stands.in_force
    stands.check()
    late = standing(signed, [], [], date(2028, 1, 1))
    assert late.state is State.expired
    with pytest.raises(ClauseRefused, match="clause expires"):
        late.check()


def test_every_missing_or_wrong_signature_counts(signed: Agreement, keys: Keys) -> None:
    document = signed.to_dict()
    for index in range(len(document["signatures"])):
        fewer = [entry for at, entry in enumerate(document["signatures"]) if at != index]
        stands = standing(agreement_from({**document, "signatures": fewer}), [], [], DAY)
        assert stands.state is State.unsigned
        with pytest.raises(VerificationFailed, match=document["signatures"][index]["party"]):
            stands.check()


def test_an_agreement_is_replaced_by_one_that_all_its_parties_signed(
    signed: Agreement, newer: Agreement
) -> None:
    assert replaces(newer, signed)
    stands = standing(signed, [signed, newer], [], DAY)
    assert (stands.state, stands.by) == (State.replaced, newer.digest)
    with pytest.raises(ClauseRefused, match="clause replaces"):
        stands.check()
    assert standing(newer, [signed, newer], [], DAY).in_force
    # for good, also when the newer one has expired
    assert standing(signed, [newer], [], date(2028, 1, 1)).state is State.replaced


def test_half_signed_or_foreign_agreements_replace_nothing(
    signed: Agreement, newer: Agreement, keys: Keys, full: dict[str, Any]
) -> None:
    half = agreement_from({**newer.to_dict(), "signatures": newer.to_dict()["signatures"][1:]})
    stranger = SigningKey.generate()
    parties = [{**party, "key": str(stranger.verify_key)} if party["name"] == "south" else party
               for party in full["parties"]]  # fmt: skip
    other_key = _changed(newer, parties=parties)
    for party in other_key.parties:
        other_key = other_key.sign(party.name, stranger if party.name == "south" else keys[party.name])
    unrelated = _changed(newer, replaces="0" * 64)
    for other in (half, other_key, unrelated, signed):
        assert not replaces(other, signed)
    assert standing(signed, [half, other_key, unrelated, signed], [], DAY).in_force


def test_leaving_a_party_out_replaces_nothing(signed: Agreement, keys: Keys, full: dict[str, Any]) -> None:
    """Those who stay cannot end the agreement of the one they leave out."""
    allowed = {"validation": full["architectures"]["validation"]}
    fewer = _changed(
        signed,
        replaces=signed.digest,
        parties=[party for party in full["parties"] if party["name"] != "east"],
        data=[data for data in full["data"] if data["provider"] != "east"],
        architectures=allowed,
    )
    for party in fewer.parties:
        fewer = fewer.sign(party.name, keys[party.name])
    assert standing(signed, [fewer], [], DAY).in_force


def test_any_party_withdraws_for_all(signed: Agreement, newer: Agreement, keys: Keys) -> None:
    for party in signed.parties:
        withdrawal = Withdrawal.sign(signed, party.name, keys[party.name], reason="no", on=DAY)
        # whatever the day, also before its date; and before a replacement
        stands = standing(signed, [newer], [withdrawal], date(2020, 1, 1))
        assert (stands.state, stands.by) == (State.withdrawn, party.name)
        with pytest.raises(ClauseRefused, match=f"clause parties.{party.name}"):
            stands.check()
        assert standing(newer, [signed], [withdrawal], DAY).in_force


def test_withdrawals_by_others_or_altered_do_not_count(
    signed: Agreement, withdrawal: Withdrawal, keys: Keys
) -> None:
    document = withdrawal.to_dict()
    forged = [
        {**document, "party": "south"},
        {**document, "party": "stranger"},
        {**document, "reason": "other words"},
        {**document, "date": "2026-06-02"},
    ]
    for one in forged:
        altered = Withdrawal.read(one, where="it")
        assert standing(signed, [], [altered], DAY).in_force
        with pytest.raises((VerificationFailed, ClauseRefused)):
            altered.verify(signed)
    with pytest.raises(BadInput, match="is not the one that the agreement names"):
        Withdrawal.sign(signed, "north", keys["south"], reason="no", on=DAY)
    with pytest.raises(ClauseRefused):
        Withdrawal.sign(signed, "stranger", keys["stranger"], reason="no", on=DAY)
    with pytest.raises(BadAgreement, match="reason: is blank"):
        Withdrawal.sign(signed, "north", keys["north"], reason=" ", on=DAY)


def test_a_signature_under_an_agreement_is_no_withdrawal(signed: Agreement, withdrawal: Withdrawal) -> None:
    document = {**withdrawal.to_dict(), "signature": signed.signatures[0].signature}
    with pytest.raises(VerificationFailed):
        Withdrawal.read(document, where="it").verify(signed)


def test_a_withdrawals_file(signed: Agreement, withdrawal: Withdrawal, tmp_path: Path) -> None:
    path = tmp_path / withdrawal.file_name
    assert path.name == f"{signed.digest}.withdrawn-north.json"
    path.write_text(withdrawal.to_json(), encoding="utf-8")
    assert read_withdrawal(path) == withdrawal
    read_withdrawal(path).verify(signed)
    path.write_text(json.dumps({**withdrawal.to_dict(), "more": 1}), encoding="utf-8")
    with pytest.raises(BadAgreement, match=r"is not a usable withdrawal: more: unknown key"):
        read_withdrawal(path)
    for text in ("[1]", "{", '{"agreement": "x"}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadAgreement, match="the withdrawal"):
            read_withdrawal(path)
    with pytest.raises(BadAgreement, match="does not exist"):
        read_withdrawal(tmp_path / "none.json")


def test_copies_signed_in_parallel_merge(agreement: Agreement, keys: Keys, signed: Agreement) -> None:
    copies = [agreement.sign(party.name, keys[party.name]) for party in agreement.parties]
    merged = merge_agreements(copies)
    assert merged == signed
    assert merge_agreements(list(reversed(copies))) == merged == merge_agreements([merged, *copies])
    with pytest.raises(UsageError):
        merge_agreements([])


def test_copies_that_differ_do_not_merge(signed: Agreement) -> None:
    other = _changed(signed, expires="2027-12-30")
    with pytest.raises(BadInput, match="differ in expires"):
        merge_agreements([signed, other])
    assert differences(signed, other) == ["expires"]
    assert differences(signed, signed) == []
    data = signed.to_dict()["data"]
    data[1]["budget"]["epsilon"] = 3.0
    assert differences(signed, _changed(signed, data=data)) == ["data.1.budget.epsilon"]
    assert differences(signed, _changed(signed, replaces="0" * 64)) == ["replaces"]


def test_a_wrong_signature_does_not_merge(signed: Agreement) -> None:
    document = signed.to_dict()
    document["signatures"][0]["signature"] = document["signatures"][1]["signature"]
    with pytest.raises(VerificationFailed, match=r"signatures\.0"):
        merge_agreements([signed, agreement_from(document)])


def test_what_an_agreement_replaces_is_signed(agreement: Agreement) -> None:
    newer = _changed(agreement, replaces="ab" * 32)
    assert newer.digest != agreement.digest
    assert '"replaces"' not in agreement.body_bytes().decode()
    with pytest.raises(BadAgreement, match="replaces"):
        _changed(agreement, replaces="not a digest")


@given(st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_merging_is_the_union_in_any_order(signed: Agreement, chosen: list[set[int]], order: Any) -> None:
    document = signed.to_dict()
    copies = [
        agreement_from({**document, "signatures": [document["signatures"][at] for at in sorted(some)]})
        for some in chosen
    ]
    merged = merge_agreements(copies)
    order.shuffle(copies)
    assert merge_agreements(copies) == merged
    assert merge_agreements([merge_agreements(copies[:1]), *copies]) == merged
    names = {document["signatures"][at]["party"] for some in chosen for at in some}
    assert {entry.party for entry in merged.signatures} == names
    assert standing(merged, [], [], DAY).in_force == (len(names) == 5)
