"""What a crate must have: the MUSTs of RO-Crate 1.2 and of the Five Safes RO-Crate profile 0.4, as checks.

They are run on every crate before it is written: the "validation phase" that the crate then mentions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

CONTEXT: Final = "https://w3id.org/ro/crate/1.2/context"
SPECIFICATION: Final = "https://w3id.org/ro/crate/1.2"
PROFILE: Final = "https://w3id.org/5s-crate/0.4"
WORKFLOW_PROFILE: Final = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
DESCRIPTOR: Final = "ro-crate-metadata.json"
STATES: Final = frozenset(
    f"http://schema.org/{name}ActionStatus" for name in ("Potential", "Active", "Completed", "Failed")
)
ASSESSMENTS: Final = frozenset(
    f"https://w3id.org/shp#{name}" for name in ("CheckValue", "ValidationCheck", "SignOff", "DisclosureCheck")
)

Graph = Mapping[str, Mapping[str, Any]]
"""Entities by @id."""


def faults(document: Mapping[str, Any], files: Iterable[str]) -> list[str]:
    """What is missing or wrong; empty if the crate conforms.

    Args:
        document: of ro-crate-metadata.json.
        files: paths in the payload, below the crate's root.
    """
    entities = document.get("@graph")
    if document.get("@context") != CONTEXT or not isinstance(entities, list):
        return [f"the metadata needs @context {CONTEXT} and a flat @graph"]
    graph = {entity["@id"]: entity for entity in entities if "@id" in entity}
    found = [] if len(graph) == len(entities) else ["every entity needs an @id of its own"]
    present = set(files)
    return [*found, *(fault for check in _CHECKS for fault in check(graph, present))]


def _descriptor(graph: Graph, files: set[str]) -> Iterable[str]:
    descriptor = graph.get(DESCRIPTOR, {})
    if descriptor.get("@type") != "CreativeWork" or descriptor.get("about") != {"@id": "./"}:
        yield f"{DESCRIPTOR} must be a CreativeWork about ./"
    if descriptor.get("conformsTo") != {"@id": SPECIFICATION}:
        yield f"{DESCRIPTOR} must declare {SPECIFICATION}"
    if DESCRIPTOR not in files:
        yield f"{DESCRIPTOR} must lie in the crate's root"


def _root(graph: Graph, files: set[str]) -> Iterable[str]:
    root = graph.get("./", {})
    if root.get("@type") != "Dataset":
        yield "the root data entity must be ./, a Dataset"
    for name in ("name", "description"):
        if not isinstance(root.get(name), str) or not root.get(name):
            yield f"the root data entity must have a {name}"
    if not _is_time(root.get("datePublished")):
        yield "the root data entity must have an ISO 8601 datePublished"
    if {"@id": PROFILE} not in _listed(root.get("conformsTo")):
        yield f"the root data entity must conform to {PROFILE}"


def _whole(graph: Graph, files: set[str]) -> Iterable[str]:
    for entity in graph.values():
        if not entity.get("@type"):
            yield f"{entity['@id']}: every entity must have an @type"
        for reference in _references(entity):
            if reference.startswith(("#", "./")) and reference not in graph:
                yield f"{entity['@id']}: {reference} is mentioned and not described"
            if "../" in reference:
                yield f"{entity['@id']}: {reference} reaches out of the crate"
    parts = {part["@id"] for part in _listed(graph.get("./", {}).get("hasPart"))}
    for entity in graph.values():
        path = str(entity["@id"])
        if "File" in _listed(entity.get("@type")) and "://" not in path:
            if path not in files:
                yield f"{path}: a File that is not in the crate"
            if path not in parts:
                yield f"{path}: a File that the root's hasPart does not list"


def _workflow(graph: Graph, files: set[str]) -> Iterable[str]:
    reference = graph.get("./", {}).get("mainEntity")
    workflow = graph.get(_id(reference), {})
    if workflow.get("@type") != "Dataset" or workflow.get("conformsTo") != {"@id": WORKFLOW_PROFILE}:
        yield "mainEntity must be a Dataset that conforms to the Workflow RO-Crate profile"


def _run(graph: Graph, files: set[str]) -> Iterable[str]:
    main = graph.get("./", {}).get("mainEntity")
    mentioned = {_id(reference) for reference in _listed(graph.get("./", {}).get("mentions"))}
    runs = [entity for entity in graph.values() if entity.get("@type") == "CreateAction"]
    if not runs:
        yield "there must be a CreateAction: the requested run"
    for run in runs:
        if run["@id"] not in mentioned:
            yield f"{run['@id']}: the root must mention it"
        if run.get("instrument") != main:
            yield f"{run['@id']}: its instrument must be the workflow crate"
        if run.get("actionStatus") not in STATES:
            yield f"{run['@id']}: its actionStatus must be one of the four of schema.org"
        if graph.get(_id(run.get("agent")), {}).get("@type") != "Person":
            yield f"{run['@id']}: its agent must be the person who requested it"
        for part in (*_listed(run.get("object")), *_listed(run.get("result"))):
            if _id(part) not in graph:
                yield f"{run['@id']}: {_id(part)} must be described"
        parts = {_id(part) for part in _listed(graph.get("./", {}).get("hasPart"))}
        for part in _listed(run.get("result")):
            if _id(part) not in parts:
                yield f"{run['@id']}: hasPart must include the result {_id(part)}"


def _project(graph: Graph, files: set[str]) -> Iterable[str]:
    project = graph.get(_id(graph.get("./", {}).get("sourceOrganization")), {})
    if project.get("@type") != "Project" or not project.get("name"):
        yield "sourceOrganization must be a Project with a name"


def _reviews(graph: Graph, files: set[str]) -> Iterable[str]:
    mentioned = {_id(reference) for reference in _listed(graph.get("./", {}).get("mentions"))}
    for action in graph.values():
        if action.get("@type") != "AssessAction":
            continue
        if action["@id"] not in mentioned:
            yield f"{action['@id']}: the root must mention every AssessAction"
        if not action.get("name"):
            yield f"{action['@id']}: it must have a name that says type and outcome"
        if action.get("actionStatus") not in STATES or _id(action.get("additionalType")) not in ASSESSMENTS:
            yield f"{action['@id']}: status or phase is none of the profile's"
    for entity in graph.values():
        if entity.get("@type") == "SoftwareApplication":
            provider = graph.get(_id(entity.get("provider")), {})
            if provider.get("@type") != "Organization":
                yield f"{entity['@id']}: software must name the organisation it acts for as provider"


_CHECKS: Final[tuple[Callable[[Graph, set[str]], Iterable[str]], ...]] = (
    _descriptor, _root, _whole, _workflow, _run, _project, _reviews,
)  # fmt: skip


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _id(reference: Any) -> str:
    return str(reference.get("@id", "")) if isinstance(reference, Mapping) else ""


def _references(value: Any) -> Iterable[str]:
    """Every @id that an entity points to."""
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name == "@id":
                yield str(one)
            else:
                yield from _references(one)


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value) is not None
    except ValueError:
        return False
