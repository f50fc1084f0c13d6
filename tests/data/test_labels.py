"""The target as labels."""

from __future__ import annotations

import pyarrow as pa
import pytest

from comity.data import binary_labels, positive_class, read_table
from comity.data.labels import require_value
from comity.data.table import Table
from comity.errors import BadInput, BadTable
from comity.schema import Column


def table(values: list) -> Table:
    return read_table(pa.table({"y": values}))


def test_the_rarer_class_is_positive() -> None:
    assert positive_class(table(["a", "b", "a"]), "y") == "b"
    assert positive_class(table(["b", "a", "b"]), "y") == "a"
    assert positive_class(table([0, 1]), "y") == "1"
    assert positive_class(table(["no", "yes", None]), "y") == "yes"


def test_a_named_class_is_positive() -> None:
    assert positive_class(table(["a", "b", "c"]), "y", "b") == "b"
    assert positive_class(table([0, 1, 1]), "y", "1.0") == "1"
    with pytest.raises(BadTable, match="'d' is no value of the target y; its values are 'a', 'b'"):
        positive_class(table(["a", "b"]), "y", "d")
    with pytest.raises(BadTable, match="'x' is no value"):
        positive_class(table([0, 1]), "y", "x")


def test_targets_that_are_not_binary() -> None:
    with pytest.raises(BadTable, match="only the value 'a'; a model needs rows of two classes"):
        positive_class(table(["a", "a", None]), "y")
    with pytest.raises(BadTable, match=r"has 3 values \('a', 'b', 'c'\); name the one .* --positive VALUE"):
        positive_class(table(["a", "b", "c"]), "y")
    with pytest.raises(BadTable, match=r"has 30 values .* 20 more\); a target has two values"):
        positive_class(table(list(range(30))), "y")


def test_labels() -> None:
    labels = binary_labels(table(["a", "b", "c", "b"]), "y", "b")
    assert (labels.values.tolist(), labels.positive, labels.negative) == ([0, 1, 0, 1], "b", ("a", "c"))
    assert len(labels) == 4
    assert binary_labels(table(["a", "a"]), "y", "b").values.tolist() == [0, 0]
    with pytest.raises(BadTable, match="row 2 has no value in the target y"):
        binary_labels(table(["a", None]), "y", "a")


@pytest.mark.parametrize(
    ("column", "fits", "not_fitting", "words"),
    [
        ({"type": "category", "values": ["nein", "ja"]}, ["ja"], ["JA", ""], "its values are nein, ja"),
        ({"type": "integer", "min": 0, "max": 1}, ["1", "0"], ["2", "ja", "nan"], "numbers from 0 up to 1"),
        ({"type": "number"}, ["-3.5"], ["inf", "True"], "it has numbers"),
        ({"type": "text"}, ["ja", "JA"], [], ""),
    ],
)
def test_the_positive_value_is_held_against_the_schema(
    column: dict[str, object], fits: list[str], not_fitting: list[str], words: str
) -> None:
    read = Column.model_validate({"role": "target", **column})
    for value in fits:
        require_value(read, "Kauf", value)
    for value in not_fitting:
        with pytest.raises(BadInput, match=f"^{value!r} is no value of the target 'Kauf'; .*{words}$"):
            require_value(read, "Kauf", value)


@pytest.mark.parametrize("stored", [pa.int64(), pa.float64()])
@pytest.mark.parametrize("positive", ["1", "1.0", "1e0"])
def test_of_numbers_it_is_the_number_that_counts(stored: pa.DataType, positive: str) -> None:
    table = Table(pa.table({"y": pa.array([0, 1, 1, 0], type=stored)}))
    assert binary_labels(table, "y", positive).values.tolist() == [0, 1, 1, 0]
    with pytest.raises(BadTable, match="numbers"):
        binary_labels(table, "y", "yes")
