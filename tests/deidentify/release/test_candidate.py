"""Architecture 1.A at the provider, whole: nothing that was not declared comes out."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto.canonical import canonical_bytes
from comity.data import Table
from comity.deidentify import KAnonymity, MasterKey, SoftEncoder, Vulnerable, check, protect, reapply
from comity.errors import BadSchema, BadTable, UsageError
from comity.schema import parse_schema

COLUMNS = {
    "id": {"role": "identifier", "type": "text"},
    "mail": {"role": "identifier", "type": "text"},
    "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 99},
    "town": {"role": "quasi_identifier", "type": "category", "values": ["a", "b", "c"]},
    "hours": {"role": "insensitive", "type": "integer", "min": 0, "max": 80},
    "ill": {"role": "sensitive", "type": "category", "values": ["x", "y", "z"]},
    "pays": {"role": "target", "type": "category", "values": ["no", "yes"]},
}
SCHEMA = parse_schema({"columns": COLUMNS}, where="a test")
KEY = MasterKey(b"m" * 32).for_recipient("ml")


def made(rows, seed=0):
    g = np.random.default_rng(seed)
    return Table(
        pa.table(
            {
                "id": [f"person {i}" for i in range(rows)],
                "mail": [f"p{i}@example.org" for i in range(rows)],
                "age": g.integers(0, 100, rows),
                "town": [str(v) for v in g.choice(["a", "b", "c"], rows)],
                "hours": g.integers(0, 81, rows),
                "ill": [str(v) for v in g.choice(["x", "y", "z"], rows)],
                "pays": [str(v) for v in g.choice(["no", "yes"], rows)],
            }
        )
    )


@pytest.mark.parametrize("method", ["global", "local"])
@pytest.mark.parametrize("settings_", [{"k": 5}, {"k": 5, "l": 2}, {"k": 3, "t": 0.4, "l": 2}], ids=str)
def test_a_release_satisfies_and_holds_nothing_undeclared(method, settings_):
    table = made(400)
    done = protect(table, SCHEMA, **settings_, method=method)
    assert done.table.names == ("age", "town", "hours", "ill", "pays")
    assert done.checked.holds
    assert check(done.table.arrow, ["age", "town"], [KAnonymity(settings_["k"])]).holds
    manifest = done.manifest
    assert json.loads(canonical_bytes(manifest)) == json.loads(json.dumps(manifest))
    rows = done.report.rows
    assert rows["released"] + rows["suppressed"] == 400 == rows["scrubbed"] == rows["read"]
    assert manifest["risk"]["after"]["prosecutor_max"] <= 1 / settings_["k"]
    risk = done.report.risk
    assert risk["before"]["prosecutor_max"] > risk["after"]["prosecutor_max"]
    assert risk["after"] == manifest["risk"]["after"]
    assert manifest["differential_privacy"] is None
    assert {"intersection", "minimality", "downcoding"} <= set(manifest["unprotected"])
    assert ("homogeneity" in manifest["unprotected"]) == ("l" not in settings_)
    assert "person" not in str(done.table.arrow.to_pydict()) + str(manifest)


def test_row_order_says_nothing():
    table = made(300)
    shuffled = table.take(np.random.default_rng(1).permutation(300))
    assert protect(table, SCHEMA, k=4).table.equals(protect(shuffled, SCHEMA, k=4).table)
    one, other = (
        protect(t, SCHEMA, k=4, pseudonyms=["id"], recipient_key=KEY).table for t in (table, shuffled)
    )
    assert one.equals(other)
    assert one.names[0] == "id"
    assert one.strings("id") == sorted(one.strings("id"))


def test_pseudonyms_only_for_identifiers_and_only_with_a_key():
    with pytest.raises(UsageError, match="need recipient_key"):
        protect(made(50), SCHEMA, k=2, pseudonyms=["id"])
    with pytest.raises(UsageError, match="no identifier column"):
        protect(made(50), SCHEMA, k=2, pseudonyms=["age"], recipient_key=KEY)


def test_k_counts_units_where_a_unit_may_have_several_rows():
    schema = parse_schema({"columns": COLUMNS, "unit": {"column": "id", "max_rows": 3}}, where="a test")
    done = protect(made(300), schema, k=4)
    assert done.manifest["smallest_class"] >= 12


def test_vulnerable_records_are_gone_and_counted():
    done = protect(made(300), SCHEMA, k=4, vulnerable=[Vulnerable("ill", ["z"])])
    assert "z" not in done.table.strings("ill")
    assert done.report.rows["dropped_as_vulnerable"] == 300 - done.report.rows["scrubbed"] > 0


def test_an_identifier_in_a_free_text_stops_the_release():
    schema = parse_schema(
        {"columns": COLUMNS | {"note": {"role": "insensitive", "type": "text"}}}, where="a test"
    )
    notes = pa.chunked_array([["call +32 16 32 11 11"] * 60])
    with pytest.raises(BadTable, match="telephone") as caught:
        protect(made(60).with_column("note", notes), schema, k=3)
    assert caught.value.private


def test_a_schema_without_quasi_identifiers_or_bounds_is_refused():
    with pytest.raises(BadSchema, match="no quasi-identifier"):
        protect(made(10), parse_schema({"columns": {"ill": COLUMNS["ill"]}}, where="a test"), k=2)
    loose = COLUMNS | {"age": {"role": "quasi_identifier", "type": "integer"}}
    with pytest.raises(BadSchema, match=r"age \(min and max\)"):
        protect(made(10), parse_schema({"columns": loose}, where="a test"), k=2)


def test_reapplying_a_manifest_generalises_new_rows_as_the_release_was():
    table = made(400)
    done = protect(table, SCHEMA, k=5)
    again = reapply(table, done.manifest)
    released = set(zip(done.table.strings("age"), done.table.strings("town"), strict=True))
    raw = set(zip(again.strings("age"), again.strings("town"), strict=True))
    assert released <= raw
    with pytest.raises(UsageError, match="differ by row"):
        reapply(table, protect(table, SCHEMA, k=5, method="local").manifest)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 8), st.sampled_from(["global", "local"]))
def test_soft_features_spread_each_cell_over_the_leaves_it_covers(seed, k, method):
    table = made(120, seed)
    done = protect(table, SCHEMA, k=k, suppression=0.2, method=method)
    encoder = SoftEncoder.from_manifests([done.manifest], SCHEMA)
    soft = encoder.matrix(done.table).toarray()
    assert soft.shape == (done.table.rows, encoder.width)
    assert len(encoder.labels) == encoder.width
    start = 0
    for column in encoder.soft:
        block = soft[:, start : start + column.width]
        assert np.allclose(block.sum(axis=1), 1)
        tree = column.hierarchy
        for label, weights in zip(done.table.strings(column.name), block, strict=True):
            covered = [{row[column.base] for row in tree.rows if label in row}]
            names = {tree.labels[column.base][i] for i in np.flatnonzero(weights)}
            assert names in covered
        start += column.width
    raw = encoder.matrix(table).toarray()
    one = raw[:, : encoder.soft[0].width + encoder.soft[1].width]
    assert set(np.unique(one)) <= {0.0, 1.0}
    distinct, index = encoder.distinct(done.table)
    assert np.array_equal(distinct[index].toarray(), soft)


def test_releases_with_other_levels_train_one_model_that_predicts_on_raw_rows():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    def labelled(rows, seed):
        table = made(rows, seed)
        age = table.numbers("age")
        chance = 1 / (1 + np.exp(-(age - 50) / 10))
        pays = np.where(np.random.default_rng(seed).random(rows) < chance, "yes", "no")
        return table.with_column("pays", pa.chunked_array([pa.array(pays.tolist())]))

    tables = [labelled(1500, seed) for seed in (1, 2)]
    done = [protect(table, SCHEMA, k=k) for table, k in zip(tables, (5, 60), strict=True)]
    assert (
        done[0].manifest["quasi_identifiers"]["age"]["level"]
        != done[1].manifest["quasi_identifiers"]["age"]["level"]
    )
    encoder = SoftEncoder.from_manifests([d.manifest for d in done], SCHEMA)
    from scipy.sparse import vstack

    features = vstack([encoder.matrix(d.table) for d in done])
    labels = [value for d in done for value in d.table.strings("pays")]
    model = LogisticRegression(max_iter=1000).fit(features, labels)
    test = labelled(2000, 3)
    truth = [value == "yes" for value in test.strings("pays")]
    assert roc_auc_score(truth, model.decision_function(encoder.matrix(test))) > 0.85


def test_releases_with_different_hierarchies_do_not_mix():
    one = protect(made(100), SCHEMA, k=3).manifest
    other = protect(made(100), SCHEMA, k=3, hierarchies={}).manifest
    SoftEncoder.from_manifests([one, other], SCHEMA)
    changed = json.loads(json.dumps(other))
    changed["quasi_identifiers"]["town"]["hierarchy"]["rows"].append(["d", "*"])
    with pytest.raises(UsageError, match="different hierarchies for 'town'"):
        SoftEncoder.from_manifests([one, changed], SCHEMA)
    with pytest.raises(UsageError, match="at least one release"):
        SoftEncoder.from_manifests([], SCHEMA)
    bad = made(5).with_column("town", pa.chunked_array([["a", "q", "b", None, "c"]]))
    encoder = SoftEncoder.from_manifests([one], SCHEMA)
    with pytest.raises(BadTable, match="'town' has no label or value for 1 value: 'q'"):
        encoder.matrix(bad)


def test_what_describes_raw_rows_stays_with_the_steward():
    done = protect(made(400), SCHEMA, k=5, population=10_000)
    assert not {"loss", "utility", "warning"} & set(done.manifest)
    assert done.manifest["rows"] == {"released": done.table.rows}
    assert set(done.manifest["risk"]) == {"after"}
    report = done.report.to_dict()
    assert "population_uniques" in report["risk"]["before"]
    assert report["utility"]["model"]["target"] == "pays"
    assert "must not go with the release" in report["stays"]
    assert "Risk that is left" in done.report.to_text()
    bare = protect(made(400), SCHEMA, k=5, measure_model=False)
    assert bare.manifest == done.manifest
    assert bare.report.utility.model is None


def test_levels_chosen_by_the_target_are_said_to_be():
    done = protect(made(400), SCHEMA, k=5, objective="target", method="local")
    assert done.manifest["settings"]["objective"] == "target"
    assert done.manifest["settings"]["target"] == "pays"
    assert "target-choice" in done.manifest["unprotected"]
    assert done.report.choice.target == "pays"
    with pytest.raises(UsageError, match="objective is 'best'"):
        protect(made(50), SCHEMA, k=2, objective="best")
    columns = {name: column for name, column in COLUMNS.items() if name != "pays"}
    schema = parse_schema({"columns": columns}, where="a test")
    with pytest.raises(UsageError, match="needs the column to learn"):
        protect(made(50), schema, k=2, objective="target")


def test_more_models_can_be_required():
    from comity.deidentify import EntropyLDiversity

    model = EntropyLDiversity("ill", 2.0)
    done = protect(made(400), SCHEMA, k=2, require=[model])
    assert check(done.table.arrow, ["age", "town"], [model]).holds
    assert model.describe() in done.manifest["settings"]["models"]
    assert "homogeneity" not in done.manifest["unprotected"]


def test_column_tools_run_in_their_order_and_say_what_they_did():
    from comity.deidentify.columns.freetext import FreeText
    from comity.deidentify.columns.perturb import randomized_response
    from comity.deidentify.columns.steps import Step, masking, perturbing

    schema = parse_schema(
        {"columns": COLUMNS | {"note": {"role": "insensitive", "type": "text"}}}, where="a test"
    )
    notes = pa.chunked_array([[f"seen person {i}, call +32 16 32 11 11" for i in range(200)]])
    table = made(200).with_column("note", notes)
    steps = [
        perturbing(randomized_response, "ill", ["x", "y", "z"], epsilon=1.0),
        masking(FreeText("note", names_from=["id"])),
    ]
    done = protect(table, schema, k=3, suppression=0.2, steps=steps)
    assert [step["stage"] for step in done.manifest["steps"]] == ["mask", "perturb"]
    assert done.manifest["steps"][1]["epsilon"] == pytest.approx(1.0)
    assert not any("person" in text or "+32" in text for text in done.table.strings("note"))
    counted = done.report.to_dict()["steps"]
    assert counted[0]["rows"] == 200
    assert "counts" not in str(done.manifest["steps"])
    with pytest.raises(UsageError, match="stage"):
        Step("later", lambda table: table)


def test_an_enriching_step_brings_its_own_schema():
    from dataclasses import dataclass

    from comity.deidentify.columns.steps import Step
    from comity.schema import Column

    @dataclass(frozen=True)
    class Joined:
        table: Table
        matched: int

    def join(table):
        zone = pa.chunked_array(
            [["north" if name[-1] in "02468" else "south" for name in table.strings("id")]]
        )
        return Joined(table.drop(["id"]).with_column("zone", zone), table.rows)

    zone = Column(role="quasi_identifier", type="category", values=("north", "south"))
    step = Step("enrich", join, "zones", columns={"zone": zone}, private=["matched"])
    done = protect(made(300), SCHEMA, k=3, steps=[step])
    assert "zone" in done.manifest["quasi_identifiers"]
    assert done.report.steps == ({"stage": "enrich", "name": "zones", "matched": 300},)
    with pytest.raises(UsageError, match="without a schema"):
        protect(made(300), SCHEMA, k=3, steps=[Step("enrich", join, "zones")])


def test_hierarchies_travel_as_files_and_back(tmp_path):
    from comity.deidentify import Hierarchy
    from comity.deidentify.release.manifest import export_hierarchies
    from comity.errors import BadInput

    manifest = protect(made(300), SCHEMA, k=3).manifest
    written = export_hierarchies(manifest, tmp_path / "trees")
    assert set(written) == {"age", "town"}
    for name, path in written.items():
        entry = manifest["quasi_identifiers"][name]["hierarchy"]
        assert Hierarchy.read_csv(path).rows == Hierarchy.from_dict(entry).rows
    with pytest.raises(BadInput, match="format 3"):
        export_hierarchies({**manifest, "format": 3}, tmp_path)


def test_a_manifest_of_format_1_is_still_read():
    done = protect(made(300), SCHEMA, k=3)
    old = {**done.manifest, "format": 1}
    assert reapply(made(300), old).equals(reapply(made(300), done.manifest))


def test_reapplying_a_local_release_uses_the_classes_that_it_shows():
    table = made(600)
    done = protect(table, SCHEMA, k=8, method="local")
    again = reapply(made(500, 9), done.manifest, release=done.table)
    released = set(zip(done.table.strings("age"), done.table.strings("town"), strict=True))
    shown = set(zip(again.strings("age"), again.strings("town"), strict=True))
    assert shown <= released | {("*", "*")}
    trees = {n: e["hierarchy"]["rows"] for n, e in done.manifest["quasi_identifiers"].items()}
    for age, label in zip(made(500, 9).strings("age"), again.strings("age"), strict=True):
        row = next(row for row in trees["age"] if row[0] == age)
        assert label in row
