"""Where less than the run's epsilon is charged, the guarantee that is shown says what the ledger holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comity.architectures import find
from comity.architectures.definition import Options
from comity.mechanism import LARGEST_EPSILON
from comity.report.reading import MAX_TEXT


@pytest.mark.parametrize("name", ["validation", "blind-validation"])
def test_the_guarantee_is_what_the_ledger_charges(
    name: str, stage_for: Callable[[str, Path], Any], tmp_path: Path
) -> None:
    stage, found = stage_for(name, tmp_path), find(name)
    options = Options(epsilon=50.0, mode=found.modes[0])
    outcome = stage.play(name, options=options)
    assert outcome.errors == {}
    shown = found.promised(options, stage.inputs.task)
    assert shown.epsilon == LARGEST_EPSILON == 16
    assert "ε = 50 was asked for" in shown.note
    for provider in stage.inputs.providers:
        (charged,) = outcome.ledgers[provider].events("charged")
        curve = charged.body["cost"]["curve"]
        assert max(curve) == shown.epsilon * 10**9  # in steps of 1e-9
        assert outcome.agreement.clause(name).epsilon == 50


@pytest.mark.parametrize("name", ["validation", "blind-validation"])
def test_up_to_there_it_is_what_was_asked_for(name: str) -> None:
    found = find(name)
    for mode in found.modes:
        shown = found.guarantee(Options(epsilon=16.0, mode=mode))
        assert shown.epsilon == 16
        assert "was asked for" not in shown.note
        assert len(found.guarantee(Options(epsilon=50.0, mode=mode)).note) < MAX_TEXT
