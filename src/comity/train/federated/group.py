"""Who adds up with whom: the public terms of a secure aggregation, and what its members sign.

The protocol is that of Bonawitz et al. 2017 ("Practical Secure Aggregation for Privacy-Preserving Machine
Learning"), with every key signed by the member's agreement key and with all rounds prepared at once: each
member draws one mask key and one own seed per round, so that opening a round tells nothing of another one.

What a member signs binds it to one view: the roster (everybody's keys), the round's query (all get the same
model, or nothing opens: Pasquini et al. 2022), who was asked and who answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from comity.crypto.canonical import canonical_bytes, digest
from comity.crypto.keys import SigningKey, VerifyKey
from comity.crypto.masks import KEY_BYTES, exchange_key
from comity.errors import BadInput, UsageError, VerificationFailed

LEAST_MEMBERS: Final = 3
MOST_MEMBERS: Final = 60
"""With so many members, sums of numbers up to 2^57 stay below 2^63."""

MOST_ROUNDS: Final = 1_000
SIGNATURE_BYTES: Final = 64
_ROUND_BYTES: Final = 2 * KEY_BYTES
_PROBE: Final = bytes(31) + b"\x40"
"""A private key that is none: whatever the scalar, a public key of small order gives all zeros."""


@dataclass(frozen=True)
class Group:
    """The terms that all members and the server know.

    Attributes:
        purpose: the same text at all of them; it holds the agreement's digest.
        members: names, in the agreement's order; 3 or more.
        keys: every member's agreement key.
        threshold: how many have to stay for a round to open; n - threshold may drop out.
        colluders: members that may work with the server and learn of the others no more than the sum of
            their vectors; below 2 threshold - n, so that no two different sets of survivors get `threshold`
            signatures each. That two others are in a sum, or noise, is the caller's to see to.
        rounds: how many sums are opened at most.
    """

    purpose: str
    members: tuple[str, ...]
    keys: Mapping[str, VerifyKey]
    threshold: int
    colluders: int
    rounds: int

    def __post_init__(self) -> None:
        count = len(self.members)
        named = len(set(self.members)) == count and set(self.keys) == set(self.members)
        if not (named and LEAST_MEMBERS <= count <= MOST_MEMBERS):
            raise UsageError(
                f"secure aggregation has {LEAST_MEMBERS} to {MOST_MEMBERS} different members, each with its "
                f"key; there are {len(set(self.members))}"
            )
        if not 2 <= self.threshold <= count:
            raise UsageError(f"the threshold lies between 2 and the {count} members, not at {self.threshold}")
        if not 0 <= self.colluders < 2 * self.threshold - count:
            raise UsageError(
                f"with a threshold of {self.threshold} of {count} members, colluders stay below "
                f"{2 * self.threshold - count}, not at {self.colluders}: raise the threshold"
            )
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise UsageError(f"a group adds up 1 to {MOST_ROUNDS:,} times, not {self.rounds}")

    def place(self, member: str) -> int:
        """Where a member's shares lie: 1 for the first.

        Raises:
            VerificationFailed: if it is none.
        """
        if member not in self.members:
            raise VerificationFailed(f"'{member[:60]}' is no member of this group")
        return self.members.index(member) + 1

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names in the members' order.

        Raises:
            VerificationFailed: for a name that is no member's, or comes twice.
        """
        listed = list(names)
        if len(set(listed)) != len(listed) or not set(listed) <= set(self.members):
            raise VerificationFailed("a list of members holds a stranger, or one of them twice")
        return tuple(sorted(listed, key=self.place))

    @cached_property
    def digest(self) -> str:
        """These terms as one digest, which everything that members sign or derive holds."""
        return digest(
            {
                "comity": "secure aggregation",
                "purpose": self.purpose,
                "members": {name: str(key) for name, key in self.keys.items()},
                "order": list(self.members),
                "threshold": self.threshold,
                "colluders": self.colluders,
                "rounds": self.rounds,
            }
        )


@dataclass(frozen=True)
class Keys:
    """A member's public keys for a whole session, signed with its agreement key.

    Attributes:
        sealing: X25519 public key under which shares are sealed for it.
        masks: one X25519 public key per round.
        seeds: SHA-256 of its own mask's seed, per round.
        signature: Ed25519.
    """

    member: str
    sealing: bytes
    masks: tuple[bytes, ...]
    seeds: tuple[bytes, ...]
    signature: bytes

    @classmethod
    def signed(
        cls,
        group: Group,
        member: str,
        sealing: bytes,
        masks: Sequence[bytes],
        seeds: Sequence[bytes],
        key: SigningKey,
    ) -> Self:
        signature = key.sign(_signed_keys(group, member, sealing, masks, seeds))
        return cls(member, sealing, tuple(masks), tuple(seeds), signature)

    def to_bytes(self) -> bytes:
        pairs = (mask + seed for mask, seed in zip(self.masks, self.seeds, strict=True))
        return b"".join([self.sealing, *pairs, self.signature])

    @classmethod
    def from_bytes(cls, group: Group, member: str, data: bytes) -> Self:
        """Read what `to_bytes` wrote, and check the signature.

        Raises:
            VerificationFailed: if it is not this member's for this group, or holds keys of no use.
        """
        group.place(member)
        if len(data) != KEY_BYTES + group.rounds * _ROUND_BYTES + SIGNATURE_BYTES:
            raise VerificationFailed(f"the keys of '{member}' are not those of {group.rounds} rounds")
        sealing, rest = data[:KEY_BYTES], data[KEY_BYTES:-SIGNATURE_BYTES]
        pieces = [rest[at : at + KEY_BYTES] for at in range(0, len(rest), KEY_BYTES)]
        masks, seeds = tuple(pieces[0::2]), tuple(pieces[1::2])
        signature = data[-SIGNATURE_BYTES:]
        group.keys[member].verify(
            signature, _signed_keys(group, member, sealing, masks, seeds), what=f"the keys of '{member}'"
        )
        for public in (sealing, *masks):
            # one that everybody could answer ends its owner's part here, not everybody's who would use it
            exchange_key(_PROBE, public, probe="public key")
        return cls(member, sealing, masks, seeds, signature)


def _signed_keys(
    group: Group, member: str, sealing: bytes, masks: Sequence[bytes], seeds: Sequence[bytes]
) -> bytes:
    return canonical_bytes(
        {
            "comity": "secure aggregation keys",
            "group": group.digest,
            "member": member,
            "sealing": sealing.hex(),
            "masks": hashlib.sha256(b"".join(masks)).hexdigest(),
            "seeds": hashlib.sha256(b"".join(seeds)).hexdigest(),
        }
    )


def roster_digest(group: Group, roster: Mapping[str, Keys]) -> str:
    """Everybody's keys as one digest."""
    keys = {name: hashlib.sha256(roster[name].to_bytes()).hexdigest() for name in group.ordered(roster)}
    return digest({"comity": "secure aggregation roster", "group": group.digest, "keys": keys})


@dataclass(frozen=True)
class View:
    """What a member has seen of a round when it signs who has survived.

    Attributes:
        roster: digest of everybody's keys.
        round: from 0 on.
        query: digest of what was asked in the round.
        active: who was asked.
        survivors: whose masked vector has come.
    """

    roster: str
    round: int
    query: str
    active: tuple[str, ...]
    survivors: tuple[str, ...]

    def __post_init__(self) -> None:
        if not set(self.survivors) <= set(self.active):
            raise VerificationFailed("a list of survivors holds one that was not asked")

    def to_sign(self, group: Group) -> bytes:
        return canonical_bytes(
            {
                "comity": "secure aggregation round",
                "group": group.digest,
                "roster": self.roster,
                "round": self.round,
                "query": self.query,
                "active": list(self.active),
                "survivors": list(self.survivors),
            }
        )


def pair_use(group: Group, roster: str, number: int) -> dict[str, str | int]:
    """What a mask key between two members is for."""
    return {"group": group.digest, "roster": roster, "round": number}


def require_round(group: Group, number: object) -> int:
    """A round's number, from 0 on.

    Raises:
        BadInput: if there is no such round.
    """
    if type(number) is not int or not 0 <= number < group.rounds:
        raise BadInput(f"this group has the rounds 0 to {group.rounds - 1}")
    return number
