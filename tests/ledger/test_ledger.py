"""The ledger as it is called: accounts, charges, refusals, entries, proofs."""

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from dp_accounting import dp_event
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey
from comity.errors import BadInput, BudgetRefused, Refused, UsageError, VerificationFailed
from comity.ledger import (
    Account,
    Budget,
    Checkpoint,
    Consistency,
    Inclusion,
    Ledger,
    approximate,
    gaussian,
    pure,
    without_dp,
)
from comity.ledger.merkle import leaf_hash
from comity.ledger.replay import Accounts

LABEL = "hospital/adult/label"
RECORD = "hospital/adult/record"
PER_LABEL = {"unit": "label", "relation": "change-one"}
PER_RECORD = {"unit": "record", "relation": "add-remove"}


def test_the_contract_in_the_most_natural_way(tmp_path: Path) -> None:
    ledger = Ledger.open(str(tmp_path / "mine.db"))
    ledger.charge(dp_event.GaussianDpEvent(20.0), account="hospital", budget=(1.0, 1e-6))
    left = ledger.remaining("hospital")
    assert 0 < left.epsilon < 1
    assert ledger.verify()


def test_in_memory() -> None:
    ledger = Ledger.open(":memory:")
    ledger.open_account(LABEL, Budget(1.0, 1e-6))
    ledger.charge(pure(0.25, **PER_LABEL), account=LABEL)
    assert ledger.remaining(LABEL).epsilon == pytest.approx(0.75)
    assert ledger.verify().ok


def test_an_account_that_is_not_open_is_explained(ledger: Ledger) -> None:
    with pytest.raises(
        UsageError, match=r"not open in this ledger \(open: hospital/adult/label\).*open_account"
    ):
        ledger.charge(pure(0.1, **PER_LABEL), account="clinic/adult/label")
    with pytest.raises(UsageError, match="open_account"):
        ledger.remaining("clinic/adult/label")
    assert ledger.size == 2


def test_a_charge_is_an_entry_with_a_signed_checkpoint(ledger: Ledger) -> None:
    cost = pure(0.1, **PER_LABEL)
    entry = ledger.charge(
        cost,
        account=Account("hospital", "adult", "label"),
        purpose="auc",
        clause="architectures.validation",
        request="plan-7",
    )
    assert (entry.seq, entry.kind) == (2, "charged")
    assert entry.body == {
        "account": LABEL,
        "cost": cost.to_dict(),
        "purpose": "auc",
        "clause": "architectures.validation",
        "request": "plan-7",
        "limit": None,
    }
    assert entry.checkpoint is not None
    entry.checkpoint.verify(ledger.verify_key)
    assert entry.checkpoint == ledger.checkpoint()


def test_spent_and_remaining(ledger: Ledger) -> None:
    ledger.charge(pure(0.25, **PER_LABEL), account=LABEL)
    ledger.charge(approximate(0.25, 1e-7, **PER_LABEL), account=LABEL)
    spent = ledger.spent(LABEL)
    assert spent.epsilon == pytest.approx(0.5)
    assert spent.delta == pytest.approx(1e-7)
    assert spent.charges == 2
    assert spent.words() == "epsilon 0.5, delta 1e-07 in 2 charges"
    left = ledger.remaining(LABEL)
    assert left.approximate() == (pytest.approx(0.5), pytest.approx(4e-7))


def test_a_refusal_teaches_and_is_recorded(ledger: Ledger) -> None:
    ledger.charge(pure(0.75, **PER_LABEL), account=LABEL)
    with pytest.raises(BudgetRefused) as caught:
        ledger.charge(pure(0.5, **PER_LABEL), account=LABEL, clause="architectures.validation", purpose="auc")
    refusal = caught.value
    assert refusal.clause == "architectures.validation"
    assert refusal.asked == "epsilon 0.5 (per label, change-one)"
    assert refusal.left is not None
    assert refusal.left.startswith("epsilon 0.25, delta 5e-07")
    assert refusal.would_pass is not None
    assert refusal.would_pass.startswith("epsilon 0.25 or less")
    last = ledger.events()[-1]
    assert last.kind == "refused"
    assert last.body["purpose"] == "auc"
    assert ledger.spent(LABEL).epsilon == pytest.approx(0.75)
    ledger.charge(pure(0.25, **PER_LABEL), account=LABEL)


def test_what_the_refusal_says_would_pass_does_pass(ledger: Ledger) -> None:
    ledger.charge(pure(0.5, **PER_LABEL), account=LABEL)
    with pytest.raises(BudgetRefused) as caught:
        ledger.charge(gaussian(2, **PER_LABEL), account=LABEL)
    words = caught.value.would_pass or ""
    multiplier = float(words.split("multiplier ")[1].split(" ")[0])
    ledger.charge(gaussian(multiplier, **PER_LABEL), account=LABEL)


def test_a_spent_budget_says_so(ledger: Ledger) -> None:
    ledger.charge(pure(1, **PER_LABEL), account=LABEL)
    with pytest.raises(BudgetRefused, match="nothing more: it is spent, for the data's lifetime"):
        ledger.charge(pure(0.01, **PER_LABEL), account=LABEL)


def test_opening_again_changes_nothing_and_never_refills(ledger: Ledger) -> None:
    size = ledger.size
    assert ledger.open_account(LABEL, Budget(1.0, 1e-6)) == Account.parse(LABEL)
    assert ledger.size == size
    with pytest.raises(Refused, match="a renewed agreement does not refill it"):
        ledger.open_account(LABEL, Budget(2.0, 1e-6))
    assert ledger.accounts()[Account.parse(LABEL)].epsilon == 1.0
    assert ledger.events()[-1].kind == "refused"


def test_limits_of_a_clause_are_counted_apart(ledger: Ledger) -> None:
    limit = Budget(0.25, 1e-7)
    ledger.charge(pure(0.25, **PER_LABEL), account=LABEL, clause="a.validation", limit=limit)
    with pytest.raises(BudgetRefused, match=r"the budget of clause a\.validation"):
        ledger.charge(pure(0.01, **PER_LABEL), account=LABEL, clause="a.validation", limit=limit)
    ledger.charge(pure(0.25, **PER_LABEL), account=LABEL, clause="b.synthetic", limit=limit)
    assert ledger.remaining(LABEL, clause="a.validation", limit=limit).epsilon == 0
    assert ledger.remaining(LABEL).epsilon == pytest.approx(0.5)


def test_a_limit_needs_its_clause(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="belongs to a clause"):
        ledger.charge(pure(0.1, **PER_LABEL), account=LABEL, limit=Budget(0.5, 0))


def test_a_limit_splits_its_delta_as_the_account_does(home: Any) -> None:
    ledger = home.open()
    ledger.open_account(LABEL, Budget(1.0, 1e-6, 9e-7))
    cost = approximate(1.0, 9e-7, **PER_LABEL)
    ledger.charge(cost, account=LABEL, clause="a", limit=Budget(1.0, 1e-6))
    assert ledger.remaining(LABEL).epsilon == 0


def test_a_record_charge_also_spends_the_labels(ledger: Ledger) -> None:
    """PRIVACY.md: add-remove at rho implies 4 rho for a changed label."""
    ledger.open_account(RECORD, (1.0, 1e-6))
    free = ledger.remaining(LABEL).noise_multiplier()
    assert ledger.remaining(RECORD).noise_multiplier() == pytest.approx(2 * free)
    ledger.charge(gaussian(2.0001 * free, **PER_RECORD), account=RECORD)
    assert ledger.spent(LABEL).epsilon == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(BudgetRefused, match="the budget of account hospital/adult/label"):
        ledger.charge(gaussian(10 * free, **PER_RECORD), account=RECORD)


def test_what_was_spent_before_an_account_was_opened_counts(home: Any) -> None:
    ledger = home.open()
    ledger.open_account(RECORD, (1.0, 1e-6))
    ledger.charge(pure(0.4, **PER_RECORD), account=RECORD)
    ledger.open_account(LABEL, (1.0, 1e-6))
    assert ledger.remaining(LABEL).epsilon == pytest.approx(0.2)


def test_a_label_cost_does_not_fit_a_record_account(ledger: Ledger) -> None:
    ledger.open_account(RECORD, (1.0, 1e-6))
    with pytest.raises(BudgetRefused, match="says nothing about account hospital/adult/record"):
        ledger.charge(pure(0.1, **PER_LABEL), account=RECORD)


def test_other_data_is_not_touched(ledger: Ledger) -> None:
    ledger.open_account("hospital/other/label", (1.0, 1e-6))
    ledger.charge(pure(1, **PER_LABEL), account=LABEL)
    assert ledger.remaining("hospital/other/label").epsilon == 1.0


def test_releases_without_dp_make_the_total_none(ledger: Ledger) -> None:
    ledger.charge(pure(0.25, **PER_LABEL), account=LABEL)
    ledger.charge(without_dp(**PER_RECORD), account=RECORD, purpose="k-anonymous table")
    spent = ledger.spent(LABEL)
    assert spent.none
    assert spent.epsilon == pytest.approx(0.25)
    assert spent.words().startswith("none: 1 release with no guarantee per label, change-one")


def test_releases_without_dp_need_no_open_account_and_fill_no_limit(home: Any) -> None:
    ledger = home.open()
    limit = Budget(0.5, 0.0)
    ledger.charge(without_dp(**PER_RECORD), account=RECORD, clause="a")
    ledger.open_account(RECORD, Budget(1.0, 0.0, relation="change-one"))
    assert ledger.spent(RECORD).none
    per_change = {"unit": "record", "relation": "change-one"}
    ledger.charge(pure(0.5, **per_change), account=RECORD, clause="a", limit=limit)
    with pytest.raises(BudgetRefused, match="clause a"):
        ledger.charge(pure(0.1, **per_change), account=RECORD, clause="a", limit=limit)
    assert ledger.verify()


def test_a_label_guarantee_makes_the_record_total_none(ledger: Ledger) -> None:
    ledger.open_account(RECORD, (1.0, 1e-6))
    ledger.charge(pure(0.25, **PER_LABEL), account=LABEL)
    assert ledger.spent(RECORD).none
    assert not ledger.spent(LABEL).none


def test_remaining_in_other_terms(ledger: Ledger) -> None:
    """What one more record charge may cost the labels' account."""
    own, other = ledger.remaining(LABEL), ledger.remaining(LABEL, "record", "add-remove")
    assert other.epsilon == pytest.approx(own.epsilon / 2)
    assert other.noise_multiplier() == pytest.approx(2 * own.noise_multiplier())
    ledger.open_account(RECORD, (1.0, 1e-6))
    none = ledger.remaining(RECORD, "label", "change-one")
    assert (none.epsilon, none.noise_multiplier()) == (0, float("inf"))


def test_entries_by_hand(ledger: Ledger) -> None:
    for kind in ("asked", "released", "withheld", "refused", "note"):
        assert ledger.append(kind, {"account": LABEL, "text": "x"}).kind == kind
    with pytest.raises(UsageError, match=r"charge\(\) writes it"):
        ledger.append("charged", {"account": LABEL})
    with pytest.raises(UsageError, match="one of: asked, released"):
        ledger.append("gossip", {})
    with pytest.raises(BadInput, match="no canonical JSON form"):
        ledger.append("note", {"number": 2**60})
    assert [entry.kind for entry in ledger.events("note")] == ["note"]
    assert [entry.seq for entry in ledger.events(account=LABEL, start=5)] == [5, 6]


def test_proofs(ledger: Ledger) -> None:
    early = ledger.checkpoint()
    for turn in range(9):
        ledger.append("note", {"turn": turn})
    key = ledger.verify_key
    for seq in range(ledger.size):
        proof = Inclusion.from_dict(ledger.inclusion(seq).to_dict())
        proof.verify(key)
        entry = ledger.events(start=seq)[0]
        assert proof.leaf == leaf_hash(entry.salt + entry.event) == entry.leaf
    consistency = Consistency.from_dict(ledger.consistency(early.size).to_dict())
    consistency.verify(early, key)
    with pytest.raises(UsageError, match="no leaf 11"):
        ledger.inclusion(11)
    with pytest.raises(UsageError):
        ledger.consistency(12)


def test_a_checkpoint_names_its_agreement_and_is_strict(ledger: Ledger) -> None:
    checkpoint = ledger.checkpoint(agreement="ab" * 32)
    document = checkpoint.to_dict()
    assert canonical_bytes(document)
    again = Checkpoint.from_dict(document)
    again.verify(ledger.verify_key)
    assert again.agreement == "ab" * 32
    ledger.verify(checkpoint)
    with pytest.raises(VerificationFailed):
        Checkpoint.from_dict({**document, "agreement": None}).verify(ledger.verify_key)
    for damage in (
        {"size": "2"},
        {"root": "zz"},
        {"root": "ab"},
        {"more": 1},
        {"time": 3},
        {"signature": "AB"},
    ):
        with pytest.raises(BadInput):
            Checkpoint.from_dict({**document, **damage})


def test_leaves_hide_what_they_commit_to(ledger: Ledger) -> None:
    """The same event twice has two leaves, and none is the hash of the bare event."""
    first, second = (ledger.append("note", {"text": "x"}) for _ in range(2))
    assert first.salt != second.salt
    assert len(first.salt) == 32
    assert first.leaf != second.leaf
    assert first.leaf != leaf_hash(first.event)


def test_reopening_replays_everything(home: Any) -> None:
    with home.open(owner="hospital") as ledger:
        ledger.open_account(LABEL, (1.0, 1e-6))
        for _ in range(3):
            ledger.charge(gaussian(30, **PER_LABEL), account=LABEL)
        before = ledger.spent(LABEL), ledger.remaining(LABEL), ledger.checkpoint()
    with home.open() as ledger:
        assert (ledger.spent(LABEL), ledger.remaining(LABEL), ledger.checkpoint()) == before
        assert ledger.owner == "hospital"


def test_two_instances_see_each_other(home: Any) -> None:
    one = home.open()
    one.open_account(LABEL, (1.0, 1e-6))
    two = home.open()
    two.charge(pure(0.5, **PER_LABEL), account=LABEL)
    assert one.remaining(LABEL).epsilon == pytest.approx(0.5)
    one.charge(pure(0.5, **PER_LABEL), account=LABEL)
    with pytest.raises(BudgetRefused):
        two.charge(pure(0.5, **PER_LABEL), account=LABEL)


charges = st.tuples(
    st.sampled_from([LABEL, RECORD, "hospital/scans/label"]),
    st.sampled_from(["pure", "gaussian", "approximate", "without"]),
    st.floats(0.01, 0.4).map(lambda x: round(x, 4)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(charges, max_size=15))
def test_any_history_verifies_and_replays_to_the_same(history: list[tuple[str, str, float]]) -> None:
    ledger = Ledger.open(":memory:")
    for account in (LABEL, RECORD, "hospital/scans/label"):
        ledger.open_account(account, (1.0, 1e-6))
    for account, kind, size in history:
        terms = PER_RECORD if account == RECORD else PER_LABEL
        make = {
            "pure": lambda size, terms: pure(size, **terms),
            "gaussian": lambda size, terms: gaussian(3 / size, **terms),
            "approximate": lambda size, terms: approximate(size, 1e-7, **terms),
            "without": lambda size, terms: without_dp(**terms),
        }[kind]
        try:
            ledger.charge(make(size, terms), account=account)
        except BudgetRefused:
            assert ledger.events()[-1].kind == "refused"
    assert ledger.verify()
    replayed = Accounts()
    for entry in ledger.events():
        replayed.apply(entry.kind, entry.body)
    for account in ledger.accounts():
        spent = ledger.spent(account)
        assert replayed.spent(account) == spent
        assert spent.total.within(spent.budget)
        assert spent.epsilon <= 1.0


def test_threads_share_one_instance(ledger: Ledger) -> None:
    admitted: list[int] = []

    def spend() -> None:
        for _ in range(10):
            try:
                admitted.append(ledger.charge(pure(0.1, **PER_LABEL), account=LABEL).seq)
            except BudgetRefused:
                return

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == len(set(admitted)) == 10
    assert ledger.verify()


def test_files_are_for_their_owner_only(place: Path) -> None:
    ledger = Ledger.open(place)
    ledger.append("note", {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.parent.iterdir()}
    assert set(modes) >= {"ledger.db", "ledger.db.key", "ledger.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_given_key_is_used_and_no_file_is_made(tmp_path: Path) -> None:
    key = SigningKey.generate()
    place = tmp_path / "x.db"
    with Ledger.open(place, key=key) as ledger:
        assert ledger.verify_key == key.verify_key
    assert not (tmp_path / "x.db.key").exists()
    with pytest.raises(BadInput, match=r"without its key file"):
        Ledger.open(place)
    with pytest.raises(BadInput, match="use the ledger's own"):
        Ledger.open(place, key=SigningKey.generate())
    Ledger.open(place, key=key).close()


def test_budgets_as_pairs_and_nonsense(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="the pair"):
        ledger.open_account("a/b/label", 3)
    with pytest.raises(UsageError, match="must be below 1"):
        ledger.open_account("a/b/label", (1.0, 2.0))
    with pytest.raises(UsageError, match=r"a charge is a comity\.ledger Cost"):
        ledger.charge(0.1, account=LABEL)
