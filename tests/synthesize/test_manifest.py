"""The manifest: every look once, with its noise and its share, and the model's size."""

from __future__ import annotations

import json

import numpy as np
import pytest

from comity.synthesize.cells import LevelCells
from comity.synthesize.looks import Looks
from comity.synthesize.manifest import FORMAT, manifest_of
from comity.synthesize.model import fit
from comity.synthesize.purse import Purse


def test_it_says_what_was_looked_at_and_what_it_cost() -> None:
    """Two columns of two levels, 250 rows each, stand out of a noise of a few rows: they keep their codes."""
    cells = tuple(LevelCells(name, ("u", "v")) for name in ("x", "y"))
    rows = 1 + np.stack([np.arange(500) % 2, np.arange(500) // 2 % 2], axis=1)
    looks = Looks(Purse(8.0, 1e-6), cells, rows.astype(np.uint16))
    looks.bin_columns(looks.purse.whole / 4, bins=16)
    one = np.full((2, 2), 125.0)
    looks.worst([((0, 1), one)], looks.purse.whole / 4)
    looks.measure_all([(0, 1)])
    model = fit(looks.sizes, looks.measured, total=looks.total())
    found = manifest_of(looks, model, ["x", "y"], ["y"], {"method": "mst", "rows": 9})
    assert json.loads(json.dumps(found)) == found
    assert (found["format"], found["method"], found["rows"]) == (FORMAT, "mst", 9)
    assert [column["public"] for column in found["columns"]] == [True, False]
    assert [one["columns"] for one in found["measured"]] == [["x"], ["y"], ["x", "y"]]
    assert [one["share"] for one in found["measured"]] == pytest.approx([0.125, 0.125, 0.5])
    assert found["choices"] == {"made": 1, "share": 0.25}
    assert found["measured"][2]["sigma"] == pytest.approx(found["measured"][0]["sigma"] / 2, rel=1e-3)
    assert found["model"]["marginals"] == [["x", "y"]]
    assert found["model"]["numbers"] == 4
