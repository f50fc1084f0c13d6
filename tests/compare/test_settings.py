"""Options are checked before any table is read, and the message names the option."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from comity.architectures import find
from comity.compare.run import _skip_reason
from comity.compare.settings import Settings
from comity.errors import UsageError

if TYPE_CHECKING:
    from comity.compare.inputs import Inputs

GOOD: dict[str, Any] = {
    "providers": ["north=a.csv", "south=b.csv"],
    "target": "ill",
    "positive": None,
    "id": None,
    "test": None,
    "schema": None,
    "epsilon": "0.1, 1,1",
    "delta": 1e-6,
    "k": 5,
    "seed_rows": 200,
    "architectures": None,
    "mode": None,
    "partition": "rows",
    "seed": 0,
    "keep": Path("kept"),
}


def test_good_options_pass() -> None:
    settings = Settings.parse(**GOOD)
    assert settings.providers == (("north", "a.csv"), ("south", "b.csv"))
    assert settings.epsilons == (0.1, 1.0)
    assert settings.architectures is None


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("providers", [], "at least one --provider"),
        ("providers", ["north"], "NAME=PATH"),
        ("providers", ["north="], "NAME=PATH"),
        ("providers", ["North=a.csv"], "small letters"),
        ("providers", ["../x=a.csv"], "small letters"),
        ("providers", ["analyst=a.csv"], "taken by another party"),
        ("providers", ["a=x.csv", "a=y.csv"], "given twice"),
        ("epsilon", "one", "--epsilon"),
        ("epsilon", "0", "--epsilon"),
        ("epsilon", "nan", "--epsilon"),
        ("epsilon", "1,", "--epsilon"),
        ("delta", 0.0, "--delta"),
        ("delta", 1.0, "--delta"),
        ("k", 0, "--k"),
        ("seed_rows", 1, "--seed-rows"),
        ("seed", -1, "--seed"),
        ("mode", "sideways", "--mode"),
        ("partition", "cells", "--partition"),
        ("architectures", [], "--architectures"),
        ("architectures", ["magic"], "no architecture 'magic'"),
    ],
)
def test_bad_options_are_named(option: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Settings.parse(**(GOOD | {option: value}))


def test_who_has_not_the_mode_is_named() -> None:
    settings = Settings.parse(**{**GOOD, "mode": "linked"})
    # the mode is asked after before any table is looked at
    told = _skip_reason(find("federated"), settings, cast("Inputs", None), "linked")
    assert told == "federated has no mode 'linked'; its modes are: private, exact"
