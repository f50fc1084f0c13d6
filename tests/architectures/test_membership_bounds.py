"""A bound beside an attack holds for its relation and unit: members against other records, or people."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from comity.architectures import clean_room, federated_attacks, validation_hosted_terms
from comity.architectures.definition import Options, Pilot, Task
from comity.architectures.membership_bounds import moved_at_one, pilot_bound
from comity.attack.label import label_bound
from comity.attack.membership import membership_bound
from comity.compare.settings import ML_PARTY
from comity.schema import parse_schema


def pilot(**unit: Any) -> Pilot:
    columns = {
        "who": {"role": "identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
    document = {"columns": columns, **({"unit": unit} if unit else {})}
    people = [f"p{at // 3}" for at in range(40)]
    rows = pa.table({"who": people, "age": [20] * 40, "ill": ["no"] * 40})
    others = rows.set_column(0, "who", pa.array([f"other {at}" for at in range(40)]))
    scores = np.random.default_rng(1).random(40)
    return Pilot(
        task=Task(parse_schema(document, where="the test"), "ill", "yes", "pid"),
        options=Options(),
        members={"north": rows},
        outsiders=others,
        sessions={},
        figures={},
        ml_party=ML_PARTY,
        member_scores=scores,
        member_labels=np.zeros(40),
        outsider_scores=scores,
        outsider_labels=np.zeros(40),
        outsiders_of={"north": others},
    )


@pytest.mark.parametrize("attacks", ["clean-room", "federated", "hosted"])
def test_members_against_others_is_an_exchanged_row_or_person(
    attacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federated_attacks, "_inversion", lambda pilot, bound: {})
    for module in (federated_attacks, validation_hosted_terms):
        monkeypatch.setattr(module, "canary_attack", lambda *given: None)
    run = {
        "clean-room": clean_room._attacks,
        "federated": federated_attacks.attacks,
        "hosted": validation_hosted_terms.attacks,
    }[attacks]
    of_records = pilot()
    options = of_records.options
    found = run(of_records)["membership"]
    assert found.bound == membership_bound(options.epsilon, options.delta)
    assert found.bound > label_bound(options.epsilon, options.delta)
    for most in (1, 3):
        assert run(pilot(column="who", max_rows=most))["membership"].bound == found.bound
    exact = dataclasses.replace(of_records, options=Options(mode="exact"))
    if attacks != "hosted":
        assert run(exact)["membership"].bound is None


def test_none_is_shown_for_test_rows_that_were_brought_along() -> None:
    """Scores that depend on no table may tell another population's rows from the tables'."""
    assert pilot_bound(dataclasses.replace(pilot(), outsiders_of={})) is None


def test_people_with_rows_on_both_sides_are_four_steps() -> None:
    of_people = pilot(column="who", max_rows=3)
    assert moved_at_one(of_people) == 1
    both = dataclasses.replace(of_people, outsiders=of_people.members["north"].slice(0, 1))
    assert moved_at_one(both) == 2
    assert pilot_bound(both) == membership_bound(1.0, 1e-6, moved=2)
    # where each row is a unit of its own, nobody's other rows are there
    assert moved_at_one(dataclasses.replace(pilot(), outsiders=both.outsiders)) == 1


@pytest.mark.parametrize(("unit", "column"), [({}, "pid"), ({"column": "who", "max_rows": 3}, "who")])
def test_who_is_at_several_providers_counts_at_each(unit: dict[str, Any], column: str) -> None:
    of_people = pilot(**unit)
    apart = {name: pa.table({column: [f"{name} {at}" for at in range(5)]}) for name in ("north", "south")}
    assert pilot_bound(dataclasses.replace(of_people, members=apart)) == membership_bound(1.0, 1e-6)
    shared = {name: pa.table({column: [name, "everywhere"]}) for name in ("north", "south", "west")}
    found = pilot_bound(dataclasses.replace(of_people, members=shared))
    assert found == membership_bound(1.0, 1e-6, moved=3)
    assert (found or 0.0) > (membership_bound(1.0, 1e-6) or 1.0)
