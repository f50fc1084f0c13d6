"""Agreement files: every fault in one line that says where and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from comity.agreement import Agreement, agreement_from, parse_agreement, read_agreement
from comity.agreement.text import MAX_BYTES
from comity.errors import BadAgreement


def test_a_file_is_read(tmp_path: Path, agreement: Agreement) -> None:
    path = tmp_path / "agreement.yaml"
    path.write_text(agreement.to_yaml(), encoding="utf-8")
    assert read_agreement(path) == agreement


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(BadAgreement, match="does not exist; check the path"):
        read_agreement(tmp_path / "absent.yaml")
    with pytest.raises(BadAgreement, match="cannot be read: Is a directory"):
        read_agreement(tmp_path)
    path = tmp_path / "agreement.yaml"
    path.write_bytes(b"title: caf\xe9")
    with pytest.raises(BadAgreement, match=r"not UTF-8 text \(byte 10\); save it as UTF-8"):
        read_agreement(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(BadAgreement, match="larger than 1,000,000 bytes"):
        read_agreement(path)
    path.write_bytes(b"")
    with pytest.raises(BadAgreement, match=r"agreement\.yaml is empty"):
        read_agreement(path)
    path.write_bytes(b"just words")
    with pytest.raises(BadAgreement, match="must be a mapping"):
        read_agreement(path)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every mapping in a document."""
    found: list[tuple[str | int, ...]] = []
    if isinstance(value, dict):
        found.append(path)
        entries: Any = value.items()
    else:
        entries = enumerate(value) if isinstance(value, list) else ()
    for step, entry in entries:
        found.extend(_places(entry, (*path, step)))
    return found


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def test_unknown_keys_are_refused_at_every_level_with_their_path(full: dict[str, Any]) -> None:
    signed = agreement_from(full)
    full["signatures"] = [{"party": "north", "signature": "A" * 86 + "=="}]
    places = [place for place in _places(full) if place[-1:] != ("columns",)]
    assert len(places) > 40
    for place in places:
        _at(full, place)["extra"] = 1
        with pytest.raises(BadAgreement) as caught:
            agreement_from(full)
        assert f"{'.'.join(map(str, (*place, 'extra')))}: unknown key; known here: " in str(caught.value)
        del _at(full, place)["extra"]
    assert agreement_from({**full, "signatures": []}) == signed


def test_what_is_known_is_listed_even_where_a_column_is_called_like_a_key(full: dict[str, Any]) -> None:
    columns = full["data"][0]["columns"]
    columns["role"] = {"role": "insensitive", "type": "text", "colour": "red"}
    with pytest.raises(
        BadAgreement, match=r"columns\.role\.colour: unknown key; known here: role, type, min, max"
    ):
        agreement_from(full)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "comity: 1 ",
            "comity: 2 ",
            "comity (line 1): this file has format 2; this version of comity reads format 1",
        ),
        ("comity: 1 ", "comity: true ", "comity (line 1): must be a valid integer"),
        ("comity: 1 ", "", "comity (line 2): is missing"),
        ("title: Income pilot", "title: '  '", "title (line 2): is blank"),
        (
            "title: Income pilot",
            "title: 12",
            "title (line 2): must be text, but is read as 12: write text in quotes",
        ),
        (
            "title: Income pilot",
            f"title: {'x' * 201}",
            "title (line 2): String should have at most 200 characters",
        ),
        ("title: Income pilot", "title: [a]", "title (line 2): must be text"),
        (
            '["NO", SE]',
            "[NO, SE]",
            "line 15: data.0.columns.country.values.0: NO is yes or no to some readers",
        ),
        ('["NO", SE]', "[true, SE]", "values.0 (line 15): must be text, but is read as true"),
        ('["NO", SE]', "[578, SE]", "values.0 (line 15): must be text, but is read as 578"),
        ('["NO", SE]', "[null, SE]", "values.0 (line 15): must be text, but is read as null"),
        ('["NO", SE]', "SE", "values (line 15): must be a list"),
        ("name: north", "name: North", "parties.0.name (line 4)"),
        ("name: north", "name: a--b", "parties.0.name (line 4)"),
        ("name: north", "name: a-", "parties.0.name (line 4)"),
        ("name: north", "name: 127.0.0.1", "parties.0.name (line 4)"),
        (
            "role: ml_party",
            "role: ml-party",
            "parties.1.role (line 5): must be 'provider', 'ml_party', 'mediator' or 'auditor'",
        ),
        ('key: "ed25519:', 'key: "rsa:', "parties.0.key (line 4): a public key starts with 'ed25519:'"),
        ("min: 0,", "min: '0',", "data.0.columns.age.min (line 14): must be a valid number"),
        ("min: 0,", "min: 200,", "data.0.columns.age (line 14): "),
        (
            "epsilon: 1.0, delta: 1e-6, delta_",
            "epsilon: 0, delta: 1e-6, delta_",
            "data.0.budget.epsilon (line 18)",
        ),
        (
            "epsilon: 1.0, delta: 1e-6, delta_",
            "epsilon: 1, delta: 1, delta_",
            "data.0.budget.delta (line 18)",
        ),
        (
            "epsilon: 1.0, delta: 1e-6, delta_",
            "epsilon: 1, delta: 0, delta_",
            "data.0.budget.delta (line 18)",
        ),
        (
            "delta_additive: 5e-7",
            "delta_additive: 1e-6",
            "data.0.budget (line 18): delta_additive 1e-06 must stay below",
        ),
        ("max_rows: 1}", "max_rows: 0}", "data.0.unit.max_rows (line 17)"),
        ("max_rows: 1}", "max_rows: 2}", "data.0 (line 8): unit: without a column the unit is one row"),
        ("column: null", "column: person", "data.0 (line 8): unit.column 'person' is not one of the columns"),
        (
            "mediator_may_hold: false",
            "mediator_may_hold: 0",
            "mediator_may_hold (line 12): must be a valid boolean",
        ),
        ("lineage: adult-north", "lineage: ../x", "data.0.lineage (line 9)"),
        (
            "{unsafe_pilot: true}",
            "",
            "pooled: nothing is written below it; write its limits, or remove the line",
        ),
        ("{unsafe_pilot: true}", "{}", "architectures.pooled.unsafe_pilot (line 22): is missing"),
        ("{unsafe_pilot: true}", "{unsafe_pilot: false}", "a baseline hands raw rows over"),
        ("{unsafe_pilot: true}", "{unsafe_pilot: 1}", "architectures.pooled.unsafe_pilot (line 22)"),
        (
            "  pooled:",
            "  pools:",
            "architectures.pools (line 22): unknown key; known here: plain, direct-release,",
        ),
        ("  direct-release:", "  direct_release:", "architectures.direct_release (line 20): unknown key"),
        (
            "expires: 2027-12-31",
            "expires: 2027-13-31",
            "expires (line 23): is not a day written as YYYY-MM-DD",
        ),
        ("expires: 2027-12-31", "expires: 20271231", "expires (line 23): is not a day"),
        ("expires: 2027-12-31", "expires: '20271231'", "expires (line 23): is not a day"),
        ("expires: 2027-12-31", "expires: 2027-12-31T00:00:00Z", "expires (line 23): is not a day"),
        ("expires: 2027-12-31", "expires: 2027-W01-1", "expires (line 23): is not a day"),
        ("expires: 2027-12-31", "expires: 1.8e9", "expires (line 23): is not a day"),
        ("title: Income pilot", 'title: "a\\x1b[2J"', "title (line 2): holds the invisible character U+001B"),
        ("title: Income pilot", 'title: "a\\u202eb"', "title (line 2): holds the invisible character U+202E"),
    ],
)
def test_faults_name_line_path_and_remedy(steward_text: str, old: str, new: str, says: str) -> None:
    assert old in steward_text
    with pytest.raises(BadAgreement) as caught:
        parse_agreement(steward_text.replace(old, new, 1), where="pilot.yaml")
    assert str(caught.value).startswith("pilot.yaml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_come_at_once_in_the_texts_order(steward_text: str) -> None:
    broken = steward_text.replace("k: 5", "k: 1").replace("title:", "titel:").replace("min: 0", "min: x")
    with pytest.raises(BadAgreement) as caught:
        parse_agreement(broken, where="a")
    message = str(caught.value)
    assert message.index("titel") < message.index("age.min") < message.index("direct-release.k")


def test_a_flood_of_faults_is_cut(full: dict[str, Any]) -> None:
    full["data"][0]["columns"] = {f"c{i}": {"role": "target", "type": "colour"} for i in range(200)}
    with pytest.raises(BadAgreement, match=r"; and 190 more$"):
        agreement_from(full)


def test_hostile_keys_reach_no_terminal(steward_text: str) -> None:
    with pytest.raises(BadAgreement) as caught:
        parse_agreement(steward_text + '"\\e[2J\\u202e": 1\n', where="a")
    assert str(caught.value).isprintable()


def test_json_is_read_as_well(full: dict[str, Any], agreement: Agreement) -> None:
    import json

    assert parse_agreement(json.dumps(full), where="a.json") == agreement


def test_the_written_file_is_plain_yaml_for_others(agreement: Agreement) -> None:
    document = yaml.safe_load(agreement.to_yaml())
    assert document["data"][0]["columns"]["country"]["values"] == ["NO", "SE"]
    assert document["parties"][0]["name"] == "north"
