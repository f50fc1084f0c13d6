"""A party's folder and cards."""

from __future__ import annotations

import base64
import json
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from comity.agreement import Agreement, State, Withdrawal, agreement_from
from comity.crypto.keys import SigningKey
from comity.errors import BadInput, ClauseRefused, VerificationFailed
from comity.node.card import Card, host_and_port
from comity.node.folder import PartyFolder


@pytest.fixture
def north(tmp_path: Path) -> PartyFolder:
    return PartyFolder.create(tmp_path / "north", "north", "https://127.0.0.1:9001")


@pytest.fixture
def south(tmp_path: Path) -> PartyFolder:
    return PartyFolder.create(tmp_path / "south", "south", "https://[::1]:9002")


def _agreement(*folders: PartyFolder, **changes: Any) -> Agreement:
    first, second = folders
    column = {"role": "target", "type": "category", "values": ["no", "yes"]}
    data = {"provider": first.name, "lineage": "x", "source": "a", "licence": "b", "columns": {"ill": column}}
    return agreement_from(
        {
            "comity": 1,
            "title": "Pilot",
            "parties": [
                {"name": first.name, "role": "provider", "key": str(first.verify_key)},
                {"name": second.name, "role": "ml_party", "key": str(second.verify_key)},
            ],
            "purpose": {"text": "learn", "legal_basis": "contract"},
            "data": [data],
            "architectures": {"direct-release": {"k": 5, "suppression": 0.05}},
            "expires": "2999-12-31",
            **changes,
        }
    )


def test_a_new_party_is_its_owners_alone(north: PartyFolder) -> None:
    assert stat.S_IMODE(north.path.stat().st_mode) == 0o700
    for path in (north.key_path, north.certificate_path, north.party_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = PartyFolder.open(north.path)
    assert (again.name, again.url) == ("north", "https://127.0.0.1:9001")
    assert again.key.verify_key == north.key.verify_key == again.verify_key
    assert again.certificate == north.certificate
    assert (again.peers(), again.agreements(), again.withdrawals()) == ({}, {}, ())


def test_a_party_is_made_once(north: PartyFolder) -> None:
    before = north.key_path.read_bytes()
    with pytest.raises(BadInput, match="has a party already"):
        PartyFolder.create(north.path, "north")
    north.party_path.unlink()
    with pytest.raises(BadInput, match=r"has a key but no party\.json"):
        PartyFolder.create(north.path, "north")
    assert north.key_path.read_bytes() == before
    with pytest.raises(BadInput, match=r"comity party init NAME --folder"):
        PartyFolder.open(north.path)


def test_nothing_is_made_of_what_cannot_be_used(tmp_path: Path) -> None:
    for name, url in (("North", "https://a:1"), ("a--b", "https://a:1"), ("north", "http://a:1")):
        with pytest.raises(BadInput, match="cannot be used"):
            PartyFolder.create(tmp_path / "x", name, url)
    assert not (tmp_path / "x").exists()


def test_a_passphrase_is_needed_for_the_key_and_nothing_else(tmp_path: Path) -> None:
    made = PartyFolder.create(tmp_path / "p", "north", passphrase="so many words")
    assert b"ENCRYPTED" in made.key_path.read_bytes()
    closed = PartyFolder.open(made.path)
    assert closed.verify_key == made.key.verify_key
    with pytest.raises(BadInput, match="COMITY_PASSPHRASE_FILE"):
        _ = closed.key
    with pytest.raises(BadInput, match="is wrong"):
        _ = PartyFolder.open(made.path, "other words").key
    assert PartyFolder.open(made.path, "so many words").key.verify_key == made.key.verify_key


def test_cards_go_around(north: PartyFolder, south: PartyFolder) -> None:
    card = Card.from_dict(json.loads(json.dumps(south.card().to_dict())))
    card.verify()
    assert (card.name, card.host, card.port, card.key) == ("south", "::1", 9002, south.key.verify_key)
    north.add_peer(card)
    assert north.peers() == {"south": card}
    with pytest.raises(BadInput, match="own name"):
        south.add_peer(card)


def test_a_card_that_was_changed_is_refused(north: PartyFolder, south: PartyFolder) -> None:
    document = south.card().to_dict()
    other = SigningKey.generate()
    for name, value in (
        ("name", "east"),
        ("url", "https://elsewhere.example:9002"),
        ("key", str(other.verify_key)),
        ("certificate", north.certificate.decode()),
        ("signature", base64.b64encode(bytes(64)).decode()),
    ):
        with pytest.raises(VerificationFailed):
            north.add_peer(Card.from_dict({**document, name: value}))
    for wrong in ({}, [], {**document, "more": 1}, {**document, "url": 1}, {**document, "signature": "x"}):
        with pytest.raises(BadInput):
            Card.from_dict(wrong)
    # signed by its own key, but with another party's certificate
    with pytest.raises(VerificationFailed, match="another key"):
        Card.make("south", south.url, south.key, north.certificate).verify()
    assert north.peers() == {}


def test_another_key_or_an_older_card_never_replaces_one(
    north: PartyFolder, south: PartyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = south.card()
    north.add_peer(first)
    impostor = PartyFolder.create(tmp_path / "impostor", "south")
    with pytest.raises(BadInput, match="with another key is kept already"):
        north.add_peer(impostor.card())

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=90)

    monkeypatch.setattr("comity.crypto.tls.datetime", Later)
    south.renew("https://south.example:9443")
    second = south.card()
    assert second.key == first.key
    north.add_peer(second)
    assert north.peers()["south"].url == "https://south.example:9443"
    assert PartyFolder.open(south.path).url == "https://south.example:9443"
    with pytest.raises(BadInput, match="a newer card of 'south' is kept"):
        north.add_peer(first)


def test_a_card_in_the_folder_that_was_changed_is_found(north: PartyFolder, south: PartyFolder) -> None:
    north.add_peer(south.card())
    path = north.peers_path / "south.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "url": "https://evil.example:1"}))
    with pytest.raises(VerificationFailed, match="card of 'south'"):
        north.peers()
    path.write_text(json.dumps(document))
    path.rename(north.peers_path / "east.json")
    with pytest.raises(BadInput, match=r"name the file south\.json"):
        north.peers()


@pytest.mark.parametrize(
    "url",
    [
        "http://a:1", "https://a", "https://a:1/x", "https://u@a:1", "https://a:1?q", "https://:1",
        "https://a:0", "https://a:99999", "a:1", "", "https://a b:1", "https://ä:1", "https://[::1:9",
    ],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(BadInput, match="https://host:port"):
        host_and_port(url)


def test_agreements_are_kept_by_digest_with_all_signatures(north: PartyFolder, south: PartyFolder) -> None:
    draft = _agreement(north, south)
    mine, theirs = draft.sign("north", north.key), draft.sign("south", south.key)
    assert north.keep_agreement(mine) == mine
    whole = north.keep_agreement(theirs)
    assert len(whole.signatures) == 2
    assert north.agreements() == {draft.digest: whole}
    assert north.agreement(draft.digest) == whole
    assert north.standing(whole, date(2026, 1, 1)).in_force
    assert south.agreements() == {}
    with pytest.raises(BadInput, match="no agreement"):
        south.agreement(draft.digest)
    with pytest.raises(BadInput, match="64 hexadecimal"):
        south.agreement("../../etc/passwd")
    path = north.agreements_path / f"{draft.digest}.yaml"
    path.rename(north.agreements_path / f"{'0' * 64}.yaml")
    with pytest.raises(VerificationFailed, match="not the one it is named"):
        north.agreements()


def test_what_is_kept_decides_the_standing(north: PartyFolder, south: PartyFolder) -> None:
    def signed(**changes: Any) -> Agreement:
        return _agreement(north, south, **changes).sign("north", north.key).sign("south", south.key)

    first = signed()
    second = signed(replaces=first.digest, title="Second")
    today = datetime.now(UTC).date()
    for folder in (north, south):
        folder.keep_agreement(first)
    north.keep_agreement(second)
    assert north.standing(first, today).state is State.replaced
    assert south.standing(first, today).state is State.in_force
    withdrawal = Withdrawal.sign(second, "south", south.key, reason="no", on=today)
    with pytest.raises(BadInput, match="no agreement"):
        south.keep_withdrawal(withdrawal)
    north.keep_withdrawal(withdrawal)
    north.keep_withdrawal(withdrawal)
    assert north.withdrawals() == (withdrawal,)
    assert north.standing(second, today).state is State.withdrawn
    other = Withdrawal.read({**withdrawal.to_dict(), "party": "east"}, where="it")
    with pytest.raises(ClauseRefused):
        north.keep_withdrawal(other)
