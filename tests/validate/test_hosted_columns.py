"""Which columns a hosted lesson corrects, and by which bins: public facts and the seed rows alone decide."""

from __future__ import annotations

import pyarrow as pa
import pytest

from comity.data.table import Table
from comity.errors import BadInput
from comity.schema import parse_schema
from comity.validate.hosted_learner import public_columns

SCHEMA = parse_schema(
    {
        "columns": {
            "day": {"role": "insensitive", "type": "category", "values": [f"d{at}" for at in range(365)]},
            "job": {"role": "insensitive", "type": "category", "values": ["baker", "clerk"]},
            "age": {"role": "insensitive", "type": "integer", "min": 0, "max": 100},
        }
    },
    where="the test's schema",
)
SEEDS = Table(
    pa.table({"day": ["d1"] * 40, "job": ["baker"] * 40, "age": list(range(20, 60))}), "the seed rows"
)


def test_a_category_of_many_levels_is_left_to_the_start_model():
    assert public_columns(SCHEMA, SEEDS, ("day", "job", "age")).names == ("job", "age")


def test_a_lesson_about_nothing_else_is_refused_in_words():
    with pytest.raises(BadInput, match="at most 100 levels"):
        public_columns(SCHEMA, SEEDS, ("day",))
