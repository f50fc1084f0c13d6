"""Which system calls a program in the sandbox may not make, as a filter that the kernel runs."""

from __future__ import annotations

import platform
import struct
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
    load, equal, at_least, all_of, end = 0x20, 0x15, 0x35, 0x45, 0x06
    rules = [(load, 0, 0, 4), (equal, 1, 0, mark), (end, 0, 0, _KILL), (load, 0, 0, 0)]
    rules += [(at_least, 0, 1, _X32), (end, 0, 0, _KILL)]
    for number in refused:
        rules += [(equal, 0, 1, number), (end, 0, 0, _ERRNO | _EPERM)]
    rules += [(equal, 0, 1, _CLONE3), (end, 0, 0, _ERRNO | _ENOSYS)]
    if not may_fork:
        # the low half of the first argument holds the flags
        rules += [(equal, 0, 3, clone), (load, 0, 0, 16), (all_of, 1, 0, _CLONE_THREAD)]
        rules += [(end, 0, 0, _ERRNO | _EPERM)]
    rules += [(end, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *rule) for rule in rules)
