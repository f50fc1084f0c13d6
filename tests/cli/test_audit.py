"""comity audit: what a person gets who hands over the wrong paper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comity.cli.app import app
from comity.errors import BadInput


def test_an_order_is_no_verdict(tmp_path: Path) -> None:
    order = tmp_path / "order.json"
    order.write_text(json.dumps({"order": {}, "signature": "", "evidence": {}}))
    with pytest.raises(
        BadInput, match=r"order\.json is an order, not a verdict: give it to comity audit run"
    ):
        app(["audit", "verify", str(order), "--folder", str(tmp_path)], standalone_mode=False)
