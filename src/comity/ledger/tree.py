"""A Merkle tree kept for proofs: every complete subtree's hash once, so that a proof costs log(n) hashes.

The same tree as `comity.ledger.merkle` defines; that module's functions over lists are its slow twin.
"""

from __future__ import annotations

from collections.abc import Iterable

from comity.errors import UsageError
from comity.ledger.merkle import EMPTY_ROOT, HASH_SIZE, node_hash


class Tree:
    """Grows by leaf hashes; 64 bytes of memory per leaf."""

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray()]

    @property
    def size(self) -> int:
        return len(self._levels[0]) // HASH_SIZE

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes."""
        for leaf in leaves:
            node, level, index = leaf, 0, self.size
            self._levels[0] += node
            while index & 1:
                node = node_hash(self._node(level, index - 1), node)
                index, level = index >> 1, level + 1
                if level == len(self._levels):
                    self._levels.append(bytearray())
                self._levels[level] += node

    def leaf(self, index: int) -> bytes:
        """The leaf hash at a place.

        Raises:
            UsageError: if there is none.
        """
        if not 0 <= index < self.size:
            raise UsageError(f"there is no leaf {index} in a tree of {self.size}")
        return self._node(0, index)

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves.

        Raises:
            UsageError: if there are fewer.
        """
        self._check(size)
        return self._over(0, size) if size else EMPTY_ROOT

    def inclusion_path(self, index: int, size: int) -> tuple[bytes, ...]:
        """As `merkle.inclusion_path` over the first `size` leaves.

        Raises:
            UsageError: if there is no such leaf or size.
        """
        self._check(size)
        if not 0 <= index < size:
            raise UsageError(f"there is no leaf {index} in a tree of {size}")
        path: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            split = low + _split(high - low)
            if index < split:
                path.append(self._over(split, high))
                high = split
            else:
                path.append(self._over(low, split))
                low = split
        return tuple(reversed(path))

    def consistency_path(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """As `merkle.consistency_path` over the first `size` leaves.

        Raises:
            UsageError: if there is no such size.
        """
        self._check(size)
        if not 0 <= old_size <= size:
            raise UsageError(f"a tree of {size} leaves has no earlier size {old_size}")
        if old_size in (0, size):
            return ()
        path: list[bytes] = []
        low, high = 0, size
        while high != old_size:
            split = low + _split(high - low)
            if old_size <= split:
                path.append(self._over(split, high))
                high = split
            else:
                path.append(self._over(low, split))
                low = split
        if low > 0:
            path.append(self._over(low, high))
        return tuple(reversed(path))

    def _check(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise UsageError(f"a ledger of {self.size} entries has never had {size}")

    def _node(self, level: int, index: int) -> bytes:
        return bytes(self._levels[level][index * HASH_SIZE : (index + 1) * HASH_SIZE])

    def _over(self, low: int, high: int) -> bytes:
        """The hash over leaves `low` up to `high`; `low` is a multiple of the largest power of two inside."""
        width = high - low
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return self._node(level, low >> level)
        split = low + _split(width)
        return node_hash(self._over(low, split), self._over(split, high))


def _split(size: int) -> int:
    """The largest power of two below `size` (2 or more)."""
    return 1 << (size - 1).bit_length() - 1
