"""Shares of whole numbers modulo 2^64, in the layout that SPU's protocols take, and what opens them.

ABY3 (Mohassel and Rindal 2018): x = x_0 + x_1 + x_2, and compute party i holds x_i and x_(i+1): any two of
the three hold everything, one alone holds uniform words. CHEETAH (Huang et al. 2022): x = x_0 + x_1 between
two. All summands but one are streams of AES-256 in counter mode under fresh keys from the operating system
(`crypto.pads`), so what travels is a key of 32 bytes in place of a stream, and words once: a third of what
the engine's own sharing sends. Who holds the values and computes as well keeps its own shares and sends to
one other party a key and words, to another two keys (ABY3), or a key alone (CHEETAH).

A number is fixed point: round(value * 2^bits) modulo 2^64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.crypto.pads import pad, random_key
from comity.errors import BadInput, UsageError, VerificationFailed

Words = NDArray[np.uint64]
Floats = NDArray[np.float64]

KEY_BYTES: Final = 32
LARGEST_BITS: Final = 44
"""Values stay below 2^44 units: two of them multiplied by a fixed-point number still fit into 64 bits."""


@dataclass(frozen=True)
class Scheme:
    """How a protocol lays out its shares.

    Attributes:
        name: as the agreement's clause has it.
        parties: how many compute.
        held: how many of the summands each of them holds.
        storage: SPU's word for it.
    """

    name: str
    parties: int
    held: int
    storage: str

    def summands(self, rank: int) -> tuple[int, ...]:
        """Which summands the compute party of this rank holds, in order."""
        return tuple((rank + at) % self.parties for at in range(self.held))


SCHEMES: Final = {
    "aby3": Scheme("aby3", 3, 2, "aby3.AShr<FM64>"),
    "cheetah": Scheme("cheetah", 2, 1, "cheetah.AShr<FM64>"),
}


def scheme_of(name: str) -> Scheme:
    """The scheme of a protocol.

    Raises:
        UsageError: for every other one: SPU's SEMI2K makes its multiplication triples at one party, which can
            then open everything, and REF2K is no protection at all.
    """
    if name not in SCHEMES:
        raise UsageError(
            f"the protocol '{name}' is not one that protects: use aby3 (three compute parties) or cheetah "
            "(two)"
        )
    return SCHEMES[name]


def to_words(values: Floats, bits: int) -> Words:
    """Fixed-point words of finite values, same shape.

    Raises:
        BadInput: for a value that is not finite or has 2^44 units or more. It is private to the holder.
    """
    scaled = np.rint(np.ldexp(np.asarray(values, dtype=np.float64), bits))
    if not bool(np.all(np.abs(scaled) < 2.0**LARGEST_BITS)):  # False for NaN too
        raise BadInput(
            "a value is not finite or too large to be shared; check the columns' bounds", private=True
        )
    return scaled.astype(np.int64).view(np.uint64)


def to_values(words: Words, bits: int) -> Floats:
    """What fixed-point words stand for."""
    return np.ldexp(words.view(np.int64).astype(np.float64), -bits)


def split(words: Words, scheme: Scheme, *, own: int | None = None) -> list[dict[str, bytes]]:
    """Each compute party's share of these words.

    Args:
        words: any shape; rows one after another.
        own: the rank of the compute party that splits its own words, if it is one: its share costs nothing to
            send, and so the words go to a single other party.

    Returns:
        By rank: for each summand held, `key-N` (32 bytes) or `words-N` (8 bytes per word).
    """
    flat = np.ascontiguousarray(words).reshape(-1)
    last = 0 if own is None else own  # the summand that is no stream
    keys = {at: random_key() for at in range(scheme.parties) if at != last}
    rest = flat.copy()
    for key in keys.values():
        rest -= pad(key, len(flat))
    parts = {at: {f"key-{at}": key} for at, key in keys.items()}
    parts[last] = {f"words-{last}": rest.astype("<u8", copy=False).tobytes()}
    return [
        {name: data for at in scheme.summands(rank) for name, data in parts[at].items()}
        for rank in range(scheme.parties)
    ]


def held(parts: Mapping[str, bytes], scheme: Scheme, rank: int, count: int) -> Words:
    """(count, held) what a compute party holds of `count` words, from the parts that it was sent.

    Raises:
        BadInput: if other parts came than its rank holds, or of another size (both are public).
    """
    columns: list[Words] = []
    wanted = scheme.summands(rank)
    for at in wanted:
        key, words = parts.get(f"key-{at}"), parts.get(f"words-{at}")
        if key is not None and words is None and len(key) == KEY_BYTES:
            columns.append(pad(key, count))
        elif words is not None and key is None and len(words) == 8 * count:
            columns.append(np.frombuffer(words, dtype="<u8").astype(np.uint64, copy=False))
        else:
            raise BadInput(f"a share for compute party {rank} came without summand {at}, or of another size")
    if len(parts) != len(wanted):
        raise BadInput(f"a share for compute party {rank} came with more than is its own")
    return np.stack(columns, axis=1)


def opened(shares: Sequence[Words], scheme: Scheme) -> Words:
    """(count,) the words that all compute parties' shares stand for.

    Args:
        shares: (count, held) per rank, in order.

    Raises:
        VerificationFailed: if two parties hold different words for one summand: one of them has made them up.
    """
    known: dict[int, Words] = {}
    for rank, share in enumerate(shares):
        for place, at in enumerate(scheme.summands(rank)):
            column = share[:, place]
            if not np.array_equal(known.setdefault(at, column), column):
                raise VerificationFailed(
                    "the compute parties' shares contradict each other: one of them has changed its own"
                )
    return np.sum(np.stack([known[at] for at in range(scheme.parties)]), axis=0, dtype=np.uint64)
