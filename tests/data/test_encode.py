"""Encoder: codes, one-hot, the JSON form; bins against a plain reference."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import Encoder, adult_schema, load_adult, read_table
from comity.data.bins import equal_width_edges, kept_levels, quantile_edges
from comity.data.encode import BinnedColumn, LevelColumn
from comity.errors import BadInput, BadSchema, BadTable, UsageError
from comity.schema import Schema, parse_schema


def schema(**columns: dict) -> Schema:
    return parse_schema({"columns": columns}, where="here")


NUMBER = {"role": "sensitive", "type": "number", "min": 0, "max": 10}
WORD = {"role": "quasi_identifier", "type": "category", "values": ["a", "b"]}


def test_codes_of_bins_and_levels() -> None:
    encoder = Encoder((BinnedColumn("x", (1.0, 2.0)), LevelColumn("w", ("a", "b"))))
    table = read_table(pa.table({"x": [0.5, 1.0, 1.5, 2.0, None], "w": ["a", "b", "c", None, "a"]}))
    codes = encoder.codes(table)
    assert codes.dtype == np.uint16
    assert codes.tolist() == [[1, 1], [2, 2], [2, 3], [3, 0], [0, 1]]
    assert encoder.widths.tolist() == [4, 4]
    assert encoder.offsets.tolist() == [0, 4, 8]
    assert encoder.labels == (
        "x: missing",
        "x: below 1",
        "x: 1 to 2",
        "x: from 2",
        "w: missing",
        "w: a",
        "w: b",
        "w: other",
    )
    assert encoder.ordered == (True, False)


def test_one_hot_has_one_one_per_column() -> None:
    encoder = Encoder((BinnedColumn("x", (1.0,)), LevelColumn("w", ("a",))))
    codes = np.array([[0, 2], [1, 1], [2, 0]], dtype=np.uint16)
    expected = [[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 0]]
    assert encoder.dense(codes).tolist() == expected
    assert encoder.dense(codes).dtype == np.float32
    assert encoder.onehot(codes).toarray().tolist() == expected
    assert encoder.onehot(codes[:0]).shape == (0, 6)
    assert Encoder(()).onehot(np.zeros((3, 0), np.uint16)).shape == (3, 0)


def test_an_encoder_from_a_schema_looks_at_no_row() -> None:
    encoder = Encoder.from_schema(schema(x=NUMBER, w=WORD), bins=4)
    assert encoder.columns == (BinnedColumn("x", (2.5, 5.0, 7.5)), LevelColumn("w", ("a", "b")))
    open_ended = schema(
        x={"role": "sensitive", "type": "number"}, w={"role": "sensitive", "type": "category"}
    )
    with pytest.raises(BadSchema, match=r"x \(min and max\), w \(values\)"):
        Encoder.from_schema(open_ended)
    constant = schema(x={**NUMBER, "max": 0})
    assert Encoder.from_schema(constant).columns == (BinnedColumn("x", ()),)


def test_an_encoder_never_holds_target_or_identifier() -> None:
    table = read_table(pa.table({"id": ["p", "q"], "x": [1, 2], "y": ["n", "y"]}))
    roles = schema(
        id={"role": "identifier", "type": "text"}, x=NUMBER, y={"role": "target", "type": "category"}
    )
    assert Encoder.from_features(table, roles, minimum=1).names == ("x",)
    assert Encoder.from_features(table, roles, method="width", bins=2).columns == (BinnedColumn("x", (1.5,)),)


def test_rare_levels_are_other_and_the_schemas_levels_are_kept() -> None:
    table = read_table(pa.table({"w": ["a"] * 30 + ["b"] * 5}))
    free = schema(w={"role": "sensitive", "type": "category"})
    assert Encoder.from_features(table, free).columns == (LevelColumn("w", ("a",)),)
    assert Encoder.from_features(table, schema(w=WORD)).columns == (LevelColumn("w", ("a", "b")),)


def test_the_json_form_reads_back() -> None:
    encoder = Encoder.from_features(load_adult(), adult_schema())
    document = json.loads(json.dumps(encoder.to_dict()))
    assert Encoder.from_dict(document) == encoder
    from comity.crypto.canonical import digest

    assert digest(document) == digest(encoder.to_dict())


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"format": 2, "columns": []},
        {"format": 1, "columns": [], "more": 1},
        {"format": 1, "columns": [{"name": "x"}]},
        {"format": 1, "columns": [{"name": 1, "edges": []}]},
        {"format": 1, "columns": [{"name": "x", "edges": [2, 1]}]},
        {"format": 1, "columns": [{"name": "x", "edges": ["a"]}]},
        {"format": 1, "columns": [{"name": "x", "edges": [float("nan")]}]},
        {"format": 1, "columns": [{"name": "x", "levels": ["a", "a"]}]},
        {"format": 1, "columns": [{"name": "x", "levels": [1]}]},
        {"format": 1, "columns": [{"name": "x", "levels": ["a"], "edges": []}]},
        {"format": 1, "columns": ["x"]},
        [],
    ],
)
def test_other_documents_are_refused(document: object) -> None:
    with pytest.raises(BadInput):
        Encoder.from_dict(document)  # type: ignore[arg-type]


def test_too_many_levels_and_wrong_columns() -> None:
    with pytest.raises(BadInput, match="65,535"):
        Encoder((LevelColumn("w", tuple(str(level) for level in range(70_000))),))
    with pytest.raises(BadTable, match="column x is text"):
        Encoder((BinnedColumn("x", ()),)).codes(read_table(pa.table({"x": ["a"]})))


def test_adult_in_fewer_than_200_columns() -> None:
    table = load_adult()
    encoder = Encoder.from_features(table, adult_schema(), bins=16)
    matrix = encoder.onehot(encoder.codes(table))
    assert matrix.shape == (48842, encoder.width)
    assert encoder.width < 200
    assert (np.asarray(matrix.sum(axis=1)).ravel() == 12).all()


NUMBERS = st.lists(
    st.one_of(st.integers(0, 6), st.floats(-50, 50, allow_nan=False)).map(float), max_size=200
).map(lambda values: np.array(values, dtype=np.float64))


@given(NUMBERS, st.integers(1, 12), st.integers(1, 10))
def test_quantile_bins_are_few_enough_and_large_enough(values: np.ndarray, bins: int, minimum: int) -> None:
    edges = quantile_edges(values, bins, minimum)
    assert list(edges) == sorted(set(edges))
    assert len(edges) + 1 <= bins
    sizes = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    if edges:
        assert sizes.min() >= minimum


def test_a_heavy_value_stands_alone_and_the_rest_is_cut_finely() -> None:
    values = np.concatenate([np.zeros(900), np.arange(1.0, 101.0)])
    edges = quantile_edges(values, bins=11, minimum=5)
    sizes = np.bincount(np.searchsorted(edges, values, side="right"))
    assert edges[0] == 1.0
    assert sizes.tolist() == [900] + [10] * 10


def test_even_values_make_even_bins() -> None:
    values = np.arange(1000.0)
    edges = quantile_edges(values, bins=10, minimum=20)
    assert edges == tuple(float(edge) for edge in range(100, 1000, 100))


def test_equal_widths_and_kept_levels() -> None:
    assert equal_width_edges(0, 4, 4) == (1.0, 2.0, 3.0)
    assert equal_width_edges(3, 3, 4) == ()
    assert equal_width_edges(0, 4, 1) == ()
    assert equal_width_edges(1.0, np.nextafter(1.0, 2), 16)[0] >= 1.0
    with pytest.raises(UsageError, match="at least 1 bin"):
        equal_width_edges(0, 1, 0)
    codes = np.array([0, 0, 1, -1])
    assert kept_levels(codes, ("a", "b"), 2) == ("a",)
