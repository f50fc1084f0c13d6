"""`anonymize` around the search: kinds of frames, suppressed rows, missing values, errors."""

from __future__ import annotations

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data import Table
from comity.deidentify import DistinctLDiversity, Hierarchy, KAnonymity, anonymize, intervals
from comity.deidentify.search.anytime import EVALUATIONS, AnytimeSearch
from comity.deidentify.search.frames import Frame
from comity.deidentify.search.loss import Loss
from comity.deidentify.search.optimum import MOST_NODES, Search
from comity.deidentify.search.tuples import distinct_tuples
from comity.errors import BadTable, UsageError

AGE = intervals(0, 9, widths=[5])
TOWN = Hierarchy.from_rows([("a", "north", "*"), ("b", "north", "*"), ("c", "south", "*")])
ROWS = {
    "name": ["p", "q", "r", "s", "t", "u", "v"],
    "age": [1, 2, 3, 7, 8, 1, 9],
    "town": ["a", "a", "b", "c", "c", "b", "a"],
    "ill": ["x", "y", "x", "y", "x", "y", "z"],
}
KINDS = {
    "pandas": lambda: pd.DataFrame(ROWS, index=[10, 20, 30, 40, 50, 60, 70]),
    "pandas objects": lambda: pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in ROWS.items()}),
    "polars": lambda: pl.DataFrame(ROWS),
    "polars lazy": lambda: pl.DataFrame(ROWS).lazy(),
    "polars categorical": lambda: pl.DataFrame(ROWS).with_columns(pl.col("town").cast(pl.Categorical)),
    "arrow": lambda: pa.table(ROWS),
    "arrow chunks": lambda: pa.concat_tables([pa.table(ROWS).slice(0, 3), pa.table(ROWS).slice(3)]),
    "duckdb": lambda: duckdb.from_arrow(pa.table(ROWS)),
    "comity": lambda: Table(pa.table(ROWS)),
    "narwhals": lambda: nw.from_native(pl.DataFrame(ROWS)),
}


def columns_of(frame):
    native = frame.arrow if isinstance(frame, Table) else nw.to_native(frame, pass_through=True)
    if isinstance(native, duckdb.DuckDBPyRelation):
        return native.to_arrow_table().to_pydict()
    wrapped = nw.from_native(native)
    return (wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped).to_dict(as_series=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["global", "local"])
def test_comes_back_as_the_kind_that_went_in_rows_in_order(kind, method):
    frame = KINDS[kind]()
    done = anonymize(
        frame,
        quasi_identifiers={"age": AGE, "town": TOWN},
        require=[KAnonymity(2)],
        suppression_limit=0.2,
        method=method,
    )
    assert type(done.frame) is type(frame)
    found = columns_of(done.frame)
    assert list(found) == list(ROWS)
    assert found["name"] == ROWS["name"]
    assert found["ill"] == ROWS["ill"]
    assert done.suppressed == 1
    assert done.kept.tolist() == [True] * 6 + [False]
    assert (found["age"][6], found["town"][6]) == ("*", "*")
    if method == "global":
        assert done.levels == {"age": 1, "town": 0}
        assert found["age"] == ["0-4", "0-4", "0-4", "5-9", "5-9", "0-4", "*"]
        assert found["town"] == ["a", "a", "b", "c", "c", "b", "*"]
        assert (done.classes, done.smallest_class) == (3, 2)
        assert done.bound == done.loss
    if kind == "pandas":
        assert done.frame.index.tolist() == [10, 20, 30, 40, 50, 60, 70]
        assert frame["age"].tolist() == ROWS["age"], "what went in is not changed"


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2, None, None, 7, 8], dtype="float64"),
        pd.Series([1, 2, None, None, 7, 8], dtype="Int64"),
        pl.Series([1, 2, None, None, 7, 8]),
        pl.Series([1.0, 2.0, float("nan"), None, 7.0, 8.0]),
        pd.Series(["1", "2", "?", None, "7", "8"]),
    ],
    ids=["float", "nullable", "polars", "nan", "text"],
)
def test_missing_values_are_a_value_of_their_own(column):
    frame = pl.DataFrame({"age": column}) if isinstance(column, pl.Series) else pd.DataFrame({"age": column})
    done = anonymize(frame, quasi_identifiers={"age": AGE}, require=[KAnonymity(2)])
    found = [None if value != value else value for value in columns_of(done.frame)["age"]]
    assert found == ["0-4", "0-4", None, None, "5-9", "5-9"]
    assert len(done.hierarchies["age"].rows) == 11


def test_values_missing_from_a_hierarchy_are_named_wherever_they_come_from():
    for kind in ("pandas", "polars", "arrow", "duckdb"):
        with pytest.raises(BadTable, match="'town' has no row for 1 value: 'c'") as caught:
            anonymize(
                KINDS[kind](),
                quasi_identifiers={"town": Hierarchy.from_rows([("a", "*"), ("b", "*")])},
                require=[KAnonymity(2)],
            )
        assert caught.value.private


def test_text_that_means_missing_is_found_by_duckdb():
    relation = duckdb.from_arrow(pa.table({"town": ["a", "a", "?", None]}))
    done = anonymize(relation, quasi_identifiers={"town": TOWN}, require=[KAnonymity(2)])
    assert columns_of(done.frame)["town"] == ["a", "a", None, None]


def test_nothing_possible_is_an_error_that_says_what_to_do():
    with pytest.raises(BadTable, match=r"k = 8 with at most 0 of 7 rows.*Raise suppression_limit") as caught:
        anonymize(
            pa.table(ROWS), quasi_identifiers={"age": AGE}, require=[KAnonymity(8)], suppression_limit=0
        )
    assert caught.value.private
    done = anonymize(
        pa.table(ROWS), quasi_identifiers={"age": AGE}, require=[KAnonymity(8)], suppression_limit=1
    )
    assert (done.suppressed, done.classes, done.smallest_class, done.loss) == (7, 0, 0, 1.0)
    assert set(columns_of(done.frame)["age"]) == {"*"}


def test_level_limits_are_kept():
    common = {
        "quasi_identifiers": {"age": AGE, "town": TOWN},
        "require": [KAnonymity(2)],
        "suppression_limit": 0.2,
    }
    done = anonymize(pa.table(ROWS), **common, level_limits={"town": (2, 2)})
    assert done.levels["town"] == 2
    with pytest.raises(UsageError, match="levels 0 to 2"):
        anonymize(pa.table(ROWS), **common, level_limits={"town": (0, 3)})
    with pytest.raises(UsageError, match="no quasi-identifier"):
        anonymize(pa.table(ROWS), **common, level_limits={"ill": (0, 1)})


def test_wrong_arguments_are_refused():
    table, trees = pa.table(ROWS), {"age": AGE}
    for arguments in (
        {"quasi_identifiers": {}, "require": [KAnonymity(2)]},
        {"quasi_identifiers": trees, "require": []},
        {"quasi_identifiers": trees, "require": ["k"]},
        {"quasi_identifiers": {"age": [("1", "*")]}, "require": [KAnonymity(2)]},
        {"quasi_identifiers": trees, "require": [KAnonymity(2)], "suppression_limit": 1.5},
        {"quasi_identifiers": trees, "require": [KAnonymity(2)], "method": "other"},
        {"quasi_identifiers": trees, "require": [KAnonymity(2)], "aggregate": "max"},
        {"quasi_identifiers": trees, "require": [DistinctLDiversity("age", 2)]},
    ):
        with pytest.raises(UsageError):
            anonymize(table, **arguments)
    with pytest.raises(UsageError, match="none that can be read"):
        anonymize([1, 2], quasi_identifiers=trees, require=[KAnonymity(2)])
    with pytest.raises(BadTable, match="no column 'height'"):
        anonymize(table, quasi_identifiers={"height": AGE}, require=[KAnonymity(2)])
    with pytest.raises(BadTable, match="no rows"):
        anonymize(table.slice(0, 0), quasi_identifiers=trees, require=[KAnonymity(2)])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.sampled_from("xyz")), min_size=2, max_size=40
    ),
    st.integers(1, 5),
    st.integers(0, 5),
    st.integers(1, 40),
    st.sampled_from(["arithmetic", "geometric"]),
)
def test_an_anytime_search_never_claims_too_much(rows, k, limit, evaluations, aggregate):
    frame = Frame(pa.table({n: [row[i] for row in rows] for i, n in enumerate(("age", "town", "ill"))}))
    tuples = distinct_tuples(frame, {"age": AGE, "town": TOWN}, ["ill"])
    loss = Loss(tuples.hierarchies, len(rows), aggregate)
    ranges = [(0, 2), (0, 2)]
    models = [KAnonymity(k), DistinctLDiversity("ill", 2)]
    best = Search(tuples, models, limit, loss, ranges).run()
    quick = AnytimeSearch(tuples, models, limit, loss, ranges, evaluations=evaluations).run()
    if quick is None:
        return
    assert best is not None
    assert quick.bound <= loss.value(best.losses) + 1e-12
    assert loss.value(quick.losses) >= loss.value(best.losses) - 1e-12
    if evaluations >= 9 * 3:
        assert loss.score(quick.losses) == loss.score(best.losses)


def test_importing_the_package_loads_no_engine():
    import subprocess
    import sys

    code = (
        "import sys, comity.deidentify, comity.attack; "
        "print([m for m in ('numpy', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "duckdb", "polars categorical"])
@pytest.mark.parametrize("method", ["global", "local"])
def test_rows_that_come_in_suppressed_stay_so_and_count_nowhere(kind, method):
    trees = {
        "age": Hierarchy.from_rows([(str(i), "low" if i < 5 else "high") for i in range(10)]),
        "town": TOWN,
    }
    texts = {name: [str(value) for value in values] for name, values in ROWS.items()}
    make = {
        "pandas": pd.DataFrame,
        "polars": pl.DataFrame,
        "arrow": pa.table,
        "duckdb": lambda rows: duckdb.from_arrow(pa.table(rows)),
        "polars categorical": lambda rows: pl.DataFrame(rows).with_columns(
            pl.col("town").cast(pl.Categorical)
        ),
    }[kind]
    asked = {
        "quasi_identifiers": trees,
        "require": [KAnonymity(2), DistinctLDiversity("ill", 2)],
        "suppression_limit": 0.2,
        "method": method,
    }
    alone = anonymize(make(texts), **asked)
    starred = {
        "name": ["v", *texts["name"], "w"],
        "age": ["*", *texts["age"], "*"],
        "town": ["*", *texts["town"], "*"],
        "ill": ["only here", *texts["ill"], "x"],
    }
    done = anonymize(make(starred), **asked)
    assert (alone.already_suppressed, done.already_suppressed) == (0, 2)
    for name in ("levels", "loss", "suppressed", "classes", "smallest_class", "bound", "evaluated"):
        assert getattr(done, name) == getattr(alone, name)
    assert done.kept.tolist() == [False, *alone.kept.tolist(), False]
    before, after = columns_of(alone.frame), columns_of(done.frame)
    for name in ("age", "town"):
        assert after[name] == ["*", *before[name], "*"]
    assert after["ill"] == starred["ill"]


def test_what_comes_out_can_go_in_again_where_hierarchies_hold_the_labels():
    first = anonymize(
        pa.table(ROWS),
        quasi_identifiers={"age": AGE, "town": TOWN},
        require=[KAnonymity(2)],
        suppression_limit=0.2,
    )
    assert first.levels == {"age": 1, "town": 0}
    with pytest.raises(BadTable, match=r"'age' holds labels of level 1 .*'0-4', '5-9'.*generalised already"):
        anonymize(first.frame, quasi_identifiers={"age": AGE, "town": TOWN}, require=[KAnonymity(2)])
    decades = Hierarchy.from_rows(dict.fromkeys(row[1:] for row in AGE.rows))
    second = anonymize(first.frame, quasi_identifiers={"age": decades, "town": TOWN}, require=[KAnonymity(2)])
    assert second.frame.equals(first.frame)
    assert (second.suppressed, second.already_suppressed, second.levels) == (0, 1, {"age": 0, "town": 0})
    third = anonymize(
        first.frame,
        quasi_identifiers={"age": decades, "town": TOWN},
        require=[KAnonymity(3)],
        suppression_limit=0,
    )
    assert (third.suppressed, third.already_suppressed) == (0, 1)
    assert third.kept.tolist() == first.kept.tolist()


def test_a_star_in_some_columns_is_no_suppressed_row():
    table = pa.table({"town": ["a", "*", "*"], "sex": ["f", "f", "*"]})
    sex = Hierarchy.from_rows([("f", "*"), ("m", "*")])
    with pytest.raises(BadTable, match=r"'town' holds labels of level 2 .*'\*'"):
        anonymize(table, quasi_identifiers={"town": TOWN, "sex": sex}, require=[KAnonymity(1)])


def test_a_table_suppressed_whole_has_nothing_to_anonymize():
    table = pa.table({"town": ["*", "*"]})
    with pytest.raises(BadTable, match="suppressed already"):
        anonymize(table, quasi_identifiers={"town": TOWN}, require=[KAnonymity(1)])


def test_a_value_no_row_has_asks_for_nothing():
    frame = pl.DataFrame({"town": pl.Series(["a", "nowhere", "b"], dtype=pl.Categorical)}).filter(
        pl.col("town") != "nowhere"
    )
    done = anonymize(frame, quasi_identifiers={"town": TOWN}, require=[KAnonymity(2)])
    assert done.levels == {"town": 1}


def wide_lattice(attributes, leaves, depth, rows, seed):
    """Tuples whose lattice has (depth + 1) ** attributes nodes."""
    rng = np.random.default_rng(seed)
    tree = Hierarchy.from_rows(
        [[f"v{i}", *(f"g{d}-{i >> d}" for d in range(1, depth)), "*"] for i in range(leaves)]
    )
    table = pa.table({f"q{j}": [f"v{i}" for i in rng.integers(0, leaves, rows)] for j in range(attributes)})
    trees = dict.fromkeys(table.column_names, tree)
    return table, trees


@pytest.mark.parametrize("aggregate", ["arithmetic", "geometric"])
def test_a_lattice_too_large_to_hold_gives_a_bound(aggregate):
    table, trees = wide_lattice(9, 16, 5, 300, 3)
    assert MOST_NODES < 6**9
    done = anonymize(
        table, quasi_identifiers=trees, require=[KAnonymity(3)], suppression_limit=0.1, aggregate=aggregate
    )
    assert 0 < done.bound <= done.objective
    assert done.evaluated <= EVALUATIONS
    again = anonymize(
        table, quasi_identifiers=trees, require=[KAnonymity(3)], suppression_limit=0.1, aggregate=aggregate
    )
    assert (again.levels, again.bound) == (done.levels, done.bound)


ALL = Hierarchy.from_rows([("a", "*"), ("b", "*")])


@pytest.mark.parametrize(
    "wrong",
    [
        {"suppression_limit": "0.5"}, {"suppression_limit": None}, {"suppression_limit": True},
        {"suppression_limit": float("nan")}, {"require": KAnonymity(2)}, {"require": "k"},
        {"level_limits": {"q": 1}}, {"level_limits": {"q": ("0", "1")}}, {"level_limits": {"q": (0.0, 1.0)}},
        {"level_limits": {"q": (0, 1, 1)}}, {"level_limits": [("q", (0, 1))]}, {"weights": [1]},
        {"quasi_identifiers": ["q"]},
    ],
)  # fmt: skip
def test_arguments_of_the_wrong_kind_are_refused(wrong):
    asked = {"quasi_identifiers": {"q": ALL}, "require": [KAnonymity(2)]} | wrong
    with pytest.raises(UsageError):
        anonymize(pa.table({"q": ["a"] * 4}), **asked)


def test_numbers_of_numpy_are_numbers():
    table = pa.table({"q": ["a"] * 7 + ["b"] * 3})
    asked = {"quasi_identifiers": {"q": ALL}, "level_limits": {"q": (np.int64(0), np.int32(0))}}
    done = anonymize(table, require=[KAnonymity(4)], suppression_limit=np.float32(0.3), **asked)
    assert done.suppressed == 3
    # 0.7 of ten rows are seven, though the binary number is below 0.7
    done = anonymize(table, require=[KAnonymity(11)], suppression_limit=1, **asked)
    assert done.suppressed == 10
    flipped = pa.table({"q": ["b"] * 7 + ["a"] * 3})
    done = anonymize(flipped, require=[KAnonymity(3)], suppression_limit=np.float32(0.7), **asked)
    assert done.suppressed == 0


@pytest.mark.parametrize(
    ("frame", "name", "words"),
    [
        (pa.table({"q": [["a"]] * 4}), "q", "made of several"),
        (pa.table({"q": [{"x": 1}] * 4}), "q", "made of several"),
        (pl.DataFrame({"q": [[1]] * 4}), "q", "made of several"),
        (pl.DataFrame({"q": [object()] * 4}), "q", "several types"),
        (pd.DataFrame({"q": ["a", 1, "a", 1]}), "q", "several types"),
        (pd.DataFrame({0: ["a"] * 4}), 0, "no text as its name"),
        (pd.DataFrame([["a", "a"]] * 4, columns=["q", "q"]), "q", "several columns of one name"),
        (
            pd.DataFrame([["a"]] * 4, columns=pd.MultiIndex.from_tuples([("q", "x")])),
            ("q", "x"),
            "no text as its name",
        ),
        (pd.DataFrame([["a"]] * 4, columns=pd.MultiIndex.from_tuples([("q", "x")])), "q", "no column 'q'"),
    ],
)
def test_columns_that_cannot_be_read_are_named(frame, name, words):
    with pytest.raises(BadTable, match=words):
        anonymize(frame, quasi_identifiers={name: ALL}, require=[KAnonymity(2)])


def test_a_nested_sensitive_column_is_named():
    table = pa.table({"q": ["a"] * 4, "s": [["x"], ["y"], ["x"], ["y"]]})
    with pytest.raises(BadTable, match="column 's' holds values made of several"):
        anonymize(table, quasi_identifiers={"q": ALL}, require=[DistinctLDiversity("s", 2)])


@pytest.mark.parametrize(
    ("values", "distinct"),
    [(["?", "NA", "", None, " ? "], 1), ([0.0, -0.0, float("nan"), None], 2), (["x", "?", None, "y"], 3)],
)
@pytest.mark.parametrize("kind", [pa.table, pd.DataFrame, pl.DataFrame])
def test_a_sensitive_value_that_is_missing_counts_once(values, distinct, kind):
    frame = kind({"q": ["a"] * len(values), "s": values})

    def asked(least):
        return anonymize(frame, quasi_identifiers={"q": ALL}, require=[DistinctLDiversity("s", least)])

    assert asked(distinct).suppressed == 0
    with pytest.raises(BadTable, match="no combination"):
        asked(distinct + 1)


def test_types_that_arrow_has_no_like_of_come_back_to_duckdb():
    given = duckdb.sql(
        "select 'a' q, 170141183460469231731687303715884105727::hugeint h, 5::uhugeint u, '101'::bit b, "
        "uuid() id, 'x' v, '10:00:00+02'::timetz t, 'a'::enum('a','b') e from range(4)"
    )
    done = anonymize(given, quasi_identifiers={"q": ALL}, require=[KAnonymity(2)]).frame
    assert [str(kind) for kind in done.types] == [str(kind) for kind in given.types]
    assert done.project("h, u, b, v, t, e").fetchall() == given.project("h, u, b, v, t, e").fetchall()
