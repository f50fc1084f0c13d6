"""What `protect` ties together: sampling, populations, opaque labels, written models, column tools."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from comity.crypto.canonical import canonical_bytes
from comity.data import Table
from comity.deidentify import (
    BetaLikeness,
    DeltaPresence,
    DistinctLDiversity,
    Hierarchy,
    KAnonymity,
    KMap,
    MasterKey,
    SafePub,
    TCloseness,
    dates,
    flat,
    intervals,
    ordered,
    protect,
    reapply,
)
from comity.deidentify.columns.steps import enriching, microaggregating
from comity.deidentify.release.files import read_hierarchy, write_hierarchies
from comity.deidentify.release.required import written_models
from comity.errors import BadInput, BadTable, UsageError
from comity.ledger import Account, PrivacyUnit
from comity.plan import Outcome, Plan
from comity.schema import parse_schema

QUASI = {
    "id": {"role": "identifier", "type": "text"},
    "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 99},
    "town": {"role": "quasi_identifier", "type": "category", "values": ["a", "b", "c"]},
}
WIDE = {**QUASI, "ill": {"role": "sensitive", "type": "category", "values": ["x", "y", "z"]}}
LEVELS = {"age": (2, 2), "town": (0, 0)}
PRIVATE = SafePub(1.0, 1e-3)


def schema_of(columns, **more):
    return parse_schema({"columns": columns, **more}, where="a test")


def made(rows, seed=0, columns=("id", "age", "town", "ill")):
    g = np.random.default_rng(seed)
    whole = {
        "id": [f"person{i:05}" for i in range(rows)],
        "age": g.integers(0, 100, rows),
        "town": [str(v) for v in g.choice(["a", "b", "c"], rows)],
        "ill": [str(v) for v in g.choice(["x", "y", "z"], rows)],
    }
    return Table(pa.table({name: whole[name] for name in columns}))


def narrow(rows, seed=0):
    return made(rows, seed, ("id", "age", "town"))


def private(table, **changed):
    settings = {"k": 2, "require": [PRIVATE], "level_limits": LEVELS, **changed}
    return protect(table, schema_of(QUASI), **settings)


def test_safepub_states_the_guarantee_and_counts_nothing():
    done = private(narrow(3000))
    assert done.manifest["differential_privacy"] == {
        "epsilon": 1.0,
        "delta": 1e-3,
        "unit": "record",
        "relation": "add-remove",
        "mechanism": "safepub",
        "sampling_probability": float(PRIVATE.probability),
        "least_class": PRIVATE.k,
    }
    assert done.manifest["rows"] == {}
    assert done.manifest["risk"] == {}
    assert done.manifest["classes"] is None
    assert done.manifest["smallest_class"] is None
    assert set(done.manifest["unprotected"]) == {"composition"}
    assert done.checked.smallest >= PRIVATE.k
    rows = done.report.rows
    # each of 3,000 rows is kept with probability 0.63: outside 8 standard deviations once in 1e15
    assert abs(rows["taking_part"] - 3000 * float(PRIVATE.probability)) < 8 * 27
    assert rows["released"] + rows["suppressed"] == rows["taking_part"]
    assert done.table.rows == rows["released"]
    assert "none of it may be told" in done.report.to_text()


def test_safepub_says_the_same_of_every_table():
    missing = narrow(900, 1)
    missing = missing.with_column("town", pa.chunked_array([[None, *missing.strings("town")[1:]]]))
    one, other = private(narrow(2000)).manifest, private(missing).manifest
    assert canonical_bytes(one) == canonical_bytes(other)


def test_safepub_has_a_cost_that_a_plan_takes():
    table, done = narrow(1500), []

    def run():
        done.append(private(table))
        return Outcome(body={"manifest": json.loads(json.dumps(done[0].manifest))})

    plan = Plan(
        architecture="direct-release",
        purpose="a differentially private table",
        recipient="ml",
        topic="release",
        request={"columns": ["age", "town"]},
        asks={"epsilon": 1.0},
        account=Account("north", "a" * 64, PrivacyUnit.record),
        cost=PRIVATE.cost,
        run=run,
    )
    plan.run()
    assert done[0].cost == plan.cost
    assert protect(table, schema_of(QUASI), k=2).cost is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"objective": "target", "target": "town"}, "looking at the data"),
        ({"level_limits": None}, "are open"),
        ({"level_limits": {**LEVELS, "age": (1, 2)}}, "'age'"),
        ({"method": "local"}, "differ by row"),
        ({"suppression": 0.05}, "has to be 1"),
        ({"require": [PRIVATE, PRIVATE]}, "twice"),
        ({"pseudonyms": ["id"], "recipient_key": MasterKey(b"m" * 32).for_recipient("ml")}, "pseudonym"),
        ({"steps": [microaggregating(["age"], k=3)]}, "microaggregate"),
    ],
)
def test_safepub_is_refused_with_what_would_break_it(changed, said):
    with pytest.raises(UsageError, match=said):
        private(narrow(500), **changed)


def test_safepub_is_refused_with_other_columns_and_with_units_of_several_rows():
    with pytest.raises(UsageError, match="'ill' \\(sensitive\\) would leave"):
        protect(made(500), schema_of(WIDE), k=2, require=[PRIVATE], level_limits=LEVELS)
    several = schema_of(QUASI, unit={"column": "id", "max_rows": 2})
    with pytest.raises(UsageError, match="2 rows per unit"):
        protect(narrow(500), several, k=2, require=[PRIVATE], level_limits=LEVELS)


def test_models_of_a_population_are_checked_at_the_end():
    table, everybody = made(300), made(2000, 5)
    done = protect(table, schema_of(WIDE), k=1, require=[KMap(20, everybody)], suppression=0.2)
    assert done.checked.holds
    assert "k-map, k = 20" in done.manifest["settings"]["models"]
    members = reapply(everybody, done.manifest)
    counts: dict[tuple[str | None, ...], int] = {}
    for key in zip(members.strings("age"), members.strings("town"), strict=True):
        counts[key] = counts.get(key, 0) + 1
    released = set(zip(done.table.strings("age"), done.table.strings("town"), strict=True))
    assert min(counts[key] for key in released) >= 20
    both = Table(pa.concat_tables([table.arrow, everybody.arrow]))
    protect(table, schema_of(WIDE), k=2, require=[DeltaPresence(0.0, 0.4, both)], suppression=0.3)


def test_opaque_labels_keep_their_key_with_the_steward():
    table = made(400)
    done = protect(table, schema_of(WIDE), k=5, opaque=["age", "town"])
    known = protect(table, schema_of(WIDE), k=5)
    key = done.opaque_key
    assert key is not None
    assert "letters" not in json.dumps(done.manifest)
    for name in ("age", "town"):
        entry = done.manifest["quasi_identifiers"][name]["hierarchy"]
        assert entry == {
            "opaque": True,
            "levels": known.manifest["quasi_identifiers"][name]["hierarchy"]["rows"].__getitem__(0).__len__(),
            "commitment": key.columns[name].commitment,
        }
    assert set(done.table.strings("age")).isdisjoint(known.table.strings("age"))
    opened = key.open(done.table.arrow)
    for name in ("age", "town", "ill"):
        assert sorted(opened.column(name).to_pylist()) == sorted(known.table.strings(name))
    assert "salt" not in repr(done)
    assert any("letters" in line for line in done.report.told)
    with pytest.raises(BadInput, match="opaque"):
        reapply(table, done.manifest)
    with pytest.raises(UsageError, match="'ill', which is no quasi-identifier"):
        protect(table, schema_of(WIDE), k=5, opaque=["ill"])


def test_an_identifier_that_survives_in_another_column_stops_the_release():
    columns = WIDE | {"note": {"role": "insensitive", "type": "text"}}
    table = made(60)
    notes = ["nothing"] * 59 + ["spoke with person00007 today"]
    with pytest.raises(BadTable, match="'note' holds values of the identifier 'id' in 1 rows") as caught:
        protect(table.with_column("note", pa.chunked_array([notes])), schema_of(columns), k=3)
    assert caught.value.private
    calm = table.with_column("note", pa.chunked_array([["nothing"] * 60]))
    assert protect(calm, schema_of(columns), k=3).table.rows > 0


def test_rows_that_came_in_suppressed_are_no_reference():
    columns = {**WIDE, "age": {"role": "quasi_identifier", "type": "text"}}
    ages, towns = ["1", "2"] * 20 + ["*"] * 60, ["a", "b"] * 20 + ["*"] * 60
    ill = ["x", "x", "y", "y"] * 10 + ["z"] * 60
    table = Table(pa.table({"id": [f"p{i}" for i in range(100)], "age": ages, "town": towns, "ill": ill}))
    columns["town"] = {"role": "quasi_identifier", "type": "text"}
    done = protect(table, schema_of(columns), k=5, t=0.1, hierarchies={"age": flat("12"), "town": flat("ab")})
    rows = done.report.rows
    assert done.table.rows == 40
    assert rows["already_suppressed"] == 60
    assert rows["taking_part"] == 40
    assert rows["suppressed"] == 0
    assert "z" not in done.table.strings("ill")
    assert done.report.risk["before"]["prosecutor_max"] <= 1 / 20


def test_models_are_written_as_they_are_read():
    schema = schema_of(WIDE)
    texts = ["k=7", "l=2:ill", "t=0.3:ill", "beta=2:ill", "k-map=4:people.csv"]
    found = written_models(texts, schema, lambda path: path)
    assert found[0] == KAnonymity(7)
    assert found[1] == DistinctLDiversity("ill", 2)
    assert found[2] == TCloseness("ill", 0.3)
    assert found[3] == BetaLikeness("ill", 2)
    assert isinstance(found[4], KMap)
    assert found[4].population == "people.csv"
    done = protect(made(400), schema, k=2, require=found[:4], suppression=0.5)
    assert done.checked.holds
    assert len(done.manifest["settings"]["models"]) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("l=2", "l=3:COLUMN"),
        ("k=5:ill", "k=5"),
        ("recursive-l=3:ill", "recursive-l=3,4:COLUMN"),
        ("l=2:wage", "no column 'wage'"),
        ("privacy=1", "no model that is known"),
        ("l=many:ill", "l=3:COLUMN"),
        ("l=0:ill", "at least 1"),
        ("t=2:ill", "between 0 and 1"),
    ],
)
def test_other_forms_are_refused_in_words(text, said):
    with pytest.raises(UsageError, match=said):
        written_models([text], schema_of(WIDE), lambda path: path)


def test_a_model_of_a_column_that_does_not_leave_is_refused():
    with pytest.raises(UsageError, match="no column 'id'"):
        protect(made(50), schema_of(WIDE), k=2, require=[DistinctLDiversity("id", 2)])


def test_enrichment_replaces_an_identifier_and_its_counts_stay():
    firms = [f"BE0{i % 12:03}" for i in range(300)]
    table = made(300).with_column("firm", pa.chunked_array([firms]))
    schema = schema_of(WIDE | {"firm": {"role": "identifier", "type": "text"}})
    register = Table(
        pa.table({"number": [f"BE0{i:03}" for i in range(11)], "sector": ["care", "steel"] * 5 + ["care"]})
    )
    step = enriching("firm", register, key="number", attributes=["sector"], public_reference=True)
    done = protect(table, schema, k=4, steps=[step])
    assert "firm" not in done.table
    assert set(done.table.strings("sector")) <= {"care", "steel", "*", None}
    assert "sector" in done.manifest["quasi_identifiers"]
    assert done.manifest["steps"][0]["kind"] == "enrichment"
    assert "matched" not in json.dumps(done.manifest)
    assert done.report.steps[0]["report"]["matched"] == 275
    assert "275 of 300 identifiers were found" in done.report.to_text()


def test_microaggregation_comes_before_generalising():
    done = protect(made(200), schema_of(WIDE), k=3, steps=[microaggregating(["age"], k=10)])
    assert done.manifest["steps"][0]["kind"] == "microaggregation"
    assert "loss" not in done.manifest["steps"][0]
    assert done.report.steps[0]["smallest"] >= 10
    assert done.checked.holds


def test_hierarchies_in_a_folder_come_back_as_they_were(tmp_path):
    trees = {
        "born": dates(2000, 2001),
        "wage/month": intervals(0, 100, widths=[10, 50], integer=False),
        "size": ordered(["s", "m", "l"]).with_missing(),
        "age": intervals(0, 99, widths=[10, 50], integer=True).with_missing(),
    }
    written = write_hierarchies(trees, tmp_path / "h")
    assert written["wage/month"].name == "wage_month.csv"
    for name, path in written.items():
        back = read_hierarchy(path)
        values = {"born": ["03/04/2000", "2001-12-31"], "wage/month": [3.5, 100.0], "age": [0, 99, None]}
        for level in range(back.levels):
            asked = values.get(name, ["s", "l", None])
            assert back.generalise(asked, level) == trees[name].generalise(asked, level)
    assert isinstance(read_hierarchy(written["size"]), Hierarchy)
    written["born"].write_text("2000-01-01;*\n", encoding="utf-8")
    assert read_hierarchy(written["born"]).levels == 2
    written["wage/month"].write_text("low;*\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"reading\.json does not fit"):
        read_hierarchy(written["wage/month"])
