"""A member's end of secure aggregation: keys, sealed shares, one masked vector per round, what opens the sum.

A member hands out, for each other member and round, either the share of its own mask's seed (it survived) or
the share of its mask key (it dropped out), never both: which one follows from the list of survivors that it
signed once, and it reveals only after `threshold` members have signed the same view of the round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from comity.crypto import masks, shamir
from comity.crypto.exchange import SharedKey
from comity.crypto.keys import SigningKey
from comity.crypto.masks import Words
from comity.errors import BadInput, ClauseRefused, VerificationFailed
from comity.train.federated.group import Group, Keys, View, pair_use, require_round, roster_digest

_PAIR: Final = 2 * shamir.SHARE_BYTES


@dataclass(frozen=True)
class Reveal:
    """What a member gives to open a round, by whom it is about: shares of seeds, and shares of mask keys."""

    seeds: Mapping[str, bytes]
    mask_keys: Mapping[str, bytes]


class Member:
    """One member of a group. Call in order: `keys`, `shares`, `take`, then per round `begin`, `mask`,
    `sign`, `reveal`. What comes from the server is checked here; whatever does not fit ends in an error."""

    def __init__(self, group: Group, name: str, key: SigningKey) -> None:
        group.place(name)
        self._group, self._name, self._key = group, name, key
        self._sealing = masks.key_pair()
        self._masks = [masks.key_pair() for _ in range(group.rounds)]
        self._seeds = [masks.seed() for _ in range(group.rounds)]
        self._roster: dict[str, Keys] = {}
        self._roster_digest = ""
        self._own_shares: list[tuple[dict[int, bytes], dict[int, bytes]]] = []
        self._held: dict[str, list[tuple[bytes, bytes]]] = {}
        self._round = -1
        self._asked: tuple[str, tuple[str, ...]] | None = None
        self._view: View | None = None
        self._masked = self._opened = False

    def keys(self) -> Keys:
        """This member's public keys, signed."""
        return Keys.signed(
            self._group,
            self._name,
            self._sealing[1],
            [public for _, public in self._masks],
            [hashlib.sha256(seed).digest() for seed in self._seeds],
            self._key,
        )

    def shares(self, roster: Mapping[str, bytes]) -> dict[str, bytes]:
        """Sealed shares of this member's secrets of all rounds, by who can open them.

        Args:
            roster: everybody's keys, as their bytes; this member's own among them.

        Raises:
            VerificationFailed: if keys are not their owner's, or too few came.
        """
        group = self._group
        if self._roster:
            raise VerificationFailed("a second roster came: a member shares its secrets once")
        read = {name: Keys.from_bytes(group, name, roster[name]) for name in group.ordered(roster)}
        if len(read) < group.threshold or read.get(self._name) != self.keys():
            raise VerificationFailed(
                f"the roster holds {len(read)} members where {group.threshold} are needed, or not this one"
            )
        self._roster, self._roster_digest = read, roster_digest(group, read)
        places = [group.place(name) for name in read]
        for (private, _), seed in zip(self._masks, self._seeds, strict=True):
            split = (
                shamir.split(private, threshold=group.threshold, places=places),
                shamir.split(seed, threshold=group.threshold, places=places),
            )
            self._own_shares.append(split)
        self._held[self._name] = self._for(self._name)
        return {
            name: self._sealer(name).seal(
                b"".join(mask + seed for mask, seed in self._for(name)),
                shares_of=self._name,
                shares_for=name,
            )
            for name in read
            if name != self._name
        }

    def take(self, sealed: Mapping[str, bytes]) -> tuple[str, ...]:
        """Open what other members sealed for this one; whose shares this one holds then, its own among them.

        What does not open counts as not sent: `begin` refuses a round with one whose shares are not held.

        Raises:
            VerificationFailed: if something is from a stranger, or too little came or opens.
        """
        if len(self._held) != 1 or not self._roster:
            raise VerificationFailed("sealed shares came out of turn")
        names = self._group.ordered(sealed)
        if not set(names) <= set(self._roster) - {self._name} or len(names) + 1 < self._group.threshold:
            raise VerificationFailed("sealed shares came from a stranger, or from too few members")
        opened: dict[str, list[tuple[bytes, bytes]]] = {}
        for name in names:
            with suppress(VerificationFailed):
                opened[name] = self._opened_from(name, sealed[name])
        if len(opened) + 1 < self._group.threshold:
            raise VerificationFailed(
                f"{len(names) - len(opened)} of {len(names)} sealed shares cannot be opened, and "
                f"{self._group.threshold} members are needed"
            )
        self._held |= opened
        return self._group.ordered(self._held)

    def _opened_from(self, name: str, sealed: bytes) -> list[tuple[bytes, bytes]]:
        """(mask key's share, seed's share) per round of another member's secrets.

        Raises:
            VerificationFailed: if they were changed, or are not those of all rounds.
        """
        plain = self._sealer(name).open(sealed, shares_of=name, shares_for=self._name)
        if len(plain) != self._group.rounds * _PAIR:
            raise VerificationFailed(f"the shares of '{name}' are not those of all rounds")
        pairs = [plain[at : at + _PAIR] for at in range(0, len(plain), _PAIR)]
        return [(p[: shamir.SHARE_BYTES], p[shamir.SHARE_BYTES :]) for p in pairs]

    def mask(self, values: Words) -> Words:
        """A vector under this member's masks of the present round: uniform words to who cannot take them off.

        Args:
            values: (d,) words modulo 2^64.

        Raises:
            VerificationFailed: if no round has begun, or its masks were used: they are used once.
        """
        if self._asked is None or self._masked:
            raise VerificationFailed("a round's masks are used once, after the round has begun")
        self._masked = True
        number, (_, names) = self._round, self._asked
        total = values.astype(np.uint64) + masks.mask(self._seeds[number], len(values))
        for other in names:
            if other != self._name:
                key = masks.exchange_key(
                    self._masks[number][0],
                    self._roster[other].masks[number],
                    **pair_use(self._group, self._roster_digest, number),
                )
                stream = masks.mask(key, len(values))
                total = total + stream if self._before(other) else total - stream
        return total

    def begin(self, number: object, query: str, active: Sequence[str]) -> tuple[int, tuple[str, ...]]:
        """Note the round's terms; nothing of an earlier round is answered any more.

        Args:
            number: the round; each comes once, in ascending order.
            query: digest of what was asked.
            active: who is asked in this round.

        Raises:
            VerificationFailed: if the round came before, or `active` cannot be.
            ClauseRefused: if fewer are asked than the threshold.
        """
        number = require_round(self._group, number)
        names = self._group.ordered(active)
        if number <= self._round:
            raise VerificationFailed("this round came before: its masks are used once")
        if self._name not in names or not set(names) <= set(self._held):
            raise VerificationFailed("the round's members are not those that shared their secrets")
        if len(names) < self._group.threshold:
            raise ClauseRefused(
                f"a round with {len(names)} members is below the threshold",
                clause="architectures.federated.threshold",
                would_pass=f"{self._group.threshold} members or more",
            )
        self._round, self._asked, self._view = number, (query, names), None
        self._masked = self._opened = False
        return number, names

    def sign(self, number: int, survivors: Sequence[str]) -> bytes:
        """The signature under this member's view of the round. It signs one list of survivors per round.

        Raises:
            VerificationFailed: if the list cannot be, or another one was signed.
        """
        if number != self._round or self._asked is None or not self._masked:
            raise VerificationFailed("survivors were named of a round that is not the present one")
        query, active = self._asked
        names = self._group.ordered(survivors)
        if self._name not in names or len(names) < self._group.threshold:
            raise VerificationFailed(
                f"{len(names)} survivors were named where {self._group.threshold} are needed, or not this one"
            )
        view = View(self._roster_digest, number, query, active, names)
        if self._view not in (None, view):
            raise VerificationFailed("another list of survivors was signed in this round")
        self._view = view
        return self._key.sign(view.to_sign(self._group))

    def reveal(self, number: int, signatures: Mapping[str, bytes]) -> Reveal:
        """What opens the round's sum: one share about each member that was asked.

        Args:
            signatures: of survivors, by name, under the same view as this member's.

        Raises:
            VerificationFailed: if one of them is of another view, or there are fewer than the threshold.
        """
        view = self._view
        if view is None or number != view.round or self._opened:
            raise VerificationFailed("a round is opened once, after its survivors were signed")
        names = self._group.ordered(signatures)
        if not set(names) <= set(view.survivors) or len({*names, self._name}) < self._group.threshold:
            raise VerificationFailed(
                f"{len(names)} survivors signed where {self._group.threshold} are needed, or a stranger did"
            )
        signed = view.to_sign(self._group)
        for name in names:
            self._group.keys[name].verify(
                signatures[name], signed, what=f"the view of round {number} of '{name}'"
            )
        self._opened = True
        dropped = [name for name in view.active if name not in view.survivors]
        return Reveal(
            seeds={name: self._held[name][number][1] for name in view.survivors},
            mask_keys={name: self._held[name][number][0] for name in dropped},
        )

    def _for(self, name: str) -> list[tuple[bytes, bytes]]:
        """(mask key's share, seed's share) per round, of this member's secrets, at a member's place."""
        place = self._group.place(name)
        return [(mask[place], seed[place]) for mask, seed in self._own_shares]

    def _sealer(self, name: str) -> SharedKey:
        use: dict[str, str | int] = {"group": self._group.digest, "roster": self._roster_digest}
        return SharedKey(
            masks.exchange_key(self._sealing[0], self._roster[name].sealing, sealing="shares", **use)
        )

    def _before(self, other: str) -> bool:
        """Whether this member adds the mask that it shares with another one, which then subtracts it."""
        return self._group.place(self._name) < self._group.place(other)


def as_words(values: np.ndarray) -> Words:
    """Whole numbers as words modulo 2^64.

    Raises:
        BadInput: for anything but a vector of 64-bit integers.
    """
    if values.dtype != np.int64 or values.ndim != 1:
        raise BadInput("a vector to be added up under masks holds 64-bit integers")
    return values.view(np.uint64)
