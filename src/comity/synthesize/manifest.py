"""The manifest of a synthetic table: what it was made from, for people (JSON).

It says nothing that the noisy counts do not, and what was paid for each of them, which is settled by public
facts and by noisy counts alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.synthesize.looks import Looks
    from comity.synthesize.model import Model

FORMAT = 1


def manifest_of(
    looks: Looks, model: Model, names: Sequence[str], opened: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What was counted, with how much noise, and what the model holds.

    Args:
        names: the columns. opened: those whose bounds or levels were measured.
        settings: what the caller chose, and the number of rows made: they stand at the top.
    """
    counts = [one for one in looks.asked if one.what == "count"]
    choices = [one.share for one in looks.asked if one.what == "choose"]
    return {
        "format": FORMAT,
        **settings,
        "estimated_rows": round(model.total),
        "columns": [
            {
                "name": code.name,
                "cells": code.cells.size,
                "codes": code.size,
                "public": code.name not in opened,
            }
            for code in looks.codes
        ],
        "measured": [
            {
                "columns": list(one.columns),
                "counts": one.counts,
                "sigma": None if one.sigma is None else float(f"{one.sigma:.4g}"),
                "share": float(f"{one.share:.4g}"),
            }
            for one in counts
        ],
        "choices": {"made": len(choices), "share": float(f"{math.fsum(choices):.4g}")},
        "model": {
            "numbers": model.tree.cells(model.sizes),
            "marginals": [[names[column] for column in clique] for clique in model.tree.cliques],
        },
    }
