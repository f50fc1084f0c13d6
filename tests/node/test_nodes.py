"""Nodes as real processes: sessions over mutual TLS, restarts, refusals."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_direct_release_between_nodes(houses, tmp_path):
    town = houses.build_town(tmp_path, ["direct-release", "validation"])
    try:
        town.start()
        row = town.run("direct-release", k=5)
        assert row["status"] == "done", (row, town.log("analyst"))
        row = town.run("validation", epsilon=1.0, mode="linked")
        assert row["status"] == "done", (row, town.log("analyst"), town.log("north"))
    finally:
        town.stop()
