"""The Merkle tree of RFC 6962: leaves, root, and proofs that anybody can check (RFC 9162, section 2.1).

A leaf's hash is SHA-256(0x00 || data), a node's SHA-256(0x01 || left || right); the tree over n leaves splits
at the largest power of two below n. An inclusion proof shows that one leaf is under a root, a consistency
proof that a root is an extension of an earlier one: nothing in between was changed, dropped or reordered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from comity.errors import UsageError, VerificationFailed

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """All of a tree that further appends need: the roots of its complete subtrees, largest first.

    As many as there are ones in the binary form of `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash; at most log2(size) + 1 hashes."""
        peaks, node, rest = self.peaks, leaf, self.size
        while rest & 1:
            node = node_hash(peaks[-1], node)
            peaks, rest = peaks[:-1], rest >> 1
        return Frontier(self.size + 1, (*peaks, node))

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        node = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = node_hash(peak, node)
        return node


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
    return frontier.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of the leaf at `index` (from 0), from the leaf up (RFC 6962, section 2.1.1).

    Raises:
        UsageError: if there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise UsageError(f"there is no leaf {index} in a tree of {len(leaves)}")
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        split = low + _split(high - low)
        if index < split:
            path.append(root(leaves[split:high]))
            high = split
        else:
            path.append(root(leaves[low:split]))
            low = split
    return tuple(reversed(path))


def consistency_path(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """The proof that the tree over all leaves extends the one over the first `old_size` (section 2.1.2).

    Empty for an old size of 0 or of all leaves.

    Raises:
        UsageError: if there are fewer leaves than `old_size`.
    """
    if not 0 <= old_size <= len(leaves):
        raise UsageError(f"a tree of {len(leaves)} leaves has no earlier size {old_size}")
    if old_size in (0, len(leaves)):
        return ()
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high != old_size:
        split = low + _split(high - low)
        if old_size <= split:
            path.append(root(leaves[split:high]))
            high = split
        else:
            path.append(root(leaves[low:split]))
            low = split
    if low > 0:
        path.append(root(leaves[low:high]))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash is at `index` of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).

    Raises:
        VerificationFailed: if it is not.
    """
    wrong = VerificationFailed(f"the proof does not show leaf {index} in the tree of {size} with that root")
    if not 0 <= index < size:
        raise wrong
    place, last, node = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise wrong
        if place & 1 or place == last:
            node = node_hash(step, node)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, step)
        place, last = place >> 1, last >> 1
    if last or node != root:
        raise wrong


def verify_consistency(old_size: int, old_root: bytes, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the tree of `size` extends the one of `old_size` (RFC 9162, section 2.1.4.2).

    Raises:
        VerificationFailed: if it does not.
    """
    wrong = VerificationFailed(
        f"the proof does not show that the log of {size} extends the one of {old_size}"
    )
    if not 0 <= old_size <= size or (old_size == 0 and old_root != EMPTY_ROOT):
        raise wrong
    if old_size in (0, size):
        if path or (old_size == size and old_root != root):
            raise wrong
        return
    steps = list(path)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        raise wrong
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_node = node = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise wrong
        if place & 1 or place == last:
            old_node, node = node_hash(step, old_node), node_hash(step, node)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, step)
        place, last = place >> 1, last >> 1
    if last or old_node != old_root or node != root:
        raise wrong


def _split(size: int) -> int:
    """The largest power of two below `size` (2 or more)."""
    return 1 << (size - 1).bit_length() - 1
