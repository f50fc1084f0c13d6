"""Soft features with every kind of hierarchy: released and raw rows over the same columns."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from comity.data import Table
from comity.deidentify import SoftEncoder
from comity.deidentify.hierarchies.builders import dates, intervals, ordered, postcodes
from comity.deidentify.release.candidate import protect, reapply
from comity.deidentify.release.expand import MOST_ATOMS, SoftColumn
from comity.errors import BadTable
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "born": {"role": "quasi_identifier", "type": "text"},
            "pay": {"role": "quasi_identifier", "type": "integer"},
            "code": {"role": "quasi_identifier", "type": "text"},
            "size": {"role": "quasi_identifier", "type": "category", "values": ["s", "m", "l", "xl"]},
            "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
        }
    },
    where="a test",
)
TREES = {
    "born": dates(1950, 1999, levels=("day", "month", "quarter", "year", "decade")),
    "pay": intervals(0, 100, widths=[10, 20], bottom=10, top=90),
    "code": postcodes("nl"),
    "size": ordered(["s", "m", "l", "xl"]),
}


def rows(count=400, seed=2):
    g = np.random.default_rng(seed)
    days = np.datetime64("1950-01-01") + g.integers(0, 18_000, count)
    return Table(
        pa.table(
            {
                "born": [f"{str(day)[8:]}/{str(day)[5:7]}/{str(day)[:4]}" for day in days],
                "pay": g.integers(-20, 150, count),
                "code": [f"{number}ab" for number in g.integers(1000, 1300, count)],
                "size": [str(value) for value in g.choice(["s", "m", "l", "xl"], count)],
                "ill": [str(value) for value in g.choice(["no", "yes"], count)],
            }
        )
    )


@pytest.mark.parametrize("method", ["global", "local"])
def test_released_and_raw_rows_become_distributions_over_the_same_leaves(method):
    table = rows()
    done = protect(table, SCHEMA, k=5, hierarchies=TREES, method=method)
    encoder = SoftEncoder.from_manifests([done.manifest], SCHEMA)
    for part in (done.table, table):
        matrix = encoder.matrix(part).toarray()
        assert matrix.shape == (part.rows, encoder.width)
        start = 0
        for column in encoder.soft:
            np.testing.assert_allclose(matrix[:, start : start + column.width].sum(axis=1), 1, rtol=1e-5)
            start += column.width
    if method == "global":
        again = reapply(table, done.manifest)
        known = {name: set(done.table.strings(name)) for name in TREES}
        assert all(known[name] <= set(again.strings(name)) for name in TREES)


def test_a_range_of_days_is_cut_at_a_level_with_few_labels():
    began = time.process_time()
    column = SoftColumn.of("born", dates(1920, 2019))
    assert column.width <= MOST_ATOMS
    assert column.weights.shape[1] == column.width
    assert time.process_time() - began < 30
    found = column.codes(Table(pa.table({"born": ["1987-03-02", "2/3/1987", "1987-03", "1980-1989", None]})))
    weights = column.weights[found]
    assert (weights[0] == weights[1]).all()
    assert (weights[0] == weights[3]).all()
    assert weights[4].argmax() != weights[0].argmax()
    with pytest.raises(BadTable, match="'born' has no label or value for 1 value: '2031-01-01'"):
        column.codes(Table(pa.table({"born": ["2031-01-01"]})))


def test_ends_that_are_coded_hold_raw_values_outside_the_bounds():
    column = SoftColumn.of("pay", TREES["pay"])
    codes = column.codes(Table(pa.table({"pay": [95, 1000, -5, 3]})))
    weights = column.weights[codes]
    top = SoftColumn.of("pay", intervals(0, 100, widths=[10, 20], bottom=10, top=90), most=20)
    coarse = top.weights[top.codes(Table(pa.table({"pay": [95, 1000, -5, 3]})))]
    assert (coarse[0] == coarse[1]).all()
    assert (coarse[2] == coarse[3]).all()
    assert weights.sum(axis=1).tolist() == [1, 1, 1, 1]
