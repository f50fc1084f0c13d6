"""Fetching a ledger's evidence from another party's node, and proving it against everything that was kept.

Nothing that the node says is believed: its key is the one of the card that was exchanged, the tree is built
again from the leaf hashes or joined by consistency proofs, and every checkpoint kept from earlier (one's own
countersignatures, and the receipts of one's sessions) has to be a beginning of what is shown now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comity.crypto.tls import client_context
from comity.errors import BadInput, ComityError, PartyFailed, UsageError, VerificationFailed
from comity.ledger.checkpoints import Checkpoint, Consistency
from comity.ledger.countersignatures import check_one_history
from comity.ledger.entries import Entry
from comity.ledger.keeper import countersignatures_in
from comity.ledger.merkle import HASH_SIZE, Frontier
from comity.ledger.openings import Opening
from comity.ledger.published import HEADER, Ask
from comity.node.card import Card
from comity.node.folder import PartyFolder
from comity.plan import Receipt

_TIMEOUT_S = 30.0
_LARGEST = 64 * 1024**2


@dataclass(frozen=True)
class Fetched:
    """What was fetched from a node, and whether it holds.

    Attributes:
        url, owner, key: whose ledger it is, by the card that was exchanged.
        checkpoint: its signed head; None if there was none to believe.
        whole: whether all its leaf hashes came, so that the tree was built again from the first one.
        kept: how many earlier checkpoints it was held against.
        receipts: how many of them came with receipts, whose entries were checked too.
        entries: those that it opened to this party, each with its proof.
        faults: what is wrong, in words; empty if it verifies.
    """

    url: str
    owner: str
    key: str
    checkpoint: Checkpoint | None
    whole: bool
    kept: int
    receipts: int
    entries: tuple[Entry, ...]
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.faults

    def words(self) -> list[str]:
        """The result, line by line, for people."""
        size = self.checkpoint.size if self.checkpoint else 0
        lines = [f"Ledger of {self.owner} at {self.url}: {size} entries."]
        if self.faults:
            return [*lines, "It does NOT verify:", *(f"- {fault}" for fault in self.faults)]
        lines.append(f"Its checkpoint is signed with the key of the card that you keep: {self.key}")
        if self.whole:
            lines.append("All its leaf hashes came, and the tree over them is the one that was signed.")
        lines.append(
            f"It extends every checkpoint kept here: {self.kept}, {self.receipts} of them in receipts."
            if self.kept
            else "No earlier checkpoint of it is kept here, so that a rewrite before today would not show."
        )
        lines.append(f"Entries that it opened to you, each proven: {len(self.entries)}.")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "ledger": self.url,
            "owner": self.owner,
            "key": self.key,
            "key_pinned": True,
            "checkpoint": None if self.checkpoint is None else self.checkpoint.to_dict(),
            "entries": 0 if self.checkpoint is None else self.checkpoint.size,
            "tree_rebuilt": self.whole,
            "compared_with": self.kept,
            "receipts": self.receipts,
            "opened": [
                {"seq": e.seq, "kind": e.kind, "time": e.time, "body": dict(e.body)} for e in self.entries
            ],
            "verifies": self.ok,
            "faults": list(self.faults),
        }


def fetch_ledger(folder: PartyFolder, url: str) -> Fetched:
    """Fetch the ledger of the party whose node is at `url`, and prove it.

    Raises:
        UsageError: if no card of that address is kept.
        PartyFailed: if the node cannot be reached, or does not answer as one.
    """
    card = card_at(folder, url)
    kept = list(kept_of(folder, card))
    with _Connection(folder, card) as node:
        check = _Check(card, kept, node)
        check.run(folder.name)
    return Fetched(
        url=card.url,
        owner=card.name,
        key=str(card.key),
        checkpoint=check.head,
        whole=check.whole,
        kept=len(kept),
        receipts=sum(1 for one in kept if one.receipt is not None),
        entries=tuple(check.entries),
        faults=tuple(check.faults),
    )


def card_at(folder: PartyFolder, url: str) -> Card:
    """The card of an address: a peer's, or this party's own.

    Raises:
        UsageError: naming the addresses known, if there is none.
    """
    cards = [*folder.peers().values(), *([folder.card()] if folder.url == url.rstrip("/") else [])]
    for card in cards:
        if card.url == url.rstrip("/"):
            return card
    known = ", ".join(card.url for card in cards) or "none"
    raise UsageError(
        f"no card with the address {url[:120]} is kept in {folder.peers_path} (kept: {known}); get that "
        "party's card and run: comity party add CARD"
    )


@dataclass(frozen=True)
class Kept:
    """An earlier checkpoint and where it comes from; with the receipt that it came in."""

    where: str
    checkpoint: Checkpoint
    receipt: Receipt | None = None


def kept_of(folder: PartyFolder, card: Card) -> Iterator[Kept]:
    """Every checkpoint of a party's ledger that is kept in a folder, each once.

    Raises:
        VerificationFailed: if a file of them is damaged.
    """
    seen: set[Checkpoint] = set()
    for path in sorted(folder.sessions_path.glob("*/receipts.jsonl")):
        for receipt in _receipts(path, card.name):
            checkpoint = Checkpoint.from_dict(receipt.checkpoint)
            seen.add(checkpoint)
            yield Kept(str(path), checkpoint, receipt)
    path = folder.countersigned_path / f"{card.name}.jsonl"
    for one in countersignatures_in(path):
        if one.checkpoint not in seen:
            seen.add(one.checkpoint)
            yield Kept(str(path), one.checkpoint)


def _receipts(path: Path, sender: str) -> Iterator[Receipt]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            document = json.loads(line)
            if document.pop("from") == sender:
                yield Receipt.from_dict(document)
        except (ValueError, KeyError, AttributeError, BadInput) as error:
            raise VerificationFailed(f"{path} is damaged in line {number}: {error}") from None


@dataclass
class _Check:
    """One pass over what a node shows."""

    card: Card
    kept: list[Kept]
    node: _Connection
    head: Checkpoint | None = None
    whole: bool = False
    entries: list[Entry] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)

    def run(self, asker: str) -> None:
        try:
            body = self.node.get("/ledger/checkpoint", asker=asker)
            self.head = self._head(body)
        except (VerificationFailed, BadInput) as error:
            self.faults.append(str(error))
            return
        self._try(lambda: self._leaves(body.get("leaves")))
        for one in self.kept:
            self._try(lambda one=one: self._compare(one))
        while True:
            self._try(lambda body=body: self._opened(body.get("entries")))
            more = body.get("more")
            if type(more) is not int or not self.entries or more <= self.entries[-1].seq:
                return
            body = self.node.get(f"/ledger/checkpoint?start={more}", asker=asker)
            self.head = self._head(body)

    def _try(self, step: Any) -> None:
        try:
            step()
        except (VerificationFailed, BadInput) as error:
            self.faults.append(str(error))

    def _head(self, body: Mapping[str, Any]) -> Checkpoint:
        head = Checkpoint.from_dict(body.get("checkpoint", {}))
        head.verify(self.card.key)
        return head

    def _leaves(self, leaves: object) -> None:
        """Build the tree again, where all of it came."""
        if leaves is None or self.head is None:
            return
        try:
            hashes = [bytes.fromhex(leaf) for leaf in list(leaves)]  # pyright: ignore[reportArgumentType]
            fit = all(len(leaf) == HASH_SIZE for leaf in hashes)
        except (TypeError, ValueError):
            hashes, fit = [], False
        if not fit:
            raise BadInput("the node's leaf hashes are not a list of hashes")
        frontier = Frontier()
        wanted = {one.checkpoint.size for one in self.kept} | {self.head.size}
        for leaf in hashes:
            frontier = frontier.append(leaf)
            if frontier.size in wanted:
                self.roots[frontier.size] = frontier.root()
        if self.roots.get(self.head.size) != self.head.root or hashes[0] != self.head.ledger:
            self.roots.clear()
            raise VerificationFailed(
                "the leaf hashes that the node shows are not those of the checkpoint it signed"
            )
        self.whole = True

    def _compare(self, one: Kept) -> None:
        """A kept checkpoint is a beginning of what is shown now, and its receipt's entry is in it."""
        if self.head is None:
            return
        old = one.checkpoint
        try:
            old.verify(self.card.key)
            if one.receipt is not None:
                one.receipt.opening().verify(self.card.key)
            if old.ledger != self.head.ledger:
                raise VerificationFailed("the ledger shown now is another one")
            if old.size > self.head.size:
                raise VerificationFailed(f"only {self.head.size} entries are shown now: the end was cut off")
            if self.whole:
                if self.roots[old.size] != old.root:
                    raise VerificationFailed("the entries up to there have been rewritten since")
            else:
                path = () if old.size == self.head.size else self._path(old.size, self.head.size)
                check_one_history(old, self.head, self.card.key, path)
        except (VerificationFailed, BadInput) as error:
            raise VerificationFailed(
                f"the checkpoint of {old.size} entries in {one.where}: {error}"
            ) from None

    def _path(self, old: int, new: int) -> tuple[bytes, ...]:
        return Consistency.from_dict(self.node.get(f"/ledger/consistency/{old}/{new}")).path

    def _opened(self, entries: object) -> None:
        if not isinstance(entries, list) or self.head is None:
            raise BadInput("the node's answer has no list of entries")
        for document in entries:
            if not isinstance(document, dict):
                raise BadInput("an opened entry is an object")
            opening = Opening.from_dict({**document, "checkpoint": self.head.to_dict()})
            self.entries.append(opening.verify(self.card.key))


class _Connection:
    """One node, under mutual TLS: nobody but the holder of the card's key answers."""

    def __init__(self, folder: PartyFolder, card: Card) -> None:
        import httpx

        self._folder = folder
        self._card = card
        context = client_context(folder.key, folder.certificate, card.certificate)
        # environment proxies must never see what one party asks of another
        self._client = httpx.Client(verify=context, timeout=_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, *, asker: str | None = None) -> dict[str, Any]:
        """The JSON object at a path.

        Raises:
            PartyFailed: if the node does not answer with one.
        """
        import httpx

        headers = {"host": self._card.name}
        if asker is not None:
            headers[HEADER] = Ask.sign(self._folder.key, party=asker, owner=self._card.name).header
        extensions = {"sni_hostname": self._card.name}
        try:
            with self._client.stream(
                "GET", f"{self._card.url}{path}", headers=headers, extensions=extensions
            ) as answer:
                content = bytearray()
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > _LARGEST:
                        raise self._failed("its answer is larger than any ledger's")
        except httpx.HTTPError as error:
            raise self._failed(
                f"{type(error).__name__}; is it started (comity node start), and can this machine reach it?"
            ) from None
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        if answer.status_code != 200 or not isinstance(body, dict):
            told = body.get("message", body.get("code")) if isinstance(body, dict) else None
            raise self._failed(f"it answered {answer.status_code}{f': {told}' if told else ''}")
        return body

    def _failed(self, why: str) -> ComityError:
        return PartyFailed(f"the node of '{self._card.name}' at {self._card.url} shows no ledger: {why}")
