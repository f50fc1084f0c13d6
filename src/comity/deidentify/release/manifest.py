"""The manifest that goes with a release, and what of the provider's knowledge stays behind.

What leaves is either public by agreement (settings, hierarchies, the tools' parameters), or computable from
the released rows by whoever gets them (classes, risk after), or a warning. What stays with the steward, and
why:

- suppressed rows, rows left out as vulnerable, and the loss, from which the first two can be solved: how many
  people have rare values, and who knows the table's size learns it of the release;
- risk before: it describes raw rows;
- utility and AUCs: measured on raw rows, without noise. The recipient measures its own model;
- match rates, values moved into bounds: counts of private rows;
- what to relax: each line is the result of another release of the same rows, which does not leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comity.deidentify.generalise import Anonymized
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.release.files import write_hierarchies
from comity.errors import BadInput, UsageError
from comity.schema import Schema

FORMAT = 2
FORMATS = (1, 2)

UNPROTECTED = {
    "intersection": "joined with another release about the same people, classes intersect and shrink "
    "(Ganta, Kasiviswanathan and Smith 2008)",
    "minimality": "who knows how levels are chosen can rule out tables that would have got other levels "
    "(Wong et al. 2007)",
    "downcoding": "hierarchical releases that lose as little as possible can be undone in part by who knows "
    "the distribution (Cohen 2022)",
}
HOMOGENEITY = (
    "a class whose rows share a sensitive value discloses it; no l or t was asked for (Machanavajjhala 2007)"
)
TARGET_CHOICE = (
    "levels were chosen by how well a model predicts the target: which levels were chosen says something of "
    "how the target depends on each column, beyond what the released rows show (Wong et al. 2007)"
)


COMPOSITION = (
    "each further release about the same people adds its epsilon and delta to those of this one, and one "
    "without differential privacy makes the total none"
)


def unprotected(*, sensitive_models: bool, by_target: bool, private: bool = False) -> dict[str, str]:
    """The attacks that a release does not protect from, in words; `private`: it is differentially private."""
    if private:
        return {"composition": COMPOSITION}
    found = dict(UNPROTECTED)
    if not sensitive_models:
        found["homogeneity"] = HOMOGENEITY
    if by_target:
        found["target-choice"] = TARGET_CHOICE
    return found


def make_manifest(
    *,
    settings: Mapping[str, Any],
    schema: Schema,
    names: Sequence[str],
    dropped_columns: Sequence[str],
    pseudonyms: Mapping[str, str],
    steps: Sequence[Mapping[str, Any]],
    done: Anonymized,
    hierarchies: Mapping[str, Hierarchy],
    released_rows: int,
    risk_after: Mapping[str, Any],
    not_protected: Mapping[str, str],
    private: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What goes with a release (JSON).

    Args:
        private: what is stated of differential privacy; then nothing that was counted in rows stands in it.
        names: the released columns, in order.
        hierarchies: as the recipient may read them.
        pseudonyms: per column of pseudonyms, "keyed" or "reversible".
    """
    return {
        "format": FORMAT,
        "settings": dict(settings),
        "columns": {
            name: {"role": schema[name].role.value, "type": schema[name].type.value} for name in names
        },
        "dropped_columns": list(dropped_columns),
        "pseudonyms": dict(pseudonyms),
        "steps": [dict(step) for step in steps],
        "quasi_identifiers": {
            name: {
                "level": None if done.levels is None else done.levels[name],
                "hierarchy": hierarchy.to_dict(),
                "digest": hierarchy.digest,
            }
            for name, hierarchy in hierarchies.items()
        },
        "rows": {} if private else {"released": released_rows},
        "classes": None if private else done.classes,
        "smallest_class": None if private else done.smallest_class,
        "risk": {} if private else {"after": dict(risk_after)},
        "differential_privacy": None if private is None else dict(private),
        "unprotected": dict(not_protected),
    }


def entries_of(manifest: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The quasi-identifiers of a manifest.

    Raises:
        BadInput: if it is no manifest of a generalised release, or of a format that is not known.
    """
    if manifest.get("format") not in FORMATS:
        raise BadInput(
            f"this manifest has format {manifest.get('format')!r}; this version of comity reads "
            f"{' and '.join(map(str, FORMATS))}"
        )
    entries = manifest.get("quasi_identifiers")
    if not isinstance(entries, Mapping):
        raise BadInput("this is no manifest of a generalised release: it has no quasi_identifiers")
    return entries


def export_hierarchies(manifest: Mapping[str, Any], folder: str | Path) -> dict[str, Path]:
    """Write the hierarchies of a manifest in ARX's layout, one CSV file per quasi-identifier.

    Returns:
        The file of each (`files.write_hierarchies`).

    Raises:
        BadInput: if it is no manifest, or the folder cannot be written.
        UsageError: if labels are opaque: what they stand for is the provider's secret.
    """
    trees: dict[str, Hierarchy] = {}
    for name, entry in entries_of(manifest).items():
        if entry["hierarchy"].get("opaque") is True:
            raise UsageError(f"the labels of '{name}' are opaque: the provider's key holds its hierarchy")
        trees[name] = Hierarchy.from_dict(entry["hierarchy"])
    return write_hierarchies(trees, folder)
