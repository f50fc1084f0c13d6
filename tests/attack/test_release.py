"""Attacks on a release: they find a release that leaks, and respect the bound of one that does not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.attack import Adversary, attack_release
from comity.attack.cover import Cover
from comity.data import Table
from comity.deidentify import protect
from comity.errors import BadInput
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 999},
            "town": {"role": "quasi_identifier", "type": "category", "values": ["a", "b", "c"]},
            "pays": {"role": "target", "type": "category", "values": ["no", "yes"]},
        }
    },
    where="a test",
)


def made(rows, seed):
    """Ages are nearly unique and targets are coins: only who finds the row learns the coin."""
    g = np.random.default_rng(seed)
    return Table(
        pa.table(
            {
                "age": g.integers(0, 1000, rows),
                "town": [str(v) for v in g.choice(["a", "b", "c"], rows)],
                "pays": [str(v) for v in g.choice(["no", "yes"], rows)],
            }
        )
    )


def attacked(k, method="global"):
    members, outsiders = made(1000, 1), made(1000, 2)
    done = protect(members, SCHEMA, k=k, suppression=0.1, method=method)
    return attack_release(Adversary(done.table, done.manifest, members, outsiders, "pays"))


def test_a_release_that_hides_nothing_is_found_out():
    found = attacked(1)
    assert found["membership"].low > 0.5
    assert found["attribute"].low > 0.2
    assert found["linkage"].advantage > 0.8
    assert abs(found["membership"].control) < 0.2  # 5 standard errors of 0.04: half of 1,000 against half


@pytest.mark.parametrize("method", ["global", "local"])
def test_k_anonymity_keeps_linkage_under_its_bound(method):
    found = attacked(20, method)
    assert found["linkage"].within_bound
    assert found["linkage"].bound == 1 / 20
    assert found["membership"].advantage < attacked(1)["membership"].advantage
    assert set(found) == {"membership", "attribute", "linkage"}


def test_levels_that_differ_by_row_show_more_of_who_was_in():
    """Tight classes form around members: an attack blind to that would call local recoding harmless."""
    assert attacked(2, "local")["membership"].low > attacked(2)["membership"].high


def test_cover_counts_rows_that_could_be_the_persons():
    manifest = {
        "settings": {"k": 1},
        "quasi_identifiers": {
            "age": {
                "level": None,
                "hierarchy": {"rows": [["1", "1-2", "*"], ["2", "1-2", "*"], ["3", "3", "*"]]},
            },
        },
    }
    release = Table(pa.table({"age": ["1-2", "1", "*", "3"], "pays": ["no", "yes", "yes", "no"]}))
    people = Table(pa.table({"age": [1, 2, 3, 9], "pays": ["yes", "no", "yes", "maybe"]}))
    seen = Cover(release, manifest, "pays").look_up(people)
    assert seen.covering.tolist() == [3, 2, 2, 0]
    assert seen.matching.tolist() == [2, 1, 1, 0]
    assert seen.truth.tolist() == [1, 0, 1, -1]
    assert np.exp(seen.tightest) == pytest.approx([1 / 3, 2 / 3, 1, np.inf])


def test_too_little_to_attack_is_refused():
    members = made(100, 1)
    done = protect(members, SCHEMA, k=5)
    with pytest.raises(BadInput, match="at least 8 held-out rows, not 3"):
        Adversary(done.table, done.manifest, members, made(3, 2), "pays")
    with pytest.raises(BadInput, match="no manifest"):
        Cover(done.table, {}, "pays")
