"""De-identification: scrub, pseudonymise, perturb, enrich, generalise; the techniques of Architecture 1.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.deidentify.columns.aggregate import aggregate_within
    from comity.deidentify.columns.enrich import Normalised, enrich
    from comity.deidentify.columns.freetext import FreeText, mask_free_text
    from comity.deidentify.columns.microaggregate import microaggregate
    from comity.deidentify.columns.perturb import (
        bounded_noise,
        pram,
        randomized_response,
        round_to,
        shuffle_within,
    )
    from comity.deidentify.columns.pseudonymise import MasterKey, RecipientKey, pseudonymise
    from comity.deidentify.columns.scrub import Vulnerable, scrub
    from comity.deidentify.columns.steps import Step, masking, perturbing
    from comity.deidentify.generalise import Anonymized, anonymize
    from comity.deidentify.hierarchies.builders import (
        dates,
        flat,
        from_schema,
        intervals,
        mask,
        ordered,
        postcodes,
        prefix,
    )
    from comity.deidentify.hierarchies.complete import absent_values, require_complete
    from comity.deidentify.hierarchies.hierarchy import Hierarchy
    from comity.deidentify.hierarchies.opaque import Opaque, OpaqueKey, make_opaque
    from comity.deidentify.hierarchies.suggestion import Suggestion, suggest
    from comity.deidentify.models.checker import Checked, check
    from comity.deidentify.models.class_models import (
        DistinctLDiversity,
        EntropyLDiversity,
        KAnonymity,
        PrivacyModel,
        RecursiveLDiversity,
        TCloseness,
    )
    from comity.deidentify.models.disclosure import BetaLikeness, DeltaDisclosure
    from comity.deidentify.models.population import DeltaPresence, KMap, Population
    from comity.deidentify.models.safepub import SafePub
    from comity.deidentify.models.table_models import AverageRisk, PopulationUniqueness
    from comity.deidentify.release.candidate import Protected, protect
    from comity.deidentify.release.expand import SoftEncoder
    from comity.deidentify.release.manifest import export_hierarchies
    from comity.deidentify.release.reapplication import reapply
    from comity.deidentify.release.steward import StewardReport
    from comity.deidentify.release.typing_check import Expected, typing_check
    from comity.deidentify.stream import AnonymizedFile, anonymize_file
    from comity.deidentify.utility.choice import Choice
    from comity.deidentify.utility.measured import Utility, measure_utility
    from comity.deidentify.utility.objective import best_for_target

_HOME = {
    "Anonymized": "generalise",
    "AnonymizedFile": "stream",
    "AverageRisk": "models.table_models",
    "BetaLikeness": "models.disclosure",
    "Checked": "models.checker",
    "Choice": "utility.choice",
    "DeltaDisclosure": "models.disclosure",
    "DeltaPresence": "models.population",
    "DistinctLDiversity": "models.class_models",
    "EntropyLDiversity": "models.class_models",
    "Expected": "release.typing_check",
    "FreeText": "columns.freetext",
    "Hierarchy": "hierarchies.hierarchy",
    "KAnonymity": "models.class_models",
    "KMap": "models.population",
    "MasterKey": "columns.pseudonymise",
    "Normalised": "columns.enrich",
    "Opaque": "hierarchies.opaque",
    "OpaqueKey": "hierarchies.opaque",
    "Population": "models.population",
    "PopulationUniqueness": "models.table_models",
    "PrivacyModel": "models.class_models",
    "Protected": "release.candidate",
    "RecipientKey": "columns.pseudonymise",
    "RecursiveLDiversity": "models.class_models",
    "SafePub": "models.safepub",
    "SoftEncoder": "release.expand",
    "Step": "columns.steps",
    "StewardReport": "release.steward",
    "Suggestion": "hierarchies.suggestion",
    "TCloseness": "models.class_models",
    "Utility": "utility.measured",
    "Vulnerable": "columns.scrub",
    "absent_values": "hierarchies.complete",
    "aggregate_within": "columns.aggregate",
    "anonymize": "generalise",
    "anonymize_file": "stream",
    "best_for_target": "utility.objective",
    "bounded_noise": "columns.perturb",
    "check": "models.checker",
    "dates": "hierarchies.builders",
    "enrich": "columns.enrich",
    "export_hierarchies": "release.manifest",
    "flat": "hierarchies.builders",
    "from_schema": "hierarchies.builders",
    "intervals": "hierarchies.builders",
    "make_opaque": "hierarchies.opaque",
    "mask": "hierarchies.builders",
    "mask_free_text": "columns.freetext",
    "masking": "columns.steps",
    "measure_utility": "utility.measured",
    "microaggregate": "columns.microaggregate",
    "ordered": "hierarchies.builders",
    "perturbing": "columns.steps",
    "postcodes": "hierarchies.builders",
    "pram": "columns.perturb",
    "prefix": "hierarchies.builders",
    "protect": "release.candidate",
    "pseudonymise": "columns.pseudonymise",
    "randomized_response": "columns.perturb",
    "reapply": "release.reapplication",
    "require_complete": "hierarchies.complete",
    "round_to": "columns.perturb",
    "scrub": "columns.scrub",
    "shuffle_within": "columns.perturb",
    "suggest": "hierarchies.suggestion",
    "typing_check": "release.typing_check",
}

__all__ = [
    "Anonymized",
    "AnonymizedFile",
    "AverageRisk",
    "BetaLikeness",
    "Checked",
    "Choice",
    "DeltaDisclosure",
    "DeltaPresence",
    "DistinctLDiversity",
    "EntropyLDiversity",
    "Expected",
    "FreeText",
    "Hierarchy",
    "KAnonymity",
    "KMap",
    "MasterKey",
    "Normalised",
    "Opaque",
    "OpaqueKey",
    "Population",
    "PopulationUniqueness",
    "PrivacyModel",
    "Protected",
    "RecipientKey",
    "RecursiveLDiversity",
    "SafePub",
    "SoftEncoder",
    "Step",
    "StewardReport",
    "Suggestion",
    "TCloseness",
    "Utility",
    "Vulnerable",
    "absent_values",
    "aggregate_within",
    "anonymize",
    "anonymize_file",
    "best_for_target",
    "bounded_noise",
    "check",
    "dates",
    "enrich",
    "export_hierarchies",
    "flat",
    "from_schema",
    "intervals",
    "make_opaque",
    "mask",
    "mask_free_text",
    "masking",
    "measure_utility",
    "microaggregate",
    "ordered",
    "perturbing",
    "postcodes",
    "pram",
    "prefix",
    "protect",
    "pseudonymise",
    "randomized_response",
    "reapply",
    "require_complete",
    "round_to",
    "scrub",
    "shuffle_within",
    "suggest",
    "typing_check",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
