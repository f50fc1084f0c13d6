"""The tree against pymerkle, an independent implementation of RFC 6962 (and RFC 9162's proofs).

pymerkle hashes leaves and nodes under the prefixes 0x00 and 0x01 with SHA-256, as the RFC asks
(`security=True`); it is used in tests only. Its inclusion proofs are the RFC's; its consistency proofs cut
the tree in another way, so there roots and verdicts are compared, and each hash of ours with the root that
pymerkle gives for those leaves alone. The fast tree is also held against the slow one over lists.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion
from pymerkle.proof import InvalidProof

from comity.errors import UsageError, VerificationFailed
from comity.ledger import Ledger, merkle
from comity.ledger.tree import Tree

entries = st.lists(st.binary(max_size=6), min_size=1, max_size=70)


def both(data: list[bytes]) -> tuple[Tree, InmemoryTree]:
    tree, oracle = Tree(), InmemoryTree(algorithm="sha256")
    tree.extend(merkle.leaf_hash(entry) for entry in data)
    for entry in data:
        oracle.append_entry(entry)
    return tree, oracle


@settings(deadline=None)
@given(entries)
def test_roots_agree_at_every_size(data: list[bytes]) -> None:
    tree, oracle = both(data)
    assert tree.size == oracle.get_size() == len(data)
    for size in range(1, len(data) + 1):
        assert tree.root(size) == oracle.get_root(size) == merkle.root([tree.leaf(i) for i in range(size)])


@settings(deadline=None)
@given(entries, st.data())
def test_our_inclusion_proofs_verify_there_and_theirs_here(data: list[bytes], draw: st.DataObject) -> None:
    tree, oracle = both(data)
    size = draw.draw(st.integers(1, len(data)))
    index = draw.draw(st.integers(0, size - 1))
    theirs = oracle.prove_inclusion(index + 1, size)
    ours = tree.inclusion_path(index, size)
    assert ours == merkle.inclusion_path([tree.leaf(i) for i in range(size)], index)
    assert list(ours) == theirs.path[1:]  # its path begins with the leaf itself
    merkle.verify_inclusion(tree.leaf(index), index, size, theirs.path[1:], oracle.get_root(size))
    theirs.path = [tree.leaf(index), *ours]
    verify_inclusion(tree.leaf(index), tree.root(size), theirs)
    if ours:
        theirs.path = [tree.leaf(index), *ours[:-1], b"\0" * 32]
        with pytest.raises(InvalidProof):
            verify_inclusion(tree.leaf(index), tree.root(size), theirs)


def slices(old: int, low: int, high: int, known: bool) -> list[tuple[int, int]]:
    """The leaves that each hash of RFC 6962's SUBPROOF (section 2.1.2) is over, in the proof's order."""
    if old == high - low:
        return [] if known else [(low, high)]
    split = 1 << (high - low - 1).bit_length() - 1
    if old <= split:
        return [*slices(old, low, low + split, known), (low + split, high)]
    return [*slices(old - split, low + split, high, False), (low, low + split)]


@settings(deadline=None)
@given(entries, st.data())
def test_our_consistency_proofs_are_its_subtrees(data: list[bytes], draw: st.DataObject) -> None:
    tree, oracle = both(data)
    size = draw.draw(st.integers(1, len(data)))
    old = draw.draw(st.integers(1, size))
    ours = tree.consistency_path(old, size)
    assert ours == merkle.consistency_path([tree.leaf(i) for i in range(size)], old)
    assert list(ours) == [both(data[low:high])[1].get_root() for low, high in slices(old, 0, size, True)]
    merkle.verify_consistency(old, oracle.get_root(old), size, ours, oracle.get_root(size))
    theirs = oracle.prove_consistency(old, size)
    verify_consistency(tree.root(old), tree.root(size), theirs, prior_size=old, later_size=size)


@settings(deadline=None)
@given(entries, st.data())
def test_both_refuse_a_rewritten_history(data: list[bytes], draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, len(data)))
    changed = draw.draw(st.integers(0, old - 1))
    other, its_oracle = both([*data[:changed], b"rewritten", *data[changed + 1 :]])
    before = both(data)[0].root(old)
    size = len(data)
    with pytest.raises(VerificationFailed):
        merkle.verify_consistency(old, before, size, other.consistency_path(old, size), other.root(size))
    with pytest.raises(InvalidProof):
        verify_consistency(before, its_oracle.get_root(), its_oracle.prove_consistency(old, size))


def test_a_whole_ledger_agrees() -> None:
    """What is committed to is salt and event of each entry; nothing else goes into the tree."""
    ledger = Ledger.open(":memory:")
    for turn in range(40):
        ledger.append("note", {"turn": turn})
    oracle = InmemoryTree(algorithm="sha256")
    for entry in ledger.events():
        oracle.append_entry(entry.salt + entry.event)
        size = oracle.get_size()
        assert ledger.checkpoint_at(size).root == oracle.get_root()
        proof = oracle.prove_inclusion(size, size)
        verify_inclusion(entry.leaf, ledger.checkpoint_at(size).root, proof)


def test_the_path_that_an_append_carries_is_the_proof() -> None:
    ledger = Ledger.open(":memory:")
    for _ in range(33):
        entry = ledger.append("note", {})
        assert entry.checkpoint is not None
        assert entry.path == ledger.prove(entry.seq, entry.checkpoint).path


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 4), (0, -1)])
def test_what_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(UsageError):
        both([b"a", b"b", b"c"])[0].inclusion_path(index, size)


def test_no_leaf_and_no_size_beyond_the_end() -> None:
    tree, _ = both([b"a", b"b", b"c"])
    for ask in (lambda: tree.leaf(3), lambda: tree.root(4), lambda: tree.consistency_path(3, 2)):
        with pytest.raises(UsageError):
            ask()


def test_the_empty_tree() -> None:
    assert Tree().root(0) == merkle.EMPTY_ROOT
