"""Synthetic tables: any frame in, the same kind out, within the budget, and telling nobody's row."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data import Table
from comity.errors import BadInput, BadTable, UsageError
from comity.schema import Schema, parse_schema
from comity.synthesize import Unit, make_synthetic, synthesize
from comity.synthesize.purse import Purse
from comity.synthesize.table import frame_settings

JOBS = ("nurse", "cook", "clerk")


def people(rows: int, seed: int = 1) -> pa.Table:
    """Jobs that depend on age, and an illness that depends on both."""
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 80, rows)
    job = np.where(age > 50, draw.choice(3, rows, p=[0.7, 0.2, 0.1]), draw.choice(3, rows, p=[0.1, 0.2, 0.7]))
    ill = draw.random(rows) < 0.05 + 0.5 * (age > 50) + 0.3 * (job == 1)
    return pa.table(
        {
            "pid": [f"p{at}" for at in range(rows)],
            "age": age,
            "job": [JOBS[at] for at in job],
            "pulse": np.round(draw.normal(70, 9, rows), 1),
            "ill": np.where(ill, "yes", "no").tolist(),
        }
    )


def schema(**unit: Any) -> Schema:
    return parse_schema(
        {
            "columns": {
                "pid": {"role": "identifier", "type": "text"},
                "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
                "job": {"role": "quasi_identifier", "type": "category", "values": list(JOBS)},
                "pulse": {"role": "insensitive", "type": "number", "min": 20, "max": 140},
                "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
            },
            **({"unit": unit} if unit else {}),
        },
        where="the test's schema",
    )


@pytest.mark.parametrize("kind", ["pandas", "polars", "polars-lazy", "arrow", "duckdb"])
def test_what_comes_back_is_the_kind_that_went_in(kind: str) -> None:
    import duckdb
    import narwhals as nw
    import polars

    arrow = people(400)
    frame: Any = {
        "pandas": lambda: arrow.to_pandas(),
        "polars": lambda: polars.from_arrow(arrow),
        "polars-lazy": lambda: polars.from_arrow(arrow).lazy(),
        "arrow": lambda: arrow,
        "duckdb": lambda: duckdb.from_arrow(arrow),
    }[kind]()
    made = synthesize(frame, epsilon=2.0, delta=1e-6, method="mst", rows=50, schema=schema())
    assert type(made) is type(frame)
    seen = nw.from_native(made)
    back = seen.collect() if isinstance(seen, nw.LazyFrame) else seen
    assert back.columns == ["age", "job", "pulse", "ill"]
    assert back.shape[0] == 50
    # a column without missing values gets some where noise passes 5 standard deviations: 3e-7 each
    assert set(back["job"].to_list()) <= set(JOBS)
    assert all(18 <= age <= 80 for age in back["age"].to_list())


@pytest.mark.parametrize("method", ["aim", "mst"])
def test_what_depends_in_the_table_depends_in_the_synthetic_one(method: str) -> None:
    """With little noise: shares of the ill by age within 0.1 of the table's, 6,000 rows."""
    real = people(6000)
    made = synthesize(real, epsilon=8.0, delta=1e-6, method=method, schema=schema())
    assert abs(made.num_rows - 6000) < 200
    shares = []
    for table in (real, made):
        age, ill = np.array(table["age"].to_pylist(), dtype=float), np.array(table["ill"].to_pylist())
        job = np.array(table["job"].to_pylist())
        shares.append(
            [
                float(np.mean(ill[group] == "yes"))
                for group in (age > 52, age < 48, job == "cook", job == "clerk")
            ]
        )
    assert np.abs(np.array(shares[0]) - np.array(shares[1])).max() < 0.1


def test_without_a_schema_bounds_and_levels_are_measured_and_ids_do_not_show() -> None:
    # each of 3,000 ids passes the threshold with a probability of 1e-10 / 10 / 3, together 1e-8
    made = synthesize(people(3000), epsilon=4.0, delta=1e-10, method="mst")
    assert made.column_names == ["pid", "age", "job", "pulse", "ill"]
    assert made["pid"].null_count == made.num_rows
    assert set(made["job"].to_pylist()) <= {*JOBS, None}
    ages = [age for age in made["age"].to_pylist() if age is not None]
    assert min(ages) >= 16
    assert max(ages) <= 127


def test_the_manifest_says_what_was_paid_for() -> None:
    made = make_synthetic(
        Table(people(500)),
        schema(),
        ["age", "job", "ill"],
        epsilon=1.0,
        delta=1e-6,
        target="ill",
        most_rows=90,
    )
    assert (made.table.rows, made.manifest["rows"]) == (90, 90)
    shares = [one["share"] for one in made.manifest["measured"]] + [made.manifest["choices"]["share"]]
    assert math.fsum(shares) == pytest.approx(1.0, abs=0.01)
    pairs = [one for one in made.manifest["measured"] if len(one["columns"]) > 1]
    assert ["age", "ill"] in [one["columns"] for one in pairs]
    assert all(one["sigma"] > 0 for one in pairs)


@pytest.mark.parametrize("method", ["aim", "mst"])
def test_a_row_without_a_target_value_is_not_one_with_the_first_level(method: str) -> None:
    """250 of each label; 500 rows without one, or with one that is not in the schema.

    At epsilon 8 a level's count has a noise of a few rows: 100 is more than 20 of its deviations.
    """
    labels: list[Any] = ["no", "yes", None, None, "maybe"] * 250
    real = Table(pa.table({"x": ["u", "v", "w", "u", "v"] * 250, "y": labels}))
    columns = {
        "x": {"role": "insensitive", "type": "category", "values": ["u", "v", "w"]},
        "y": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
    known = parse_schema({"columns": columns}, where="the test")
    made = make_synthetic(real, known, ["x", "y"], epsilon=8.0, delta=1e-6, method=method, target="y")
    told = made.table.strings("y")
    assert abs(told.count("no") - 250) < 100
    assert abs(told.count("yes") - 250) < 100
    assert None not in told
    assert abs(made.manifest["estimated_rows"] - 500) < 150


def test_a_number_to_predict_is_not_lowest_where_it_is_missing() -> None:
    """300 rows of 7 to 9 and 300 without a value; noise of a few rows a cell."""
    real = Table(pa.table({"x": ["u", "v"] * 300, "y": pa.array([7, None, 8, None, 9, None] * 100)}))
    columns = {
        "x": {"role": "insensitive", "type": "category", "values": ["u", "v"]},
        "y": {"role": "target", "type": "integer", "min": 0, "max": 9},
    }
    known = parse_schema({"columns": columns}, where="the test")
    made = make_synthetic(real, known, ["x", "y"], epsilon=8.0, delta=1e-6, target="y")
    told = np.array(made.table.numbers("y"))
    assert (told < 1).sum() < 60


def test_a_target_without_any_level_leaves_the_other_columns_alone() -> None:
    """Its 600 values are all different; 1e-10 / 10 each that one passes the threshold."""
    real = pa.table({"x": ["u", "v"] * 300, "y": [f"y{at}" for at in range(600)]})
    made = synthesize(real, epsilon=8.0, delta=1e-10, target="y")
    assert abs(made.num_rows - 600) < 100
    assert made["x"].null_count < 100


@pytest.mark.parametrize("method", ["aim", "mst"])
def test_two_columns_without_a_schema_are_within_the_budget(method: str) -> None:
    """One feature and a target, whose levels have cost a tenth before."""
    made = synthesize(
        pa.table({"x": ["u", "v"] * 200, "y": ["n", "p"] * 200}),
        epsilon=4.0, delta=1e-6, method=method, target="y",
    )  # fmt: skip
    both = list(zip(made["x"].to_pylist(), made["y"].to_pylist(), strict=True))
    assert both.count(("u", "n")) + both.count(("v", "p")) > 0.7 * len(both)


def test_more_columns_than_a_model_has_room_for_are_refused() -> None:
    many = pa.table({f"c{at}": [1] for at in range(1001)})
    with pytest.raises(BadInput, match="at most 1,000 columns"):
        synthesize(many, epsilon=1.0, delta=1e-6)


def test_a_person_is_hidden_with_all_rows() -> None:
    real = Table(people(300).append_column("who", pa.array([f"w{at // 3}" for at in range(300)])))
    made = make_synthetic(
        real, schema(), ["age", "job"], epsilon=1.0, delta=1e-6, unit=Unit("who", 3), method="mst"
    )
    assert (made.manifest["unit"], made.manifest["rows_per_unit"]) == ("person", 3)
    alone = make_synthetic(real, schema(), ["age", "job"], epsilon=1.0, delta=1e-6, method="mst")
    assert made.manifest["measured"][0]["sigma"] == pytest.approx(
        3 * alone.manifest["measured"][0]["sigma"], rel=0.01
    )


def test_one_column_and_one_level_are_enough() -> None:
    for table in (
        pa.table({"x": ["a"] * 60}),
        pa.table({"x": [1.5] * 60}),
        pa.table({"x": [3] * 60, "y": ["b"] * 60}),
    ):
        for method in ("aim", "mst"):
            made = synthesize(table, epsilon=5.0, delta=1e-5, method=method, rows=10)
            assert made.num_rows == 10


@pytest.mark.parametrize("method", ["aim", "mst"])
@pytest.mark.parametrize("target", ["ill", "same"])
def test_columns_without_two_values_are_not_counted_with_others(method: str, target: str) -> None:
    """`pid` has no level and `same` one.

    False alarms: each of 1,000 ids passes the threshold with a probability of 1e-9 / 10 / 4, together 2.5e-8;
    a missing value of `same` stands out of the noise, 5 standard deviations, with 3e-7.
    """
    table = people(1000).append_column("same", pa.array(["x"] * 1000))
    settings = frame_settings(Table(table), None, target)
    made = make_synthetic(
        Table(table), settings.schema, settings.names, epsilon=4.0, delta=1e-9, method=method,
        target=target, rows=20,
    )  # fmt: skip
    cells = {column["name"]: column["cells"] for column in made.manifest["columns"]}
    assert cells["pid"] == 1
    together = [one["columns"] for one in made.manifest["measured"] if len(one["columns"]) > 1]
    assert together
    idle = {"pid"} if target == "same" else {"pid", "same"}
    assert all(idle.isdisjoint(columns) for columns in together)
    assert set(made.table.strings("same")) <= {"x", None}


def test_dates_written_as_text_are_texts() -> None:
    """Whether all of them are dates one more record could change. 600 at 1e-10 / 10 each pass."""
    texts = [str(datetime.date(2024, 1, 1) + datetime.timedelta(days=at)) for at in range(600)]
    for values in (texts, [*texts, "n/a"]):
        made = synthesize(pa.table({"signed": values}), epsilon=1.0, delta=1e-10, rows=5)
        assert made["signed"].null_count == 5


def test_dates_are_refused_by_name_unless_their_values_are_public() -> None:
    day = datetime.date(2024, 1, 1)
    days = [day + datetime.timedelta(days=at % 300) for at in range(600)]
    texts = [str(each) for each in days]
    times = [datetime.datetime(each.year, each.month, each.day, 12, 30) for each in days]
    open_ones = {"columns": {"signed": {"role": "insensitive", "type": "category"}}}
    for values in (days, times):
        table = people(600).append_column("signed", pa.array(values))
        for stated in (None, parse_schema(open_ones, where="the test")):
            with pytest.raises(BadTable, match=r"'signed' holds dates.*make it a year") as refused:
                synthesize(table, epsilon=1.0, delta=1e-6, schema=stated)
            assert not refused.value.private  # by the stored type, which is public
    named = parse_schema(
        {"columns": {"signed": {"role": "insensitive", "type": "category", "values": sorted(set(texts))}}},
        where="the test",
    )
    table = pa.table({"signed": texts})
    made = synthesize(table, epsilon=2.0, delta=1e-6, schema=named, rows=20, method="mst")
    assert set(made["signed"].to_pylist()) <= {*texts, None}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"method": "gan"}, UsageError),
        ({"rows": 0}, UsageError),
        ({"target": "wealth"}, UsageError),
        ({"bins": 0}, UsageError),
        ({"epsilon": 0.0}, UsageError),
        ({"epsilon": "1"}, UsageError),
        ({"epsilon": True}, UsageError),
        ({"epsilon": math.nan}, UsageError),
        ({"delta": 0.0}, UsageError),
        ({"delta": 1}, UsageError),
        ({"delta": 1.1}, UsageError),
        ({"delta": True}, UsageError),
        ({"delta": None}, UsageError),
        ({"schema": 5}, UsageError),
        ({"rows": 10**12}, UsageError),
        ({"engine": "gan"}, UsageError),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], error: type[Exception]) -> None:
    given = {"epsilon": 1.0, "delta": 1e-6} | change
    with pytest.raises(error, match=next(iter(change))):
        synthesize(people(60), **given)


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadTable, match="age"):
        synthesize(people(60).drop_columns(["age"]), epsilon=1.0, delta=1e-6, schema=schema())
    only = parse_schema({"columns": {"pid": {"role": "identifier", "type": "text"}}}, where="it")
    with pytest.raises(BadInput, match="identifier"):
        synthesize(people(60), epsilon=1.0, delta=1e-6, schema=only)


@pytest.mark.parametrize("method", ["aim", "mst"])
@pytest.mark.parametrize("rows_per_unit", [1, 3])
def test_what_is_drawn_adds_up_to_the_budget(
    method: str, rows_per_unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted at the doors of noise itself, whatever the code before them says: scales, shifts and rates."""
    import comity.synthesize.purse as module
    from comity.ledger import gaussian_delta

    spent: list[float] = []
    gaussian, choice = module.noise.add_discrete_gaussian, module.choose

    def drawing(values: np.ndarray, sigma: float) -> np.ndarray:
        grid = int(np.gcd.reduce(np.append(np.abs(values), 0)))  # counts stand on multiples of 2^shift
        unit = grid & -grid
        spent.append((rows_per_unit * unit / sigma) ** 2 if unit else 0.0)
        return gaussian(values, sigma)

    def choosing(scores: np.ndarray, rate: Any) -> int:
        # scores move by the largest weight times 1024 for a row, on a grid of 1024 for 1
        epsilon = 2 * float(rate) * (3 if method == "aim" else 1) * 1024 * 1024 * rows_per_unit
        spent.append(epsilon**2 * math.pi / 8)
        return choice(scores, rate)

    monkeypatch.setattr(module.noise, "add_discrete_gaussian", drawing)
    monkeypatch.setattr(module, "choose", choosing)
    # an odd count in every marginal, so that the grid shows
    real = pa.table({"a": ["x"] * 301, "b": ["y"] * 301, "c": ["z"] * 301, "t": ["u"] * 301})
    columns = {
        name: {"role": "insensitive", "type": "category", "values": ["x", "y", "z", "u"]}
        for name in real.column_names
    }
    columns["t"]["role"] = "target"
    known = parse_schema({"columns": columns}, where="it")
    make_synthetic(
        Table(real), known, real.column_names, epsilon=1.0, delta=1e-6, method=method, target="t",
        unit=Unit(None, rows_per_unit),
    )  # fmt: skip
    assert len(spent) > 4  # every column, and something besides: how much, noise decides
    assert gaussian_delta(1 / math.sqrt(math.fsum(spent)), 1.0) <= 1e-6
    assert math.fsum(spent) > 0.99 * Purse(1.0, 1e-6).whole


def test_a_canary_is_told_no_better_than_the_guarantee_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole mechanism on two tables that differ by one row, 50 times each. How far apart the best
    statistic lies (all noisy counts of the canary's cells, weighed by their noise), in standard deviations,
    is mu = 0.24 at most. False alarm: 6 standard errors, 2e-9; it sees a mu of 1.5 and more."""
    runs, told = 50, []
    whole = Purse.measure

    def listening(self: Purse, counts: np.ndarray, price: float) -> Any:
        noisy = whole(self, counts, price)
        told[-1] += float(noisy.values.ravel()[-1]) / noisy.sigma**2  # the canary is alone in each last level
        return noisy

    monkeypatch.setattr(Purse, "measure", listening)
    names = ("one", "two", "three")
    column = {"role": "insensitive", "type": "category", "values": ["a", "b"]}
    known = parse_schema({"columns": dict.fromkeys(names, column)}, where="the canary's schema")
    for canary in (0, 1):
        rows = pa.table({name: [*(["a"] * 40), *(["b"] * canary)] for name in names})
        for _ in range(runs):
            told.append(0.0)
            synthesize(rows, epsilon=1.0, delta=1e-6, method="mst", rows=1, schema=known)
    outside, inside = np.array(told[:runs]), np.array(told[runs:])
    apart = (inside.mean() - outside.mean()) / np.sqrt((inside.var() + outside.var()) / 2)
    assert apart <= math.sqrt(Purse(1.0, 1e-6).whole) + 6 * math.sqrt(2 / runs)


@given(
    st.floats(math.log(1e-6), math.log(10.0)).map(math.exp),
    st.sampled_from([0, 1, 3, 200]),
    st.sampled_from(["aim", "mst"]),
    st.sampled_from(["c0", None]),
)
@settings(max_examples=40, deadline=None)
def test_every_epsilon_gives_a_table(epsilon: float, rows: int, method: str, target: str | None) -> None:
    """Where noise is far larger than the table, too: the account is charged by then."""
    columns = {
        "c0": {"role": "sensitive", "type": "integer", "min": 0, "max": 1},
        "c1": {"role": "sensitive", "type": "integer", "min": -5, "max": 7},
    }
    known = parse_schema({"columns": columns}, where="the test")
    real = Table(
        pa.table({name: pa.array([at % 2 for at in range(rows)], pa.int64()) for name in ("c0", "c1")})
    )
    made = make_synthetic(
        real, known, ["c0", "c1"], epsilon=epsilon, delta=1e-6, method=method, target=target, most_rows=50
    )
    assert made.table.rows <= 50
