"""Scoring encrypted rows: the rows stay the provider's, the model stays the ML party's (CKKS, by TenSEAL).

This is a way of *using* a linear or logistic model that exists, not of learning from the rows. The provider
encrypts its rows column by column under a key that only it has; the ML party weighs the columns and returns
ciphertexts of some 200 scores each; the provider opens them. docs/privacy.md ("Homomorphic") says what each
side learns: the ML party how many rows and columns there are; the provider the scores, and out of enough of
them the model.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.train.homomorphic.columns import PublicColumns
    from comity.train.homomorphic.model import LinearModel, unit_for
    from comity.train.homomorphic.precision import Precision
    from comity.train.homomorphic.scoring import (
        EncryptedRows,
        EncryptedScores,
        ProviderKey,
        Scores,
        encrypt_rows,
        open_scores,
        score_encrypted,
    )

_HOME = {
    "ProviderKey": "scoring",
    "EncryptedRows": "scoring",
    "EncryptedScores": "scoring",
    "LinearModel": "model",
    "Precision": "precision",
    "PublicColumns": "columns",
    "Scores": "scoring",
    "encrypt_rows": "scoring",
    "open_scores": "scoring",
    "score_encrypted": "scoring",
    "unit_for": "model",
}

__all__ = [
    "EncryptedRows",
    "EncryptedScores",
    "LinearModel",
    "Precision",
    "ProviderKey",
    "PublicColumns",
    "Scores",
    "encrypt_rows",
    "open_scores",
    "score_encrypted",
    "unit_for",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
