"""A ledger as a Five Safes RO-Crate (profile 0.4 on RO-Crate 1.2): evidence in a form that archives read.

The crate holds the agreement, the newest checkpoint with all leaf hashes, the opened entries of every
question that was asked under the agreement (each with its proof), and countersignatures. Questions are
actions, and so are the phases that they went through: check, validation, sign-off, disclosure. Why something
was withheld, notes, and what left are not in it: no private value, no release. Who reads it can verify it
with any tool for RFC 6962.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from comity.agreement import Agreement, verify_agreement
from comity.errors import BadInput, ComityError, VerificationFailed
from comity.ledger.copies import LedgerCopy, read_copy
from comity.ledger.keeper import countersignatures_in
from comity.ledger.story import Question, told
from comity.report.bag import write_bag
from comity.report.crate_parties import architectures, organisation, parties, person, workflow_metadata
from comity.report.crate_profile import (
    CONTEXT,
    DESCRIPTOR,
    PROFILE,
    SPECIFICATION,
    WORKFLOW_PROFILE,
    faults,
)

_COMPLETED, _FAILED, _ACTIVE = (
    f"http://schema.org/{name}ActionStatus" for name in ("Completed", "Failed", "Active")
)
_SHA512 = "https://www.iana.org/assignments/named-information#sha-512"
_ROOT = {"@id": "./"}
_WORKFLOW = "workflow/"
_EXPORTED = frozenset({"opened", "asked", "charged", "refused", "released"})

Entity = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """Where a crate is, how many questions it tells of and how many files its payload has."""

    path: Path
    questions: int
    files: int


def write_crate(
    target: Path,
    ledger: str | Path,
    agreement: Agreement,
    *,
    countersigned: Sequence[Path] = (),
    requester: str | None = None,
) -> Written:
    """Export a ledger under one agreement.

    Args:
        target: a new folder, or a new `.zip`.
        ledger: the ledger's file or database URL.
        agreement: what it was done under; its signatures are checked, its expiry is not.
        countersigned: files of countersignatures to go with it.
        requester: the name of the person who asked; comity itself knows parties only.

    Raises:
        BadInput: if the target exists, the ledger's owner is no party of the agreement, or nothing was asked.
        VerificationFailed: if ledger, agreement or countersignatures do not verify.
    """
    copy = read_copy(ledger)
    crate = _Crate(copy, agreement, _questions(ledger, agreement), requester)
    crate.check_sources(countersigned)
    payload = crate.payload(countersigned)
    document = crate.metadata(sorted(payload))
    payload[DESCRIPTOR] = _json(document)
    found = faults(document, payload)
    if found:
        raise ComityError(f"the crate does not conform to its profile: {'; '.join(found)}")
    path = write_bag(target, payload, identifier=crate.identifier)
    return Written(path, len(crate.questions), len(payload))


def _questions(ledger: str | Path, agreement: Agreement) -> list[Question]:
    """What was asked by parties of the agreement under clauses that it has."""
    parties = {party.name for party in agreement.parties}
    clauses = {f"architectures.{name}" for name in agreement.architectures.names}
    asked = [one for one in told(ledger).questions if one.recipient in parties and one.clause in clauses]
    if not asked:
        raise BadInput("nothing was asked under this agreement in this ledger: there is nothing to export")
    return asked


class _Crate:
    """The entities of one crate."""

    def __init__(
        self, copy: LedgerCopy, agreement: Agreement, questions: list[Question], requester: str | None
    ) -> None:
        self.copy = copy
        self.agreement = agreement
        self.questions = questions
        self.requester = requester
        self.now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self.identifier = f"urn:uuid:{self._uuid('crate', copy.head.root.hex(), self.now)}"

    def check_sources(self, countersigned: Sequence[Path]) -> None:
        """Everything that goes in verifies first: this is the crate's check phase."""
        owner = self.agreement.party(self.copy.owner)
        if owner.key != self.copy.key:
            raise VerificationFailed(
                f"the ledger is signed with another key than the agreement names for '{owner.name}'"
            )
        # signed by everybody; whether it is still in force today is another question
        verify_agreement(self.agreement, on=min(self.agreement.expires, datetime.now(UTC).date()))
        for path in countersigned:
            for one in countersignatures_in(path):
                one.verify(self.agreement.party(one.party).key, self.copy.key)
                if one.checkpoint.root != self.copy.tree.root(one.checkpoint.size):
                    raise VerificationFailed(f"{path}: a countersigned checkpoint is not of this ledger")

    def payload(self, countersigned: Sequence[Path]) -> dict[str, bytes]:
        """The files, but for the metadata."""
        plans = {question.plan for question in self.questions}
        entries = [
            self.copy.opening(entry.seq).to_dict()
            for entry in self.copy.entries
            if entry.kind in _EXPORTED and entry.body.get("plan", entry.body.get("request")) in plans
        ]
        for document in entries:
            del document["checkpoint"]
        files = {
            "agreement.yaml": self.agreement.to_yaml().encode(),
            "ledger/checkpoint.json": _json(self.copy.head.to_dict()),
            "ledger/leaves.json": _json([leaf.hex() for leaf in self.copy.leaves]),
            "ledger/entries.json": _json({"owner": self.copy.owner, "entries": entries}),
            f"{_WORKFLOW}architectures.json": _json(architectures(self.agreement)),
            f"{_WORKFLOW}{DESCRIPTOR}": _json(workflow_metadata(self.now)),
        }
        for number, path in enumerate(countersigned):
            files[f"ledger/countersigned-{number}.jsonl"] = path.read_bytes()
        return files

    def metadata(self, files: Sequence[str]) -> dict[str, Any]:
        """The document of ro-crate-metadata.json."""
        runs = [self._run(question) for question in self.questions if "withheld" not in question.answers]
        reviews = [*self._reviews(), *(self._disclosure(question) for question in self.questions)]
        results = [self._result(question) for question in self.questions if _left(question)]
        inputs = [self._input(question) for question in self.questions]
        recipients = sorted({question.recipient for question in self.questions})
        described = [self._file(name) for name in files if not name.startswith(_WORKFLOW)]
        entities = [
            {
                "@id": DESCRIPTOR,
                "@type": "CreativeWork",
                "about": _ROOT,
                "conformsTo": {"@id": SPECIFICATION},
            },
            self._root([*described, *results], [*runs, *reviews]),
            {"@id": PROFILE, "@type": "Profile", "name": "Five Safes RO-Crate profile"},
            self._workflow(),
            *runs,
            *reviews,
            *results,
            *inputs,
            *described,
            *parties(self.agreement, self.copy.owner, recipients, self.requester),
            {"@id": _SHA512, "@type": "DefinedTerm", "name": "sha-512 algorithm"},
        ]
        return {"@context": CONTEXT, "@graph": entities}

    def _root(self, parts: Sequence[Entity], mentioned: Sequence[Entity]) -> Entity:
        return {
            "@id": "./",
            "@type": "Dataset",
            "name": f"{self.agreement.title}: the ledger of {self.copy.owner}",
            "description": (
                "What was asked under a signed agreement, what it cost and whether an answer left, with "
                f"proofs against the ledger's signed checkpoint of {self.copy.head.size} entries. No private "
                "value and no release is in it."
            ),
            "identifier": self.identifier,
            "conformsTo": {"@id": PROFILE},
            "datePublished": self.now,
            "publisher": {"@id": organisation(self.copy.owner)},
            "license": {"@id": "#licence"},
            "mainEntity": {"@id": _WORKFLOW},
            "sourceOrganization": {"@id": "#project"},
            "hasPart": [{"@id": _WORKFLOW}, *({"@id": part["@id"]} for part in parts)],
            "mentions": [{"@id": action["@id"]} for action in mentioned],
        }

    def _run(self, question: Question) -> Entity:
        left = _left(question)
        run: Entity = {
            "@id": f"#query-{self._uuid('query', question.plan)}",
            "@type": "CreateAction",
            "name": question.words(),
            "agent": {"@id": person(question.recipient)},
            "instrument": {"@id": _WORKFLOW},
            "object": [{"@id": f"#asked-{question.plan}"}],
            "startTime": question.asked,
            "actionStatus": _COMPLETED if left else _FAILED if question.answers else _ACTIVE,
        }
        if left:
            run["endTime"] = self._time_of(question, ("released",))
            run["result"] = [{"@id": self._result(question)["@id"]}]
        return run

    def _result(self, question: Question) -> Entity:
        """The answer, by name only: it is with its recipient, not here."""
        return {
            "@id": f"urn:uuid:{self._uuid('answer', question.plan)}",
            "@type": "DigitalDocument",
            "name": f"What left for '{question.purpose}': with {question.recipient}, not in this crate",
            "hasDigitalDocumentPermission": {"@id": f"#permission-{question.recipient}"},
        }

    def _input(self, question: Question) -> Entity:
        return {
            "@id": f"#asked-{question.plan}",
            "@type": "PropertyValue",
            "name": "digest of the question (SHA-256 of its canonical JSON)",
            "value": question.plan,
            "description": question.purpose,
        }

    def _reviews(self) -> list[Entity]:
        """Check, validation and sign-off, and the manifests that are written last."""
        signed = [{"@id": organisation(entry.party)} for entry in self.agreement.signatures]
        return [
            {
                **self._assessment(
                    "check", "CheckValue", "Ledger, agreement and countersignatures: verified"
                ),
                "instrument": {"@id": "ledger/checkpoint.json"},
            },
            {
                **self._assessment("validate", "ValidationCheck", "Five Safes RO-Crate profile: approved"),
                "instrument": {"@id": PROFILE},
            },
            {
                **self._assessment("signoff", "SignOff", "Agreement signed by every party: approved"),
                "instrument": {"@id": "agreement.yaml"},
                "object": [_ROOT, {"@id": _WORKFLOW}, {"@id": "#project"}],
                "agent": signed,
            },
            {
                "@id": f"#bagit-{self._uuid('bagit')}",
                "@type": "UpdateAction",
                "name": "BagIt manifests written",
                "additionalType": {"@id": "https://w3id.org/shp#GenerateCheckValue"},
                "object": _ROOT,
                "instrument": {"@id": _SHA512},
                "agent": {"@id": "#comity"},
                "startTime": self.now,
                "actionStatus": _COMPLETED,
            },
        ]

    def _disclosure(self, question: Question) -> Entity:
        """The gate's decision about one question; why one was withheld is the owner's steward's alone."""
        cost = ", ".join(cost for _, cost in question.costs) or "nothing"
        if "withheld" in question.answers:
            outcome, status = "withheld; it stays charged", _FAILED
        elif _left(question):
            outcome, status = f"admitted, charged {cost}", _COMPLETED
        elif question.answers:
            outcome, status = "refused", _FAILED
        else:
            outcome, status = f"charged {cost}, no answer recorded", _ACTIVE
        what = f"Disclosure check of '{question.purpose}' for {question.recipient}: {outcome}"
        action = self._assessment(f"disclosure-{question.plan}", "DisclosureCheck", what)
        end = self._time_of(question, ("released", "refused", "withheld"))
        return {**action, "endTime": end, "actionStatus": status}

    def _assessment(self, name: str, phase: str, words: str) -> Entity:
        return {
            "@id": f"#{name}",
            "@type": "AssessAction",
            "additionalType": {"@id": f"https://w3id.org/shp#{phase}"},
            "name": words,
            "object": _ROOT,
            "agent": {"@id": "#comity"},
            "endTime": self.now,
            "actionStatus": _COMPLETED,
        }

    def _file(self, name: str) -> Entity:
        kinds = {
            "agreement.yaml": ("The signed agreement", "application/yaml"),
            "ledger/checkpoint.json": ("The ledger's newest signed checkpoint", "application/json"),
            "ledger/leaves.json": (
                "Leaf hashes of all entries, each over salt and event",
                "application/json",
            ),
            "ledger/entries.json": (
                "Entries of the questions, opened, with inclusion proofs (RFC 6962): the receipts",
                "application/json",
            ),
        }
        words, kind = kinds.get(name, ("Countersignatures of the ledger's checkpoints", "application/jsonl"))
        return {"@id": name, "@type": "File", "name": words, "encodingFormat": kind}

    def _workflow(self) -> Entity:
        return {
            "@id": _WORKFLOW,
            "@type": "Dataset",
            "name": "The architectures that the agreement allows, as comity runs them",
            "conformsTo": {"@id": WORKFLOW_PROFILE},
        }

    def _time_of(self, question: Question, kinds: Sequence[str]) -> str:
        times = [
            entry.time
            for entry in self.copy.entries
            if entry.kind in kinds and entry.body.get("plan", entry.body.get("request")) == question.plan
        ]
        return times[-1] if times else question.asked

    def _uuid(self, *names: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join((self.agreement.digest, self.copy.owner, *names))))


def _left(question: Question) -> bool:
    return bool({"released", "sealed"} & set(question.answers))


def _json(document: Mapping[str, Any] | list[Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
