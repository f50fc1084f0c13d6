"""Enrichment with a made-up company register, written the way registers are."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from comity.data import Table
from comity.deidentify.columns.enrich import Normalised, enrich
from comity.errors import BadSchema, BadTable, UsageError
from comity.schema import Role, parse_schema

SECTORS = ["62.010", "47.110", "86.210", "41.201", "56.101"]
REGIONS = ["Flanders", "Wallonia", "Brussels"]


def company_number(place: int) -> str:
    """A Belgian enterprise number: ten digits, the last two a check."""
    first = 4_000_000 + 137 * place
    return f"{first:08d}{97 - first % 97:02d}"


def register(companies: int = 3000) -> Table:
    rng = np.random.default_rng(5)
    numbers = [company_number(place) for place in range(companies)]
    return Table(
        pa.table(
            {
                "EntityNumber": [f"{n[:4]}.{n[4:7]}.{n[7:]}" for n in numbers],
                "Nace": rng.choice(SECTORS, companies).tolist(),
                "SizeClass": rng.choice(["micro", "small", "medium", "large"], companies).tolist(),
                "Region": rng.choice(REGIONS, companies).tolist(),
                "Founded": rng.integers(1950, 2024, companies),
                "Turnover": np.round(rng.lognormal(12, 2, companies), 2),
            }
        ),
        "the register",
    )


def clients(register_: Table, rows: int = 1000) -> tuple[Table, list[int]]:
    """Clients that write the number in four ways; some unknown, some without."""
    rng = np.random.default_rng(6)
    place = rng.integers(0, register_.rows, rows).tolist()
    plain = [str(number).replace(".", "") for number in register_.strings("EntityNumber")]
    ways = (
        lambda n: f"BE {n[:4]}.{n[4:7]}.{n[7:]}",
        lambda n: f"be{n}",
        lambda n: n.lstrip("0"),
        lambda n: f"{n[:4]} {n[4:7]} {n[7:]}",
    )
    numbers: list[str | None] = [ways[row % 4](plain[at]) for row, at in enumerate(place)]
    for row in range(0, rows, 20):
        numbers[row], place[row] = "BE 0999.999.999", -1
    for row in range(1, rows, 50):
        numbers[row], place[row] = None, -2
    table = Table(
        pa.table({"name": ["x"] * rows, "vat": numbers, "score": rng.integers(0, 9, rows)}), "the clients"
    )
    return table, place


LOOSE = Normalised(leading_zeros=False, prefixes=["BE"])
SCHEMA = parse_schema(
    {
        "columns": {
            "name": {"role": "identifier", "type": "text"},
            "vat": {"role": "identifier", "type": "text"},
            "score": {"role": "target", "type": "integer", "min": 0, "max": 8},
        }
    },
    where="a test",
)


def test_a_company_number_becomes_sector_size_and_region():
    reference = register()
    table, place = clients(reference)
    done = enrich(
        table,
        "vat",
        reference,
        key="EntityNumber",
        attributes=["Nace", "SizeClass", "Region"],
        schema=SCHEMA,
        normalised=LOOSE,
    )
    assert done.table.names == ("name", "Nace", "SizeClass", "Region", "score")
    for name in ("Nace", "SizeClass", "Region"):
        column = reference.strings(name)
        assert done.table.strings(name) == [column[at] if at >= 0 else None for at in place]
    report = done.report
    assert (report.rows, report.without_identifier) == (1000, 20)
    assert report.unmatched == place.count(-1)
    assert report.matched == sum(at >= 0 for at in place)
    assert report.match_rate == pytest.approx(report.matched / 980)
    assert report.misses == ("BE 0999.999.999",)
    assert report.leads_back == 0.0  # 60 combinations for 3,000 companies
    assert report.warnings == ()
    assert list(done.schema) == ["name", "Nace", "SizeClass", "Region", "score"]
    assert done.schema["Nace"].role is Role.quasi_identifier
    assert done.schema["Nace"].values is None
    assert json.dumps(report.to_dict())
    assert json.dumps(done.description)
    assert "999" not in json.dumps(done.description)


def test_without_normalisation_of_zeros_and_prefixes_the_match_rate_tells():
    reference = register()
    table, _ = clients(reference)
    report = enrich(table, "vat", reference, key="EntityNumber", attributes=["Nace"]).report
    assert 0.2 < report.match_rate < 0.3
    assert any("leading zeros" in warning for warning in report.warnings)


def test_attributes_that_lead_back_are_warned_about():
    reference = register()
    table, _ = clients(reference)
    done = enrich(
        table,
        "vat",
        reference,
        key="EntityNumber",
        attributes=["Turnover", "Founded", "Nace"],
        normalised=LOOSE,
    )
    assert done.report.leads_back == 1.0
    assert any("'Turnover' nearly identifies: " in warning for warning in done.report.warnings)
    assert any("lead back to the identifier" in warning for warning in done.report.warnings)
    assert not any("'Nace'" in warning for warning in done.report.warnings)


def test_levels_and_bounds_are_public_only_with_a_public_reference():
    reference = register()
    table, _ = clients(reference)
    done = enrich(
        table,
        "vat",
        reference,
        key="EntityNumber",
        attributes=["Region", "Founded"],
        schema=SCHEMA,
        names={"Founded": "since"},
        roles={"since": Role.sensitive},
        normalised=LOOSE,
        public_reference=True,
    )
    assert done.schema["Region"].values == tuple(sorted(REGIONS))
    assert (done.schema["since"].min, done.schema["since"].max) == (1950, 2023)
    assert done.schema["since"].role is Role.sensitive
    assert set(done.columns) == {"Region", "since"}


DOUBLE = Table(
    pa.table(
        {
            "key": ["1", "1", "2", "2", "3", None, "4", "4", ""],
            "a": ["x", "x", "x", "y", "z", "u", None, "w", "v"],
            "b": [7, None, 8, 8, 5, 9, 6, 6, 9],
        }
    ),
    "the reference",
)
ASKED = Table(pa.table({"id": [1, 2, 3, 4, 5, None]}))


def test_repeated_keys_are_merged_if_they_agree():
    agreeing = DOUBLE.take(np.array([0, 1, 4, 5, 6, 7, 8]))
    done = enrich(ASKED, "id", agreeing, key="key", attributes=["a", "b"])
    assert done.table.strings("a") == ["x", None, "z", "w", None, None]
    assert done.table.strings("b") == ["7", None, "5", "6", None, None]
    assert (done.report.merged, done.report.conflicts) == (2, {})
    assert done.report.misses == ("2", "5")


def test_conflicts_are_refused_or_resolved_and_reported():
    with pytest.raises(BadTable, match=r"differ in a \(1 keys\), among them 2"):
        enrich(ASKED, "id", DOUBLE, key="key", attributes=["a", "b"])
    first = enrich(ASKED, "id", DOUBLE, key="key", attributes=["a", "b"], conflicts="first")
    assert first.table.strings("a")[:4] == ["x", "x", "z", "w"]
    missing = enrich(ASKED, "id", DOUBLE, key="key", attributes=["a", "b"], conflicts="missing")
    assert missing.table.strings("a")[:4] == ["x", None, "z", "w"]
    assert missing.table.strings("b")[:4] == ["7", "8", "5", "6"]
    for done in (first, missing):
        assert done.report.conflicts == {"a": 1}
        assert done.report.conflicting == ("2",)
        assert done.report.merged == 2
        assert "id" not in done.table


def test_an_identifier_that_stands_elsewhere_is_warned_about():
    table = Table(pa.table({"id": ["12345", "67890"], "note": ["file 12345", "none"]}))
    reference = Table(pa.table({"key": ["12345", "67890"], "a": ["x", "y"]}))
    warnings = enrich(table, "id", reference, key="key", attributes=["a"]).report.warnings
    assert any("'note' still holds the identifier of its row in 1 rows" in warning for warning in warnings)


def test_keys_are_compared_without_case_spaces_and_signs():
    plain = Normalised()
    assert plain(" be-0123.456 ") == plain("BE0123456") == "be0123456"
    assert LOOSE("BE 0123.456.789") == LOOSE("123456789") == "123456789"
    assert LOOSE("0000") == "0"
    assert LOOSE("BE") == "be"
    assert plain("--") == ""
    assert plain("1000 ａ") == "1000a"


def test_what_cannot_be_enriched_is_refused():
    reference = Table(pa.table({"key": ["1"], "a": ["x"], "id": ["y"]}))
    table = Table(pa.table({"id": ["1"], "a": ["z"]}))
    with pytest.raises(BadTable, match="a name that is taken"):
        enrich(table, "id", reference, key="key", attributes=["a"])
    with pytest.raises(BadTable, match="a name that is taken"):
        enrich(table, "id", reference, key="key", attributes=["id"])
    with pytest.raises(BadTable, match="no column"):
        enrich(table, "id", reference, key="nothing", attributes=["a"])
    for wrong in ({"attributes": []}, {"attributes": ["key"]}, {"attributes": ["a"], "conflicts": "last"}):
        with pytest.raises(UsageError):
            enrich(table, "id", reference, key="key", **wrong)
    unit = parse_schema(
        {"columns": {"id": {"role": "identifier", "type": "text"}}, "unit": {"column": "id"}}, where="a test"
    )
    with pytest.raises(BadSchema, match="privacy unit"):
        enrich(table.select(["id"]), "id", reference, key="key", attributes=["a"], schema=unit)


def test_a_hundred_thousand_rows_and_an_empty_table():
    reference = register(30_000)
    table, place = clients(reference, 100_000)
    done = enrich(table, "vat", reference, key="EntityNumber", attributes=["Nace"], normalised=LOOSE)
    assert done.report.matched == sum(at >= 0 for at in place)
    empty = enrich(
        table.take(np.array([], dtype=int)), "vat", reference, key="EntityNumber", attributes=["Nace"]
    )
    assert (len(empty.table), empty.report.match_rate) == (0, 1.0)


KEYS = [f"BE 0{123_456_789 + 1_111 * i}" for i in range(40)]


@pytest.mark.parametrize(
    "copy",
    [
        lambda key: key,
        lambda key: key.lower().replace(" ", "."),
        lambda key: key.removeprefix("BE 0"),
        lambda key: f"https://register/{key.replace(' ', '')}?x",
        lambda key: int(key.removeprefix("BE ")),
        lambda key: key if key[-1] == "9" else "none",
    ],
)
def test_an_attribute_that_repeats_the_key_is_refused(copy):
    reference = Table(pa.table({"key": KEYS, "copy": [copy(key) for key in KEYS], "n": list(range(40))}))
    table = Table(pa.table({"id": KEYS}))
    loose = Normalised(leading_zeros=False, prefixes=("BE",))
    with pytest.raises(BadTable, match="'copy' repeats the key 'key'") as found:
        enrich(table, "id", reference, key="key", attributes=["n", "copy"], normalised=loose)
    assert found.value.private
    assert enrich(table, "id", reference, key="key", attributes=["n"], normalised=loose).report.matched == 40


def test_short_keys_may_meet_a_number_by_chance():
    reference = Table(
        pa.table({"key": [str(i) for i in range(20)], "n": [i if i < 5 else 99 for i in range(20)]})
    )
    table = Table(pa.table({"id": ["3", "7"]}))
    assert enrich(table, "id", reference, key="key", attributes=["n"]).table.strings("n") == ["3", "99"]
    copied = Table(pa.table({"key": ["1", "2", "3"], "n": [1, 2, 3]}))
    with pytest.raises(BadTable, match="repeats the key"):
        enrich(table, "id", copied, key="key", attributes=["n"])
