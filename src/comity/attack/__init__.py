"""Attacks: adversaries run against releases and models, each with a control and a confidence interval.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.attack.extraction import (
        ExtractionPoint,
        extract_model,
        extraction_attack,
        extraction_curve,
        rows_to_extract,
        telling_rows,
    )
    from comity.attack.inversion import alignment, inversion_attack, invert_linear
    from comity.attack.label import infer_labels, label_bound
    from comity.attack.membership import (
        MembershipInference,
        membership_bound,
        membership_either_way,
        membership_inference,
        rows_aside,
    )
    from comity.attack.origin import origin_attack
    from comity.attack.release import Adversary, attack_release
    from comity.attack.result import AttackResult
    from comity.attack.singling_out import singling_out_attack
    from comity.attack.synthetic import SyntheticRelease, attack_synthetic, synthetic_membership

_HOME = {
    "Adversary": "release",
    "AttackResult": "result",
    "ExtractionPoint": "extraction",
    "MembershipInference": "membership",
    "SyntheticRelease": "synthetic",
    "alignment": "inversion",
    "attack_release": "release",
    "attack_synthetic": "synthetic",
    "extraction_attack": "extraction",
    "extraction_curve": "extraction",
    "infer_labels": "label",
    "inversion_attack": "inversion",
    "invert_linear": "inversion",
    "label_bound": "label",
    "membership_bound": "membership",
    "membership_either_way": "membership",
    "membership_inference": "membership",
    "origin_attack": "origin",
    "rows_aside": "membership",
    "rows_to_extract": "extraction",
    "singling_out_attack": "singling_out",
    "extract_model": "extraction",
    "synthetic_membership": "synthetic",
    "telling_rows": "extraction",
}

__all__ = [
    "Adversary",
    "AttackResult",
    "ExtractionPoint",
    "MembershipInference",
    "SyntheticRelease",
    "alignment",
    "attack_release",
    "attack_synthetic",
    "extract_model",
    "extraction_attack",
    "extraction_curve",
    "infer_labels",
    "inversion_attack",
    "invert_linear",
    "label_bound",
    "membership_bound",
    "membership_either_way",
    "membership_inference",
    "origin_attack",
    "rows_aside",
    "rows_to_extract",
    "singling_out_attack",
    "synthetic_membership",
    "telling_rows",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
