"""Blocks learn nothing of each other, whatever a job tries; the control is one process for all of them."""

from __future__ import annotations

import ctypes
import mmap
import platform
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from comity.cleanroom import pace
from comity.cleanroom.blocks import places_by_lot, places_of_each, run_blocks
from comity.cleanroom.job import Blocks
from comity.errors import BadInput

pytestmark = pytest.mark.usefixtures("sandboxed")

TARGET = 77.0
ORDINARY = np.array([[41.0], [42.0], [43.0], [44.0]])
WITH_TARGET = np.array([[41.0], [TARGET], [43.0], [44.0]])
PLACES = np.array([0, 1, 2, 3])


def given(rooms: Any, source: str, matrix: NDArray[np.float64], **more: Any) -> list[float]:
    """What four blocks of one row give, in order of their places."""
    ran = run_blocks(rooms.blocks(source, **more), {}, matrix, PLACES, len(PLACES))
    return ran.vectors["told"].ravel().tolist()


def in_turn(source: str, matrix: NDArray[np.float64]) -> list[float]:
    """The control: the same blocks one after another in one process, as if nothing stood between them."""
    names: dict[str, Any] = {}
    exec(source, names)
    return [float(names["run"]({"age": row.tolist()}, {})["told"][0]) for row in matrix]


LEFT_IN_MEMORY = """
import math
def run(rows, parameters):
    math.seen = getattr(math, 'seen', 0.0) or float(rows['age'][0] == 77.0)
    return {'told': [math.seen]}
"""
LEFT_IN_A_FILE = """
def run(rows, parameters):
    import pathlib
    place = pathlib.Path('/tmp', 'comity-left-behind')
    if rows['age'][0] == 77.0:
        place.write_text('x')
    seen = place.exists()
    if rows['age'][0] == 44.0 and seen:
        place.unlink()
    return {'told': [float(seen)]}
"""


@pytest.mark.parametrize("source", [LEFT_IN_MEMORY, LEFT_IN_A_FILE], ids=["memory", "file"])
def test_nothing_is_left_for_the_next_block(source: str, rooms: Any) -> None:
    assert in_turn(source, WITH_TARGET)[2:] == [1.0, 1.0]
    found = given(rooms, source, WITH_TARGET, modules=("math",))
    assert found[2:] == given(rooms, source, ORDINARY, modules=("math",))[2:]
    assert 1.0 not in found[2:]


ENDS = {
    "fails": "raise ValueError('77')",
    "never ends": "\n        while True:\n            pass",
    "takes all memory": "bytearray(1 << 40)",
    "breaks its process": "\n        import ctypes\n        ctypes.string_at(0)",
    "writes no number": "return {'told': ['x']}",
    "writes too many numbers": "return {'told': [1.0] * 5}",
    "writes what is not finite": "return {'told': [float('nan')]}",
    "writes much": "return {'told': [1.0] * 10_000_000}",
    "leaves": "\n        import os\n        os._exit(3)",
    "ends the process that started it": "\n        import os\n        os.kill(os.getppid(), 9)",
    "ends all": "\n        import os\n        os.kill(-1, 9)",
}


@pytest.mark.parametrize("way", ENDS)
def test_a_block_that_behaves_differently_changes_nothing_but_its_own_place(way: str, rooms: Any) -> None:
    source = (
        "def run(rows, parameters):\n    if rows['age'][0] == 77.0:\n        "
        + ENDS[way]
        + "\n    return {'told': [rows['age'][0]]}\n"
    )
    found = given(rooms, source, WITH_TARGET)
    assert found == [41.0, 0.0, 43.0, 44.0]


def test_a_block_writes_its_own_place_only(rooms: Any) -> None:
    """The file of results is open in a block, at one place and for one size."""
    source = """
def run(rows, parameters):
    import os, struct
    for place in range(0, 64, 16):
        for attempt in (
            lambda: os.pwrite(100, struct.pack('<dd', 1.0, 99.0), place),
            lambda: os.pwrite(100, b'x' * 64, place),
        ):
            try:
                attempt()
            except OSError:
                pass
    for attempt in (
        lambda: os.write(100, b'x' * 16),
        lambda: os.lseek(100, 0, 0),
        lambda: os.ftruncate(100, 0),
        lambda: os.pread(100, 16, 0),
    ):
        try:
            attempt()
            return {'told': [5.0]}
        except OSError:
            pass
    raise ValueError
"""
    assert given(rooms, source, ORDINARY, modules=()) == [99.0] * 4


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.time()",
        "import time; time.monotonic()",
        "import time; time.sleep(0)",
        "import os; os.stat('/')",
        "open('/proc/stat')",
        "import threading; threading.Thread(target=print).start()",
        "import os; os.pipe()",
        "import signal; signal.signal(27, signal.SIG_IGN)",
        "import resource; resource.getrusage(0)",
    ],
)
def test_a_block_has_no_clock_and_asks_nothing_of_the_machine(program: str, rooms: Any) -> None:
    source = f"def run(rows, parameters):\n    {program}\n    return {{'told': [1.0]}}\n"
    ran = run_blocks(rooms.blocks(source, modules=("functools",)), {}, ORDINARY[:1], PLACES[:1], 1)
    assert not ran.gave.any()


def test_no_call_for_the_time_is_answered(rooms: Any) -> None:
    """clock_gettime, gettimeofday, time, times, getrusage, getpid, getppid, nanosleep, by their numbers."""
    source = """
import ctypes
libc = ctypes.CDLL(None)
room = ctypes.create_string_buffer(1024)
def run(rows, parameters):
    answers = [libc.syscall(n, 0, room, room, 0) for n in (228, 96, 201, 100, 98, 39, 110, 35)]
    return {'told': [float(sum(answer == -1 for answer in answers))]}
"""
    if platform.machine() == "x86_64":
        assert in_turn(source, ORDINARY[:1]) < [8.0]
        assert given(rooms, source, ORDINARY) == [1.0 * 8] * 4


def test_the_processors_own_counter_cannot_be_read(rooms: Any) -> None:
    """rdtsc; the control is the same machine code outside."""
    if platform.machine() != "x86_64":
        return
    code = bytes.fromhex("0f31c3")  # rdtsc; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    assert ctypes.CFUNCTYPE(ctypes.c_uint32)(at)() >= 0
    source = """
import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
def run(rows, parameters):
    at = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
    ctypes.memmove(at, CODE, 3)
    return {'told': [float(ctypes.CFUNCTYPE(ctypes.c_uint32)(at)() >= 0)]}
"""
    honest = source.replace("CODE", repr(bytes.fromhex("31c0c3")))  # xor eax, eax; ret
    reads = source.replace("CODE", repr(code))
    assert given(rooms, honest, ORDINARY) == [1.0] * 4
    assert given(rooms, reads, ORDINARY) == [0.0] * 4


def test_a_block_sends_no_page_of_a_file_to_the_disk(rooms: Any) -> None:
    """Blocks after it would pay for it with their time, and waiting for the disk is no time of the processor:
    of all advice on memory only what gives a program's own back is taken (4 and 8)."""
    source = """
import ctypes
libc = ctypes.CDLL(None)
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
code = ctypes.cast(libc.madvise, ctypes.c_void_p).value & ~4095
def run(rows, parameters):
    taken = [n for n in range(26) if libc.madvise(at, 4096, n) == 0 or libc.madvise(code, 4096, n) == 0]
    return {'told': [float(taken == ADVICE)]}
"""
    alone = (
        source.replace("ADVICE", "[4, 8]")
        + "\nassert libc.madvise(code, 4096, 20) == 0 and libc.madvise(code, 4096, 22) == 0"
    )
    exec(alone, {})  # the control: outside of a block the system takes the advice
    assert given(rooms, source.replace("ADVICE", "[4, 8]"), ORDINARY) == [1.0] * 4


def test_how_many_blocks_there_are_and_how_large_is_not_to_be_had(rooms: Any) -> None:
    """What a block can see of the process that it was copied from is the same whatever the rows are."""
    source = """
import gc
def run(rows, parameters):
    numbers = [x for o in gc.get_objects() if isinstance(o, (list, tuple, dict))
               for x in (o.values() if isinstance(o, dict) else o) if isinstance(x, float)]
    return {'told': [float(43.0 in [n for n in numbers if n != rows['age'][0]] or len(rows['age']))]}
"""
    few = run_blocks(rooms.blocks(source), {}, ORDINARY, np.array([0, -1, -1, -1]), 9)
    many = run_blocks(rooms.blocks(source), {}, ORDINARY, np.array([0, 5, 6, 7]), 9)
    assert few.vectors["told"][0] == many.vectors["told"][0]


EVERY_NUMBER = """
import sys
def run(rows, parameters):
    numbers = []
    def look(thing, depth):
        if isinstance(thing, (int, float)):
            numbers.append(float(thing))
        elif isinstance(thing, (str, bytes)):
            shown = thing[:64]
            codes = shown if isinstance(shown, bytes) else map(ord, shown)
            numbers.extend([float(len(thing)), *map(float, codes)])
        elif isinstance(thing, dict) and depth:
            for key, value in list(thing.items()):
                look(key, depth - 1)
                look(value, depth - 1)
        elif isinstance(thing, (list, tuple)) and depth:
            for value in thing:
                look(value, depth - 1)
    frame = sys._getframe().f_back
    while frame is not None:
        look({name: value for name, value in frame.f_locals.items() if name != 'names_of_job'}, 4)
        frame = frame.f_back
    return {'told': [len(numbers), *(numbers + [0.0] * 2000)[:1999]]}
"""


def test_no_frame_of_a_blocks_process_has_a_number_that_other_places_rows_change(rooms: Any) -> None:
    """Where its rows stood among all would be how many rows others have; the control is its own rows."""
    job = rooms.blocks(EVERY_NUMBER, length=2_000, blocks=Blocks(most=100, cpu_s=1.0))
    table = np.repeat(ORDINARY[:1], 400, axis=0)
    alone = np.full(400, -1)
    alone[0] = 3
    crowded = np.concatenate([[3], np.arange(399) % 3])
    both = np.where(np.arange(400) < 2, 3, -1)
    first, second, third = (run_blocks(job, {}, table, places, 4) for places in (alone, crowded, both))
    assert first.gave[3]
    assert first.vectors["told"][3][0] > 20
    assert np.array_equal(first.vectors["told"][3], second.vectors["told"][3])
    assert not np.array_equal(first.vectors["told"][3], third.vectors["told"][3])


def test_numbers_of_installed_modules_work(rooms: Any) -> None:
    source = (
        "import numpy as np\ndef run(rows, parameters):\n"
        "    return {'told': np.linalg.solve(np.eye(2), np.array([rows['age'][0], 1.0]))[:1]}\n"
    )
    assert given(rooms, source, ORDINARY, modules=("numpy", "numpy.linalg"), memory_mb=1024) == [
        41.0,
        42.0,
        43.0,
        44.0,
    ]


def test_parameters_are_what_was_declared(rooms: Any) -> None:
    job = rooms.blocks(
        "def run(rows, parameters):\n    return {'told': parameters['a']}\n", parameters={"a": 1}
    )
    ran = run_blocks(job, {"a": np.array([2.5])}, ORDINARY, PLACES, 4)
    assert ran.vectors["told"].ravel().tolist() == [2.5] * 4
    for wrong in ({}, {"a": np.zeros(2)}, {"a": np.array([np.inf])}, {"a": np.zeros(1), "b": np.zeros(1)}):
        with pytest.raises(BadInput, match="parameter"):
            run_blocks(job, wrong, ORDINARY, PLACES, 4)


def test_one_unit_more_changes_one_place() -> None:
    """Units take different places, all equally often: 4 units on 5 places, 20,000 lots.

    A place has each unit about 4,000 times. That is binomial, and 400 off is 7 standard deviations: the
    false-alarm rate of all 20 counts together is below 1e-10.
    """
    counts = np.zeros((4, 5))
    for _ in range(20_000):
        found = places_of_each(4, 5, 1.0)
        assert len(set(found.tolist())) == 4
        counts[np.arange(4), found] += 1
    assert np.abs(counts - 4_000).max() < 400
    assert places_of_each(7, 5, 1.0).tolist().count(-1) == 2
    assert set(places_by_lot(100, 3, 1.0).tolist()) <= {0, 1, 2}
    # half of 10,000 are left out, give or take 50: 400 off is 8 standard deviations
    assert abs(places_by_lot(10_000, 3, 0.5).tolist().count(-1) - 5_000) < 400


def test_an_answer_leaves_at_one_of_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(pace.time, "sleep", slept.append)
    for took in (0.1, 2.9, 3.1, 7.0):
        monkeypatch.setattr(pace.time, "monotonic", lambda took=took: 100.0 + took)
        pace.leave_at(100.0, 3.0)
    assert [round(wait + took, 6) for wait, took in zip(slept, (0.1, 2.9, 3.1, 7.0), strict=True)] == [
        3.0, 3.0, 6.0, 12.0,
    ]  # fmt: skip


def test_a_block_cannot_make_up_a_return_from_a_signal(rooms: Any) -> None:
    """Such a return sets what signals are masked; without it no block can live past its cap."""
    number = 15 if platform.machine() == "x86_64" else 139
    source = "import ctypes\ndef run(rows, parameters):\n    return {'told': [ctypes.CDLL(None).syscall("
    source += f"{number})]}}\n"
    assert given(rooms, source, ORDINARY) == [-1.0] * 4


def test_a_run_that_fails_as_a_whole_still_gives_an_answer_of_its_form(
    rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it failed may be one record's doing: noise alone leaves, and the fault stays with the provider."""
    from comity.cleanroom import statistic
    from comity.cleanroom.price import RoomPrice
    from comity.errors import UsageError
    from comity.ledger import PrivacyUnit

    def fails(*_: Any) -> Any:
        raise UsageError("the room could not run the job", private=True)

    monkeypatch.setattr(statistic, "run_blocks", fails)
    job = rooms.blocks("", number=3)
    price = RoomPrice.of(job, 1.0, 1e-6, PrivacyUnit.record)
    answer, ran = statistic.answer(job, {}, ORDINARY, PLACES, price)
    assert answer.sums["told"].shape == (1,)
    assert "could not run" in ran.fault


def test_the_first_time_holds_all_that_blocks_may_take(rooms: Any, sandboxed: None) -> None:
    """Blocks that never end are done, on the processor's time, before the answer's first time.

    A cap that is 4 ms late, as the pace allows, is 60 ms for 15 blocks; the test allows as much again.
    """
    spins = "def run(rows, parameters):\n    while True:\n        pass\n"
    job = rooms.blocks(spins, blocks=Blocks(most=15, cpu_s=0.02))
    ran = run_blocks(job, {}, np.full((15, 1), 41.0), np.arange(15), 15)
    assert not ran.gave.any()
    assert ran.cpu_s < pace.leaves_after(15, 0.02) + 15 * 0.004
    assert pace.leaves_after(1, 60.0) > 60.0


@pytest.mark.parametrize("modules", [(), ("numpy", "numpy.linalg")])
def test_the_first_time_holds_imports_parameters_and_results_too(
    modules: tuple[str, ...], rooms: Any
) -> None:
    """What a job names cannot push its end past the time: the processor's time of all of it lies below."""
    number, length, given = 5, 4_096, 1 << 16
    job = rooms.blocks(
        "def run(rows, parameters):\n    while True:\n        pass\n",
        length=length,
        blocks=Blocks(number=number, cpu_s=0.02),
        modules=modules,
        parameters={"a": given},
        memory_mb=1024,
    )
    overhead = pace.Overhead.of(job)
    assert overhead.start_s > (1.5 if modules else 0.1)
    ran = run_blocks(job, {"a": np.zeros(given)}, np.full((number, 1), 41.0), np.arange(number), number)
    assert not ran.gave.any()
    assert ran.cpu_s < pace.leaves_after(number, 0.02, overhead)


def test_a_small_job_of_plain_python_waits_for_no_imports(rooms: Any) -> None:
    job = rooms.blocks("def run(rows, parameters):\n    return {'told': [1.0]}\n", modules=("bisect", "math"))
    assert pace.Overhead.of(job) == pace.Overhead()
    heavier = rooms.blocks("", modules=("math", "sklearn.tree"))
    assert pace.Overhead.of(heavier).start_s >= 10.0
    assert pace.Overhead.of(heavier).place_s >= 0.05


def test_an_answer_that_leaves_after_an_hour_is_none(rooms: Any) -> None:
    job = rooms.blocks("", number=1 << 16, blocks=Blocks(number=1 << 16, cpu_s=1.0))
    with pytest.raises(BadInput, match="fewer blocks"):
        pace.require_soon(job, 1 << 16)
    assert pace.require_soon(job, 100) < pace.LATEST_S


def test_what_fails_leaves_at_such_a_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[tuple[float, float]] = []
    monkeypatch.setattr(pace, "leave_at", lambda begun, first: left.append((begun, first)))
    with pytest.raises(ValueError, match="x"), pace.paced(1.0, 2.0):
        raise ValueError("x")
    with pace.paced(3.0, 4.0):
        pass
    assert left == [(1.0, 2.0), (3.0, 4.0)]
