"""The people, organisations and the workflow of a crate, as entities of its metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comity import __version__
from comity.agreement import Agreement
from comity.errors import ClauseRefused
from comity.report.crate_profile import CONTEXT, DESCRIPTOR, SPECIFICATION, WORKFLOW_PROFILE

Entity = dict[str, Any]


def parties(
    agreement: Agreement, owner: str, recipients: Sequence[str], requester: str | None
) -> list[Entity]:
    """Project, organisations, who asked, their permissions, the software and the licence.

    Args:
        owner: whose ledger it is, on whose behalf the software acted.
        recipients: the parties that asked.
        requester: the name of the person who asked, if it is known.
    """
    project: Entity = {
        "@id": "#project",
        "@type": "Project",
        "name": agreement.title,
        "description": agreement.purpose.text,
        "identifier": {"@id": "#agreement"},
        "member": [{"@id": organisation(party.name)} for party in agreement.parties],
    }
    digest: Entity = {
        "@id": "#agreement",
        "@type": "PropertyValue",
        "name": "digest of the agreement (SHA-256 of its canonical JSON)",
        "value": agreement.digest,
    }
    software: Entity = {
        "@id": "#comity",
        "@type": "SoftwareApplication",
        "name": "comity",
        "version": __version__,
        "provider": {"@id": organisation(owner)},
    }
    organisations = [
        {
            "@id": organisation(party.name),
            "@type": "Organization",
            "name": party.name,
            "description": str(party.role),
        }
        for party in agreement.parties
    ]
    return [
        project,
        digest,
        software,
        _licence(agreement, owner),
        *organisations,
        *(_asker(name, requester) for name in recipients),
        *(_permission(name) for name in recipients),
    ]


def organisation(party: str) -> str:
    """The @id of a party."""
    return f"#party-{party}"


def person(party: str) -> str:
    """The @id of whoever asks for a party."""
    return f"#requester-{party}"


def architectures(agreement: Agreement) -> dict[str, Any]:
    """What the workflow is: the clauses of the agreement, which comity's nodes run."""
    clauses = agreement.to_dict()["architectures"]
    return {"comity": __version__, "agreement": agreement.digest, "architectures": clauses}


def workflow_metadata(now: str) -> dict[str, Any]:
    """The metadata of the nested Workflow RO-Crate."""
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Architectures of comity",
        "description": "Clauses of a signed agreement; comity's nodes run what they allow.",
        "datePublished": now,
        "license": {"@id": "#licence"},
        "mainEntity": {"@id": "architectures.json"},
        "hasPart": [{"@id": "architectures.json"}],
    }
    descriptor: Entity = {
        "@id": DESCRIPTOR,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [{"@id": SPECIFICATION}, {"@id": WORKFLOW_PROFILE}],
    }
    workflow: Entity = {
        "@id": "architectures.json",
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "Clauses by architecture",
        "programmingLanguage": {"@id": "#comity"},
    }
    language: Entity = {
        "@id": "#comity",
        "@type": "ComputerLanguage",
        "name": "comity",
        "version": __version__,
    }
    licence: Entity = {"@id": "#licence", "@type": "CreativeWork", "name": "Apache-2.0"}
    return {"@context": CONTEXT, "@graph": [descriptor, root, workflow, language, licence]}


def _asker(recipient: str, requester: str | None) -> Entity:
    return {
        "@id": person(recipient),
        "@type": "Person",
        "name": requester or f"whoever acted for {recipient} (the ledger knows parties, not people)",
        "affiliation": {"@id": organisation(recipient)},
        "memberOf": [{"@id": "#project"}],
    }


def _licence(agreement: Agreement, owner: str) -> Entity:
    try:
        text = agreement.data_of(owner).licence
    except ClauseRefused:
        text = "as the agreement says"
    return {"@id": "#licence", "@type": "CreativeWork", "name": text, "description": "Licence of the data."}


def _permission(recipient: str) -> Entity:
    return {
        "@id": f"#permission-{recipient}",
        "@type": "DigitalDocumentPermission",
        "permissionType": "http://schema.org/ReadPermission",
        "grantee": {"@id": organisation(recipient)},
    }
