from __future__ import annotations

import pyarrow as pa
import pytest

from comity.deidentify.generalise import anonymize
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.checker import check
from comity.deidentify.models.class_models import KAnonymity
from comity.deidentify.models.partition import Partition
from comity.deidentify.models.population import DeltaPresence, KMap, Population
from comity.errors import BadTable, UsageError

TREE = Hierarchy.from_rows([("a", "ab", "*"), ("b", "ab", "*"), ("c", "cd", "*"), ("d", "cd", "*")])
EVERYBODY = pa.table({"q": ["a", "a", "a", "b", "b", "c", "c", "c", "d", None]})
TABLE = pa.table({"q": ["a", "b", "c"]})


def levels(model, table=TABLE, limit=0.0):
    done = anonymize(table, quasi_identifiers={"q": TREE}, require=[model], suppression_limit=limit)
    return done.levels["q"], done.suppressed


def test_k_map_counts_the_population_not_the_table():
    assert levels(KMap(2, EVERYBODY)) == (0, 0)
    assert levels(KMap(3, EVERYBODY)) == (1, 0)
    assert levels(KMap(3, EVERYBODY), limit=0.34) == (0, 1)
    assert levels(KMap(10, EVERYBODY)) == (2, 0)  # the missing value joins the top
    with pytest.raises(BadTable, match="no combination of levels"):
        levels(KMap(11, EVERYBODY))


def test_a_population_may_be_given_as_counts():
    counts = {("a",): 3, ("b",): 2, ("c",): 3, ("d",): 1, (None,): 1}
    for k in (2, 3, 10):
        assert levels(KMap(k, counts)) == levels(KMap(k, EVERYBODY))
    with pytest.raises(UsageError, match="tuples of 1 values"):
        levels(KMap(2, {"a": 3}))
    with pytest.raises(UsageError, match="whole number"):
        levels(KMap(2, {("a",): 0}))


def test_delta_presence_needs_rows_of_every_class_when_low_is_above_0():
    assert levels(DeltaPresence(0, 0.5, EVERYBODY)) == (0, 0)
    assert levels(DeltaPresence(0, 0.45, EVERYBODY)) == (1, 0)
    assert levels(DeltaPresence(0, 0.34, EVERYBODY), limit=0.34) == (0, 1)
    # nobody with d is in the table, nor the member whose value is missing: only the top has rows of all
    assert levels(DeltaPresence(0.2, 1, EVERYBODY)) == (2, 0)
    known = EVERYBODY.slice(0, 9)
    assert levels(DeltaPresence(0.2, 1, known)) == (1, 0)
    # suppressing is being absent: the same levels whatever the limit
    assert levels(DeltaPresence(0.3, 1, known), limit=1.0) == (2, 0)


def test_the_checker_generalises_the_population_itself():
    trees, done = {"q": TREE}, pa.table({"q": ["ab", "ab", "cd"]})
    for model, holds in (
        (KMap(4, EVERYBODY), True),
        (KMap(5, EVERYBODY), False),
        (DeltaPresence(0, 0.4, EVERYBODY), True),
        (DeltaPresence(0, 0.3, EVERYBODY), False),
        (DeltaPresence(0.1, 1, EVERYBODY), False),
        (DeltaPresence(0.25, 1, EVERYBODY.slice(0, 9)), True),
        (DeltaPresence(0.3, 1, EVERYBODY.slice(0, 9)), False),
    ):
        assert check(done, ["q"], [model], hierarchies=trees, levels={"q": 1}).holds is holds
    found = check(
        pa.table({"q": ["ab"]}), ["q"], [DeltaPresence(0.1, 1, EVERYBODY.slice(0, 9))],
        hierarchies=trees, levels={"q": 1},
    )  # fmt: skip
    assert found.violations == (
        "delta-presence, from 0.1 to 1 does not hold in 1 classes of the population with 4 members and no "
        "released row",
    )
    with pytest.raises(UsageError, match="give the hierarchies and levels"):
        check(done, ["q"], [KMap(4, EVERYBODY)])


def test_what_is_wrong_with_a_population_is_said():
    with pytest.raises(BadTable, match="population table has no column 'q'"):
        levels(KMap(2, pa.table({"z": ["a"]})))
    with pytest.raises(BadTable, match=r"in the population table: .*'z'"):
        levels(KMap(2, pa.table({"q": ["z"]})))
    with pytest.raises(BadTable, match="has no rows"):
        levels(KMap(2, EVERYBODY.slice(0, 0)))
    for low, high in ((-0.1, 1), (0, 1.1), (0.6, 0.5), (True, 1)):
        with pytest.raises(UsageError):
            DeltaPresence(low, high, EVERYBODY)
    with pytest.raises(UsageError):
        KMap(0, EVERYBODY)
    with pytest.raises(UsageError, match='method="global"'):
        anonymize(TABLE, quasi_identifiers={"q": TREE}, require=[KMap(2, EVERYBODY)], method="local")


def test_one_population_serves_several_models():
    done = anonymize(
        TABLE,
        quasi_identifiers={"q": TREE},
        require=[KMap(3, EVERYBODY), DeltaPresence(0, 0.45, EVERYBODY), KAnonymity(1)],
        suppression_limit=0,
    )
    assert done.levels == {"q": 1}


@pytest.mark.parametrize("members", [150_000, 5_000_000_000, 4_000_000_000_000_000])
def test_shares_of_a_large_population_do_not_wrap(members):
    import numpy as np

    population = Population({("a",): 1}, ["q"])
    sizes = np.array([members // 2 + 1, members // 2, members // 4], dtype=np.int64)
    part = Partition(
        np.zeros(0, np.int64), sizes, 3, {}, int(sizes.sum()), sizes, {id(population): np.full(3, members)}
    )
    exact = DeltaPresence(0.25, 0.5, population)
    assert exact.violates(part).tolist() == [True, False, False]
    assert DeltaPresence(0.3, 0.4999999999, population).violates(part).tolist() == [True, True, True]
    assert exact.most_kept(part).tolist() == [members // 2, members // 2, members // 4]


def test_large_counts_are_exact():
    many = 2**53
    one = pa.table({"q": ["a"]})
    for more, holds in ((3, False), (4, True), (5, True)):
        population, trees = {("a",): many + more - 1, (None,): 1}, {"q": TREE.with_missing()}
        model = KMap(many + 4, population)
        top = pa.table({"q": ["*"]})
        assert check(top, ["q"], [model], hierarchies=trees, levels={"q": 2}).holds is holds
        if holds:
            assert levels(model, one) == (2 if more == 4 else 0, 0)
        else:
            with pytest.raises(BadTable, match="no combination of levels"):
                levels(model, one)
    with pytest.raises(BadTable, match="no combination of levels"):
        levels(KMap(many + 4, {("a",): many + 3}), one)
    # two ways of writing one leaf, added up
    assert levels(KMap(many + 4, {("a",): many + 3, ("b",): 1}), one) == (1, 0)
    tree = Hierarchy.from_rows([("1", "*"), ("2", "*")])
    both = {("1",): many + 3, ("2",): 2**61}
    done = anonymize(
        pa.table({"q": [1]}), quasi_identifiers={"q": tree}, require=[KMap(2**61 + many + 3, both)]
    )
    assert done.levels == {"q": 1}


@pytest.mark.parametrize("count", [2**62 + 1, 2**63 + 1, 2**64, 2**200])
def test_counts_too_large_to_add_up_are_refused(count, recwarn):
    for counts in ({("a",): count}, {("a",): count - 5, ("b",): 5}):
        with pytest.raises(UsageError, match=r"more than 2\^62"):
            levels(KMap(2, counts))
    assert levels(KMap(2, {("a",): 2**62}), pa.table({"q": ["a"]})) == (0, 0)
    assert not recwarn.list


def test_counts_that_make_no_table_are_refused():
    with pytest.raises(BadTable, match="has no rows"):
        levels(KMap(2, {}))
    with pytest.raises(BadTable, match="several types"):
        levels(KMap(2, {("a",): 1, (1,): 1}))


def test_a_table_that_is_no_part_of_its_population_is_refused_where_absence_counts():
    strangers = pa.table({"q": ["a", "b", "d", "d", "d"]})
    with pytest.raises(BadTable, match="2 rows of the table") as caught:
        levels(DeltaPresence(0.1, 1, EVERYBODY), strangers)
    assert caught.value.private
    with pytest.raises(BadTable, match="5 rows of the table"):
        levels(DeltaPresence(0.1, 1, {("c",): 5, (None,): 2}), strangers)
    # with low 0 the strangers' class has too large a share, and goes
    assert levels(DeltaPresence(0, 0.7, EVERYBODY), strangers, limit=0.6) == (0, 3)
    # KMap asks nothing of the table's rows
    assert levels(KMap(1, EVERYBODY), strangers) == (0, 0)


def test_the_checker_takes_quasi_identifiers_in_any_order():
    trees = {"q": TREE, "r": Hierarchy.from_rows([("x", "*"), ("y", "*")])}
    population = Population(pa.table({"q": ["a", "a", "c"], "r": ["x", "x", "y"]}), ["q", "r"])
    table = pa.table({"q": ["a"], "r": ["x"]})
    for names in (["q", "r"], ["r", "q"]):
        assert check(table, names, [KMap(2, population)], hierarchies=trees, levels={"q": 0, "r": 0}).holds
