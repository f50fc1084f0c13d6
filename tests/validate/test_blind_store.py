"""Stored answers: drawn once, repeated byte for byte, also by another process; never changed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from comity.errors import BadInput, ClauseRefused
from comity.validate.blind_store import StoredAnswers

AGAIN = """
import os, sys
from pathlib import Path
from comity.validate.blind_store import StoredAnswers
store = StoredAnswers(Path(sys.argv[1]), clause="c")
sys.stdout.buffer.write(store.once("noise-0", "asked", lambda: {"a": os.urandom(32)})["a"])
"""


def store(folder: Path) -> StoredAnswers:
    return StoredAnswers(folder / "blind", clause="architectures.blind-validation")


def draw() -> dict[str, bytes]:
    return {"a": os.urandom(32), "b": b"\n" + os.urandom(8) + b"\n"}


def test_the_first_draw_is_what_is_repeated(tmp_path: Path) -> None:
    first = store(tmp_path).once("noise-0", "asked", draw)
    assert store(tmp_path).once("noise-0", "asked", draw) == first
    assert store(tmp_path).once("noise-1", "asked", draw) != first
    assert "noise-0" in store(tmp_path)
    assert "noise-2" not in store(tmp_path)


def test_another_process_repeats_it(tmp_path: Path) -> None:
    first = store(tmp_path).once("noise-0", "asked", draw)
    command = [sys.executable, "-c", AGAIN, str(tmp_path / "blind")]
    assert subprocess.run(command, capture_output=True, check=True).stdout == first["a"]


def test_a_changed_question_is_refused_and_the_answer_stays(tmp_path: Path) -> None:
    first = store(tmp_path).once("noise-0", "asked", draw)
    with pytest.raises(ClauseRefused, match="another question"):
        store(tmp_path).once("noise-0", "asked otherwise", draw)
    assert store(tmp_path).once("noise-0", "asked", draw) == first


def test_of_many_at_once_one_draw_counts(tmp_path: Path) -> None:
    found: list[dict[str, bytes]] = []
    threads = [
        threading.Thread(target=lambda: found.append(store(tmp_path).once("noise-0", "asked", draw)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(one == found[0] for one in found)
    assert len(list((tmp_path / "blind").iterdir())) == 1


def test_a_draw_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> dict[str, bytes]:
        raise BadInput("no")

    with pytest.raises(BadInput):
        store(tmp_path).once("noise-0", "asked", fails)
    assert "noise-0" not in store(tmp_path)


def test_a_name_is_claimed_once(tmp_path: Path) -> None:
    store(tmp_path).claim("nonce-ab")
    with pytest.raises(ClauseRefused, match="used before"):
        store(tmp_path).claim("nonce-ab")
    store(tmp_path).claim("nonce-ac")


def test_a_damaged_answer_is_neither_given_nor_drawn_again(tmp_path: Path) -> None:
    store(tmp_path).once("noise-0", "asked", draw)
    path = tmp_path / "blind" / "noise-0.answer"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInput, match="damaged"):
        store(tmp_path).once("noise-0", "asked", draw)


@pytest.mark.parametrize("name", ["", "../x", "noise-0/1", "Noise-0", "noise-g", "noise-" + "0" * 65])
def test_names_cannot_leave_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        store(tmp_path).once(name, "asked", draw)


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    store(tmp_path).once("noise-0", "asked", draw)
    assert (tmp_path / "blind").stat().st_mode & 0o077 == 0
    assert (tmp_path / "blind" / "noise-0.answer").stat().st_mode & 0o077 == 0
