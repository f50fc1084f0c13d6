"""The junction tree holds every marginal, and what two cliques share lies in all between them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from comity.synthesize.graph import JunctionTree, junction_tree, model_cells

SETS = st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True)
MARGINALS = st.lists(SETS.map(lambda columns: tuple(sorted(columns))), max_size=9)
SIZES = (2, 3, 4, 2, 5, 3, 2)


def path(tree: JunctionTree, at: int) -> list[int]:
    found = [at]
    while tree.parents[found[-1]] >= 0:
        found.append(tree.parents[found[-1]])
    return found


@given(MARGINALS)
def test_it_is_a_junction_tree_of_the_marginals(marginals: list[tuple[int, ...]]) -> None:
    tree = junction_tree(SIZES, marginals)
    assert model_cells(SIZES, marginals) == tree.cells(SIZES)
    assert {column for clique in tree.cliques for column in clique} == set(range(7))
    assert all(tree.home(marginal, SIZES) is not None for marginal in marginals)
    assert all(parent < at for at, parent in enumerate(tree.parents))
    for one in range(len(tree.cliques)):
        for two in range(one):
            shared = set(tree.cliques[one]) & set(tree.cliques[two])
            ups, downs = path(tree, one), path(tree, two)
            meeting = next((at for at in ups if at in downs), None)
            if meeting is None:
                assert not shared
                continue
            between = ups[: ups.index(meeting) + 1] + downs[: downs.index(meeting)]
            assert all(shared <= set(tree.cliques[at]) for at in between)
            assert not shared or shared != set(tree.cliques[one]), "a clique lies in another one"


def test_a_cycle_is_cut_into_triangles() -> None:
    tree = junction_tree((2, 3, 2, 3), [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert sorted(len(clique) for clique in tree.cliques) == [3, 3]
    assert tree.cells((2, 3, 2, 3)) == 12 + 12
