from __future__ import annotations

import pyarrow as pa
import pytest

from comity.deidentify import DistinctLDiversity, KAnonymity, TCloseness, check
from comity.errors import BadTable, UsageError

TABLE = pa.table(
    {"a": ["1", "1", "1", "2", "2", "*"], "b": ["x", "x", "x", "y", "y", "*"], "s": [1, 2, 1, 3, 3, 1]}
)


def test_says_which_model_fails_and_where():
    found = check(TABLE, ["a", "b"], [KAnonymity(3), DistinctLDiversity("s", 2)])
    assert not found.holds
    assert (found.rows, found.classes, found.smallest) == (6, 3, 1)
    assert found.violations == (
        "k-anonymity, k = 3 does not hold in 2 classes with 3 rows together",
        "distinct l-diversity of 's', l = 2 does not hold in 2 classes with 3 rows together",
    )


def test_suppressed_rows_are_set_apart_only_when_asked():
    assert check(TABLE, ["a", "b"], [KAnonymity(2)], set_apart=True).holds
    assert check(TABLE, ["a", "b"], [KAnonymity(2)], set_apart=True).suppressed == 1
    assert not check(TABLE, ["a", "b"], [KAnonymity(2)]).holds


def test_t_closeness_compares_with_the_reference_where_one_is_given():
    table = TABLE.slice(0, 3)
    assert check(table, ["a"], [TCloseness("s", 0)]).holds
    assert not check(table, ["a"], [TCloseness("s", 0.3)], reference={"s": {1: 2, 2: 1, 3: 2}}).holds


def test_unknown_columns_and_models_are_refused():
    with pytest.raises(BadTable, match="no column 'c'"):
        check(TABLE, ["c"], [KAnonymity(2)])

    class Odd:
        sensitive = None

    with pytest.raises(UsageError, match="no independent check of Odd"):
        check(TABLE, ["a"], [Odd()])
