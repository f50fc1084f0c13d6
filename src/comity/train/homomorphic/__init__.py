"""Scoring encrypted rows: the rows stay the customer's, the model stays the ML party's (CKKS, by TenSEAL).

This is a way of *using* a linear or logistic model that exists, not of learning from the rows. The customer
encrypts its rows column by column under a key that only it has; the ML party weighs the columns and returns
one ciphertext per 8,192 rows; the customer opens the scores. docs/privacy.md ("Homomorphic") says what each
side learns: the ML party how many rows and columns there are; the customer the scores, and out of enough of
them the model.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.train.homomorphic.columns import PublicColumns
    from comity.train.homomorphic.model import LinearScorer, unit_for
    from comity.train.homomorphic.precision import Precision
    from comity.train.homomorphic.scoring import (
        CustomerKey,
        EncryptedRows,
        EncryptedScores,
        Scores,
        encrypt_rows,
        open_scores,
        score_encrypted,
    )

_HOME = {
    "CustomerKey": "scoring",
    "EncryptedRows": "scoring",
    "EncryptedScores": "scoring",
    "LinearScorer": "model",
    "Precision": "precision",
    "PublicColumns": "columns",
    "Scores": "scoring",
    "encrypt_rows": "scoring",
    "open_scores": "scoring",
    "score_encrypted": "scoring",
    "unit_for": "model",
}

__all__ = [
    "CustomerKey",
    "EncryptedRows",
    "EncryptedScores",
    "LinearScorer",
    "Precision",
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
