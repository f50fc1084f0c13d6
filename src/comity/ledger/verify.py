"""Checking a ledger from its stored rows alone, offline, on a copy: `comity ledger verify`.

What is found, and the seq where: an edited event or salt, a dropped, renumbered or reordered row, a tail cut
off (by the stored checkpoints, or by one kept elsewhere if they were cut off too), a changed checkpoint, a
charge that its budget did not admit. Who holds the signing key can rewrite everything; a checkpoint kept
elsewhere shows that, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from comity.crypto.keys import VerifyKey
from comity.errors import BadInput, VerificationFailed
from comity.ledger.accounts import Account
from comity.ledger.checkpoints import Checkpoint
from comity.ledger.entries import Entry, Row, check_canonical
from comity.ledger.merkle import EMPTY_ROOT, Frontier
from comity.ledger.replay import Accounts, Charge
from comity.ledger.state import founded
from comity.ledger.store import Place, Store
from comity.ledger.totals import Spent

_SHOWN_FAULTS = 20


@dataclass(frozen=True)
class Verification:
    """What a check of a ledger found.

    Attributes:
        name: the ledger's path or URL.
        owner, key: as its first entry names them.
        pinned: whether the key was given from outside, rather than taken from the ledger itself.
        size: number of rows.
        root: of the tree over them.
        compared: size of the largest checkpoint from elsewhere that it was held against.
        countersigned: how many checkpoints that other parties keep it was held against.
        accounts: what was spent of each account.
        faults: what is wrong, in words, each naming its seq; empty if it verifies.
    """

    name: str
    owner: str
    key: str
    pinned: bool
    size: int
    root: bytes
    compared: int | None
    countersigned: int
    accounts: tuple[tuple[Account, Spent], ...]
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.faults

    def __bool__(self) -> bool:
        return self.ok

    def raise_for_faults(self) -> None:
        """
        Raises:
            VerificationFailed: if there are faults.
        """
        if self.faults:
            raise VerificationFailed(f"the ledger {self.name} does not verify: {'; '.join(self._shown())}")

    def words(self) -> list[str]:
        """The result, line by line, for people."""
        lines = [f"Ledger {self.name} of {self.owner or 'nobody'}: {self.size} entries."]
        if self.faults:
            return [*lines, "It does NOT verify:", *(f"- {fault}" for fault in self._shown())]
        lines.append("Every entry is as it was appended; every checkpoint is signed and matches the tree.")
        whose = (
            "the key you gave"
            if self.pinned
            else "the key in the ledger itself; compare it with the agreement's"
        )
        lines.append(f"Signed with {whose}: {self.key}")
        if self.compared is not None:
            lines.append(f"It extends the checkpoint of {self.compared} entries that you kept.")
        if self.countersigned:
            lines.append(f"It extends all {self.countersigned} countersigned checkpoints given.")
        for account, spent in self.accounts:
            lines.append(f"Account {account}: {spent.words()}, of {spent.budget.words()}.")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "ledger": self.name,
            "owner": self.owner,
            "key": self.key,
            "key_pinned": self.pinned,
            "entries": self.size,
            "root": self.root.hex(),
            "compared_with": self.compared,
            "countersigned": self.countersigned,
            "verifies": self.ok,
            "faults": list(self.faults),
            "accounts": [_account(account, spent) for account, spent in self.accounts],
        }

    def _shown(self) -> list[str]:
        more = len(self.faults) - _SHOWN_FAULTS
        return [*self.faults[:_SHOWN_FAULTS], *([f"and {more} more faults"] if more > 0 else [])]


def verify_ledger(
    path_or_url: Place,
    *,
    checkpoint: Checkpoint | None = None,
    key: VerifyKey | None = None,
    countersigned: Sequence[Checkpoint] = (),
) -> Verification:
    """Check a ledger, or a copy of one; nothing is written, and no key file is needed.

    Args:
        path_or_url: where it is. A copy needs no -wal file beside it; if there is one, it is read.
        checkpoint: one kept elsewhere, for example in a receipt.
        key: the owner's public key, for example from the agreement.
        countersigned: checkpoints that other parties keep; each has to be a beginning of the ledger.

    Raises:
        BadInput: if there is no ledger there.
    """
    store = Store.open_copy(path_or_url)
    try:
        return verify_store(store, checkpoint=checkpoint, key=key, countersigned=countersigned)
    finally:
        store.close()


def verify_store(
    store: Store,
    *,
    checkpoint: Checkpoint | None,
    key: VerifyKey | None,
    countersigned: Sequence[Checkpoint] = (),
) -> Verification:
    """`verify_ledger` for a store that is open."""
    kept = [] if checkpoint is None else [checkpoint]
    with store.reading() as connection:
        heads = {head.size: head for head in store.heads(connection)}
        check = _Check(heads, [*kept, *countersigned], key)
        check.rows(store.rows(connection))
    check.tail()
    accounts = check.accounts
    return Verification(
        name=store.name,
        owner=check.owner,
        key="" if check.key is None else str(check.key),
        pinned=key is not None,
        size=check.count,
        root=check.frontier.root() if check.frontier.size else EMPTY_ROOT,
        compared=None if checkpoint is None else checkpoint.size,
        countersigned=len(countersigned),
        accounts=tuple((account, accounts.spent(account)) for account in accounts.open),
        faults=tuple(check.faults),
    )


@dataclass
class _Check:
    """One pass over the rows, in order."""

    heads: dict[int, Checkpoint]
    kept: list[Checkpoint]
    key: VerifyKey | None
    owner: str = ""
    count: int = 0
    whole: bool = True  # so far no row is missing and every root matched
    first_leaf: bytes = b""
    frontier: Frontier = field(default_factory=Frontier)
    accounts: Accounts = field(default_factory=Accounts)
    faults: list[str] = field(default_factory=list[str])

    def rows(self, rows: Iterator[Row]) -> None:
        expected = 0
        for row in rows:
            if row.seq != expected:
                last = f" to {row.seq - 1}" if row.seq - 1 > expected else ""
                self.faults.append(f"seq {expected}{last}: missing, dropped from the middle of the ledger")
                self.whole = False
            self._row(row)
            expected = row.seq + 1
            self.count += 1

    def tail(self) -> None:
        """What is not there any more: entries that a stored or kept checkpoint counts."""
        largest = max(self.heads, default=0)
        beyond = [size for size in self.heads if size > self.frontier.size]
        if self.whole and beyond:
            self._cut_off(largest, "a stored checkpoint counts")
        if self.count == 0:
            self.faults.append("it holds no entry, not even its founding")
        for kept in self.kept:
            if self.key is not None:
                self._signature(kept)
            if self.first_leaf and kept.ledger != self.first_leaf:
                self.faults.append("the checkpoint you kept is of another ledger")
            elif self.whole and kept.size > self.frontier.size and kept.size > largest:
                self._cut_off(kept.size, "the checkpoint you kept counts")

    def _cut_off(self, size: int, who: str) -> None:
        self.faults.append(
            f"seq {self.frontier.size} to {size - 1}: missing, cut off the end ({who} {size} entries)"
        )

    def _row(self, row: Row) -> None:
        self.frontier = self.frontier.append(row.leaf)
        if row.seq == 0:
            self.first_leaf = row.leaf
        try:
            entry = Entry.read(row)
            check_canonical(entry)
            self._replay(entry)
        except (VerificationFailed, BadInput) as error:
            text = str(error)
            self.faults.append(text if text.startswith("seq ") else f"seq {row.seq}: {text}")
        if self.whole:
            self._head(row.seq)

    def _head(self, seq: int) -> None:
        """The checkpoint stored with this row, and the kept one if it is of this size."""
        size = seq + 1
        root = self.frontier.root()
        if any(k.size == size and k.ledger == self.first_leaf and k.root != root for k in self.kept):
            self.faults.append(
                f"seq {seq} or an earlier entry: rewritten since the checkpoint of {size} entries you kept"
            )
        head = self.heads.get(size)
        if head is None:
            self.faults.append(f"seq {seq}: the checkpoint of {size} entries is missing")
            return
        if not self._signature(head):
            return
        if head.ledger != self.first_leaf:
            self.faults.append(f"seq {seq}: the checkpoint of {size} entries is of another ledger")
        if head.root != root:
            self.faults.append(
                f"seq {seq}: this row is not the entry that was signed: edited, swapped or replaced"
            )
            self.whole = False

    def _signature(self, head: Checkpoint) -> bool:
        if self.key is None:
            return True
        try:
            head.verify(self.key)
        except VerificationFailed as error:
            self.faults.append(f"seq {head.size - 1}: {error}")
            return False
        return True

    def _replay(self, entry: Entry) -> None:
        if entry.seq == 0:
            self.owner, key = founded(entry)
            if self.key is not None and self.key != key:
                self.faults.append("seq 0: the ledger names another key than the one you gave")
            self.key = self.key or key
        elif entry.kind == "founded":
            raise VerificationFailed("a second founding")
        try:
            if entry.kind == "charged":
                self._admitted(Charge.from_dict(entry.body))
        finally:  # an overspend is spent, too
            self.accounts.apply(entry.kind, entry.body)

    def _admitted(self, charge: Charge) -> None:
        """The decision made at the time, made again."""
        if charge.without_dp:
            return
        if self.accounts.budget(charge.account) is None:
            raise VerificationFailed(f"a charge to account {charge.account}, which was not open")
        obstacle = self.accounts.obstacle(charge)
        if obstacle is not None:
            raise VerificationFailed(f"overspent: the budget of {obstacle.name} did not admit this charge")


def _account(account: Account, spent: Spent) -> dict[str, Any]:
    return {
        "account": str(account),
        "epsilon": spent.epsilon,
        "delta": spent.delta,
        "budget_epsilon": spent.budget.epsilon,
        "budget_delta": spent.budget.delta,
        "charges": spent.charges,
        "total": "none" if spent.none else "bounded",
    }
