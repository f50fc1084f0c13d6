"""The Five Safes RO-Crate: every MUST of the profile, and that no private value is in it.

The MUSTs of https://w3id.org/5s-crate/0.4 that are held here, by section.
Archive: sha-512 payload manifest; bag-info has External-Identifier; BagIt 1.0; a ZIP holds one bag folder; no
reference leaves the root. Metadata: RO-Crate 1.2 declared by the descriptor; root is `./`. Workflow:
mainEntity is a Workflow RO-Crate. Run: a CreateAction that the root mentions, its instrument the workflow.
Agent: a Person. Project: sourceOrganization. Inputs: each described. Review: names; software names its
provider. Disclosure: what failed it is not in the crate. Publishing: mentions holds every AssessAction and
hasPart every result.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, ClauseRefused, VerificationFailed, Withheld
from comity.gate import execute
from comity.ledger import Account, Ledger, PrivacyUnit, Relation, gaussian
from comity.ledger.countersignatures import offer
from comity.ledger.keeper import Keeper
from comity.ledger.merkle import root
from comity.ledger.openings import Opening
from comity.plan import Outcome, Plan, Verdict
from comity.report.crate import write_crate
from comity.report.crate_profile import faults

SECRET = "row 4711 looks like Ada"


@pytest.fixture
def told(pact: Any, tmp_path: Path) -> Path:
    """North's ledger: a release, one withheld, one refused."""
    place = tmp_path / "north.db"
    account = Account("north", "patients", PrivacyUnit.label)
    records = Account("north", "patients", PrivacyUnit.record)
    common = {"recipient": "analyst", "topic": "t"}
    with Ledger.open(place, key=pact.keys["north"], owner="north") as ledger:
        dp = Plan(
            architecture="validation", purpose="auc of a model", request={"auc": 1},
            asks={"minimum_group": 5, "mode": "linked"},
            account=account, cost=gaussian(30.0, unit=PrivacyUnit.label, relation=Relation.change_one),
            run=lambda: Outcome({"value": 0.875}), **common,
        )  # fmt: skip
        execute(dp, pact.agreement, ledger)
        exact = Plan(
            architecture="direct-release", purpose="the table", request={"k": 3},
            asks={"k": 3, "suppression": 0.05, "l": None, "t": None},
            account=records, cost=None,
            run=lambda: Outcome({"rows": [SECRET]}),
            check=lambda _: Verdict(False, SECRET, {"worst": 471108151923}), **common,
        )  # fmt: skip
        with pytest.raises(Withheld):
            execute(exact, pact.agreement, ledger)
        other = Plan(
            architecture="direct-release", purpose="a finer table", request={"k": 2},
            asks={"k": 2, "suppression": 0.05, "l": None, "t": None},
            account=records, cost=None, run=lambda: Outcome({}), check=lambda _: Verdict(True, ""), **common,
        )  # fmt: skip
        with pytest.raises(ClauseRefused):
            execute(other, pact.agreement, ledger)
        ledger.append("note", {"text": SECRET})
        key = pact.keys["analyst"]
        keeper = Keeper(tmp_path / "countersigned", party="analyst", key=key)
        keeper.countersign(offer(ledger), owner="north", owner_key=pact.keys["north"].verify_key)
    return place


@pytest.fixture
def crate(told: Path, pact: Any, tmp_path: Path) -> Path:
    signed = [tmp_path / "countersigned" / "north.jsonl"]
    return write_crate(tmp_path / "crate", told, pact.agreement, countersigned=signed).path


def metadata(crate: Path) -> dict[str, Any]:
    return json.loads((crate / "data" / "ro-crate-metadata.json").read_text())


def entities(crate: Path, kind: str) -> list[dict[str, Any]]:
    return [entity for entity in metadata(crate)["@graph"] if entity["@type"] == kind]


def payload(crate: Path) -> list[str]:
    return [str(p.relative_to(crate / "data")) for p in (crate / "data").rglob("*") if p.is_file()]


def test_it_is_a_bag_with_sha512_manifests(crate: Path) -> None:
    assert (crate / "bagit.txt").read_text().startswith("BagIt-Version: 1.0\n")
    assert "External-Identifier: urn:uuid:" in (crate / "bag-info.txt").read_text()
    for name in ("manifest", "tagmanifest"):
        lines = (crate / f"{name}-sha512.txt").read_text().splitlines()
        for line in lines:
            digest, path = line.split("  ", 1)
            assert hashlib.sha512((crate / path).read_bytes()).hexdigest() == digest
        listed = {line.split("  ", 1)[1] for line in lines}
        if name == "manifest":
            assert listed == {f"data/{path}" for path in payload(crate)}
        else:
            assert listed == {"bagit.txt", "bag-info.txt", "manifest-sha512.txt"}


def test_it_conforms_to_the_profile(crate: Path) -> None:
    assert faults(metadata(crate), payload(crate)) == []


def test_it_tells_what_was_asked_and_what_became_of_it(crate: Path) -> None:
    (done, refused) = entities(crate, "CreateAction")  # what was withheld is no run
    assert done["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert "analyst asked for 'auc of a model'" in done["name"]
    assert len(done["result"]) == 1
    assert refused["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert "result" not in refused
    phases = [one["additionalType"]["@id"].partition("#")[2] for one in entities(crate, "AssessAction")]
    assert phases == ["CheckValue", "ValidationCheck", "SignOff", *["DisclosureCheck"] * 3]
    outcomes = [one["name"].rpartition(": ")[2] for one in entities(crate, "AssessAction")[3:]]
    assert outcomes[0].startswith("admitted, charged Gaussian noise of multiplier 30")
    assert outcomes[1:] == ["withheld; it stays charged", "refused"]


def test_no_private_value_is_in_it(crate: Path) -> None:
    for path in crate.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert b"471108151923" not in content, path  # too long to stand in a digest by chance
            assert b"0.875" not in content, path


def test_its_receipts_are_proofs_against_its_checkpoint(crate: Path, pact: Any) -> None:
    held = crate / "data" / "ledger"
    checkpoint = json.loads((held / "checkpoint.json").read_text())
    document = json.loads((held / "entries.json").read_text())
    kinds = []
    for entry in document["entries"]:
        opening = Opening.from_dict({**entry, "checkpoint": checkpoint})
        kinds.append(opening.verify(pact.keys["north"].verify_key).kind)
    assert kinds == ["asked", "charged", "released", "asked", "charged", "asked", "refused"]
    leaves = json.loads((held / "leaves.json").read_text())
    assert root([bytes.fromhex(leaf) for leaf in leaves]).hex() == checkpoint["root"]
    copied = Path(held / "countersigned-0.jsonl").read_text()
    assert json.loads(copied)["party"] == "analyst"


def test_a_zip_holds_one_bag(told: Path, pact: Any, tmp_path: Path) -> None:
    written = write_crate(tmp_path / "north.zip", told, pact.agreement, requester="Grace Hopper")
    with zipfile.ZipFile(written.path) as archive:
        names = archive.namelist()
        document = json.loads(archive.read("north/data/ro-crate-metadata.json"))
    assert {name.partition("/")[0] for name in names} == {"north"}
    assert "north/bagit.txt" in names
    assert [e["name"] for e in document["@graph"] if e["@type"] == "Person"] == ["Grace Hopper"]
    assert (written.questions, written.path) == (3, tmp_path / "north.zip")
    with pytest.raises(BadInput, match="is there already"):
        write_crate(tmp_path / "north.zip", told, pact.agreement)


def test_what_does_not_verify_is_not_exported(told: Path, pact: Any, pact_with: Any, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="another key"):
        write_crate(tmp_path / "c", told, pact_with().agreement)
    with pytest.raises(VerificationFailed, match="missing that of"):
        write_crate(tmp_path / "c", told, _unsigned(pact))
    other = Ledger.open(tmp_path / "other.db", key=pact.keys["north"], owner="north")
    keeper = Keeper(tmp_path / "k", party="analyst", key=pact.keys["analyst"])
    keeper.countersign(offer(other), owner="north", owner_key=other.verify_key)
    with pytest.raises(VerificationFailed, match="not of this ledger"):
        write_crate(tmp_path / "c", told, pact.agreement, countersigned=[tmp_path / "k" / "north.jsonl"])
    with pytest.raises(BadInput, match="nothing was asked"):
        write_crate(tmp_path / "c", tmp_path / "other.db", pact.agreement)
    assert not (tmp_path / "c").exists()


def _unsigned(pact: Any) -> Any:
    from comity.agreement import agreement_from

    document = pact.agreement.to_dict()
    return agreement_from({**document, "signatures": document["signatures"][1:]})


def drop(kind: str, name: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(graph: list[dict[str, Any]]) -> None:
        for entity in graph:
            if entity["@type"] == kind:
                entity.pop(name, None)

    return change


def without(kind: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(graph: list[dict[str, Any]]) -> None:
        graph[:] = [entity for entity in graph if entity["@type"] != kind]

    return change


def put(identifier: str, **values: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(graph: list[dict[str, Any]]) -> None:
        next(entity for entity in graph if entity["@id"] == identifier).update(values)

    return change


BROKEN = {
    "descriptor": (put("ro-crate-metadata.json", conformsTo={"@id": "x"}), "must declare"),
    "about": (put("ro-crate-metadata.json", about={"@id": "x"}), "about ./"),
    "root": (put("./", **{"@type": "Thing"}), "a Dataset"),
    "name": (put("./", name=""), "must have a name"),
    "description": (put("./", description=None), "must have a description"),
    "date": (put("./", datePublished="yesterday"), "datePublished"),
    "profile": (put("./", conformsTo=[]), "must conform to"),
    "workflow": (put("./", mainEntity={"@id": "#project"}), "Workflow RO-Crate"),
    "no run": (without("CreateAction"), "there must be a CreateAction"),
    "unmentioned": (put("./", mentions=[]), "must mention"),
    "instrument": (drop("CreateAction", "instrument"), "instrument must be the workflow"),
    "status": (drop("CreateAction", "actionStatus"), "actionStatus"),
    "agent": (drop("CreateAction", "agent"), "the person who requested it"),
    "no person": (without("Person"), "the person who requested it"),
    "input": (without("PropertyValue"), "must be described"),
    "result": (put("./", hasPart=[]), "hasPart"),
    "project": (without("Project"), "must be a Project"),
    "provider": (drop("SoftwareApplication", "provider"), "as provider"),
    "assessment": (drop("AssessAction", "name"), "must have a name"),
    "phase": (drop("AssessAction", "additionalType"), "status or phase"),
    "type": (drop("Person", "@type"), "must have an @type"),
    "outside": (put("#project", url={"@id": "../fetch.txt"}), "reaches out"),
    "file": (put("agreement.yaml", **{"@id": "gone.yaml"}), "not in the crate"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_must_is_checked(crate: Path, name: str) -> None:
    change, told = BROKEN[name]
    document = metadata(crate)
    change(document["@graph"])
    found = faults(document, payload(crate))
    assert any(told in fault for fault in found), found


def test_the_metadata_is_flat(crate: Path) -> None:
    document = metadata(crate)
    assert faults({**document, "@context": "x"}, payload(crate))
    document["@graph"].append(document["@graph"][0])
    assert "every entity needs an @id of its own" in faults(document, payload(crate))


def test_the_command(told: Path, pact: Any, tmp_path: Path) -> None:
    (tmp_path / "agreement.yaml").write_text(pact.agreement.to_yaml())
    command = [
        str(Path(sys.executable).with_name("comity")), "ledger", "export", str(told),
        "--crate", str(tmp_path / "out.zip"), "--agreement", str(tmp_path / "agreement.yaml"),
        "--countersigned", str(tmp_path / "countersigned" / "north.jsonl"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 questions asked under the agreement" in done.stdout
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 3


def test_another_key_countersigning(told: Path, pact: Any, tmp_path: Path) -> None:
    with Ledger.open(told, key=pact.keys["north"]) as ledger:
        keeper = Keeper(tmp_path / "k", party="analyst", key=SigningKey.generate())
        keeper.countersign(offer(ledger), owner="north", owner_key=ledger.verify_key)
    with pytest.raises(VerificationFailed, match="countersignature"):
        write_crate(tmp_path / "c", told, pact.agreement, countersigned=[tmp_path / "k" / "north.jsonl"])
