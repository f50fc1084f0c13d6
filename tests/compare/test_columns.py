"""Tables that hold different columns of the same records: joined, split and written to their parties."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.compare.columns import join_tables, prepare_columns
from comity.compare.progress import quiet
from comity.compare.run import run_comparison
from comity.compare.settings import ML_PARTY, Settings
from comity.data.table import Table
from comity.errors import BadInput, UsageError
from comity.report.results import Report
from comity.report.summary import opening


def columns_in(folder: Path, rows: int = 400) -> dict[str, Path]:
    """Three tables of the same people: age; job and target; pulse. Each knows some that others do not."""
    draw = random.Random(4)
    people = []
    for row in range(rows):
        age, job = draw.randint(18, 80), draw.choice("abc")
        ill = draw.random() < 0.1 + 0.5 * (age > 50) + 0.3 * (job == "b")
        people.append({"pid": f"p{row}", "age": age, "job": job, "ill": ill, "pulse": draw.randint(50, 90)})
    wanted = {"north": ("age",), "south": ("job", "ill"), "west": ("pulse",)}
    paths: dict[str, Path] = {}
    for at, (name, columns) in enumerate(wanted.items()):
        known = people[10 * at : rows - 20 * (2 - at)]
        draw.shuffle(known)
        paths[name] = folder / f"{name}.csv"
        with open(paths[name], "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["pid", *columns])
            writer.writerows([person["pid"], *(person[c] for c in columns)] for person in known)
    return paths


def settings_of(paths: dict[str, Path], runs: ModuleType, folder: Path, **changes: Any) -> Settings:
    given_ = {
        "providers": [f"{name}={path}" for name, path in paths.items()],
        "partition": "columns",
        "positive": "True",
        "seed_rows": 40,
    }
    return runs.settings_for(folder, **(given_ | changes))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "unused"
    folder.mkdir()
    return folder


def test_each_party_gets_its_own_columns_and_nothing_held_out(
    tmp_path: Path, elsewhere: Path, runs: ModuleType
) -> None:
    settings = settings_of(columns_in(tmp_path), runs, elsewhere)
    inputs = prepare_columns(settings, tmp_path / "parties")
    held = set(inputs.test.column("pid").to_pylist())
    assert inputs.columns == {
        "north": ("pid", "age"), "south": ("pid", "job", "ill"), "west": ("pid", "pulse"),
    }  # fmt: skip
    for name in inputs.providers:
        own = pq.read_table(inputs.folders[name] / "tables" / "train.parquet")
        assert tuple(own.column_names) == inputs.columns[name]
        assert not held & set(own.column("pid").to_pylist())
    seeds = pq.read_table(inputs.folders[ML_PARTY] / "tables" / "seed.parquet")
    assert set(seeds.column_names) == {"age", "job", "pulse", "ill"}
    assert seeds.num_rows == 40
    assert not (inputs.folders[ML_PARTY] / "tables" / "linked-north.parquet").exists()


def test_the_baselines_run_on_the_joined_tables(tmp_path: Path, elsewhere: Path, runs: ModuleType) -> None:
    settings = settings_of(columns_in(tmp_path), runs, elsewhere, architectures=["alone", "pooled"])
    comparison = run_comparison(settings, quiet)
    assert comparison.exit_code == 0, comparison.document
    by_name = {result["architecture"]: result for result in comparison.document["results"]}
    assert by_name["pooled"]["utility"]["rows_used"] > 200
    assert by_name["pooled"]["utility"]["auc"] > 0.6


def test_the_gap_starts_at_the_own_columns_of_the_target_s_holder(
    tmp_path: Path, elsewhere: Path, runs: ModuleType
) -> None:
    """Seed rows are joined already: what the label holder knows by itself is the start that there is."""
    settings = settings_of(columns_in(tmp_path, 1500), runs, elsewhere)
    asked = settings_of(
        columns_in(tmp_path, 1500), runs, elsewhere, architectures=["alone", "alone-provider", "pooled"]
    )
    inputs = prepare_columns(settings, tmp_path / "parties")
    seen = pq.read_table(inputs.folders["south"] / "tables" / "probe.parquet")
    assert seen.column_names == ["pid", "job"]
    assert not (inputs.folders["north"] / "tables" / "probe.parquet").exists()
    document = run_comparison(asked, quiet).document
    by_name = {result["architecture"]: result["utility"] for result in document["results"]}
    own, pooled = by_name["alone-provider"], by_name["pooled"]
    assert own["auc"] < pooled["auc"] - 0.05
    assert own["rows_used"] > pooled["rows_used"]  # those that nobody else knows count too
    assert own["gap_closed_own"] == 0.0
    assert pooled["gap_closed_own"] == 1.0
    assert pooled["gap_closed"] in (1.0, None)  # from the seed rows, as ever
    assert document["references"]["alone-provider"] == {"auc": own["auc"]}
    read = Report.read(document)
    assert f"own columns to an AUC of {own['auc']:.3f}" in opening(read)
    assert "hardly a gap" not in opening(read)


def test_a_holder_of_the_target_alone_has_nothing_to_tell_by(
    tmp_path: Path, elsewhere: Path, runs: ModuleType
) -> None:
    paths = columns_in(tmp_path)
    lines = paths["south"].read_text(encoding="utf-8").splitlines()
    kept = [line.split(",")[0] + "," + line.split(",")[2] for line in lines]
    paths["south"].write_text("\n".join(kept) + "\n", encoding="utf-8")
    asked = settings_of(paths, runs, elsewhere, architectures=["alone-provider"])
    comparison = run_comparison(asked, quiet)
    assert comparison.exit_code == 0, comparison.document
    assert comparison.document["results"][0]["utility"]["auc"] == 0.5


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"id": None}, UsageError, "--id"),
        ({"target": "absent", "positive": None}, BadInput, "absent"),
    ],
)
def test_what_is_missing_is_named(
    change: dict[str, Any],
    error: type[Exception],
    words: str,
    tmp_path: Path,
    elsewhere: Path,
    runs: ModuleType,
) -> None:
    with pytest.raises(error, match=words):
        prepare_columns(settings_of(columns_in(tmp_path), runs, elsewhere, **change), tmp_path / "parties")


def test_rows_that_nobody_else_knows_are_within_the_bounds_too(
    tmp_path: Path, elsewhere: Path, runs: ModuleType
) -> None:
    paths = columns_in(tmp_path)
    with open(paths["north"], "a", newline="", encoding="utf-8") as file:
        file.write("nobody-else,104\r\n")
    inputs = prepare_columns(settings_of(paths, runs, elsewhere), tmp_path / "parties")
    assert inputs.task.schema["age"].max == 104


def test_a_column_that_two_providers_hold_is_refused(
    tmp_path: Path, elsewhere: Path, runs: ModuleType
) -> None:
    paths = columns_in(tmp_path)
    paths["west"].write_text(paths["west"].read_text().replace("pulse", "age"), encoding="utf-8")
    with pytest.raises(BadInput, match="both have the column 'age'"):
        prepare_columns(settings_of(paths, runs, elsewhere), tmp_path / "parties")


def test_tables_without_a_record_in_common_are_refused(
    tmp_path: Path, elsewhere: Path, runs: ModuleType
) -> None:
    paths = columns_in(tmp_path)
    paths["west"].write_text(paths["west"].read_text().replace("p", "q"), encoding="utf-8")
    paths["west"].write_text(paths["west"].read_text().replace("qid,qulse", "pid,pulse"), encoding="utf-8")
    with pytest.raises(BadInput, match="no record in common"):
        prepare_columns(settings_of(paths, runs, elsewhere), tmp_path / "parties")


@given(st.lists(st.lists(st.integers(0, 12), unique=True), min_size=1, max_size=4))
def test_joining_is_what_dictionaries_would_do(known: list[list[int]]) -> None:
    tables = [
        Table(
            pa.table(
                {
                    "pid": pa.array([f"p{one}" for one in ids], pa.string()),
                    f"c{at}": pa.array([100 * at + one for one in ids], pa.int64()),
                }
            )
        )
        for at, ids in enumerate(known)
    ]
    together = join_tables(tables, "pid")
    everywhere = [one for one in known[0] if all(one in ids for ids in known)]
    assert together.arrow.to_pylist() == [
        {"pid": f"p{one}", **{f"c{at}": 100 * at + one for at in range(len(known))}} for one in everywhere
    ]
