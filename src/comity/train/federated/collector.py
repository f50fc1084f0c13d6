"""The server's end of secure aggregation: relays keys and sealed shares, adds up, and takes the masks off.

It learns who took part, and the sum over the survivors. Members may drop out at any stage; a round ends in an
error as soon as fewer than the threshold are left, and then nothing of it opens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from comity.crypto import masks, shamir
from comity.crypto.masks import Words
from comity.errors import PartyFailed, VerificationFailed
from comity.train.federated.group import Group, Keys, View, pair_use, require_round, roster_digest
from comity.train.federated.member import Reveal


class Collector:
    """One session's sums. Call in order: `take_keys`, `take_shares`, then per round `begin`, `take_masked`,
    `survivors`, `take_signatures`, `total`. Each mapping holds what came, by member; who is missing has
    dropped out for good."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._roster: dict[str, Keys] = {}
        self._roster_digest = ""
        self._alive: tuple[str, ...] = group.members
        self._view: View | None = None
        self._masked: dict[str, Words] = {}
        self.survivors: tuple[str, ...] = ()

    @property
    def alive(self) -> tuple[str, ...]:
        """Members that have answered so far."""
        return self._alive

    def drop(self, names: Iterable[str]) -> None:
        """Count members as gone.

        Raises:
            PartyFailed: if too few are left.
        """
        gone = set(names)
        self._stay(name for name in self._alive if name not in gone)

    def take_keys(self, came: Mapping[str, bytes]) -> dict[str, bytes]:
        """Check everybody's keys; what all of them are told.

        Raises:
            VerificationFailed: if keys are not their owner's.
            PartyFailed: if too few came.
        """
        self._stay(came)
        self._roster = {name: Keys.from_bytes(self.group, name, came[name]) for name in self._alive}
        self._roster_digest = roster_digest(self.group, self._roster)
        return {name: keys.to_bytes() for name, keys in self._roster.items()}

    def take_shares(self, came: Mapping[str, Mapping[str, bytes]]) -> dict[str, dict[str, bytes]]:
        """Sort the sealed shares by who can open them: recipient -> sender -> sealed.

        Raises:
            PartyFailed: if too few came, or a member left somebody out.
        """
        for name, sealed in came.items():
            if set(sealed) != set(self._roster) - {name}:
                raise PartyFailed(f"'{name}' did not share its secrets with everybody on the roster")
        self._stay(came)
        return {
            name: {sender: came[sender][name] for sender in self._alive if sender != name}
            for name in self._alive
        }

    def begin(self, number: int, query: str) -> tuple[str, ...]:
        """Start a round; who is asked."""
        self._view = View(
            self._roster_digest, require_round(self.group, number), query, self._alive, self._alive
        )
        self._masked = {}
        return self._alive

    def take_masked(self, came: Mapping[str, Words]) -> tuple[str, ...]:
        """Keep the masked vectors; who has survived, which all of them then sign.

        Raises:
            PartyFailed: if too few came, or of different lengths.
        """
        view = self._present()
        self._stay(came)
        if len({len(words) for words in came.values()}) != 1:
            raise PartyFailed("the members' masked vectors have different lengths: no sum can be made")
        self._masked = dict(came)
        self._view = View(view.roster, view.round, view.query, view.active, self._alive)
        self.survivors = self._alive
        return self._alive

    def take_signatures(self, came: Mapping[str, bytes]) -> dict[str, bytes]:
        """Check what survivors signed; what all of them are told.

        Raises:
            VerificationFailed: if a signature is of another view than the others'.
            PartyFailed: if too few came.
        """
        view = self._present()
        self._stay(came)
        for name in self._alive:
            self.group.keys[name].verify(
                came[name], view.to_sign(self.group), what=f"the view of round {view.round} of '{name}'"
            )
        return {name: came[name] for name in self._alive}

    def total(self, came: Mapping[str, Reveal]) -> Words:
        """(d,) the sum of the survivors' vectors modulo 2^64.

        Raises:
            PartyFailed: if too few revealed their shares.
            VerificationFailed: if shares do not give back what their owner announced.
        """
        view = self._present()
        self._stay(came)
        dropped = [name for name in view.active if name not in view.survivors]
        length = len(self._masked[view.survivors[0]])
        total = np.zeros(length, dtype=np.uint64)
        for name in view.survivors:
            seed = self._combined({at: reveal.seeds for at, reveal in came.items()}, name)
            if hashlib.sha256(seed).digest() != self._roster[name].seeds[view.round]:
                raise VerificationFailed(f"the shares of '{name}' do not give back the seed it announced")
            total = total + self._masked[name] - masks.mask(seed, length)
        for name in dropped:
            private = self._combined({at: reveal.mask_keys for at, reveal in came.items()}, name)
            if masks.public_half(private) != self._roster[name].masks[view.round]:
                raise VerificationFailed(f"the shares of '{name}' do not give back the key it announced")
            for other in view.survivors:
                stream = masks.mask(self._pair_key(private, other, view.round), length)
                # the survivor added it if it comes before the one that dropped out, else subtracted it
                earlier = self.group.place(other) < self.group.place(name)
                total = total - stream if earlier else total + stream
        self._view = None
        return total

    def _pair_key(self, private: bytes, other: str, number: int) -> bytes:
        return masks.exchange_key(
            private,
            self._roster[other].masks[number],
            **pair_use(self.group, self._roster_digest, number),
        )

    def _combined(self, shares: Mapping[str, Mapping[str, bytes]], about: str) -> bytes:
        points = {self.group.place(at): given[about] for at, given in shares.items() if about in given}
        return shamir.combine(points, threshold=self.group.threshold)

    def _present(self) -> View:
        if self._view is None:
            raise VerificationFailed("no round has begun")
        return self._view

    def _stay(self, names: Iterable[str]) -> None:
        came = set(names)
        self._alive = tuple(name for name in self._alive if name in came)
        if len(self._alive) < self.group.threshold:
            raise PartyFailed(
                f"{len(self._alive)} of {len(self.group.members)} members are left and the threshold is "
                f"{self.group.threshold}: the sum stays closed"
            )
