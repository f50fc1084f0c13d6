"""Attacks on a synthetic table find the rows that it holds, and nothing in one with differential privacy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.attack import SyntheticRelease, attack_synthetic
from comity.attack.membership import membership_bound
from comity.attack.synthetic import synthetic_membership
from comity.data import Table
from comity.errors import BadInput
from comity.schema import parse_schema
from comity.synthesize import make_synthetic


def people(rows: int, seed: int) -> Table:
    draw = np.random.default_rng(seed)
    columns = {f"n{at}": draw.integers(0, 100, rows) for at in range(3)}
    columns |= {f"c{at}": draw.choice(list("abcdef"), rows).tolist() for at in range(3)}
    return Table(pa.table(columns))


def private(members: Table) -> Table:
    """A synthetic table with differential privacy, by comity's own method."""
    columns = {
        name: {"role": "insensitive", "type": "integer", "min": 0, "max": 100}
        if members.type(name).is_numeric
        else {"role": "insensitive", "type": "category", "values": list("abcdef")}
        for name in members.names
    }
    schema = parse_schema({"columns": columns}, where="the test's schema")
    made = make_synthetic(members, schema, members.names, epsilon=1.0, delta=1e-6, method="mst", rows=1500)
    return made.table


def test_members_of_a_copied_table_are_found() -> None:
    members, outsiders = people(1500, 1), people(3000, 2)
    found = attack_synthetic(SyntheticRelease(members, members, outsiders))
    assert set(found) == {"membership", "rare-value", "singling-out"}
    assert found["membership"].low > 0.8
    assert found["membership"].bound is None
    assert found["singling-out"].low > 0.1


def test_a_table_that_holds_half_of_its_members_gives_those_away() -> None:
    members = people(1500, 1)
    half = Table(pa.concat_tables([members.arrow.slice(0, 750), people(750, 3).arrow]))
    found = synthetic_membership(SyntheticRelease(half, members, people(3000, 2)))
    assert found.low > 0.3
    assert found.high < 0.65


def test_nothing_is_found_in_a_table_with_differential_privacy() -> None:
    """1,000 records a side: 6 standard deviations of the advantage are 0.19, those of singling out 0.13; what
    (1, 1e-6) allows on 1,500 rows of noise of 20 rows lies far below. False alarm 2e-9 each."""
    members, outsiders = people(1500, 1), people(3000, 2)
    found = attack_synthetic(SyntheticRelease(private(members), members, outsiders, 1.0, 1e-6))
    assert found["membership"].advantage < 0.25
    assert found["membership"].bound == membership_bound(1.0, 1e-6)
    assert found["membership"].within_bound
    for name in ("rare-value", "singling-out"):
        assert found[name].advantage < 0.2


def test_few_rows_are_no_attack() -> None:
    with pytest.raises(BadInput, match="50 held-out rows"):
        SyntheticRelease(people(60, 1), people(60, 1), people(20, 1))
