"""Entries that a process keeps in memory, by kind and account, so that they are not read again and again.

What is kept was verified when it was taken in. A ledger longer than `MOST` is kept up to there; the rest is
read from the store each time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from comity.ledger.entries import Entry

MOST: Final = 200_000
"""Entries kept: some 2 kB each."""


class Memory:
    """The first entries of a ledger, in order."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._all: list[Entry] = []
        self._by_kind: defaultdict[str, list[Entry]] = defaultdict(list)
        self._by_account: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)

    @property
    def size(self) -> int:
        """How many entries are kept: those with a smaller seq."""
        return len(self._all)

    def take(self, entry: Entry) -> None:
        """Keep the next entry, if there is room."""
        if entry.seq != len(self._all) or len(self._all) >= self._most:
            return
        self._all.append(entry)
        self._by_kind[entry.kind].append(entry)
        account = entry.body.get("account")
        if isinstance(account, str):
            self._by_account[entry.kind, account].append(entry)

    def at(self, sequence: int) -> Entry | None:
        """One entry, if it is kept."""
        return self._all[sequence] if 0 <= sequence < len(self._all) else None

    def find(self, kind: str | None, account: str | None, start: int) -> list[Entry]:
        """The entries kept from `start` on, of a kind and with an account where given."""
        if kind is None:
            known = self._all[start:]
            return known if account is None else [e for e in known if e.body.get("account") == account]
        about = account is not None
        known = self._by_account.get((kind, account), []) if about else self._by_kind.get(kind, [])
        return list(known) if start <= 0 else [entry for entry in known if entry.seq >= start]
