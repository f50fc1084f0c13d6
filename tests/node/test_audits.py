"""Audits between real nodes: load, ask, answer, audit, verify; and each way to get around one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from comity.agreement import agreement_from
from comity.crypto.keys import SigningKey
from comity.errors import BadInput, ClauseRefused, ComityError, VerificationFailed
from comity.ledger import Ledger
from comity.node.audit_evidence import Evidence
from comity.node.audit_opening import require_whole
from comity.node.audits import Request, ask_audit, open_audit, run_audit, verify_verdict
from comity.node.committed import bind_table, committed_table
from comity.node.folder import PartyFolder
from comity.node.remote import RemoteValidator
from comity.node.state import State
from comity.node.tables import load_table
from comity.node.transcript import read_transcript
from comity.validate.audit_order import AuditVerdict
from comity.wire import Query, Sealer, open_message


@dataclass
class Scene:
    """What is left after a run of `validation` and a conversation: folders of both sides, nodes stopped."""

    town: Any
    folders: dict[str, PartyFolder]

    @property
    def agreement(self) -> Any:
        return self.town.agreement

    def state(self, name: str) -> State:
        return State.open(self.folders[name].state_path)

    def ledger(self, name: str) -> Ledger:
        own = self.folders[name]
        return Ledger.open(own.ledger_path, key=own.key, owner=name)

    def ask(self, **changes: Any) -> Request:
        state = self.state("analyst")
        try:
            return ask_audit(self.folders["analyst"], self.agreement, "north", state=state, **changes)[0]
        finally:
            state.close()

    def run(self, request: Request) -> Any:
        with self.ledger("north") as ledger:
            state = self.state("north")
            try:
                return run_audit(request, self.folders["north"], ledger=ledger, state=state)
            finally:
                state.close()

    def open(self, request: Request) -> Any:
        with self.ledger("north") as ledger:
            state = self.state("north")
            try:
                return open_audit(request, self.folders["north"], ledger, state)
            finally:
                state.close()

    def signed(self, request: Request, **changes: Any) -> Request:
        """A request as the ML party would sign it, with something else in it."""
        order = replace(request.order, **changes)
        return replace(request, order=order, signature=order.sign(self.folders["analyst"].key))


def comity(*words: str) -> int:
    from comity.cli.app import app

    try:
        return app(list(words), standalone_mode=False) or 0
    except ComityError as error:
        return error.exit_code


@pytest.fixture(scope="module")
def asked(houses: Any, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Nodes of a provider, an ML party and an auditor that runs none; two sessions of each kind are over."""
    root = tmp_path_factory.mktemp("audits")
    town = houses.build_town(root, ["validation"], parties=("north", "analyst"), rows=400, epsilon=40.0)
    court = PartyFolder.create(root / "court", "court")
    folders = {**town.folders, "court": court}
    document = town.agreement.to_dict()
    del document["signatures"]
    document["parties"].append({"name": "court", "role": "auditor", "key": str(court.key.verify_key)})
    document["data"][0]["auditor"] = "court"
    document["architectures"]["validation"] |= {"queries": 1_000, "epsilon": 20.0, "delta": 2e-5}
    town.agreement = agreement = houses.agreed(folders, document)
    (root / "schema.json").write_text(json.dumps(houses.SCHEMA))
    place = town.folders["north"].tables_path / "train.parquet"
    rows = pq.read_table(place)
    pq.write_table(rows, root / "rows.parquet")
    words = ("node", "load", str(root / "rows.parquet"), "--schema", str(root / "schema.json"))
    assert comity(*words, "--folder", str(root / "north")) == 0
    try:
        town.start()
        assert town.run("validation", epsilon=1.0)["status"] == "done"
        ids = sorted(rows.column("id").to_pylist())
        ages = dict(zip(rows.column("id").to_pylist(), rows.column("age").to_pylist(), strict=True))
        with RemoteValidator(town.analyst, agreement, "north", town.task, ids) as north:
            alone = np.zeros(len(ids), dtype="<i2")
            groups = len({age // 20 for age in ages.values()})
            alone[:groups] = np.arange(groups)
            with pytest.raises(ClauseRefused):  # groups of one, under the name that is taken next
                north._ask("grouping", {"name": "age"}, {"codes": alone.tobytes()})
            north.register("age", [ages[each] // 20 for each in ids])
            north.positives("age", 2, epsilon=0.5)
            asking = [north.question("age"), north.question("age", weights=[1, -2, 3])]
            north.sums(asking, epsilon=0.25)
            # asked again, all of it or some, it is told again for nothing
            north.positives("age", 2, epsilon=0.5)
            north.sums([*asking, north.question("age", 3), north.question("age", 3)], epsilon=0.25)
    finally:
        town.stop()
    return Scene(town, folders)


@pytest.fixture
def scene(asked: Scene, tmp_path: Path) -> Scene:
    """The same, in a folder of one's own to do harm in."""
    folders: dict[str, PartyFolder] = {}
    for name, folder in asked.folders.items():
        shutil.copytree(folder.path, tmp_path / name)
        folders[name] = PartyFolder.open(tmp_path / name)
    return Scene(asked.town, folders)


def test_the_whole_loop_as_commands(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An honest provider fails with probability 1e-9."""
    about = ("--agreement", scene.agreement.digest[:12], "--provider", "north")
    order, verdict = str(tmp_path / "order.json"), str(tmp_path / "verdict.json")
    analyst, north, court = (str(tmp_path / name) for name in ("analyst", "north", "court"))
    asking = ("audit", "ask", "--folder", analyst, *about, "--out", order)
    assert comity(*asking, "--auditor", "north") == 0
    assert "5 answers of 'north'" in capsys.readouterr().out
    assert comity("audit", "run", order, "--folder", north, "--out", verdict) == 2  # nobody said yes
    assert comity("audit", "run", order, "--folder", north, "--out", verdict, "--yes") == 0
    assert comity("audit", "verify", verdict, "--folder", analyst) == 0
    said = capsys.readouterr().out
    assert "5 of 5 answers fit" in said
    assert "the provider's own word" in said
    # what leaves: one word each, besides signatures and the order that the asker wrote itself
    document = json.loads(Path(verdict).read_text())
    assert set(document) == {"order", "consents", "words", "time", "signature"}
    assert set(document["words"].values()) == {"fits"}
    # with the auditor that the agreement names
    opening = str(tmp_path / "opening.json")
    assert comity(*asking) == 0
    # an earlier verdict is none on this order
    assert comity("audit", "verify", verdict, "--folder", analyst, "--order", order) == 6
    assert comity("audit", "run", order, "--folder", north, "--out", verdict, "--yes") == 3
    assert comity("audit", "open", order, "--folder", north, "--out", opening, "--yes") == 0
    assert comity("audit", "run", order, "--folder", court, "--out", verdict, "--yes") == 3
    told = comity("audit", "run", order, "--opening", opening, "--folder", court, "--out", verdict, "--yes")
    assert told == 0, capsys.readouterr().out
    assert comity("audit", "verify", verdict, "--folder", analyst, "--order", order) == 0
    assert "audited by 'court'" in capsys.readouterr().out
    with scene.ledger("north") as ledger:
        notes = [entry.body["text"] for entry in ledger.events("note")]
    assert any("opened the table to the auditor 'court'" in note for note in notes)
    assert any("audited 5 answers to 'analyst': 5 fit" in note for note in notes)


def test_the_commitment_comes_before_the_first_charge_and_every_receipt_carries_it(scene: Scene) -> None:
    commitment = committed_table(scene.folders["north"])
    assert commitment is not None
    with scene.ledger("north") as ledger:
        entries = list(ledger.events())
    note = next(entry for entry in entries if "commitment" in entry.body and entry.kind == "note")
    assert note.seq < next(entry.seq for entry in entries if entry.kind == "charged")
    carried = [entry.body.get("commitment") for entry in entries if entry.kind == "released"]
    assert carried == [commitment.digest.hex()] * 5
    secret = scene.folders["north"].tables_path / "train.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    # nothing of it is in what the other side has
    for folder in ("analyst", "court"):
        for path in scene.folders[folder].path.rglob("*"):
            assert not path.is_file() or secret.read_bytes() not in path.read_bytes()


def changed(scene: Scene) -> Path:
    """Every third label of the provider's rows turned round."""
    place = scene.folders["north"].tables_path / "train.parquet"
    rows = pq.read_table(place)
    other = {"yes": "no", "no": "yes"}
    ill = [other[v] if at % 3 == 0 else v for at, v in enumerate(rows.column("ill").to_pylist())]
    target = scene.folders["north"].path.parent / "other.parquet"
    pq.write_table(rows.set_column(rows.column_names.index("ill"), "ill", [ill]), target)
    return target


def test_another_table_leaves_no_answer_that_fits(scene: Scene) -> None:
    request = scene.ask(auditor="north")
    shutil.copy(changed(scene), scene.folders["north"].tables_path / "train.parquet")
    verdict, found = scene.run(request)
    assert set(verdict.words.values()) == {"does not fit"}
    assert all("not the one that was committed to" in faults[0] for faults in found.faults.values())
    assert not verify_verdict(verdict.to_dict(), scene.folders["analyst"]).ok


def test_another_table_is_not_loaded_once_answers_were_given(
    scene: Scene, tmp_path: Path, houses: Any
) -> None:
    north, schema = scene.folders["north"], tmp_path / "schema.json"
    schema.write_text(json.dumps(houses.SCHEMA))
    before, rows = committed_table(north), (north.tables_path / "train.parquet").read_bytes()
    with pytest.raises(ClauseRefused, match="of which answers have been given") as refused:
        load_table(north, str(changed(scene)), schema)
    assert refused.value.clause == "data.north.lineage"
    assert (north.tables_path / "train.parquet").read_bytes() == rows
    # the very table may be loaded again, and its commitment stays
    pq.write_table(pq.read_table(north.tables_path / "train.parquet"), tmp_path / "same.parquet")
    assert scene.agreement.digest in load_table(north, str(tmp_path / "same.parquet"), schema).bound
    assert committed_table(north) == before


def test_a_load_that_breaks_off_leaves_no_table_under_anothers_commitment(
    scene: Scene, tmp_path: Path, houses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, schema = PartyFolder.create(tmp_path / "own", "own"), tmp_path / "schema.json"
    schema.write_text(json.dumps(houses.SCHEMA))
    first, second = scene.folders["north"].tables_path / "train.parquet", changed(scene)
    load_table(own, str(first), schema)

    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("comity.node.tables.os.replace", broken)
        with pytest.raises(BadInput, match="cannot write"):
            load_table(own, str(second), schema)
    assert not list(own.tables_path.glob("train.parquet"))
    assert not list(own.tables_path.glob("*.writing"))
    load_table(own, str(second), schema)
    assert pq.read_table(own.tables_path / "train.parquet").equals(pq.read_table(second))


def test_a_node_refuses_to_answer_from_another_table(scene: Scene, tmp_path: Path) -> None:
    """The files beside the table were exchanged by hand."""
    north = scene.folders["north"]
    place = north.tables_path / "train.commitment.json"
    document = json.loads(place.read_text())
    place.write_text(json.dumps({**document, "digest": "00" * 32}))
    with scene.ledger("north") as ledger, pytest.raises(ClauseRefused, match="another table"):
        bind_table(north, scene.agreement, ledger)


def test_an_order_that_is_not_signed_is_not_answered(scene: Scene) -> None:
    request = scene.ask(auditor="north")
    forged = replace(request, signature=request.order.sign(SigningKey.generate()))
    with pytest.raises(VerificationFailed, match="consent of 'analyst'"):
        scene.run(forged)
    # another commitment, other plans, other messages: each under the old signature
    for changes in (
        {"commitment": "00" * 32},
        {"plans": request.order.plans[:1]},
        {"evidence": "00" * 32},
        {"auditor": "court"},
    ):
        with pytest.raises(ComityError):
            scene.run(replace(request, order=replace(request.order, **changes)))


def test_an_order_by_nobody_of_the_agreement_is_refused(scene: Scene) -> None:
    request = scene.ask(auditor="north")
    for changes in ({"party": "court"}, {"auditor": "analyst"}, {"agreement": "ab" * 32}):
        with pytest.raises(ComityError):
            scene.run(scene.signed(request, **changes))
    with pytest.raises(ClauseRefused, match="does not name 'analyst' as the auditor"):
        scene.ask(auditor="analyst")


def test_questions_that_were_never_asked_are_not_answered(scene: Scene) -> None:
    """An ML party signs other messages under the numbers of old ones: the provider has the old ones."""
    request, analyst = scene.ask(auditor="north"), scene.folders["analyst"]
    messages = list(request.evidence.messages)
    keys = {"analyst": analyst.verify_key}
    at = next(asked.groupings[0] for asked in request.evidence.answers if asked.groupings)
    old = open_message(messages[at], keys=keys, recipient="north")
    sealer = Sealer(
        session=old.session, agreement=old.agreement, party="analyst", key=analyst.key, may_query=True
    )
    for _ in range(old.number):
        sealer.pass_over("north")
    codes = bytearray(old.parts["codes"])
    codes[0] = (codes[0] + 1) % 3
    messages[at] = sealer.seal("north", Query(old.topic, old.body, {"codes": bytes(codes)}))
    evidence = Evidence(tuple(messages), request.evidence.answers)
    forged = scene.signed(replace(request, evidence=evidence), evidence=evidence.digest)
    with pytest.raises(VerificationFailed, match="not one that this node has taken"):
        scene.run(forged)


def paired(scene: Scene, change: Callable[[list[bytes]], tuple[int, bytes]]) -> Request:
    """An order whose evidence has another message in one place, signed again."""
    request = scene.ask(auditor="north")
    messages = list(request.evidence.messages)
    at, message = change(messages)
    messages[at] = message
    evidence = Evidence(tuple(messages), request.evidence.answers)
    return scene.signed(replace(request, evidence=evidence), evidence=evidence.digest)


def test_a_grouping_that_was_refused_is_not_what_an_answer_is_about(scene: Scene) -> None:
    """Whether an answer fits a group of one is that record's label: a verdict would be an exact answer."""
    analyst = scene.folders["analyst"]
    at = next(one.groupings[0] for one in scene.ask(auditor="north").evidence.answers if one.groupings)

    def refused(messages: list[bytes]) -> tuple[int, bytes]:
        session = open_message(messages[at], keys={"analyst": analyst.verify_key}, recipient="north").session
        sent = [sent for sent, answer in read_transcript(analyst.sessions_path / session, "north") if answer]
        return at, sent[0]

    with pytest.raises(VerificationFailed, match="not one that this node has taken"):
        scene.run(paired(scene, refused))


def test_what_a_session_is_about_is_not_said_afterwards(scene: Scene) -> None:
    analyst = scene.folders["analyst"]
    keys = {"analyst": analyst.verify_key}
    at = next(one.opened for one in scene.ask(auditor="north").evidence.answers if not one.groupings)

    def later(messages: list[bytes]) -> tuple[int, bytes]:
        old = open_message(messages[at], keys=keys, recipient="north")
        name = {"session": old.session, "agreement": old.agreement}
        sealer = Sealer(**name, party="analyst", key=analyst.key, may_query=True)
        for _ in range(9):
            sealer.pass_over("north")
        return at, sealer.seal("north", Query(old.topic, old.body, {}))

    with pytest.raises(VerificationFailed, match="not preceded by the messages that say what it is about"):
        scene.run(paired(scene, later))


def test_a_commitment_that_leaves_columns_out_binds_to_nothing(scene: Scene) -> None:
    committed = committed_table(scene.folders["north"])
    assert committed is not None
    table = pq.read_table(scene.folders["north"].tables_path / "train.parquet")
    require_whole(table, committed, scene.agreement, "north")
    for columns in (("id",), (*committed.columns, "id"), committed.columns[::-1]):
        with pytest.raises(VerificationFailed, match="every column that was agreed on"):
            require_whole(table, replace(committed, columns=columns), scene.agreement, "north")
    with pytest.raises(VerificationFailed, match="every column that was agreed on"):
        require_whole(table.select(["id"]), replace(committed, columns=("id",)), scene.agreement, "north")


def test_an_order_for_another_commitment_fits_nothing(scene: Scene) -> None:
    """The ML party signs a commitment that the receipts do not carry."""
    request = scene.signed(scene.ask(auditor="north"), commitment="00" * 32)
    verdict, _ = scene.run(request)
    assert set(verdict.words.values()) == {"does not fit"}


def test_a_verdict_for_another_commitment_is_none(scene: Scene) -> None:
    request = scene.ask(auditor="north")
    verdict, _ = scene.run(request)
    analyst, north = scene.folders["analyst"], scene.folders["north"]
    order = replace(verdict.order, commitment="00" * 32)
    consents = {"analyst": verdict.consents["analyst"], "north": order.sign(north.key)}
    forged = AuditVerdict.sign(north.key, order, consents, verdict.words, time=verdict.time)
    with pytest.raises(VerificationFailed, match="consent of 'analyst'"):
        verify_verdict(forged.to_dict(), analyst)
    with pytest.raises(BadInput, match="asked for by 'analyst'"):
        verify_verdict(verdict.to_dict(), scene.folders["court"])
    # signed by the provider where the auditor was to look
    named = scene.ask()
    consents = {"analyst": named.signature, "north": named.order.sign(north.key)}
    words = dict.fromkeys(named.order.plans, "fits")
    own = AuditVerdict.sign(north.key, named.order, consents, words, time=verdict.time)
    with pytest.raises(VerificationFailed, match="the verdict of 'court'"):
        verify_verdict(own.to_dict(), analyst)


def test_an_opening_is_for_one_order_and_one_auditor(scene: Scene) -> None:
    request = scene.ask()
    opening = scene.open(request)
    court = scene.folders["court"]
    secret = (scene.folders["north"].tables_path / "train.secret").read_bytes()
    assert secret.hex() not in json.dumps(opening)
    other = scene.signed(request, time="2020-01-01T00:00:00+00:00")
    with pytest.raises(VerificationFailed, match="for another order"):
        run_audit(other, court, opening=opening)
    with pytest.raises(VerificationFailed):
        run_audit(other, court, opening={**opening, "order": other.order.digest})
    with pytest.raises(VerificationFailed):
        run_audit(request, court, opening={**opening, "consent": "00" * 64})
    with pytest.raises(BadInput, match="this folder is 'analyst'"):
        run_audit(request, scene.folders["analyst"], opening=opening)
    with pytest.raises(ClauseRefused, match="itself as the auditor"):
        scene.open(scene.ask(auditor="north"))


def test_a_provider_that_opens_another_table_is_found(scene: Scene) -> None:
    request = scene.ask()
    shutil.copy(changed(scene), scene.folders["north"].tables_path / "train.parquet")
    verdict, _ = run_audit(request, scene.folders["court"], opening=scene.open(request))
    assert set(verdict.words.values()) == {"does not fit"}


def test_answers_without_a_commitment_cannot_be_asked_about(houses: Any, tmp_path: Path) -> None:
    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"))
    with pytest.raises(BadInput, match="there is nothing to audit"):
        ask_audit(town.analyst, town.agreement, "north", state=None)
    with pytest.raises(BadInput, match="kept of a session"):
        ask_audit(town.analyst, town.agreement, "north", state=None, sessions=["ab"])


def test_an_agreement_signed_after_the_load_binds_the_table_before_its_first_answer(
    houses: Any, tmp_path: Path
) -> None:
    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"))
    north = town.folders["north"]
    (tmp_path / "schema.json").write_text(json.dumps(houses.SCHEMA))
    pq.write_table(pq.read_table(north.tables_path / "train.parquet"), tmp_path / "rows.parquet")
    kept = list(north.agreements_path.glob("*.yaml"))
    text = kept[0].read_text()
    kept[0].unlink()
    loaded = load_table(north, str(tmp_path / "rows.parquet"), tmp_path / "schema.json")
    assert loaded.bound == ()
    kept[0].write_text(text)
    with Ledger.open(north.ledger_path, key=north.key, owner="north") as ledger:
        commitment = bind_table(north, town.agreement, ledger)
        assert commitment is not None
        assert commitment.digest.hex() == loaded.commitment
        seen = ledger.size
        assert bind_table(north, town.agreement, ledger) == commitment
        assert ledger.size == seen


def drop(request: Request, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    document = json.loads(json.dumps(request.to_dict()))
    change(document)
    return document


def test_the_forms_are_strict(scene: Scene) -> None:
    request = scene.ask(auditor="north")
    assert Request.from_dict(request.to_dict()) == request
    for change in (
        lambda d: d.pop("signature"),
        lambda d: d["order"].pop("time"),
        lambda d: d["evidence"].pop("answers"),
        lambda d: d["evidence"].update(messages=["%"]),
        lambda d: d["evidence"]["answers"][0].update(question=10_000),
        lambda d: d["evidence"]["answers"][0].update(groupings=None),
        lambda d: d.update(signature="zz"),
    ):
        with pytest.raises(BadInput):
            Request.from_dict(drop(request, change))


def test_a_table_loaded_anew_before_the_first_question_is_the_one_that_is_asked_about(
    houses: Any, crashing: Any, tmp_path: Path
) -> None:
    """A conversation that was opened on the old rows ends; the next one is about the new ones."""
    from starlette.testclient import TestClient

    from comity.node.api import application

    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"))
    north, network = town.folders["north"], crashing.Network(town)
    (tmp_path / "schema.json").write_text(json.dumps(houses.SCHEMA))

    def load(rows: Any) -> list[str]:
        pq.write_table(rows, tmp_path / "rows.parquet")
        load_table(north, str(tmp_path / "rows.parquet"), tmp_path / "schema.json")
        return sorted(rows.column("id").to_pylist())

    client = None

    def talk(ids: list[str]) -> RemoteValidator:
        def post(data: bytes) -> tuple[int, bytes]:
            answer = client.post("/feedback", content=data)
            return answer.status_code, answer.content

        validator = RemoteValidator(town.analyst, town.agreement, "north", town.task, ids, post=post)
        validator.register("half", [at % 2 for at in range(len(ids))])
        return validator

    rows = pq.read_table(north.tables_path / "train.parquet")
    first = load(rows)
    try:
        client = TestClient(application(network.start("north")), raise_server_exceptions=False)
        old = talk(first)
        new = talk(load(rows.slice(0, 300)))
        new.positives("half", 0, epsilon=0.1)
        with pytest.raises(ComityError):
            talk(first)
        with pytest.raises(ComityError):
            old.positives("half", 0, epsilon=0.1)
        with pytest.raises(ClauseRefused, match="of which answers have been given"):
            load(rows)
        request, _ = ask_audit(town.analyst, town.agreement, "north", state=None)
        verdict, found = run_audit(
            request, north, ledger=network.nodes["north"].ledger, state=network.nodes["north"].state
        )
        assert verdict.ok, found.faults
    finally:
        network.stop()


def test_an_earlier_table_is_kept_for_audits_once_its_lineage_is_replaced(
    scene: Scene, tmp_path: Path, houses: Any
) -> None:
    request, north, schema = scene.ask(auditor="north"), scene.folders["north"], tmp_path / "schema.json"
    schema.write_text(json.dumps(houses.SCHEMA))
    for path in north.agreements_path.glob("*.yaml"):  # the town's first agreement has the same lineage
        if path.stem != scene.agreement.digest:
            path.unlink()
    document = {**scene.agreement.to_dict(), "replaces": scene.agreement.digest}
    del document["signatures"]
    document["data"][0]["lineage"] = "people-2027"
    newer = agreement_from(document)
    for name, folder in scene.folders.items():
        newer = newer.sign(name, folder.key)
    north.keep_agreement(newer)
    before = committed_table(north)
    loaded = load_table(north, str(changed(scene)), schema)
    assert loaded.bound == (newer.digest,)
    assert before is not None
    assert loaded.commitment != before.digest.hex()
    secret = north.tables_path / "earlier" / f"{before.digest.hex()}.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    verdict, found = scene.run(request)
    assert verdict.ok, found.faults
    secret.with_suffix(".parquet").unlink()
    with pytest.raises(BadInput, match="neither loaded nor in"):
        scene.run(request)
