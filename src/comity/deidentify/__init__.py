"""De-identification: scrub, pseudonymise, generalise; Architecture 1.A's techniques."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "anonymize": "generalise",
    "Anonymized": "generalise",
    "Hierarchy": "hierarchy",
    "flat": "builders",
    "intervals": "builders",
    "prefix": "builders",
    "DistinctLDiversity": "models",
    "EntropyLDiversity": "models",
    "Expected": "typing_check",
    "KAnonymity": "models",
    "MasterKey": "pseudonymise",
    "Protected": "release",
    "RecipientKey": "pseudonymise",
    "Vulnerable": "scrub",
    "check": "checker",
    "from_schema": "builders",
    "protect": "release",
    "reapply": "release",
    "SoftEncoder": "expand",
    "PrivacyModel": "models",
    "RecursiveLDiversity": "models",
    "TCloseness": "models",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
