"""Which system calls a program in the sandbox may not make, as a filter that the kernel runs."""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass
from typing import Final

# System calls by name and number (x86-64, aarch64), refused as if the program lacked the right to them.
# shmget, memfd_create and memfd_secret make memory that no cap on memory counts.
_REFUSED: Final = """
socket 41 198, shmget 29 194, memfd_create 319 279, memfd_secret 447 447, msgget 68 186,
semget 64 190, ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272,
pidfd_getfd 438 438, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51,
open_tree 428 428, move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432,
fspick 433 433, mount_setattr 442 442, unshare 272 97, setns 308 268, add_key 248 217,
request_key 249 218, keyctl 250 219, bpf 321 280, perf_event_open 298 241, userfaultfd 323 282,
io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427, init_module 175 105,
finit_module 313 273, delete_module 176 106, kexec_load 246 104, kexec_file_load 320 294,
reboot 169 142, personality 135 92, quotactl 179 60, acct 163 89, swapon 167 224, swapoff 168 225,
settimeofday 164 170, clock_settime 227 112, adjtimex 159 171, clock_adjtime 305 266,
sethostname 170 161, setdomainname 171 162, iopl 172 -, ioperm 173 -, modify_ldt 154 -,
syslog 103 116, name_to_handle_at 303 264, open_by_handle_at 304 265
"""
_MACHINES: Final = {"x86_64": (0, 0xC000003E, 56, (57, 58)), "aarch64": (1, 0xC00000B7, 220, ())}
"""Column of the table above, the kernel's mark of the architecture, `clone`, and calls that only fork."""
_CLONE3: Final = 435
_CLONE_THREAD: Final = 0x00010000
_X32: Final = 0x40000000
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _ALL_OF, _END = 0x20, 0x15, 0x35, 0x45, 0x06

# What a program that only computes still needs: memory, randomness, its own end (x86-64, aarch64).
_COMPUTING: Final = """
munmap 11 215, mremap 25 216, brk 12 214, mprotect 10 226, exit 60 93, exit_group 231 94,
getrandom 318 278
"""
# rt_sigreturn is not among them: no handler is installed, and a made-up frame would mask signals
_MMAP: Final = (9, 222)
_MADVISE: Final = (28, 233)
_GIVEN_BACK: Final = (4, 8)
"""MADV_DONTNEED and MADV_FREE touch a program's own memory alone. Other advice reaches pages of files, which
everybody shares: what one program has sent to the disk costs the next one time, and waiting for the disk is
no time of the processor."""
_PWRITE: Final = (18, 68)
_NO_FILE: Final = 0xFFFFFFFF


def system_call_filter(may_fork: bool) -> bytes | None:
    """The filter as a classic BPF program (`seccomp(2)`): refused calls fail, another architecture's kill.

    `clone3` fails as unknown, since a filter cannot see its flags; C libraries then fall back to `clone`.

    Returns:
        None on a machine that is neither x86-64 nor aarch64.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return None
    column, mark, clone, forks = known
    numbers = [call.split()[1 + column] for call in _REFUSED.split(",")]
    refused = [*(int(number) for number in numbers if number != "-"), *(() if may_fork else forks)]
    rules = _of_machine(mark)
    for number in refused:
        rules += [(_EQUAL, 0, 1, number), (_END, 0, 0, _ERRNO | _EPERM)]
    rules += [(_EQUAL, 0, 1, _CLONE3), (_END, 0, 0, _ERRNO | _ENOSYS)]
    if not may_fork:
        # the low half of the first argument holds the flags
        rules += [(_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _argument(0)), (_ALL_OF, 1, 0, _CLONE_THREAD)]
        rules += [(_END, 0, 0, _ERRNO | _EPERM)]
    rules += [(_END, 0, 0, _ALLOW)]
    return _program(rules)


@dataclass(frozen=True)
class ComputingFilter:
    """A filter for a program that may compute and do nothing else, but for one write of its result.

    It may take and give back memory, and end. It opens nothing, starts nothing, signals nobody, waits for
    nothing and asks no clock of the kernel. It may write `size` bytes at one place of one open file.

    Attributes:
        program: classic BPF, as of `system_call_filter`; the place to write at is 0.
        low, high: where in `program` the two halves of that place stand, little-endian, 4 bytes each.
    """

    program: bytes
    low: int
    high: int


def computing_filter(file: int, size: int) -> ComputingFilter | None:
    """The filter for a program that writes `size` bytes to the open file descriptor `file`.

    Returns:
        None on a machine that is neither x86-64 nor aarch64.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return None
    column, mark, _, _ = known
    rules = _of_machine(mark)
    for call in _COMPUTING.split(","):
        rules += [(_EQUAL, 0, 1, int(call.split()[1 + column])), (_END, 0, 0, _ALLOW)]
    rules += [(_EQUAL, 0, 5, _MADVISE[column]), (_LOAD, 0, 0, _argument(2)), (_EQUAL, 1, 0, _GIVEN_BACK[0])]
    rules += [(_EQUAL, 0, 1, _GIVEN_BACK[1]), (_END, 0, 0, _ALLOW), (_END, 0, 0, _ERRNO | _EPERM)]
    # memory, but never a file's
    rules += [(_EQUAL, 0, 4, _MMAP[column]), (_LOAD, 0, 0, _argument(4)), (_EQUAL, 0, 1, _NO_FILE)]
    rules += [(_END, 0, 0, _ALLOW), (_END, 0, 0, _ERRNO | _EPERM)]
    asked = [(_argument(0), file), (_argument(2), size), (_argument(2) + 4, 0)]
    asked += [(_argument(3), 0), (_argument(3) + 4, 0)]
    places: list[int] = []
    rules += [(_EQUAL, 0, 2 * len(asked) + 1, _PWRITE[column])]
    for at, (where, value) in enumerate(asked):
        rules += [(_LOAD, 0, 0, where)]
        places.append(8 * len(rules) + 4)
        rules += [(_EQUAL, 0, 2 * (len(asked) - at - 1) + 1, value)]
    rules += [(_END, 0, 0, _ALLOW), (_END, 0, 0, _ERRNO | _EPERM)]
    return ComputingFilter(_program(rules), places[-2], places[-1])


_Rule = tuple[int, int, int, int]


def _of_machine(mark: int) -> list[_Rule]:
    """Kill what calls as another machine would, and load the number of the call."""
    rules = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, mark), (_END, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    return [*rules, (_AT_LEAST, 0, 1, _X32), (_END, 0, 0, _KILL)]


def _argument(number: int) -> int:
    """Where the low half of a call's argument stands in what a filter sees (`seccomp_data`)."""
    return 16 + 8 * number


def _program(rules: list[_Rule]) -> bytes:
    return b"".join(struct.pack("<HBBI", *rule) for rule in rules)
