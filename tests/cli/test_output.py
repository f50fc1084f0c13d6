"""Results go where they are told to, and never over what is read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from comity.cli.output import PRIVATE, check_apart, made_whole, write_json, write_text
from comity.errors import BadInput, UsageError

ROWS = [f"p{row},{20 + row % 50},{'yes' if row % 3 else 'no'}" for row in range(200)]
TABLE = "\n".join(["id,age,ill", *ROWS, ""])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def comity(words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from comity.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize(
    "options",
    [
        ["assess", "{table}", "--json", "{table}"],
        ["assess", "{table}", "--write-schema", "{table}"],
        ["assess", "{table}", "--write-schema", "{folder}/one", "--json", "{folder}/one"],
        ["compare", "--provider", "north={table}", "--target", "ill", "--json", "{table}"],
        [
            *["compare", "--provider", "north={table}", "--target", "ill"],
            *["--json", "{folder}/x", "--html", "{folder}/x"],
        ],
    ],
)  # fmt: skip
def test_nothing_is_written_over_what_is_read_or_over_another_result(options: list[str], table: Path) -> None:
    done = comity([word.format(table=table, folder=table.parent) for word in options])
    assert done.returncode == 2
    assert "the same file" in done.stderr
    assert table.read_text(encoding="utf-8") == TABLE


def test_a_link_to_a_table_is_the_table(table: Path) -> None:
    link = table.parent / "link.csv"
    link.symlink_to(table)
    with pytest.raises(UsageError):
        check_apart({"the table": table}, {"--json": link})
    check_apart({"the table": table, "--schema": None}, {"--json": "-", "--html": "-"})


def test_what_describes_raw_rows_is_its_owners_alone(table: Path) -> None:
    written = table.parent / "a.json"
    words = ["assess", str(table), "--json", str(written), "--write-schema", str(table.parent / "s.yaml")]
    assert comity(words).returncode == 0
    for path in (written, table.parent / "s.yaml"):
        assert stat.S_IMODE(path.stat().st_mode) == PRIVATE
    write_json({}, str(written))
    assert stat.S_IMODE(written.stat().st_mode) & 0o600 == 0o600


def test_a_pipe_or_a_link_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As root, a file in the place of a device would take it from the whole machine."""
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text("through", pipe)
    assert os.read(read, 100) == b"through"
    os.close(read)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    link.symlink_to(file)
    write_json({"a": 1}, str(link))
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == '{\n  "a": 1\n}\n'
    write_text("mine", tmp_path / "file", mode=PRIVATE)
    file.unlink()
    write_text("mine", link, mode=PRIVATE)
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == PRIVATE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "pipe"]


@pytest.mark.parametrize("to_file", [True, False])
def test_standard_output_by_its_name_is_written_to(to_file: bool, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from comity.cli.output import write_text; "
        "write_text('x' * 9, Path('/dev/stdout'))"
    )
    command = [sys.executable, "-c", script]
    if to_file:
        with open(tmp_path / "out", "wb") as out:
            subprocess.run(command, stdout=out, check=True)
        assert (tmp_path / "out").read_text(encoding="utf-8") == "x" * 9
    else:
        assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"x" * 9


def test_a_full_disk_leaves_what_a_link_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("before", encoding="utf-8")
    link.symlink_to(file)

    def full(self: Path, text: str, **words: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BadInput, match="no half of it was left behind"):
        write_text("after", link)
    assert file.read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize("ending", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_whatever_ends_writing_leaves_what_was_there_and_no_more(
    ending: BaseException | type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("before", encoding="utf-8")
    write = Path.write_text

    def fails_at_two(self: Path, text: str, **words: str) -> int:
        if text == "2":
            raise ending
        return write(self, text, **words)

    monkeypatch.setattr(Path, "write_text", fails_at_two)
    with pytest.raises((KeyboardInterrupt, BadInput)), made_whole({one: "1", two: "2"}) as put_in_place:
        put_in_place()
    assert list(tmp_path.iterdir()) == [one]
    assert one.read_text(encoding="utf-8") == "before"
