"""The sandbox: every escape works without it (the control) and fails with it."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity import sandbox
from comity.errors import MissingExtra, UsageError
from comity.sandbox import Finished, Job, Limits, NoSandbox, python_tools, run

SMALL = Limits(seconds=20.0, memory_bytes=1 << 30, file_bytes=1 << 20, scratch_bytes=1 << 20)


@pytest.fixture(scope="module", autouse=True)
def _needs_sandbox() -> None:
    """These tests cannot say anything where bubblewrap is missing; the suite says so instead of passing."""
    reason = sandbox.missing()
    assert reason is None, f"install bubblewrap to run the sandbox's tests: {reason}"


def outside(program: str, *arguments: str, timeout: float = 20.0) -> subprocess.CompletedProcess[str]:
    """The control: the same program with the sandbox off."""
    command = [sys.executable, "-I", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def inside(program: str, *arguments: str, limits: Limits = SMALL, **more: object) -> Finished:
    command = [sys.executable, "-I", "-c", program, *arguments]
    return run(Job(command, tools=python_tools(), **more), limits)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[int]:
    """Somebody to talk to over loopback."""
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served.server_address[1]
    served.shutdown()
    served.server_close()
    thread.join()


def test_a_program_reads_its_inputs_and_writes_its_outputs(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("17", encoding="utf-8")
    done = inside(
        "open('/out/answer', 'w').write(open('/in/rows').read() + '!'); print('done')",
        inputs={"rows": tmp_path / "rows"},
        outputs=("answer",),
    )
    assert done.ok
    assert done.outputs == {"answer": b"17!"}
    assert done.printed.strip() == "done"


def test_a_program_that_fails_is_reported_to_the_holder_alone() -> None:
    done = inside("raise SystemExit('row 7 says 42')")
    assert not done.ok
    assert done.status == 1
    assert "42" in done.printed


def test_no_network(server: int) -> None:
    program = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 3); print('in')"
    assert outside(program, str(server)).stdout == "in\n"
    done = inside(program, str(server))
    assert not done.ok
    assert "PermissionError" in done.printed


def test_no_network_where_sockets_can_be_made() -> None:
    """The filter is not all: the network namespace has no way out either."""
    interfaces = "print(open('/proc/net/dev').read())"
    assert outside(interfaces).returncode == 0
    names = [line.split(":")[0].strip() for line in inside(interfaces).printed.splitlines() if ":" in line]
    assert names == ["lo"]


@pytest.mark.parametrize("place", ["/etc/passwd", "/etc/hostname", "/proc/1/root/etc/passwd"])
def test_no_system_files(place: str) -> None:
    program = "import sys; print(len(open(sys.argv[1]).read()))"
    if place.startswith("/etc"):
        assert outside(program, place).returncode == 0
    assert not inside(program, place).ok


def test_no_home_and_no_other_partys_folder(tmp_path: Path) -> None:
    secret = tmp_path / "south" / "tables"
    secret.mkdir(parents=True)
    (secret / "train.csv").write_text("private", encoding="utf-8")
    mine = tmp_path / "north"
    mine.mkdir()
    program = "import sys; print(open(sys.argv[1]).read())"
    assert outside(program, str(secret / "train.csv")).stdout == "private\n"
    assert not inside(program, str(secret / "train.csv"), inputs={"mine": mine}).ok
    assert not inside(program, "/in/mine/../../south/tables/train.csv", inputs={"mine": mine}).ok
    listing = "import os, sys; print(os.listdir(sys.argv[1]))"
    home = str(Path.home())
    (mine / "link").symlink_to(secret)
    assert outside(listing, str(mine / "link")).returncode == 0
    assert not inside(listing, "/in/mine/link", inputs={"mine": mine}).ok
    seen = inside(listing, home)
    tools = {Path(tool).relative_to(home).parts[0] for tool in python_tools() if tool.is_relative_to(home)}
    assert not seen.ok or set(names_in(seen.printed)) <= tools


def names_in(printed: str) -> list[str]:
    """The names in a printed list."""
    return [name.strip(" '[]\n") for name in printed.split(",") if name.strip(" '[]\n")]


def test_no_environment() -> None:
    program = "import os; print(sorted(os.environ))"
    os.environ["COMITY_SECRET"] = "x"
    try:
        assert "COMITY_SECRET" in outside(program).stdout
        done = inside(program)
    finally:
        del os.environ["COMITY_SECRET"]
    assert done.ok
    assert "COMITY_SECRET" not in done.printed


@pytest.mark.parametrize("place", ["/out/new", "/in/new", "/new", "/dev/new", "/dev/shm/new", "/usr/new"])
def test_no_file_but_the_outputs(place: str, tmp_path: Path) -> None:
    program = "import sys; open(sys.argv[1], 'w').write('x'); print('wrote')"
    assert outside(program, str(tmp_path / "new")).stdout == "wrote\n"
    assert not inside(program, place, outputs=("answer",), inputs={"folder": tmp_path}).ok


def test_inputs_cannot_be_changed(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.write_text("1", encoding="utf-8")
    program = "import sys; open(sys.argv[1], 'a').write('2')"
    assert outside(program, str(rows)).returncode == 0
    assert rows.read_text(encoding="utf-8") == "12"
    assert not inside(program, "/in/rows", inputs={"rows": rows}).ok
    assert rows.read_text(encoding="utf-8") == "12"


def test_the_disk_cannot_be_filled(tmp_path: Path) -> None:
    program = "import sys; open(sys.argv[1], 'wb').write(bytes(8 << 20)); print('filled')"
    assert outside(program, str(tmp_path / "big")).stdout == "filled\n"
    done = inside(program, "/out/big", outputs=("big",))
    assert not done.ok
    assert len(done.outputs["big"]) <= SMALL.file_bytes
    scratch = (
        "for n in range(100):\n"
        "    with open(f'/tmp/{n}', 'wb') as file: file.write(bytes(100_000))\n"
        "print('filled')"
    )
    done = inside(scratch)
    assert not done.ok
    assert "No space left" in done.printed


def test_what_is_printed_is_capped() -> None:
    program = "import sys\nfor n in range(4000): sys.stdout.write('x' * 1000)\nprint('end')"
    assert len(outside(program).stdout) > 4_000_000
    done = inside(program)
    assert not done.ok
    assert len(done.printed) <= 4000


def test_memory_is_capped() -> None:
    program = "block = bytearray(3 << 29); print('got it')"
    assert outside(program).stdout == "got it\n"
    assert not inside(program).ok


def test_memory_files_are_not_to_be_had() -> None:
    program = "import os; os.write(os.memfd_create('m'), bytes(1000)); print('hidden')"
    assert outside(program).stdout == "hidden\n"
    assert not inside(program).ok


FORKS = """
import os, sys, time
most, made = int(sys.argv[1]), 0
try:
    for _ in range(most):
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        made += 1
finally:
    print(made, flush=True)
"""


def test_no_new_process() -> None:
    assert outside(FORKS, "5").stdout == "5\n"
    done = inside(FORKS, "5")
    assert not done.ok
    assert done.printed.splitlines()[-1] != "5"
    assert "PermissionError" in done.printed


def test_threads_are_allowed_where_processes_are_not() -> None:
    program = "import threading; t = threading.Thread(target=print, args=('hi',)); t.start(); t.join()"
    assert inside(program).printed == "hi\n"


def test_a_fork_bomb_is_ended() -> None:
    several = Limits(seconds=20.0, processes=4, tasks=12)
    done = inside(FORKS, "4", limits=several)
    assert done.ok
    begun = time.monotonic()
    done = inside(FORKS, "4000", limits=several)
    assert not done.ok
    assert time.monotonic() - begun < 10.0
    assert left_behind() == []


def left_behind() -> list[str]:
    """Processes of a sandbox that still run: none, a moment after its end."""
    deadline = time.monotonic() + 5.0
    while True:
        running: list[str] = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / "cmdline").read_bytes()
                state = (
                    (entry / "stat")
                    .read_text(encoding="ascii", errors="replace")
                    .rpartition(")")[2]
                    .split()[0]
                )
            except OSError:
                continue
            if (
                b"import os, sys, time\nmost, made" in line
                and state != "Z"
                and int(entry.name) != os.getpid()
            ):
                running.append(entry.name)
        if not running or time.monotonic() > deadline:
            return running
        time.sleep(0.1)


def test_a_long_run_is_ended_with_all_that_it_started() -> None:
    program = "import time; time.sleep(3); print('slept')"
    assert outside(program).stdout == "slept\n"
    begun = time.monotonic()
    done = inside(program, limits=Limits(seconds=1.0))
    assert (done.ok, done.cut) == (False, "time")
    assert time.monotonic() - begun < 3.0
    forked = inside(FORKS, "3", limits=Limits(seconds=1.0, processes=8, tasks=20))
    assert forked.ok or forked.cut == "time"
    assert left_behind() == []


def test_a_busy_run_is_ended_too() -> None:
    done = inside("while True: pass", limits=Limits(seconds=1.0))
    assert not done.ok


def test_it_cannot_signal_or_trace_what_is_outside() -> None:
    victim = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"])
    try:
        signals = "import os, sys; os.kill(int(sys.argv[1]), 0); print('reached')"
        assert outside(signals, str(victim.pid)).stdout == "reached\n"
        assert "ProcessLookupError" in inside(signals, str(victim.pid)).printed
        parents = "import os; print(os.getppid())"
        assert int(outside(parents).stdout) == os.getpid()
        assert int(inside(parents).printed) == 1
        # PTRACE_SEIZE = 0x4206
        trace = (
            "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True)\n"
            "done = libc.ptrace(0x4206, int(sys.argv[1]), None, None); print(done, ctypes.get_errno())"
        )
        assert outside(trace, str(victim.pid)).stdout == "0 0\n"
        assert inside(trace, str(victim.pid)).printed == "-1 1\n"
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()


@pytest.mark.parametrize(
    "call",
    [
        "libc.unshare(0x10000000)",  # a user namespace of its own
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.syscall(425, 1, None)",  # io_uring_setup
        "libc.syscall(250, 0, 0, 0, 0, 0)",  # keyctl
    ],
)
def test_kernel_interfaces_are_shut(call: str) -> None:
    program = f"import ctypes; libc = ctypes.CDLL(None, use_errno=True); print({call}, ctypes.get_errno())"
    assert inside(program).printed == "-1 1\n"


def test_it_is_nobody_without_rights() -> None:
    done = inside("import os; print(os.getuid()); print(open('/proc/self/status').read())")
    assert done.printed.startswith("65534\n")
    assert "CapEff:\t0000000000000000" in done.printed
    assert "NoNewPrivs:\t1" in done.printed


def test_what_cannot_be_run_is_said() -> None:
    with pytest.raises(UsageError, match="plain names"):
        Job(["/usr/bin/true"], outputs=("../escape",))
    with pytest.raises(UsageError, match="command"):
        Job([])
    with pytest.raises(UsageError, match="above 0"):
        Limits(seconds=0)
    with pytest.raises(UsageError) as absent:
        run(Job(["/usr/bin/true"], inputs={"rows": Path("/nowhere/rows")}), SMALL)
    assert absent.value.private


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_bwrap", lambda: None)
    sandbox.missing.cache_clear()
    try:
        assert "apt-get install bubblewrap" in (sandbox.missing() or "")
        with pytest.raises(NoSandbox, match="apt-get install bubblewrap") as refused:
            run(Job(["/usr/bin/true"]), SMALL)
        assert isinstance(refused.value, MissingExtra)
    finally:
        monkeypatch.undo()
        sandbox.missing.cache_clear()
