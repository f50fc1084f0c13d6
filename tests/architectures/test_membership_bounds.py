"""A bound beside an attack holds for its relation, members against other people; none for persons."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from comity.architectures import clean_room, federated_attacks, validation_hosted_terms
from comity.architectures.definition import Options, Pilot, Task
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
    rows = pa.table({"age": [20] * 40, "ill": ["no"] * 40})
    scores = np.random.default_rng(1).random(40)
    return Pilot(
        task=Task(parse_schema(document, where="the test"), "ill", "yes", "pid"),
        options=Options(),
        members={"north": rows},
        outsiders=rows,
        sessions={},
        figures={},
        ml_party=ML_PARTY,
        member_scores=scores,
        member_labels=np.zeros(40),
        outsider_scores=scores,
        outsider_labels=np.zeros(40),
    )


@pytest.mark.parametrize("attacks", ["clean-room", "federated", "hosted"])
def test_members_against_others_is_an_exchanged_row_and_no_person(
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
    assert run(pilot(column="who", max_rows=3))["membership"].bound is None
    exact = dataclasses.replace(of_records, options=Options(mode="exact"))
    if attacks != "hosted":
        assert run(exact)["membership"].bound is None
