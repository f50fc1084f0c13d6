"""The tree against RFC 6962's definition, Certificate Transparency's test vectors, and forgeries."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import UsageError, VerificationFailed
from comity.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# the leaves, roots and proofs of the tests of google/certificate-transparency and transparency-dev/merkle
DATA = [bytes.fromhex(x) for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
DATA.append(bytes(range(0x60, 0x70)))
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEFT_PAIR = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
FIFTH = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
RIGHT_PAIR = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
RIGHT_HALF = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
SECOND = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
INCLUSION = {
    (0, 1): [],
    (0, 8): [SECOND, LEFT_PAIR, RIGHT_HALF],
    (5, 8): [FIFTH, RIGHT_PAIR, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], LEFT_PAIR, FIFTH],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [SECOND, LEFT_PAIR, RIGHT_HALF],
    (6, 8): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", RIGHT_PAIR, ROOTS[4]],
    (2, 5): [LEFT_PAIR, FIFTH],
}

leaves_of = st.lists(st.binary(max_size=4), min_size=1, max_size=40).map(
    lambda data: [leaf_hash(d) for d in data]
)


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


def path_by_definition(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) <= 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*path_by_definition(m, leaves[:k]), by_definition(leaves[k:])]
    return [*path_by_definition(m - k, leaves[k:]), by_definition(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    """RFC 6962, section 2.1.2."""
    if m == len(leaves):
        return [] if known else [by_definition(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], known), by_definition(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), by_definition(leaves[:k])]


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    assert root([leaf_hash(d) for d in DATA[:size]]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_known_inclusion_proofs(index: int, size: int) -> None:
    leaves = [leaf_hash(d) for d in DATA[:size]]
    path = inclusion_path(leaves, index)
    assert [step.hex() for step in path] == INCLUSION[index, size]
    verify_inclusion(leaves[index], index, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "size"), CONSISTENCY)
def test_known_consistency_proofs(old: int, size: int) -> None:
    path = consistency_path([leaf_hash(d) for d in DATA[:size]], old)
    assert [step.hex() for step in path] == CONSISTENCY[old, size]
    verify_consistency(old, bytes.fromhex(ROOTS[old]), size, path, bytes.fromhex(ROOTS[size]))


def test_the_empty_tree() -> None:
    assert Frontier().root() == EMPTY_ROOT == by_definition([])
    verify_consistency(0, EMPTY_ROOT, 3, (), bytes.fromhex(ROOTS[3]))


@settings(deadline=None)
@given(leaves_of)
def test_the_frontier_is_the_tree(leaves: list[bytes]) -> None:
    frontier = Frontier()
    for size, leaf in enumerate(leaves, start=1):
        frontier = frontier.append(leaf)
        assert frontier.root() == by_definition(leaves[:size])
        assert len(frontier.peaks) == bin(size).count("1")


@settings(deadline=None)
@given(leaves_of, st.data())
def test_proofs_are_the_definitions_and_verify(leaves: list[bytes], data: st.DataObject) -> None:
    size, top = len(leaves), by_definition(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(leaves, index)
    assert list(path) == path_by_definition(index, leaves)
    verify_inclusion(leaves[index], index, size, path, top)
    old = data.draw(st.integers(1, size))
    path = consistency_path(leaves, old)
    assert list(path) == subproof(old, leaves, True)
    verify_consistency(old, by_definition(leaves[:old]), size, path, top)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 40), st.data())
def test_forged_inclusion_fails(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path, top = list(inclusion_path(leaves, index)), root(leaves)
    forgery = data.draw(st.sampled_from(["leaf", "index", "size", "path", "shorter", "longer", "root"]))
    leaf, claimed, claimed_size = leaves[index], index, size
    if forgery == "leaf":
        leaf = leaf_hash(b"another")
    elif forgery == "index":
        claimed = data.draw(st.integers(-1, size).filter(lambda i: i != index))
    elif forgery == "size":
        claimed_size = data.draw(st.integers(0, index))
    elif forgery == "path":
        path[data.draw(st.integers(0, len(path) - 1))] = leaf_hash(b"another")
    elif forgery == "shorter":
        path.pop()
    elif forgery == "longer":
        path.append(leaf_hash(b"another"))
    else:
        top = leaf_hash(b"another")
    with pytest.raises(VerificationFailed):
        verify_inclusion(leaf, claimed, claimed_size, path, top)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 40), st.data())
def test_forged_consistency_fails(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(size)]
    old = data.draw(st.integers(1, size - 1))
    path, old_top, top = list(consistency_path(leaves, old)), root(leaves[:old]), root(leaves)
    forgery = data.draw(st.sampled_from(["old root", "root", "path", "shorter", "longer", "old size"]))
    claimed = old
    if forgery == "old root":
        old_top = leaf_hash(b"another")
    elif forgery == "root":
        top = leaf_hash(b"another")
    elif forgery == "path":
        path[data.draw(st.integers(0, len(path) - 1))] = leaf_hash(b"another")
    elif forgery == "shorter":
        path.pop()
    elif forgery == "longer":
        path.append(leaf_hash(b"another"))
    else:
        claimed = size + 1
    with pytest.raises(VerificationFailed):
        verify_consistency(claimed, old_top, size, path, top)


@pytest.mark.parametrize("changed", range(6))
def test_a_rewritten_history_is_not_consistent(changed: int) -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(11)]
    rewritten = [*leaves[:changed], leaf_hash(b"rewritten"), *leaves[changed + 1 :]]
    with pytest.raises(VerificationFailed):
        verify_consistency(6, root(leaves[:6]), 11, consistency_path(rewritten, 6), root(rewritten))


def test_what_is_not_there_has_no_proof() -> None:
    with pytest.raises(UsageError):
        inclusion_path([leaf_hash(b"")], 1)
    with pytest.raises(UsageError):
        consistency_path([leaf_hash(b"")], 2)
