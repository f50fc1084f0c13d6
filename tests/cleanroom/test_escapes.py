"""Escape attempts: each is a real job that succeeds with the sandbox off and fails with it on.

The control is the same program in a plain process (`rooms.without_sandbox`), which only tests have. With the
sandbox on every attempt is made twice: by a job on all rows, and by one block of a job of statistics.
"""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comity.cleanroom.blocks import run_blocks
from comity.cleanroom.whole import run_whole

pytestmark = pytest.mark.usefixtures("sandboxed")

MATRIX = np.array([[41.0], [42.0]])
SECRET = "private-7"


@dataclass
class World:
    """What is outside: a folder with a secret, a server, a socket, a process."""

    folder: Path
    port: int
    victim: subprocess.Popen[bytes]
    heard: list[str]

    @property
    def secret(self) -> Path:
        return self.folder / "south" / "train.csv"

    @property
    def spot(self) -> Path:
        """A file that nobody but an attempt writes."""
        return self.folder / "spot"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    heard: list[str] = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Quiet."""

    (tmp_path / "south").mkdir()
    (tmp_path / "south" / "train.csv").write_text(SECRET, encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    victim = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(120)", SECRET])
    os.environ["COMITY_SECRET"] = SECRET
    yield World(tmp_path, server.server_address[1], victim, heard)
    del os.environ["COMITY_SECRET"]
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    server.shutdown()
    server.server_close()
    thread.join()


def told(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.get("told") == [1.0]


def spot(world: World) -> bool:
    return world.spot.exists()


def appears(world: World, seconds: float) -> bool:
    """Whether the file comes to be within so many seconds."""
    deadline = time.monotonic() + seconds
    while not spot(world) and time.monotonic() < deadline:
        time.sleep(0.05)
    return spot(world)


@dataclass(frozen=True)
class Attempt:
    """A program and how to see that it came through, from its answer or from the world.

    `{world}` values are put into the program; what it returns as `told` is 1.0 where it saw what it wanted.
    """

    program: str
    worked: Callable[[Any, World], bool] = lambda answer, _world: told(answer)


RETURNS = "\ndef run(rows, parameters):\n    return {'told': [float(attempt(rows))]}\n"

ATTEMPTS: dict[str, Attempt] = {
    "read another party's table": Attempt(
        "def attempt(rows):\n    return open({secret!r}).read() == 'private-7'"
    ),
    "read the machine's users": Attempt(
        "def attempt(rows):\n    return 'root' in open('/etc/passwd').read()"
    ),
    "write a file beside the outputs": Attempt(
        "def attempt(rows):\n    open({spot!r}, 'w').write('x')\n    return 1",
        lambda _answer, world: spot(world),
    ),
    "talk to a server on loopback": Attempt(
        "def attempt(rows):\n    import urllib.request as u\n"
        "    u.urlopen('http://127.0.0.1:{port}/%d' % rows['age'][1], timeout=3)\n    return 1",
        lambda _answer, world: world.heard == ["/42"],
    ),
    "talk to a socket in the file system": Attempt(
        "def attempt(rows):\n    import socket\n    s = socket.socket(socket.AF_UNIX)\n"
        "    s.connect({unix!r})\n    return 1"
    ),
    "read the environment": Attempt(
        "def attempt(rows):\n    import os\n    return os.environ.get('COMITY_SECRET') == 'private-7'"
    ),
    "read another process": Attempt(
        "def attempt(rows):\n    return b'private-7' in open('/proc/{victim}/cmdline', 'rb').read()"
    ),
    "end another process": Attempt(
        "def attempt(rows):\n    import os\n    os.kill({victim}, 15)\n    return 1",
        lambda _answer, world: world.victim.poll() is not None or ended(world.victim),
    ),
    "take all memory": Attempt("def attempt(rows):\n    return len(bytearray(3 << 29)) > 0"),
    "fill the disk": Attempt(
        "def attempt(rows):\n    import tempfile\n    with tempfile.TemporaryFile() as file:\n"
        "        for _ in range(100):\n            file.write(bytes(1 << 20))\n"
        "        file.flush()\n    return 1"
    ),
    "start many processes": Attempt(
        "def attempt(rows):\n    import os\n    for _ in range(20):\n        child = os.fork()\n"
        "        if child == 0:\n            os._exit(0)\n        os.waitpid(child, 0)\n    return 1"
    ),
    "leave a process behind": Attempt(
        "def attempt(rows):\n    import subprocess, sys\n"
        "    late = 'import sys, time; time.sleep(0.7); open(sys.argv[1], chr(119)).write(chr(120))'\n"
        "    subprocess.Popen([sys.executable, '-I', '-c', late, {spot!r}])\n    return 1",
        lambda answer, world: appears(world, 30.0 if told(answer) else 1.5),
    ),
    "change the rows": Attempt(
        "def attempt(rows):\n    import sys\n    open(sys.argv[1] + '/rows', 'ab').write(b'x')\n    return 1"
    ),
    "add an output": Attempt(
        "def attempt(rows):\n    import sys\n    open(sys.argv[2] + '.more', 'w').write('x')\n    return 1"
    ),
    "trace the process that started it": Attempt(
        "def attempt(rows):\n    import ctypes\n    libc = ctypes.CDLL(None)\n"
        "    return libc.ptrace(0x4206, {victim}, None, None) == 0"
    ),
}


def ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=2.0)
    except subprocess.TimeoutExpired:
        return False
    return True


def filled(attempt: Attempt, world: World) -> str:
    values = {
        "{secret!r}": repr(str(world.secret)),
        "{spot!r}": repr(str(world.spot)),
        "{unix!r}": repr(str(world.folder / "s")),
        "{port}": str(world.port),
        "{victim}": str(world.victim.pid),
    }
    program = attempt.program
    for name, value in values.items():
        program = program.replace(name, value)
    return program + RETURNS


@pytest.fixture
def listening(world: World) -> Iterator[World]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(world.folder / "s"))
        server.listen()
        yield world


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_succeeds_without_the_sandbox(name: str, listening: World, rooms: Any) -> None:
    attempt = ATTEMPTS[name]
    answer = rooms.without_sandbox(
        rooms.whole(filled(attempt, listening)), MATRIX, listening.folder / "control"
    )
    assert attempt.worked(answer, listening)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_fails_on_all_rows_in_the_room(name: str, listening: World, rooms: Any) -> None:
    attempt = ATTEMPTS[name]
    done = run_whole(rooms.whole(filled(attempt, listening)), {}, MATRIX)
    outputs = {name: values.tolist() for name, values in (done.outputs or {}).items()}
    assert not attempt.worked(outputs, listening)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_fails_in_a_block(name: str, listening: World, rooms: Any) -> None:
    attempt = ATTEMPTS[name]
    ran = run_blocks(rooms.blocks(filled(attempt, listening)), {}, MATRIX, np.array([0, 1]), 3)
    assert ran.vectors["told"].ravel().tolist() == [0.0, 0.0, 0.0]
    assert not attempt.worked({}, listening)


def test_the_answer_cannot_be_made_a_link_to_what_the_room_may_read(world: World, rooms: Any) -> None:
    program = (
        "import os, sys\ndef run(rows, parameters):\n    place = sys.argv[2]\n"
        f"    os.remove(place)\n    os.symlink({str(world.secret)!r}, place)\n    os._exit(0)\n"
    )
    assert rooms.without_sandbox(rooms.whole(program), MATRIX, world.folder / "control") == SECRET
    done = run_whole(rooms.whole(program), {}, MATRIX)
    assert done.outputs is None
    assert SECRET not in done.fault


def test_the_answer_cannot_be_made_a_hard_link(world: World, rooms: Any) -> None:
    program = (
        "import os, sys\ndef run(rows, parameters):\n    place = sys.argv[2]\n"
        f"    os.remove(place)\n    os.link({str(world.secret)!r}, place)\n    os._exit(0)\n"
    )
    assert rooms.without_sandbox(rooms.whole(program), MATRIX, world.folder / "control") == SECRET
    assert run_whole(rooms.whole(program), {}, MATRIX).outputs is None


def test_a_job_without_end_is_ended(world: World, rooms: Any) -> None:
    endless = rooms.whole("def run(rows, parameters):\n    while True:\n        pass\n", seconds=1.0)
    with pytest.raises(subprocess.TimeoutExpired):
        rooms.without_sandbox(endless, MATRIX, world.folder / "control", timeout=2.5)
    begun = time.monotonic()
    assert run_whole(endless, {}, MATRIX).outputs is None
    assert time.monotonic() - begun < 60.0


def test_an_honest_job_runs_in_both_ways(rooms: Any) -> None:
    source = "def run(rows, parameters):\n    return {'told': [sum(rows['age'])]}\n"
    done = run_whole(rooms.whole(source), {}, MATRIX)
    assert done.outputs is not None
    assert done.outputs["told"].tolist() == [83.0]
    ran = run_blocks(rooms.blocks(source), {}, MATRIX, np.array([2, 0]), 3)
    assert ran.vectors["told"].ravel().tolist() == [42.0, 0.0, 41.0]
    assert ran.gave.tolist() == [True, False, True]
