"""Runs a job on one block after another; started by `comity.cleanroom.blocks` inside the sandbox.

Every block gets a process of its own, forked from this one before any private byte is in memory, one at a
time. It reads its own rows, gives up everything but computing (`sandbox.calls.computing_filter`) and the
clock, and only then runs the job. What it can do is write its result, of fixed size, at the block's place in
the file of results. This process never reads rows, results, how a block ended or how long it took, and each
block starts from a copy of it: so no block learns of another one from here. Nor does it from where its own
rows are: each place has a file of its own, named by its number. In one file for all, the position of a
block's rows would be the number of rows before them, and a program can find any number in its own memory.

Standard library only: it has no access to comity.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import struct
import sys
from array import array
from types import CodeType
from typing import Any

_P_ALL, _WEXITED = 0, 4
_PR_SET_TSC, _TSC_FAULTS = 26, 2
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP, _BY_FILTER = 22, 2
_CLOCK_OF_PROCESS, _KILL = 2, 9
_TIMER_CALLS = {"x86_64": (222, 223), "aarch64": (107, 110)}  # timer_create, timer_settime
_READ_WRITE, _READ_RUN, _FIXED_PRIVATE = 3, 5, 0x32
_NOTHING = b"\x90"  # x86: does nothing
_NO_FUNCTION = b"\xb8\xda\xff\xff\xff\xc3"  # x86: return -ENOSYS
_PIECE = 1 << 16
_POPULATE_READ = 22


class _Program(ctypes.Structure):
    """`struct sock_fprog`: a filter and its number of instructions."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def main(folder: str, out: str) -> None:
    """Run the job in `folder` on all its slots, results into `out`."""
    with open(f"{folder}/terms.json", encoding="utf-8") as file:
        terms = json.load(file)
    for name in terms["modules"]:
        importlib.import_module(name)
    with open(f"{folder}/job.py", "rb") as file:
        code = compile(file.read(), "job.py", "exec")
    with open(f"{folder}/parameters", "rb") as file:
        given = array("d", file.read())
    parameters: dict[str, list[float]] = {}
    first = 0
    for name, length in terms["parameters"].items():
        parameters[name] = given[first : first + length].tolist()
        first += length
    with open(f"{folder}/filter", "rb") as file:
        walls = bytearray(file.read())
    results = os.open(out, os.O_WRONLY)
    os.dup2(results, terms["file"])
    libc = ctypes.CDLL(None, use_errno=True)
    _without_clock(libc)
    _read_in(libc)
    gc.collect()
    gc.freeze()
    gc.disable()
    for slot in range(terms["slots"]):
        try:
            child = os.fork() == 0
        except OSError:  # no room for a process just now: nothing of any row is in that
            continue
        if child:
            try:
                _block(slot, terms, f"{folder}/rows/{slot}", walls, libc, code, parameters)
            finally:
                os._exit(0)
        # without a place to put it, the system tells nothing of how the block ended
        libc.waitid(_P_ALL, 0, None, _WEXITED)


def _block(
    slot: int,
    terms: dict[str, Any],
    rows: str,
    walls: bytearray,
    libc: ctypes.CDLL,
    code: CodeType,
    parameters: dict[str, list[float]],
) -> None:
    """In a process of its own: read the block's rows, give everything else up, run the job, write."""
    try:
        file = os.open(rows, os.O_RDONLY)
    except FileNotFoundError:  # nobody is at this place
        return
    names = terms["columns"]
    data = array("d", _all_of(file))
    os.close(file)
    count = len(data) // len(names)
    columns = {name: data[at * count : (at + 1) * count].tolist() for at, name in enumerate(names)}
    place = slot * terms["size"]
    _shut(place, terms, walls, libc)
    names_of_job: dict[str, Any] = {"__name__": "job"}
    exec(code, names_of_job)
    answer = names_of_job["run"](columns, parameters)
    result = array("d", [1.0])
    for name, length in terms["outputs"].items():
        values = array("d", [float(value) for value in answer[name]])
        if len(values) != length:
            return
        result += values
    os.pwrite(terms["file"], result.tobytes(), place)


def _all_of(file: int) -> bytes:
    found = b""
    while part := os.read(file, _PIECE):
        found += part
    return found


def _without_clock(libc: ctypes.CDLL) -> None:
    """Take the clock away from here and from every block (x86-64).

    A block that could read the clock could tell, by the time of its own start, how long those before it
    took. The page of functions by which the system tells the time without a call is replaced by one that
    says that there is no such function, the page with the time itself goes, and reading the processor's
    counter becomes an error. The calls themselves are not among those that a block may make.
    """
    if os.uname().machine != "x86_64":
        return
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    with open("/proc/self/maps", encoding="ascii") as file:
        lines = [line.split() for line in file]
    for line in lines:
        if line[-1].startswith(("[vvar", "[vdso]")):
            low, high = (int(end, 16) for end in line[0].split("-"))
            if libc.munmap(low, high - low):
                raise OSError("the clock cannot be taken away")
            if line[-1] == "[vdso]":
                at = libc.mmap(low, high - low, _READ_WRITE, _FIXED_PRIVATE, -1, 0)
                ctypes.memmove(at, _NO_FUNCTION.rjust(high - low, _NOTHING), high - low)
                libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(high - low), _READ_RUN)
    if libc.prctl(_PR_SET_TSC, _TSC_FAULTS, 0, 0, 0):
        raise OSError("the processor's counter cannot be taken away")


def _read_in(libc: ctypes.CDLL) -> None:
    """Bring all that is mapped from files into memory: a block that needs a page first would read it for
    those after it, and take longer. A system that cannot (before Linux 5.14) goes on without."""
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    with open("/proc/self/maps", encoding="ascii", errors="replace") as file:
        lines = [line.split() for line in file]
    for line in lines:
        if len(line) > 5 and line[5].startswith("/") and line[1].startswith("r"):
            low, high = (int(end, 16) for end in line[0].split("-"))
            libc.madvise(low, high - low, _POPULATE_READ)


def _shut(place: int, terms: dict[str, Any], walls: bytearray, libc: ctypes.CDLL) -> None:
    """Memory and processor time get their caps, the clock and all but computing go."""
    resource.setrlimit(resource.RLIMIT_AS, (terms["memory"], terms["memory"]))
    _cap_processor(terms["cpu_s"], libc)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError("new rights cannot be ruled out")
    struct.pack_into("<I", walls, terms["low"], place & 0xFFFFFFFF)
    struct.pack_into("<I", walls, terms["high"], place >> 32)
    text = bytes(walls)
    program = _Program(len(text) // 8, text)
    if libc.prctl(_PR_SET_SECCOMP, _BY_FILTER, ctypes.byref(program), 0, 0):
        raise OSError("the walls of a block cannot be put up")


def _cap_processor(cpu_s: float, libc: ctypes.CDLL) -> None:
    """Kill this process once it has had so much of the processor, at the next tick of the system's clock.

    It counts the time of this process alone: what else the machine does cuts nobody short. No process can
    mask or handle the signal that ends it, and after the filter none can reach the timer.
    """
    make, start = _TIMER_CALLS[os.uname().machine]
    event = struct.pack("<QiI48x", 0, _KILL, 0)
    timer = ctypes.c_int()
    whole = int(cpu_s)
    after = struct.pack("<qqqq", 0, 0, whole, max(1, int((cpu_s - whole) * 1e9)))
    made = libc.syscall(make, _CLOCK_OF_PROCESS, event, ctypes.byref(timer))
    if made or libc.syscall(start, timer, 0, after, None):
        raise OSError("a block's time on the processor cannot be capped")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
