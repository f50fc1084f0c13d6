from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.deidentify.generalise import anonymize
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.checker import check, holds_as_a_whole
from comity.deidentify.models.class_models import KAnonymity, PrivacyModel
from comity.deidentify.models.table_models import AverageRisk, PopulationUniqueness, TableModel
from comity.errors import BadTable, UsageError

FLAT = Hierarchy.from_rows([(x, "*") for x in "abcdef"])
SIZES = {"a": 1, "b": 3, "c": 1, "d": 2, "e": 5, "f": 1}
TABLE = pa.table({"q": [x for x, n in SIZES.items() for _ in range(n)]})


def kept(model, limit=1.0, low=0):
    done = anonymize(
        TABLE,
        quasi_identifiers={"q": FLAT},
        require=[model],
        suppression_limit=limit,
        level_limits={"q": (low, 0)},
    )
    return sorted(set(done.frame.filter(pa.array(done.kept))["q"].to_pylist()))


def test_the_smallest_classes_go_first_and_of_equal_ones_those_of_the_lowest_leaves():
    assert kept(AverageRisk(6 / 13)) == list("abcdef")
    assert kept(AverageRisk(0.42)) == list("bcdef")  # 5 of 12
    assert kept(AverageRisk(0.4)) == list("bdef")  # 4 of 11
    assert kept(AverageRisk(0.25)) == ["b", "e"]  # 2 of 8
    assert kept(AverageRisk(0.2)) == ["e"]
    assert kept(AverageRisk(0.1)) == []


def test_a_limit_that_cannot_be_kept_to_raises_levels():
    done = anonymize(
        TABLE, quasi_identifiers={"q": FLAT}, require=[AverageRisk(0.25)], suppression_limit=0.05
    )
    assert (done.levels["q"], done.suppressed) == (1, 0)


def test_uniques_are_suppressed_until_the_estimate_is_low_enough():
    open_ = PopulationUniqueness(1.0, 1_000, "zayatz")
    assert kept(open_) == list("abcdef")
    shares = []
    for gone in ("", "a", "ac"):
        sizes = np.array([n for x, n in SIZES.items() if x not in gone])
        from comity.assess.uniqueness import zayatz_share

        shares.append(zayatz_share(sizes, 1_000))
    assert shares == sorted(shares, reverse=True)
    assert kept(PopulationUniqueness(shares[1], 1_000, "zayatz")) == list("bcdef")
    assert kept(PopulationUniqueness(0, 1_000, "zayatz")) == list("bde")
    assert kept(PopulationUniqueness(0, 1_000, "dankar")) == list("bde")


def test_an_estimate_that_does_not_exist_is_no_pass():
    alone = np.ones(5, dtype=np.int64)
    assert not PopulationUniqueness(1.0, 50, "pitman").holds(alone)
    assert PopulationUniqueness(0, 50, "pitman").holds(2 * alone)
    assert PopulationUniqueness(0, 50, "pitman").holds(alone[:0])


def test_a_population_smaller_than_the_table_is_refused():
    with pytest.raises(BadTable, match="more rows than the population of 12"):
        kept(PopulationUniqueness(0.5, 12))
    assert not holds_as_a_whole(PopulationUniqueness(1.0, 3), [1, 1, 1, 1])


def test_the_checker_says_so():
    found = check(TABLE, ["q"], [AverageRisk(0.4), PopulationUniqueness(0, 1_000), AverageRisk(0.5)])
    assert found.violations == (
        "average risk, at most 0.4, does not hold for the table as a whole",
        "population uniqueness, at most 0 of 1000 (pitman's estimate), does not hold for the table as a "
        "whole",
    )


def test_bounds_and_stand_ins():
    risk = AverageRisk(0.25)
    assert risk.most_rows(np.array([5, 3, 2, 1, 1, 1])) == 8
    assert risk.most_rows(np.array([3, 3, 3])) == 0
    assert risk.stricter() == KAnonymity(4)
    assert AverageRisk(0.3).stricter() == KAnonymity(4)
    assert PopulationUniqueness(0.1, 10).stricter() == KAnonymity(2)
    assert isinstance(risk, TableModel)
    assert isinstance(risk, PrivacyModel)
    assert not isinstance(KAnonymity(2), TableModel)


@pytest.mark.parametrize("rows", [150_000, 5_000_000_000, 4_000_000_000_000_000])
def test_large_classes_do_not_wrap(rows):
    sizes = np.array([rows, rows, rows])
    assert AverageRisk(1 / rows).holds(sizes)
    assert not AverageRisk(0.9999 / rows).holds(sizes)


def test_bad_parameters_are_refused():
    for make in (
        lambda: AverageRisk(0),
        lambda: AverageRisk(1.1),
        lambda: AverageRisk(True),
        lambda: PopulationUniqueness(-0.1, 10),
        lambda: PopulationUniqueness(0.1, 0),
        lambda: PopulationUniqueness(0.1, 10, "other"),
    ):
        with pytest.raises(UsageError):
            make()
