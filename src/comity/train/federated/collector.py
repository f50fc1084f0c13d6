"""The server's end of secure aggregation: relays keys and sealed shares, adds up, and takes the masks off.

It learns who took part, and the sum over the survivors. Members may drop out at any stage; a round ends in an
error as soon as fewer than the threshold are left, and then nothing of it opens. A member whose own bytes are
not what is due (keys, a signature, a vector, shares) counts as gone, so that one of them cannot end the run
for all by that. What it sealed for others is seen when a sum is opened: a secret that was split falsely ends
the run, with its owner's name.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

import numpy as np

from comity.crypto import masks, shamir
from comity.crypto.masks import Words
from comity.errors import BadInput, PartyFailed, VerificationFailed
from comity.train.federated.group import Group, Keys, View, pair_use, require_round, roster_digest
from comity.train.federated.member import Reveal

_Read = TypeVar("_Read")


class Collector:
    """One session's sums. Call in order: `take_keys`, `take_shares`, `take_held`, then per round
    `begin`, `take_masked`, `survivors`, `take_signatures`, `total`. Each mapping holds what came, by member;
    who is missing has dropped out for good."""

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
        """Check everybody's keys; what all of them are told. Keys that are not their owner's do not count.

        Raises:
            PartyFailed: if too few came.
        """
        read = _sound(came, lambda name, data: Keys.from_bytes(self.group, name, data))
        self._stay(read)
        self._roster = {name: read[name] for name in self._alive}
        self._roster_digest = roster_digest(self.group, self._roster)
        return {name: keys.to_bytes() for name, keys in self._roster.items()}

    def take_shares(self, came: Mapping[str, Mapping[str, bytes]]) -> dict[str, dict[str, bytes]]:
        """Sort the sealed shares by who can open them: recipient -> sender -> sealed.

        A member that left somebody out does not count.

        Raises:
            PartyFailed: if too few came.
        """
        self._stay(name for name, sealed in came.items() if set(sealed) == set(self._roster) - {name})
        return {
            name: {sender: came[sender][name] for sender in self._alive if sender != name}
            for name in self._alive
        }

    def take_held(self, came: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
        """Keep members that hold shares of each other, by what each says; who that is.

        Where one could not open what another sealed, it cannot be told which of the two is to blame, and no
        round can have both. Who stands in most such pairs goes first (of equals who sealed for most in vain),
        so that one that lies leaves, or puts one other member out in its place.

        Raises:
            PartyFailed: if too few are left.
        """
        self._stay(came)
        held = {name: {*came[name], name} for name in self._alive}
        while pairs := [(by, of) for by in self._alive for of in self._alive if of not in held[by]]:
            apart = Counter(name for pair in {frozenset(pair) for pair in pairs} for name in pair)
            in_vain = Counter(of for _, of in pairs)
            worst = max(self._alive, key=lambda name: (apart[name], in_vain[name]))
            self._stay(name for name in self._alive if name != worst)
        return self._alive

    def begin(self, number: int, query: str) -> tuple[str, ...]:
        """Start a round; who is asked."""
        self._view = View(
            self._roster_digest, require_round(self.group, number), query, self._alive, self._alive
        )
        self._masked = {}
        return self._alive

    def take_masked(self, came: Mapping[str, Words]) -> tuple[str, ...]:
        """Keep the masked vectors; who has survived, which all of them then sign.

        A vector of another length than most have does not count: no sum can be made with it.

        Raises:
            PartyFailed: if too few came.
        """
        view = self._present()
        lengths = Counter(len(words) for words in came.values())
        usual = max(lengths, key=lambda length: (lengths[length], length), default=0)
        self._stay(name for name, words in came.items() if len(words) == usual)
        self._masked = {name: came[name] for name in self._alive}
        self._view = View(view.roster, view.round, view.query, view.active, self._alive)
        self.survivors = self._alive
        return self._alive

    def take_signatures(self, came: Mapping[str, bytes]) -> dict[str, bytes]:
        """Check what survivors signed; what all of them are told. One of another view does not count.

        Raises:
            PartyFailed: if too few came.
        """
        view = self._present()
        signed = view.to_sign(self.group)
        what = f"the view of round {view.round}"
        self._stay(_sound(came, lambda name, data: self.group.keys[name].verify(data, signed, what=what)))
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
            announced = self._roster[name].seeds[view.round]
            seed = self._combined(
                {at: reveal.seeds for at, reveal in came.items()},
                name,
                lambda found, announced=announced: hashlib.sha256(found).digest() == announced,
            )
            total = total + self._masked[name] - masks.mask(seed, length)
        for name in dropped:
            announced = self._roster[name].masks[view.round]
            private = self._combined(
                {at: reveal.mask_keys for at, reveal in came.items()},
                name,
                lambda found, announced=announced: masks.public_half(found) == announced,
            )
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

    def _combined(
        self, shares: Mapping[str, Mapping[str, bytes]], about: str, is_announced: Callable[[bytes], bool]
    ) -> bytes:
        """The secret that shares give back: of all of them, or of all but one, where one is wrong.

        Raises:
            VerificationFailed: if none is what its owner announced.
        """
        points = {self.group.place(at): given[about] for at, given in shares.items() if about in given}
        threshold = self.group.threshold
        for left_out in (None, *(points if len(points) > threshold else ())):
            chosen = {place: share for place, share in points.items() if place != left_out}
            with suppress(BadInput, VerificationFailed):
                found = shamir.combine(chosen, threshold=threshold)
                if is_announced(found):
                    return found
        raise VerificationFailed(f"the shares of '{about}' do not give back what it announced")

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


def _sound(came: Mapping[str, bytes], read: Callable[[str, bytes], _Read]) -> dict[str, _Read]:
    """What can be read of what came, by member."""
    found: dict[str, _Read] = {}
    for name, data in came.items():
        with suppress(BadInput, VerificationFailed):
            found[name] = read(name, data)
    return found
