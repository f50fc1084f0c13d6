"""`comity node doctor|status|run|load` as people meet them, and the log that a node writes."""

from __future__ import annotations

import io
import json
import logging
import shutil
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from comity.crypto import tls
from comity.errors import BadInput, BadSchema, BadTable, ComityError, PartyFailed, UsageError
from comity.node import doctor
from comity.node.doctor import examine
from comity.node.folder import PartyFolder
from comity.node.logs import JsonLines, log_to
from comity.node.serve import serve
from comity.node.server import bind
from comity.node.service import Node

PARTIES = ("north", "analyst")


@dataclass(frozen=True)
class Told:
    """How a command ended: exit code and what it printed."""

    code: int
    out: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def comity(capsys, monkeypatch):
    """Runs `comity node ...` in this process."""
    from comity.cli.app import app

    for name in ("COMITY_PASSPHRASE", "COMITY_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        capsys.readouterr()
        try:
            code = app(["node", *(str(each) for each in arguments)], standalone_mode=False)
        except ComityError as error:
            return Told(error.exit_code, str(error))
        return Told(code or 0, capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def founded(houses, tmp_path_factory):
    return houses.build_town(
        tmp_path_factory.mktemp("doctor"), ["direct-release", "validation"], parties=PARTIES, rows=150
    )


@pytest.fixture
def town(houses, founded, tmp_path):
    """Two parties that nothing has happened to."""
    shutil.copytree(founded.root, tmp_path / "town")
    folders = {name: PartyFolder.open(tmp_path / "town" / name) for name in PARTIES}
    return houses.Town(tmp_path / "town", folders, founded.agreement, founded.task)


@pytest.fixture
def running(town, monkeypatch):
    """Both nodes, served over their TLS by threads of this process."""
    import asyncio

    import uvicorn

    from comity.node import serve as serving

    servers, threads, ready = [], [], []

    class Kept(uvicorn.Server):
        def __init__(self, config):
            super().__init__(config)
            servers.append(self)

        def run(self, sockets=None):
            asyncio.run(self.serve(sockets=sockets))

        def install_signal_handlers(self):
            """Not in the main thread."""

        def capture_signals(self):
            import contextlib

            return contextlib.nullcontext()

    monkeypatch.setattr(uvicorn, "Server", Kept)
    monkeypatch.setattr(serving, "_STOP_TIMEOUT_S", 1)
    for folder in town.folders.values():
        up = threading.Event()
        ready.append(up)
        node = Node(folder)
        listener = bind("127.0.0.1", folder.card().port)
        threads.append(
            threading.Thread(target=serve, args=(node, listener, lambda _, up=up: up.set()), daemon=True)
        )
        threads[-1].start()
    for up in ready:
        assert up.wait(30)
    yield town
    for server in servers:
        server.should_exit = True
    for thread in threads:
        thread.join(20)


def finding(found, what):
    return next(each for each in found if each.what == what)


def narrow(text):
    """No line of prose is wider than a terminal of 80; a path stays in one piece."""
    return [line for line in text.splitlines() if len(line) > 80 and "/" not in line]


def task_file(town):
    path = town.root / "task.yaml"
    path.write_text(yaml.safe_dump(town.task.to_dict()))
    return path


# doctor


def test_all_is_well(running, comity):
    told = comity("doctor", "--folder", running.analyst.path)
    assert told.code == 0, told.out
    assert "MEND" not in told.out
    assert "answers, version" in told.out
    assert not narrow(told.out)
    told = comity("doctor", "--folder", running.analyst.path, "--json", "-")
    assert all(each["fine"] for each in told.json["findings"])
    assert {each["what"] for each in told.json["findings"]} >= {"key", "disk", "own node", "node of 'north'"}


def test_nodes_that_are_down(town, comity):
    told = comity("doctor", "--folder", town.analyst.path)
    assert told.code == PartyFailed.exit_code
    assert "MEND  own node" in told.out
    assert "start it: comity node start" in told.out
    assert "MEND  node of 'north'" in told.out
    assert "2 of " in told.out
    assert not narrow(told.out)


def test_a_wrong_passphrase_is_one_finding_and_the_rest_is_still_looked_at(tmp_path, comity):
    PartyFolder.create(tmp_path / "north", "north", passphrase="correct horse")
    secret = tmp_path / "secret"
    secret.write_text("battery staple\n")
    secret.chmod(0o600)
    told = comity("doctor", "--folder", tmp_path / "north", "--passphrase-file", secret, "--json", "-")
    assert told.code == PartyFailed.exit_code
    bad = {each["what"]: each["found"] for each in told.json["findings"] if not each["fine"]}
    assert "passphrase" in bad.pop("key")
    assert set(bad) == {"agreements", "cards of peers"}
    secret.write_text("correct horse\n")
    told = comity("doctor", "--folder", tmp_path / "north", "--passphrase-file", secret, "--json", "-")
    assert "own node" in {each["what"] for each in told.json["findings"]}
    assert finding_of(told.json, "key")["fine"]


def finding_of(document, what):
    return next(each for each in document["findings"] if each["what"] == what)


@pytest.mark.parametrize(("days", "fine"), [(31, True), (20, False)])
def test_a_certificate_about_to_expire(town, monkeypatch, days, fine):
    monkeypatch.setattr(tls, "LIFETIME", timedelta(days=days, hours=1))
    town.analyst.renew()
    found = finding(examine(town.analyst), "certificate")
    assert found.fine is fine
    assert f"{days} days" in found.found
    assert "comity party card --renew" in found.remedy


def test_certificates_that_have_expired(town, monkeypatch):
    monkeypatch.setattr(tls, "LIFETIME", timedelta(minutes=-30))
    for folder in town.folders.values():
        folder.renew()
    (town.analyst.peers_path / "north.json").write_text(json.dumps(
        doctor.Card.make("north", town.folders["north"].url, town.folders["north"].key,
                         town.folders["north"].certificate).to_dict()))  # fmt: skip
    monkeypatch.undo()
    found = examine(town.analyst)
    assert "expired on" in finding(found, "certificate").found
    assert not finding(found, "own node").fine
    theirs = finding(found, "certificate of 'north'")
    assert not theirs.fine
    assert "ask 'north' for a new card" in theirs.remedy


@pytest.mark.parametrize(("skew", "words"), [(90, "90 s ahead"), (-3_600, "3600 s behind"), (30, None)])
def test_clocks_that_differ(running, monkeypatch, skew, words):
    class Elsewhere(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=skew)

    monkeypatch.setattr("comity.node.api.datetime", Elsewhere)
    found = finding(examine(running.analyst), "node of 'north'")
    if words is None:
        assert found.fine
        return
    seconds = int(found.found.split(" s ")[0].split()[-1])
    assert abs(seconds - abs(skew)) <= 2
    assert words.split()[-1] in found.found
    assert "NTP" in found.remedy


def test_another_version(running, monkeypatch):
    monkeypatch.setattr(doctor, "__version__", "0.0.1")
    found = finding(examine(running.analyst), "node of 'north'")
    assert not found.fine
    assert "bring both to one version" in found.remedy


def test_a_node_that_has_an_old_card_of_this_party(running):
    """A renewed certificate that nobody was given: the peer's TLS lets nobody in by it."""
    running.analyst.renew()
    assert not finding(examine(running.analyst), "node of 'north'").fine


def test_a_full_disk(town, monkeypatch):
    usage = shutil.disk_usage(town.root)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=1024**3))
    found = finding(examine(town.analyst), "disk")
    assert not found.fine
    assert found.found == "1.0 GiB free"


def test_agreements_and_tables(town, houses, tmp_path):
    north = town.folders["north"]
    assert finding(examine(north), "table").fine
    (north.tables_path / "train.parquet").unlink()
    assert not finding(examine(north), "table").fine
    expired = houses.build_town(tmp_path / "old", ["validation"], parties=PARTIES, rows=20, days=-1)
    for agreement in expired.analyst.agreements().values():
        shutil.copy(
            expired.analyst.agreements_path / f"{agreement.digest}.yaml", town.analyst.agreements_path
        )
    # a past agreement beside one in force is no fault
    assert all(each.fine for each in examine(town.analyst) if each.what.startswith("agreement"))
    found = examine(expired.analyst)
    assert not finding(found, "agreements").fine
    path = next(iter(town.analyst.agreements_path.glob("*.yaml")))
    path.write_text(path.read_text().replace("Who falls ill", "Who falls"))
    assert not finding(examine(town.analyst), "agreements").fine


def test_what_is_no_party(tmp_path, comity):
    told = comity("doctor", "--folder", tmp_path)
    assert told.code == BadInput.exit_code
    assert "comity party init" in told.out


# status and run


def test_status_of_a_node_that_does_not_run(town, comity):
    told = comity("status", "--folder", town.analyst.path)
    assert told.code == PartyFailed.exit_code
    assert "comity node start" in told.out


def test_a_session_from_the_command_line(running, comity):
    base = ["--folder", running.analyst.path, "--agreement", running.agreement.digest[:10]]
    base += ["--task", task_file(running)]
    assert "no sessions yet" in comity("status", "--folder", running.analyst.path).out
    told = comity("run", "direct-release", *base, "--k", 5)
    assert told.code == 0, told.out
    assert "direct-release: done" in told.out
    assert not narrow(told.out)
    place = told.out.split("files in ")[1].split("\n")[0]
    assert pq.read_table(f"{place}/received-north.parquet").num_rows > 0
    # the same data a second time with another k: refused, with the clause, exit 4
    told = comity("run", "direct-release", *base, "--k", 7)
    assert told.code == 4
    assert "architectures.direct-release" in " ".join(told.out.split())
    assert not narrow(told.out)
    told = comity("run", "validation", *base, "--mode", "linked", "--json", "-")
    assert told.code == 0
    assert told.json["status"] == "done"
    assert told.json["folder"].endswith(told.json["session"])
    told = comity("status", "--folder", running.analyst.path)
    assert (told.out.count(": done"), told.out.count(": refused")) == (2, 1)
    assert not narrow(told.out)
    told = comity("status", "--folder", running.folders["north"].path, "--json", "-")
    assert [each["opener"] for each in told.json["sessions"]] == ["analyst"] * 3


def test_not_waiting(running, comity):
    arguments = ["run", "validation", "--folder", running.analyst.path]
    arguments += ["--agreement", running.agreement.digest, "--task", task_file(running), "--no-wait"]
    told = comity(*arguments, "--mode", "linked", "--json", "-")
    assert told.code == 0
    running.ended(told.json["session"])


@pytest.mark.parametrize(
    ("architecture", "agreement", "code"),
    [("telepathy", "", UsageError.exit_code), ("validation", "ffffffff", UsageError.exit_code),
     ("telepathy", None, UsageError.exit_code), ("blind-validation", None, 4)],
)  # fmt: skip
def test_what_cannot_be_run(running, comity, architecture, agreement, code):
    digest = running.agreement.digest if agreement is None else agreement
    told = comity(
        "run", architecture, "--folder", running.analyst.path, "--agreement", digest,
        "--task", task_file(running),
    )  # fmt: skip
    assert told.code == code, told.out
    assert not comity("status", "--folder", running.analyst.path, "--json", "-").json["sessions"]


def test_a_provider_opens_no_session(running, comity):
    told = comity(
        "run", "validation", "--folder", running.folders["north"].path,
        "--agreement", running.agreement.digest, "--task", task_file(running),
    )  # fmt: skip
    assert told.code == 4
    assert "only ML parties open sessions" in told.out


@pytest.mark.parametrize(
    "text", ["[", "- 1\n", "target: ill\n", "{target: ill, positive: yes, id: 3, schema: {columns: {}}}"]
)
def test_a_task_that_cannot_be_read(town, comity, text):
    path = town.root / "task.yaml"
    path.write_text(text)
    told = comity(
        "run", "validation", "--folder", town.analyst.path,
        "--agreement", town.agreement.digest, "--task", path,
    )  # fmt: skip
    assert told.code == BadInput.exit_code
    assert "task" in told.out


# load


@pytest.fixture
def files(town, houses):
    """A CSV of people and the schema's file."""
    import pyarrow.csv

    pyarrow.csv.write_csv(houses.people("north", 40, 9), town.root / "people.csv")
    (town.root / "schema.yaml").write_text(yaml.safe_dump(houses.SCHEMA))
    return town.root / "people.csv", town.root / "schema.yaml"


def test_loading_a_providers_table(town, files, comity):
    table, schema = files
    path = town.folders["north"].path
    told = comity("load", table, "--schema", schema, "--folder", path, "--json", "-")
    assert told.code == 0, told.out
    assert told.json["rows"] == 40
    kept = path / "tables" / "train.parquet"
    assert pq.read_table(kept).num_rows == 40
    assert kept.stat().st_mode & 0o077 == 0
    assert (path / "tables" / "hierarchies.json").is_file()
    assert not list((path / "tables").glob("*.writing"))


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("seed", {"age", "job", "ill"}),
        ("probe", {"age", "job"}),
        ("linked-north", {"id", "age", "job"}),
    ],
)
def test_loading_the_ml_partys_tables(town, files, comity, name, columns):
    import pyarrow.csv

    table, schema = files
    rows = pyarrow.csv.read_csv(table)
    pyarrow.csv.write_csv(rows.select(sorted(columns)), town.root / "less.csv")
    told = comity(
        "load", town.root / "less.csv", "--schema", schema, "--folder", town.analyst.path, "--as", name
    )
    assert told.code == 0, told.out
    assert set(pq.read_table(town.analyst.tables_path / f"{name}.parquet").column_names) == columns


def test_what_cannot_be_loaded(town, files, comity, houses):
    table, schema = files
    path = town.folders["north"].path
    before = (path / "tables" / "train.parquet").read_bytes()

    def code(*arguments):
        return comity("load", *arguments, "--folder", path).code

    assert code(table, "--schema", schema, "--as", "../train") == UsageError.exit_code
    assert code(town.root / "none.csv", "--schema", schema) == BadInput.exit_code
    assert code(table, "--schema", town.root / "none.yaml") == BadSchema.exit_code
    unbounded = json.loads(json.dumps(houses.SCHEMA))
    del unbounded["columns"]["age"]["max"]
    schema.write_text(yaml.safe_dump(unbounded))
    told = comity("load", table, "--schema", schema, "--folder", path)
    assert told.code == BadSchema.exit_code
    assert "'age' needs 'min' and 'max'" in told.out
    narrow_bounds = json.loads(json.dumps(houses.SCHEMA))
    narrow_bounds["columns"]["age"]["max"] = 30
    schema.write_text(yaml.safe_dump(narrow_bounds))
    assert code(table, "--schema", schema) == BadTable.exit_code
    assert (path / "tables" / "train.parquet").read_bytes() == before


# the log


@pytest.fixture
def logged():
    """A stream that the process's log goes to, and what stands in it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log_to(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)


def test_every_line_is_json(logged):
    log = logging.getLogger("comity.node")
    log.info('quotes " and\nlines and \\ and %s', "arguments")
    log.warning("ünïcode")
    found = logged()
    assert [line["event"] for line in found] == ['quotes " and lines and \\ and arguments', "ünïcode"]
    assert found[0]["level"] == "info"
    assert datetime.fromisoformat(found[0]["time"]).tzinfo == UTC


def test_an_exceptions_text_is_not_logged(logged):
    try:
        raise ValueError("patient Ada-Lovelace has no age")
    except ValueError:
        logging.getLogger("comity.node").exception("session %s failed", "ab12")
    [line] = logged()
    assert line["error"] == "ValueError"
    assert line["at"][0].startswith("test_doctor.py:")
    assert "Ada" not in json.dumps(line)


def test_other_libraries_log_templates_without_their_arguments(logged):
    logging.getLogger("uvicorn.error").warning("Invalid request %s", "secret-value")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\nTraceback: secret-value\n")
    logging.getLogger("httpx").info("HTTP Request: %s", "secret-value")
    found = logged()
    assert [line["event"] for line in found] == ["Invalid request %s", "Exception in ASGI application"]
    assert "secret" not in json.dumps(found)


def test_a_record_that_cannot_be_formatted_breaks_nothing():
    record = logging.LogRecord("comity", logging.INFO, "f", 1, "two %s %s", ("one",), None)
    with pytest.raises(TypeError):
        record.getMessage()
    assert json.loads(JsonLines().format(record))["event"] == "two %s %s"
