"""The ledger: accounts, the log, and what mechanisms cost.

Names are loaded when first used, so that a module which only states costs does not load a database engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.ledger.accounts import Account, Budget
    from comity.ledger.calibration import epsilon_of, gaussian_delta, gaussian_noise_multiplier
    from comity.ledger.checkpoints import Checkpoint, Consistency, Inclusion
    from comity.ledger.commitments import Commitment
    from comity.ledger.costs import (
        ORDERS,
        Cost,
        PrivacyUnit,
        Relation,
        approximate,
        composed,
        discrete_laplace,
        exponential,
        gaussian,
        in_terms_of,
        laplace,
        pure,
        randomized_response,
        renyi,
        without_dp,
        zcdp,
    )
    from comity.ledger.countersignatures import Countersignature, Offer, offer
    from comity.ledger.entries import Entry
    from comity.ledger.keeper import Keeper
    from comity.ledger.ledger import Ledger
    from comity.ledger.openings import Opening
    from comity.ledger.totals import Remaining, Spent, Total
    from comity.ledger.verify import Verification, verify_ledger

_WHERE = {
    "accounts": ("Account", "Budget"),
    "calibration": ("epsilon_of", "gaussian_delta", "gaussian_noise_multiplier"),
    "checkpoints": ("Checkpoint", "Consistency", "Inclusion"),
    "commitments": ("Commitment",),
    "costs": (
        "ORDERS",
        "Cost",
        "PrivacyUnit",
        "Relation",
        "approximate",
        "composed",
        "discrete_laplace",
        "exponential",
        "gaussian",
        "in_terms_of",
        "laplace",
        "pure",
        "randomized_response",
        "renyi",
        "without_dp",
        "zcdp",
    ),
    "countersignatures": ("Countersignature", "Offer", "offer"),
    "entries": ("Entry",),
    "keeper": ("Keeper",),
    "ledger": ("Ledger",),
    "openings": ("Opening",),
    "totals": ("Remaining", "Spent", "Total"),
    "verify": ("Verification", "verify_ledger"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "ORDERS",
    "Account",
    "Budget",
    "Checkpoint",
    "Commitment",
    "Consistency",
    "Cost",
    "Countersignature",
    "Entry",
    "Inclusion",
    "Keeper",
    "Ledger",
    "Offer",
    "Opening",
    "PrivacyUnit",
    "Relation",
    "Remaining",
    "Spent",
    "Total",
    "Verification",
    "approximate",
    "composed",
    "discrete_laplace",
    "epsilon_of",
    "exponential",
    "gaussian",
    "gaussian_delta",
    "gaussian_noise_multiplier",
    "in_terms_of",
    "laplace",
    "offer",
    "pure",
    "randomized_response",
    "renyi",
    "verify_ledger",
    "without_dp",
    "zcdp",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'comity.ledger' has no attribute '{name}'")
    return getattr(import_module(f"comity.ledger.{module}"), name)
