"""Countersigning: what is signed, what is refused, and that nobody rewrites a ledger alone."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, UsageError, VerificationFailed
from comity.ledger import Checkpoint, Ledger
from comity.ledger.countersignatures import Countersignature, Offer, check_one_history, offer
from comity.ledger.keeper import Keeper, countersignatures_in

OWNER, SIGNER, THIRD = (SigningKey.generate() for _ in range(3))


@pytest.fixture
def north(tmp_path: Path) -> Ledger:
    """The ledger that is watched."""
    ledger = Ledger.open(tmp_path / "north.db", key=OWNER, owner="north")
    for turn in range(3):
        ledger.append("note", {"turn": turn})
    return ledger


@pytest.fixture
def analyst(tmp_path: Path) -> Keeper:
    own = Ledger.open(tmp_path / "analyst.db", key=SIGNER, owner="analyst")
    return Keeper(tmp_path / "analyst", party="analyst", key=SIGNER, ledger=own)


def sign(keeper: Keeper, ledger: Ledger) -> Countersignature:
    offered = json.loads(json.dumps(offer(ledger, keeper.last("north"))))
    return keeper.countersign(offered, owner="north", owner_key=OWNER.verify_key)


def forked(ledger: Ledger, tmp_path: Path, keep: int) -> Ledger:
    """The owner's other history: the first entries the same, signed with the right key."""
    other = Ledger.open(tmp_path / f"fork{keep}.db", key=OWNER, owner="north")
    with other._store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_delete")
        connection.exec_driver_sql("DROP TRIGGER checkpoints_no_delete")
        connection.exec_driver_sql("DELETE FROM events")
        connection.exec_driver_sql("DELETE FROM checkpoints")
        with ledger._store.reading() as source:
            rows = list(ledger._store.rows(source))[:keep]
        from comity.ledger.entries import Entry

        for row in rows:
            other._store.add(connection, (Entry.read(row), ledger.checkpoint_at(row.seq + 1)))
    other.close()
    other = Ledger.open(tmp_path / f"fork{keep}.db", key=OWNER)
    for turn in range(20 - keep):
        other.append("note", {"another": turn})
    return other


def test_what_extends_is_signed_and_kept_by_both(north: Ledger, analyst: Keeper, tmp_path: Path) -> None:
    owners = Keeper(tmp_path / "north", party="north", key=OWNER, ledger=north)
    for size in (4, 5, 9):
        while north.size < size:
            north.append("note", {})
        signed = sign(analyst, north)
        assert (signed.party, signed.checkpoint.size) == ("analyst", size)
        signed.verify(SIGNER.verify_key, OWNER.verify_key)
        owners.accept(signed, key=SIGNER.verify_key, ledger=north)
        owners.accept(signed, key=SIGNER.verify_key, ledger=north)
        assert owners.got("analyst") == analyst.last("north") == signed.checkpoint
    assert [one.checkpoint.size for one in analyst.kept("north")] == [4, 5, 9]
    assert owners.kept("north") == analyst.kept("north")
    assert owners.got("south") is None
    assert analyst._ledger is not None
    assert analyst._ledger.size == 1  # signing appends nothing: otherwise each would need another


def test_the_same_offer_again_gets_the_same_bytes(north: Ledger, analyst: Keeper) -> None:
    offered = offer(north)
    first = analyst.countersign(offered, owner="north", owner_key=OWNER.verify_key)
    again = analyst.countersign(offered, owner="north", owner_key=OWNER.verify_key)
    assert first == again
    north.append("note", {})
    later = sign(analyst, north)
    assert analyst.countersign(offered, owner="north", owner_key=OWNER.verify_key) == first  # came late
    assert sign(analyst, north) == later
    assert len(analyst.kept("north")) == 2


def test_a_restart_remembers(north: Ledger, analyst: Keeper, tmp_path: Path) -> None:
    sign(analyst, north)
    again = Keeper(tmp_path / "analyst", party="analyst", key=SIGNER)
    assert again.last("north") == north.checkpoint()
    fork = Checkpoint.sign(OWNER, ledger=north.checkpoint().ledger, size=4, root=b"\1" * 32, time="now")
    with pytest.raises(VerificationFailed, match="forked"):
        again.countersign(Offer(fork, 4, ()).to_dict(), owner="north", owner_key=OWNER.verify_key)


@pytest.mark.parametrize("keep", [1, 2, 3, 5, 8])
def test_a_rewritten_ledger_is_refused_and_recorded(
    north: Ledger, analyst: Keeper, tmp_path: Path, keep: int
) -> None:
    while north.size < 9:
        north.append("note", {})
    sign(analyst, north)
    other = forked(north, tmp_path, keep)
    assert other.verify()  # nothing in the file shows it
    for _ in range(3):
        # the best it can do: the right size in the proof, hashes of its own tree
        forged = Offer(other.checkpoint(), 9, other.consistency(9).path).to_dict()
        with pytest.raises(VerificationFailed, match="does not extend"):
            analyst.countersign(forged, owner="north", owner_key=OWNER.verify_key)
    assert len(analyst.kept("north")) == 1
    (refusal,) = analyst.refusals("north")
    assert refusal["fault"] == "unproven"
    assert analyst._ledger is not None
    (entry,) = analyst._ledger.events("refused")
    assert entry.body["party"] == "north"
    for name in ("kept", "offered"):
        Checkpoint.from_dict(entry.body[name]).verify(OWNER.verify_key)
    with pytest.raises(VerificationFailed, match="is not of the ledger"):
        offer(other, analyst.last("north"))


def test_a_ledger_cut_off_is_refused(north: Ledger, analyst: Keeper, tmp_path: Path) -> None:
    early = north.checkpoint()
    while north.size < 9:
        north.append("note", {})
    sign(analyst, north)
    offered = Offer(early, 0, ()).to_dict()
    with pytest.raises(VerificationFailed, match="rolled back"):
        analyst.countersign(offered, owner="north", owner_key=OWNER.verify_key)
    assert [line["fault"] for line in analyst.refusals("north")] == ["rollback"]


def test_a_new_ledger_in_its_place_is_a_fork(north: Ledger, analyst: Keeper, tmp_path: Path) -> None:
    sign(analyst, north)
    with Ledger.open(tmp_path / "anew.db", key=OWNER, owner="north") as anew:
        for _ in range(9):
            anew.append("note", {})
        with pytest.raises(VerificationFailed, match="another ledger"):
            analyst.countersign(offer(anew), owner="north", owner_key=OWNER.verify_key)
    assert [line["fault"] for line in analyst.refusals("north")] == ["fork"]


def test_two_views_shown_to_two_parties_are_found_when_they_compare(
    north: Ledger, analyst: Keeper, tmp_path: Path
) -> None:
    """A split view: each of the two is consistent with itself."""
    mediator = Keeper(tmp_path / "mediator", party="mediator", key=THIRD)
    while north.size < 9:
        north.append("note", {})
    other = forked(north, tmp_path, 4)
    mine = sign(analyst, north)
    theirs = mediator.countersign(offer(other), owner="north", owner_key=OWNER.verify_key)
    assert theirs.checkpoint.size == 20
    for ledger in (north, other):
        proof = ledger.consistency(9).path
        with pytest.raises(VerificationFailed):
            check_one_history(mine.checkpoint, theirs.checkpoint, OWNER.verify_key, proof)
    with pytest.raises(VerificationFailed, match="two histories of 9 entries"):
        check_one_history(mine.checkpoint, other.checkpoint_at(9), OWNER.verify_key)
    check_one_history(
        north.checkpoint_at(2), theirs.checkpoint, OWNER.verify_key, other.consistency(2).path
    )  # before the fork they agree


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_honest_owners_are_always_signed(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    folder = tmp_path_factory.mktemp("keeper")
    keeper = Keeper(folder, party="analyst", key=SIGNER)
    ledger = Ledger.open(":memory:", key=OWNER, owner="north")
    for step in steps:
        for _ in range(step):
            ledger.append("note", {})
        assert sign(keeper, ledger).checkpoint == ledger.checkpoint()
    assert not keeper.refusals("north")


def test_wrong_keys_and_wrong_parties(north: Ledger, analyst: Keeper) -> None:
    with pytest.raises(VerificationFailed, match="signature"):
        analyst.countersign(offer(north), owner="north", owner_key=THIRD.verify_key)
    with pytest.raises(BadInput, match="its own ledger"):
        analyst.countersign(offer(north), owner="analyst", owner_key=OWNER.verify_key)
    with pytest.raises(UsageError, match="cannot be a party's name"):
        analyst.countersign(offer(north), owner="../x", owner_key=OWNER.verify_key)
    signed = sign(analyst, north)
    owners = Keeper(analyst.folder / "o", party="north", key=OWNER)
    with pytest.raises(VerificationFailed, match="countersignature"):
        owners.accept(signed, key=THIRD.verify_key, ledger=north)
    other = Countersignature.from_dict({**signed.to_dict(), "party": "mediator"})
    with pytest.raises(VerificationFailed, match="countersignature"):
        other.verify(SIGNER.verify_key, OWNER.verify_key)
    assert not analyst.refusals("north")  # anybody could have sent these


@pytest.mark.parametrize(
    "damage",
    [
        {"checkpoint": None},
        {"checkpoint": {}},
        {"consistency": None},
        {"consistency": {"old_size": -1, "path": "x"}},
        {"consistency": {"old_size": 0, "path": ["zz"]}},
        {"consistency": {"old_size": "0", "path": []}},
        {"more": 1},
    ],
)
def test_what_is_no_offer(north: Ledger, analyst: Keeper, damage: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        analyst.countersign({**offer(north), **damage}, owner="north", owner_key=OWNER.verify_key)


def test_a_line_that_a_crash_cut_off_is_taken_away(north: Ledger, analyst: Keeper) -> None:
    sign(analyst, north)
    path = analyst.folder / "north.jsonl"
    with path.open("ab") as file:
        file.write(b'{"party":"analyst","checkp')
    assert len(analyst.kept("north")) == 1
    north.append("note", {})
    sign(analyst, north)
    assert [one.checkpoint.size for one in countersignatures_in(path)] == [4, 5]
    path.write_bytes(path.read_bytes().replace(b'"party"', b'"partx"', 1))
    with pytest.raises(VerificationFailed, match="damaged in line 1"):
        analyst.kept("north")


def test_many_at_once_leave_one_line_each(north: Ledger, analyst: Keeper) -> None:
    offered = offer(north)
    threads = [
        threading.Thread(
            target=analyst.countersign,
            args=(offered,),
            kwargs={"owner": "north", "owner_key": OWNER.verify_key},
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(analyst.kept("north")) == 1


def test_files_are_for_their_owner_only(north: Ledger, analyst: Keeper) -> None:
    sign(analyst, north)
    assert analyst.folder.stat().st_mode & 0o777 == 0o700
    assert (analyst.folder / "north.jsonl").stat().st_mode & 0o777 == 0o600
