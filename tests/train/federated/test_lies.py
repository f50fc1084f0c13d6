"""What a server, a member or a stranger may try: members notice, and what would open an update stays
closed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, ClauseRefused, ComityError, PartyFailed, UsageError, VerificationFailed
from comity.train.federated.collector import Collector
from comity.train.federated.group import Group, Keys, View
from comity.train.federated.member import Member, Reveal, as_words

NAMES = ("a", "b", "c", "d")


@dataclass
class Table:
    """Four members that have exchanged keys and shares, at a threshold of three, and their server."""

    keys: dict[str, SigningKey] = field(
        default_factory=lambda: {name: SigningKey.generate() for name in NAMES}
    )
    members: dict[str, Member] = field(default_factory=dict)
    roster: dict[str, bytes] = field(default_factory=dict)
    sealed: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        public = {name: key.verify_key for name, key in self.keys.items()}
        self.group = Group("a test", NAMES, public, threshold=3, colluders=1, rounds=3)
        self.server = Collector(self.group)
        self.members = {name: Member(self.group, name, key) for name, key in self.keys.items()}
        self.roster = self.server.take_keys({n: m.keys().to_bytes() for n, m in self.members.items()})

    def shared(self) -> Table:
        self.sealed = self.server.take_shares({n: m.shares(self.roster) for n, m in self.members.items()})
        for name, member in self.members.items():
            member.take(self.sealed[name])
        return self

    def masked(self, number: int = 0, *, gone: str = "") -> tuple[str, ...]:
        """All but one send their vectors; who has survived."""
        active = self.server.begin(number, "query")
        came = {}
        for name in active:
            self.members[name].begin(number, "query", active)
            if name not in gone:
                came[name] = self.members[name].mask(as_words(np.arange(3, dtype=np.int64)))
        return self.server.take_masked(came)

    def signed(self, survivors: tuple[str, ...], number: int = 0) -> dict[str, bytes]:
        return {name: self.members[name].sign(number, survivors) for name in survivors}


@pytest.fixture
def table() -> Table:
    return Table()


def test_honest_members_open_the_sum(table: Table) -> None:
    survivors = table.shared().masked(gone="b")
    signatures = table.server.take_signatures(table.signed(survivors))
    total = table.server.total({n: table.members[n].reveal(0, signatures) for n in survivors})
    assert total.tolist() == [0, 3, 6]


def test_a_server_cannot_have_both_kinds_of_shares_of_one_member(table: Table) -> None:
    """It names b a survivor first, to get shares of b's seed, then a drop-out, to get shares of b's mask
    key."""
    survivors = table.shared().masked()
    signatures = table.signed(survivors)
    revealed = table.members["a"].reveal(0, signatures)
    assert set(revealed.seeds) == set(NAMES)
    assert not revealed.mask_keys
    without = ("a", "c", "d")
    with pytest.raises(VerificationFailed, match="another list of survivors was signed"):
        table.members["a"].sign(0, without)
    with pytest.raises(VerificationFailed, match="opened once"):
        table.members["a"].reveal(0, signatures)
    with pytest.raises(VerificationFailed, match="came before"):
        table.members["a"].begin(0, "query", NAMES)


def test_inconsistent_lists_of_survivors_open_nothing(table: Table) -> None:
    """a and b are told that d dropped out, c and d that nobody did: no list has three signatures."""
    table.shared().masked()
    some = {name: table.members[name].sign(0, ("a", "b", "c")) for name in "ab"}
    rest = {name: table.members[name].sign(0, NAMES) for name in "cd"}
    for name in "ab":
        with pytest.raises(VerificationFailed, match="view of round 0 of 'c'"):
            table.members[name].reveal(0, {**some, "c": rest["c"]})
        with pytest.raises(VerificationFailed, match="2 survivors signed where 3 are needed"):
            table.members[name].reveal(0, some)
    with pytest.raises(VerificationFailed, match="view of round 0"):
        table.members["c"].reveal(0, {**some, **rest})


def test_other_questions_to_different_members_open_nothing(table: Table) -> None:
    """A server that hands each member another model could make all but one update vanish (Pasquini et
    al.)."""
    table.shared()
    for name in NAMES:
        table.members[name].begin(0, "one model" if name != "d" else "another", NAMES)
        table.members[name].mask(as_words(np.zeros(2, dtype=np.int64)))
    signatures = table.signed(NAMES)
    with pytest.raises(VerificationFailed, match="view of round 0"):
        table.members["a"].reveal(0, signatures)
    with pytest.raises(VerificationFailed, match="view of round 0"):
        table.members["d"].reveal(0, signatures)


def test_keys_of_an_earlier_session_open_nothing(table: Table) -> None:
    """The server plays b's old, signed keys to a: the others saw b's new ones, and sign another roster."""
    old = Member(table.group, "b", table.keys["b"]).keys().to_bytes()
    sealed = {}
    for name, member in table.members.items():
        sealed[name] = member.shares({**table.roster, "b": old} if name == "a" else table.roster)
    assert table.members["c"].take({name: sealed[name]["c"] for name in "abd"}) == ("b", "c", "d")
    with pytest.raises(VerificationFailed, match="not those that shared"):
        table.members["c"].begin(0, "query", NAMES)
    with pytest.raises(VerificationFailed, match="cannot be opened"):
        table.members["a"].take({name: sealed[name]["a"] for name in "bcd"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, data: t.members["c"].keys().to_bytes(), "signature on the keys of 'b'"),
        (lambda t, data: data[:-1] + bytes([data[-1] ^ 1]), "signature on the keys of 'b'"),
        (lambda t, data: bytes(32) + data[32:], "signature on the keys of 'b'"),
        (lambda t, data: data[:-8], "not those of 3 rounds"),
        (lambda t, data: t.forged(), "signature on the keys of 'b'"),
    ],
)
def test_forged_keys_are_refused(table: Table, change: Callable[..., bytes], words: str) -> None:
    stranger = Member(table.group, "b", SigningKey.generate())
    table.forged = lambda: stranger.keys().to_bytes()  # type: ignore[attr-defined]
    roster = {**table.roster, "b": change(table, table.roster["b"])}
    with pytest.raises(VerificationFailed, match=words):
        table.members["a"].shares(roster)
    # the server, which has them from b itself, counts b as gone
    assert set(Collector(table.group).take_keys(roster)) == set("acd")


def test_keys_are_bound_to_their_group(table: Table) -> None:
    """The same names and keys under another threshold are another group: old notices are of no use there."""
    other = dataclasses.replace(table.group, threshold=4)
    keys = Member(other, "b", table.keys["b"]).keys()
    with pytest.raises(VerificationFailed, match="keys of 'b'"):
        Keys.from_bytes(table.group, "b", keys.to_bytes())


def test_changed_or_misdirected_shares_are_refused(table: Table) -> None:
    sealed = table.server.take_shares({n: m.shares(table.roster) for n, m in table.members.items()})
    changed = sealed["a"]["b"][:-1] + bytes([sealed["a"]["b"][-1] ^ 1])
    for wrong in (changed, sealed["a"]["c"], sealed["c"]["b"], b""):
        with pytest.raises(VerificationFailed, match="2 of 3 sealed shares cannot be opened"):
            table.members["a"].take({**sealed["a"], "b": wrong, "c": b""})
    with pytest.raises(VerificationFailed, match="too few members"):
        table.members["a"].take({"b": sealed["a"]["b"]})
    with pytest.raises(VerificationFailed, match="stranger"):
        table.members["a"].take({**sealed["a"], "z": b""})


def test_shares_that_do_not_open_cost_one_member(table: Table) -> None:
    """b seals garbage for a: the others go on, and nobody takes part in a round with a member it holds no
    shares of, whatever the server asks."""
    sealed = table.server.take_shares({n: m.shares(table.roster) for n, m in table.members.items()})
    sealed["a"]["b"] = bytes(len(sealed["a"]["b"]))
    held = {name: member.take(sealed[name]) for name, member in table.members.items()}
    assert held == {"a": ("a", "c", "d"), "b": NAMES, "c": NAMES, "d": NAMES}
    assert table.server.take_held(held) == ("a", "c", "d")
    with pytest.raises(VerificationFailed, match="not those that shared"):
        table.members["a"].begin(0, "query", NAMES)
    survivors = table.masked()
    signatures = table.server.take_signatures(table.signed(survivors))
    total = table.server.total({n: table.members[n].reveal(0, signatures) for n in survivors})
    assert (survivors, total.tolist()) == (("a", "c", "d"), [0, 3, 6])


@pytest.mark.parametrize(
    ("held", "left"),
    [
        ({}, NAMES),
        ({"a": "acd"}, "acd"),  # b sealed in vain
        ({"a": "ad"}, "bcd"),  # a cannot open two: it goes, and not those two
        ({"a": "acd", "c": "acd"}, "acd"),
        ({"a": "bcd"}, NAMES),  # its own it has
        ({"a": None}, "bcd"),
    ],
)
def test_who_stays_holds_shares_of_all_that_stay(table: Table, held: dict[str, Any], left: str) -> None:
    table.shared()
    came = {name: held.get(name, NAMES) for name in NAMES}
    kept = table.server.take_held({name: names for name, names in came.items() if names is not None})
    assert kept == tuple(left)


def test_too_many_that_hold_nothing_of_each_other_are_too_few(table: Table) -> None:
    table.shared()
    with pytest.raises(PartyFailed, match="2 of 4 members are left"):
        table.server.take_held({"a": "ab", "b": "ab", "c": "cd", "d": "cd"})


@pytest.mark.parametrize("which", ["sealing", "mask"])
def test_a_public_key_of_no_use_is_its_owners_loss(which: str, table: Table) -> None:
    """Signed as it should be: with it, nobody else could go on."""
    own = table.members["b"].keys()
    sealing, masks = own.sealing, list(own.masks)
    if which == "sealing":
        sealing = bytes(32)
    else:
        masks[1] = b"\x01" + bytes(31)
    keys = Keys.signed(table.group, "b", sealing, masks, own.seeds, table.keys["b"])
    roster = {**table.roster, "b": keys.to_bytes()}
    assert set(Collector(table.group).take_keys(roster)) == set("acd")
    with pytest.raises(VerificationFailed, match="not usable"):
        table.members["a"].shares(roster)


def test_forged_or_foreign_signatures_open_nothing(table: Table) -> None:
    survivors = table.shared().masked()
    signatures = table.signed(survivors)
    view = View("0" * 64, 0, "query", NAMES, survivors)
    forged = {**signatures, "c": SigningKey.generate().sign(view.to_sign(table.group))}
    with pytest.raises(VerificationFailed, match="view of round 0 of 'c'"):
        table.members["a"].reveal(0, forged)
    assert set(table.server.take_signatures(forged)) == set("abd")
    with pytest.raises(VerificationFailed, match="view of round 0 of 'b'"):
        table.members["a"].reveal(0, {**signatures, "b": signatures["c"]})
    with pytest.raises(VerificationFailed, match="stranger"):
        table.members["a"].reveal(0, {**signatures, "z": b""})


def test_signatures_of_an_earlier_round_open_nothing(table: Table) -> None:
    survivors = table.shared().masked(0)
    old = table.server.take_signatures(table.signed(survivors))
    table.server.total({n: table.members[n].reveal(0, old) for n in survivors})
    survivors = table.masked(1)
    table.signed(survivors, 1)
    with pytest.raises(VerificationFailed, match="view of round 1"):
        table.members["a"].reveal(1, old)
    with pytest.raises(VerificationFailed, match="not the present one"):
        table.members["b"].sign(0, survivors)


def test_wrong_shares_give_no_sum(table: Table) -> None:
    survivors = table.shared().masked(gone="d")
    signatures = table.server.take_signatures(table.signed(survivors))
    came = {name: table.members[name].reveal(0, signatures) for name in survivors}
    other = {**came["b"].seeds, "a": came["b"].seeds["c"]}
    with pytest.raises(VerificationFailed):
        table.server.total({**came, "b": Reveal(other, came["b"].mask_keys)})


def test_a_wrong_share_of_a_mask_key_gives_no_sum(table: Table) -> None:
    survivors = table.shared().masked(gone="d")
    signatures = table.server.take_signatures(table.signed(survivors))
    came = {name: table.members[name].reveal(0, signatures) for name in survivors}
    wrong = {"d": came["b"].seeds["a"]}
    with pytest.raises(VerificationFailed):
        table.server.total({**came, "b": Reveal(came["b"].seeds, wrong)})


def test_a_member_is_asked_in_order(table: Table) -> None:
    member = table.members["a"]
    for early in (lambda: member.take({}), lambda: member.sign(0, NAMES), lambda: member.reveal(0, {})):
        with pytest.raises(VerificationFailed):
            early()
    table.shared()
    with pytest.raises(VerificationFailed, match="second roster"):
        member.shares(table.roster)
    with pytest.raises(VerificationFailed, match="masks are used once"):
        member.mask(as_words(np.zeros(1, dtype=np.int64)))
    member.begin(0, "query", NAMES)
    with pytest.raises(VerificationFailed, match="not the present one"):
        member.sign(0, NAMES)
    member.mask(as_words(np.zeros(1, dtype=np.int64)))
    with pytest.raises(VerificationFailed, match="masks are used once"):
        member.mask(as_words(np.ones(1, dtype=np.int64)))


def test_too_small_a_round_is_refused(table: Table) -> None:
    member = table.shared().members["a"]
    with pytest.raises(ClauseRefused, match="2 members is below the threshold"):
        member.begin(0, "query", ("a", "b"))
    with pytest.raises(VerificationFailed, match="not those that shared"):
        member.begin(0, "query", ("b", "c", "d"))
    with pytest.raises(VerificationFailed, match="stranger"):
        member.begin(0, "query", (*NAMES, "z"))
    for number in (3, -1, 0.0, True):
        with pytest.raises(BadInput, match="rounds 0 to 2"):
            member.begin(number, "query", NAMES)
    table.masked()
    with pytest.raises(VerificationFailed, match="2 survivors were named where 3 are needed"):
        member.sign(0, ("a", "b"))


def test_vectors_of_other_lengths_make_no_sum(table: Table) -> None:
    active = table.shared().server.begin(0, "query")
    came = {name: np.zeros(3 if name == "a" else 4, dtype=np.uint64) for name in active}
    assert table.server.take_masked(came) == ("b", "c", "d")
    other = Table().shared()
    other.server.begin(0, "query")
    came["b"] = came["a"]
    with pytest.raises(PartyFailed, match="2 of 4 members are left"):
        other.server.take_masked(came)


def test_one_liar_among_more_than_the_threshold_does_not_end_the_round(table: Table) -> None:
    """A wrong share is left out where enough others came; a member that leaves one out counts as gone."""
    survivors = table.shared().masked()
    signatures = table.server.take_signatures(table.signed(survivors))
    came = {name: table.members[name].reveal(0, signatures) for name in survivors}
    wrong = {**came["b"].seeds, "a": came["b"].seeds["c"], "d": b"no share"}
    total = table.server.total({**came, "b": Reveal(wrong, {})})
    assert total.tolist() == [0, 4, 8]


def test_a_member_that_split_another_secret_than_it_announced_is_named(table: Table) -> None:
    """Nobody sees it before the sum is to be opened; then nothing opens, and everybody may know why."""
    liar = table.members["b"]
    announced = liar.keys()
    liar.keys = lambda: announced  # type: ignore[method-assign]
    liar._seeds = liar._seeds[::-1]
    survivors = table.shared().masked()
    signatures = table.server.take_signatures(table.signed(survivors))
    with pytest.raises(VerificationFailed, match="the shares of 'b' do not give back what it announced"):
        table.server.total({name: table.members[name].reveal(0, signatures) for name in survivors})


def test_a_member_that_shares_with_too_few_counts_as_gone(table: Table) -> None:
    sealed = {name: member.shares(table.roster) for name, member in table.members.items()}
    del sealed["b"]["a"]
    assert set(table.server.take_shares(sealed)) == set("acd")


@pytest.mark.parametrize(
    ("members", "threshold", "colluders", "rounds"),
    [(2, 2, 0, 1), (3, 1, 0, 1), (3, 4, 0, 1), (3, 2, 1, 1), (4, 3, 2, 1), (3, 3, -1, 1), (3, 3, 0, 0)],
)
def test_a_group_whose_terms_do_not_hold_is_refused(
    members: int, threshold: int, colluders: int, rounds: int
) -> None:
    keys = {name: SigningKey.generate().verify_key for name in NAMES[:members]}
    with pytest.raises(UsageError):
        Group("a test", NAMES[:members], keys, threshold, colluders, rounds)


def test_errors_hold_no_secret(table: Table) -> None:
    """Whatever a member refuses with, no key, seed or share is in its words."""
    table.shared().masked()
    secrets = [*table.members["a"]._seeds, *(private for private, _ in table.members["a"]._masks)]
    told = []
    for act in (
        lambda: table.members["a"].reveal(0, {}),
        lambda: table.members["a"].sign(0, ()),
        lambda: table.members["a"].take({}),
        lambda: table.members["a"].begin(0, "q", NAMES),
    ):
        with pytest.raises(ComityError) as caught:
            act()
        told.append(str(caught.value))
    assert not any(secret.hex() in text or repr(secret) in text for secret in secrets for text in told)
