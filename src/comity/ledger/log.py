"""The log: an append-only, signed, tamper-evident record, shared by processes.

Every append is one transaction: take the lock, read what others appended meanwhile, decide, write the entry
and a signed checkpoint, commit. When it returns it is on the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Self

from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import UsageError, VerificationFailed
from comity.ledger.accounts import Account
from comity.ledger.checkpoints import Checkpoint, Consistency, Inclusion
from comity.ledger.entries import Entry, now
from comity.ledger.founding import founding_body, founding_key, signing_key
from comity.ledger.openings import Opening
from comity.ledger.replay import Accounts
from comity.ledger.state import State
from comity.ledger.store import Place, Store
from comity.ledger.tree import Tree
from comity.ledger.verify import Verification, verify_store

APPENDED: Final = ("asked", "released", "withheld", "refused", "note")
"""The kinds that `append` takes; the others are written by the ledger's own methods."""

Decision = tuple[str, dict[str, Any]]
"""A kind and a body to append."""


class Log:
    """One party's log. Safe to use from several threads, and from several processes by one instance each."""

    def __init__(self, store: Store, key: SigningKey | None, owner: str) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._state = State(store.name)
        self._tree = Tree()
        self._refresh()
        founder = None if self._state.size else self._found(owner, key)
        self._key = founder or signing_key(store, key, self._state.key)

    @classmethod
    def open(
        cls, path_or_url: Place, *, key: SigningKey | None = None, owner: str = "local", wait: float = 30.0
    ) -> Self:
        """Open a ledger, or found one where there is none.

        Args:
            path_or_url: a file, `:memory:`, or a Postgres URL.
            key: signs the checkpoints. None: the key in `<path>.key`, made with the ledger (0600).
            owner: whose ledger it is; written at its founding.
            wait: seconds to wait for another process that is appending.

        Raises:
            BadInput: if it cannot be opened, or `key` is not the ledger's.
            UsageError: if a ledger in a database is opened without a key.
            VerificationFailed: if what is stored does not verify.
        """
        store = Store.open(path_or_url, wait=wait)
        try:
            return cls(store, key, owner)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Let go of the database; what was appended is already on the disk."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def owner(self) -> str:
        return self._state.owner

    @property
    def verify_key(self) -> VerifyKey:
        """The public key that its checkpoints verify with."""
        return self._state.key

    @property
    def size(self) -> int:
        """How many entries there are."""
        self._refresh()
        return self._state.size

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Append an entry of a kind in `APPENDED`; the body is JSON, and for the ledger's holder only.

        Raises:
            UsageError: for another kind.
            BadInput: if the body has no canonical form.
        """
        _check_appended(kind)
        entry = self._decide(lambda _: (kind, dict(body)))
        if entry is None:
            raise VerificationFailed("an append left no entry")
        return entry

    def append_all(
        self, items: Sequence[tuple[str, Mapping[str, Any]]], *, under: str | None = None
    ) -> list[Entry]:
        """Append several entries (kind, body) in one transaction: all are on the disk when it returns.

        Args:
            under: digest of the agreement that they are under: nothing is appended if that has ended.

        Raises:
            UsageError, BadInput: as `append`; then none is appended.
        """
        for kind, _ in items:
            _check_appended(kind)

        def decide(_: Accounts) -> Iterable[Decision]:
            ended = under is not None and under in self._state.ended
            return [] if ended else [(kind, dict(body)) for kind, body in items]

        return self._decide_all(decide)

    def events(
        self, kind: str | None = None, *, account: Account | str | None = None, start: int = 0
    ) -> list[Entry]:
        """The entries from `start` on, of one kind and about one account where given."""
        wanted = None if account is None else str(as_account(account))
        with self._lock, self._store.reading() as connection:
            self._state.catch_up(self._store, connection)
            memory = self._state.memory
            found = memory.find(kind, wanted, start)
            if memory.size == self._state.size:
                return found
            read = [Entry.read(row) for row in self._store.rows(connection, max(start, memory.size))]
        return found + [
            entry
            for entry in read
            if kind in (None, entry.kind) and (wanted is None or entry.body.get("account") == wanted)
        ]

    def entries(self, sequences: Iterable[int]) -> list[Entry]:
        """The entries at these places, in their order.

        Raises:
            UsageError: if there is none at one of them.
        """
        found: list[Entry] = []
        with self._lock, self._store.reading() as connection:
            self._state.catch_up(self._store, connection)
            for sequence in sequences:
                known = self._state.memory.at(sequence)
                row = None if known is not None else self._store.row(connection, sequence)
                if row is not None:
                    known = Entry.read(row)
                if known is None:
                    raise UsageError(f"the ledger {self._store.name} has no entry {sequence}")
                found.append(known)
        return found

    def committed(self, account: Account | str) -> str | None:
        """The digest of the table that an account's data are committed to, in hexadecimal, if any."""
        self._refresh()
        return self._state.committed.get(str(account).rpartition("/")[0])

    def checkpoint(self, agreement: str | None = None) -> Checkpoint:
        """The signed head of the ledger as it is now; signed anew where it is to name an agreement."""
        self._refresh()
        head = self._state.head
        if agreement is None:
            return head
        return Checkpoint.sign(
            self._key, ledger=head.ledger, size=head.size, root=head.root, time=now(), agreement=agreement
        )

    def checkpoint_at(self, size: int) -> Checkpoint:
        """The checkpoint that was stored when there were `size` entries.

        Raises:
            UsageError: if there never were.
        """
        with self._lock, self._store.reading() as connection:
            head = self._store.head_at(connection, size)
        if head is None:
            raise UsageError(f"the ledger {self._store.name} has no checkpoint of {size} entries")
        return head

    def check_own(self, checkpoint: Checkpoint) -> None:
        """Check that a checkpoint from elsewhere is of this ledger, as it was then and still is.

        Raises:
            VerificationFailed: if it is not.
        """
        checkpoint.verify(self._state.key)
        tree, head = self._tree_and_head()
        fits = checkpoint.ledger == head.ledger and checkpoint.size <= head.size
        if not fits or tree.root(checkpoint.size) != checkpoint.root:
            raise VerificationFailed(
                f"the checkpoint of {checkpoint.size} entries is not of the ledger {self._store.name}"
            )

    def inclusion(self, seq: int) -> Inclusion:
        """The proof that entry `seq` is under the present checkpoint.

        Raises:
            UsageError: if there is no such entry.
        """
        return self.prove(seq)

    def prove(self, sequence: int, checkpoint: Checkpoint | None = None) -> Inclusion:
        """The proof that an entry is under a checkpoint: the present one, or an earlier one of this ledger.

        Raises:
            UsageError: if there is no such entry under it.
            VerificationFailed: if the checkpoint is not one of this ledger.
        """
        if checkpoint is not None:
            self.check_own(checkpoint)
        tree, head = self._tree_and_head()
        under = head if checkpoint is None else checkpoint
        path = tree.inclusion_path(sequence, under.size)
        return Inclusion(sequence, tree.leaf(sequence), path, under)

    def opening(self, sequence: int, checkpoint: Checkpoint | None = None) -> Opening:
        """An entry's salt and event with its proof: for who may see the entry, and nobody else.

        Raises:
            UsageError, VerificationFailed: as `prove`.
        """
        inclusion = self.prove(sequence, checkpoint)
        with self._lock, self._store.reading() as connection:
            entry = Entry.read(next(self._store.rows(connection, sequence)))
        return Opening(inclusion, entry.salt, entry.event)

    def consistency(self, old_size: int, size: int | None = None) -> Consistency:
        """The proof that the ledger of `size` entries (None: the present one) extends that of `old_size`.

        Raises:
            UsageError: if there are fewer entries.
        """
        tree, head = self._tree_and_head()
        head = head if size is None or size == head.size else self.checkpoint_at(size)
        return Consistency(old_size, tree.consistency_path(old_size, head.size), head)

    def leaves(self, start: int = 0, stop: int | None = None) -> list[bytes]:
        """The leaf hashes of the entries from `start` up to `stop`: each commits to a salted entry."""
        tree, head = self._tree_and_head()
        return [tree.leaf(seq) for seq in range(start, head.size if stop is None else min(stop, head.size))]

    def verify(self, checkpoint: Checkpoint | None = None) -> Verification:
        """Read everything again and check it: rows, leaves, tree, checkpoints, accounts.

        Args:
            checkpoint: one kept elsewhere (a receipt's), which also shows a tail that was cut off.

        Raises:
            VerificationFailed: naming each fault.
        """
        with self._lock:
            report = verify_store(self._store, checkpoint=checkpoint, key=self._state.key)
        report.raise_for_faults()
        return report

    # inside

    def _found(self, owner: str, key: SigningKey | None) -> SigningKey | None:
        """Write the first entry and return its key; None if another process came first."""
        with self._lock:
            with self._store.writing() as connection:
                self._state.catch_up(self._store, connection)
                if self._state.size:
                    return None
                key = founding_key(self._store, key)
                entry, head = self._state.next("founded", founding_body(owner, key), key)
                self._store.add(connection, (entry, head))
            self._state.accept(entry, head)
        return key

    def _decide(self, decide: Callable[[Accounts], Decision | None]) -> Entry | None:
        """Append what `decide` makes of the accounts as they are under the lock; None appends nothing."""
        with self._lock:
            with self._store.writing() as connection:
                self._state.catch_up(self._store, connection)
                decision = decide(self._state.accounts)
                if decision is None:
                    return None
                path = self._state.next_path
                entry, head = self._state.next(*decision, self._key)
                self._store.add(connection, (entry, head))
            # only now that it is on the disk; if the commit failed, the next reader sees what is there
            self._state.accept(entry, head)
        return replace(entry, checkpoint=head, path=path)

    def _decide_all(self, decide: Callable[[Accounts], Iterable[Decision]]) -> list[Entry]:
        """Append what `decide` yields in one transaction; it sees the accounts after what it has yielded."""
        with self._lock:
            with self._store.writing() as connection:
                self._state.catch_up(self._store, connection)
                trial = self._state.trial(self._key)
                for kind, body in decide(trial.accounts):
                    trial.add(kind, body)
                added = [(entry, entry.checkpoint) for entry in trial.entries if entry.checkpoint is not None]
                if not added:
                    return []
                self._store.add(connection, *added)
            # only now that it is on the disk, as in `_decide`
            self._state.accept_trial(trial)
        return trial.entries

    def _refresh(self) -> None:
        with self._lock, self._store.reading() as connection:
            self._state.catch_up(self._store, connection)

    def _tree_and_head(self) -> tuple[Tree, Checkpoint]:
        """The tree over everything that the present checkpoint counts; kept, and grown with the ledger."""
        with self._lock:
            with self._store.reading() as connection:
                self._state.catch_up(self._store, connection)
                head = self._state.head
                if self._tree.size < head.size:
                    self._tree.extend(self._store.leaves(connection, self._tree.size, head.size))
            if self._tree.size < head.size or self._tree.root(head.size) != head.root:
                raise VerificationFailed(
                    f"the leaves of {self._store.name} are not the ones that were signed"
                )
            return self._tree, head


def _check_appended(kind: str) -> None:
    if kind not in APPENDED:
        how = "charge()" if kind == "charged" else "open_account()" if kind == "opened" else "nothing"
        raise UsageError(f"'{kind}' is not appended by hand ({how} writes it); one of: {', '.join(APPENDED)}")


def as_account(account: Account | str) -> Account:
    return account if isinstance(account, Account) else Account.parse(account)
