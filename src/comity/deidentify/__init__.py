"""De-identification: scrub, pseudonymise, generalise; the techniques of Architecture 1.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.deidentify.builders import flat, from_schema, intervals, prefix
    from comity.deidentify.checker import check
    from comity.deidentify.expand import SoftEncoder
    from comity.deidentify.generalise import Anonymized, anonymize
    from comity.deidentify.hierarchy import Hierarchy
    from comity.deidentify.models import (
        DistinctLDiversity,
        EntropyLDiversity,
        KAnonymity,
        PrivacyModel,
        RecursiveLDiversity,
        TCloseness,
    )
    from comity.deidentify.pseudonymise import MasterKey, RecipientKey
    from comity.deidentify.release import Protected, protect, reapply
    from comity.deidentify.scrub import Vulnerable
    from comity.deidentify.typing_check import Expected

_HOME = {
    "Anonymized": "generalise",
    "DistinctLDiversity": "models",
    "EntropyLDiversity": "models",
    "Expected": "typing_check",
    "Hierarchy": "hierarchy",
    "KAnonymity": "models",
    "MasterKey": "pseudonymise",
    "PrivacyModel": "models",
    "Protected": "release",
    "RecipientKey": "pseudonymise",
    "RecursiveLDiversity": "models",
    "SoftEncoder": "expand",
    "TCloseness": "models",
    "Vulnerable": "scrub",
    "anonymize": "generalise",
    "check": "checker",
    "flat": "builders",
    "from_schema": "builders",
    "intervals": "builders",
    "prefix": "builders",
    "protect": "release",
    "reapply": "release",
}

__all__ = [
    "Anonymized",
    "DistinctLDiversity",
    "EntropyLDiversity",
    "Expected",
    "Hierarchy",
    "KAnonymity",
    "MasterKey",
    "PrivacyModel",
    "Protected",
    "RecipientKey",
    "RecursiveLDiversity",
    "SoftEncoder",
    "TCloseness",
    "Vulnerable",
    "anonymize",
    "check",
    "flat",
    "from_schema",
    "intervals",
    "prefix",
    "protect",
    "reapply",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
