"""What `comity node doctor` says of architectures that this machine cannot run."""

from __future__ import annotations

import json
import shutil
import socket

import pytest

from comity.architectures.definition import Options
from comity.node.doctor import examine
from comity.node.folder import PartyFolder
from comity.train.encrypted.mesh import own_address

PARTIES = ("north", "south", "west", "analyst")
MODES = {
    "encrypted": Options(mode="exact"),
    "homomorphic": Options(),
    "clean-room": Options(mode="private"),
    "validation": Options(mode="hosted"),
    "federated": Options(mode="private"),
}


@pytest.fixture(scope="module")
def founded(houses, tmp_path_factory):
    town = houses.build_town(tmp_path_factory.mktemp("runnable"), ["validation"], parties=PARTIES, rows=60)
    for name, options in MODES.items():
        houses.agree_on(town, name, options)
    return town


@pytest.fixture
def folders(founded, tmp_path):
    shutil.copytree(founded.root, tmp_path / "town")
    return {name: PartyFolder.open(tmp_path / "town" / name) for name in PARTIES}


def told(folder):
    """What the doctor says of each architecture: None where it can run."""
    found = {}
    for each in examine(folder):
        if each.what.startswith("architecture "):
            assert each.fine or each.remedy
            found.setdefault(each.what.split("'")[1], []).append(None if each.fine else each.found)
    return found


@pytest.fixture
def without(monkeypatch):
    """Has modules, or the sandbox, seem not to be installed."""
    from importlib.util import find_spec

    def taken(*modules, sandbox=False):
        for place in ("comity.node.runnable", "comity.architectures.definition"):
            monkeypatch.setattr(
                f"{place}.find_spec", lambda name: None if name in modules else find_spec(name)
            )
        if sandbox:
            monkeypatch.setattr("comity.sandbox.missing", lambda: "the program 'bwrap', which is not there")

    return taken


def test_all_can_run_here(folders):
    for folder in folders.values():
        assert told(folder) == {name: [None] for name in MODES}


@pytest.mark.parametrize(
    ("module", "lacking"),
    [
        ("spu", {"north": ["encrypted"], "analyst": []}),
        ("tenseal", {"north": ["homomorphic"], "analyst": ["homomorphic"]}),
        ("flwr", {"north": ["federated"], "analyst": ["federated"]}),
        ("onnxruntime", {"north": ["validation"], "analyst": []}),
        ("skl2onnx", {"north": [], "analyst": ["validation"]}),
    ],
)
def test_an_extra_that_is_not_installed(module, lacking, folders, without):
    """Only those are told who need it: of an encrypted training the parties that compute."""
    without(module)
    for party, names in lacking.items():
        found = {name: said for name, said in told(folders[party]).items() if said != [None]}
        assert list(found) == names
        for (said,) in found.values():
            assert "pip install 'comity[" in said


def test_no_sandbox(folders, without):
    """It is the providers who run other people's programs."""
    without(sandbox=True)
    found = {name: said for name, said in told(folders["north"]).items() if said != [None]}
    assert set(found) == {"clean-room", "validation"}
    assert all("bwrap" in said[0] for said in found.values())
    assert all(said == [None] for said in told(folders["analyst"]).values())


def test_an_engine_that_the_others_do_not_reach(folders, monkeypatch):
    north = folders["north"]
    monkeypatch.setattr("comity.node.runnable._is_here", lambda folder, name: name != "south")
    (said,) = told(north)["encrypted"]
    assert said == "its engine listens on this machine only, and 'south' runs on another one"
    (north.path / "engine.json").write_text('{"address": "127.0.0.1:20000-29999"}')
    (said,) = told(north)["encrypted"]
    assert "listens at 127.0.0.1" in said


def test_sessions_at_the_same_time_get_ports_of_a_range_each(tmp_path, houses):
    first = houses.free_port()
    (tmp_path / "engine.json").write_text(json.dumps({"address": f"127.0.0.1:{first}-{first + 40}"}))
    with own_address(tmp_path) as one, own_address(tmp_path) as other:
        ports = [int(address.rpartition(":")[2]) for address in (one, other)]
        assert first <= ports[0] < ports[1] <= first + 40
    with own_address(tmp_path) as again:
        assert again == one


def test_an_engines_ports(folders, houses):
    north = folders["north"]
    port = houses.free_port()
    (north.path / "engine.json").write_text(json.dumps({"address": f"127.0.0.1:{port}"}))
    assert told(north)["encrypted"] == [None]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        (said,) = told(north)["encrypted"]
        assert "every port is taken" in said
    (north.path / "engine.json").write_text('{"address": "somewhere"}')
    (said,) = told(north)["encrypted"]
    assert "engine.json holds no" in said
