"""Parties as processes: they talk over mutual TLS, they end with whoever started them, they fail in words."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from comity.compare.pool import Pool
from comity.crypto.keys import SigningKey
from comity.crypto.tls import client_context, self_certificate
from comity.errors import BadInput, PartyFailed
from comity.node.server import bind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    folder = tmp_path_factory.mktemp("pool")
    with Pool({name: folder / name for name in ("north", "analyst")}, threads={}) as started:
        yield started


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pids: list[int], seconds: float = 15.0) -> list[int]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        left = [pid for pid in pids if alive(pid)]
        if not left:
            return []
        time.sleep(0.05)
    return [pid for pid in pids if alive(pid)]


def test_every_party_has_a_process_a_folder_and_a_key_of_its_own(pool: Pool) -> None:
    assert len({party.pid for party in pool.parties.values()}) == 2
    assert len(set(pool.keys.values())) == 2
    for party in pool.parties.values():
        assert (party.folder / "key.pem").stat().st_mode & 0o777 == 0o600


def test_an_unknown_order_is_refused_in_words_and_the_process_goes_on(pool: Pool) -> None:
    for _ in range(2):
        with pytest.raises(BadInput, match="does not know the order 'dance'"):
            pool.parties["north"].ask(do="dance")


def test_a_bad_agreement_is_not_signed(pool: Pool) -> None:
    with pytest.raises(BadInput, match="party 'north'"):
        pool.parties["north"].ask(do="sign", agreement="comity: 1\n")


def test_a_stranger_gets_no_connection(pool: Pool, tmp_path: Path) -> None:
    north = pool.parties["north"]
    listening = north.ask(do="where")
    stranger = SigningKey.generate()
    own = self_certificate(stranger, "analyst")
    context = client_context(stranger, own, listening["certificate"].encode())
    address = f"https://127.0.0.1:{listening['port']}/messages"
    with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.post(address, content=b"x", extensions={"sni_hostname": "north"})
    plain = ssl.create_default_context()
    plain.check_hostname = False
    plain.verify_mode = ssl.CERT_NONE
    with httpx.Client(verify=plain, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.post(address, content=b"x")


def test_a_killed_party_is_reported_and_leaving_the_pool_ends_the_others(tmp_path: Path) -> None:
    with Pool({n: tmp_path / n for n in ("north", "analyst")}, threads={}) as started:
        pids = [party.pid for party in started.parties.values()]
        assert all(alive(pid) for pid in pids)
        os.kill(started.parties["north"].pid, signal.SIGKILL)
        with pytest.raises(PartyFailed, match="north"):
            started.parties["north"].ask(do="where", timeout_s=20)
        assert alive(started.parties["analyst"].pid)
    assert wait_until_gone(pids) == []


STARTER = """
    import signal, sys, time
    from pathlib import Path
    from comity.compare.pool import Pool

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs

    with Pool({n: Path(sys.argv[1]) / n for n in ("north", "analyst")}, threads={}) as pool:
        print(pool.parties["north"].pid, flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_starter(ending: signal.Signals, tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STARTER), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert alive(pid)
        starter.send_signal(ending)
        assert wait_until_gone([pid]) == []
    finally:
        starter.kill()
        starter.wait()


def test_temporary_files_of_a_process_that_is_ended_go_with_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine or a sandbox may have raw rows in one, and whoever is ended in the middle removes nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    (tmp_path / "system").mkdir()
    with Pool({n: tmp_path / n for n in ("north", "analyst")}, threads={}) as started:
        environment = Path(f"/proc/{started.parties['north'].pid}/environ").read_bytes().split(b"\0")
        place = next(
            Path(each.removeprefix(b"TMPDIR=").decode())
            for each in environment
            if each.startswith(b"TMPDIR=")
        )
        assert place.is_relative_to(tmp_path / "system")
        assert place.stat().st_mode & 0o777 == 0o700
        (place / "comity-room-1").mkdir()
        (place / "comity-room-1" / "rows.bin").write_bytes(b"rows")
    assert list((tmp_path / "system").iterdir()) == []


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match=r"port \d+ on 127.0.0.1 is in use"):
            bind("127.0.0.1", taken.getsockname()[1])
    command = [sys.executable, "-m", "comity.node", "--party", "north", "--port", "1", "--host", "192.0.2.1"]
    with subprocess.Popen(
        [*command, "--folder", os.devnull], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert len(errors.strip().splitlines()) == 1
