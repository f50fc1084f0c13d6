from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from comity.data import Table
from comity.deidentify.hierarchies.builders import dates, flat, intervals
from comity.deidentify.hierarchies.complete import absent_values, require_complete
from comity.errors import BadTable

TREES = {"age": intervals(0, 9), "job": flat(["baker", "clerk"]), "day": dates(2020, 2021)}
COLUMNS = {
    "age": [1, 12, 9, 40],
    "job": ["smith", "baker", None, "smith"],
    "day": ["2020-01-01", "1/1/2021", None, "2021-12-31T10:00"],
}


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table, lambda columns: Table(pa.table(columns))])
def test_names_the_values_of_all_columns_at_once(make):
    table = make(COLUMNS)
    assert absent_values(TREES, table) == {"age": ["12", "40"], "job": ["smith"]}
    with pytest.raises(
        BadTable, match=r"'age' has no row for 2 values: '12', '40'; 'job' has .*'smith'"
    ) as caught:
        require_complete(TREES, table)
    assert caught.value.private
    require_complete({"day": TREES["day"]}, table)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(BadTable, match="no column 'town'"):
        absent_values({"town": flat(["x"])}, pd.DataFrame(COLUMNS))
