"""`scripts/start_postgres.sh` where there is no server: with stand-ins for apt-get and what it installs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "start_postgres.sh"

# installs programs that behave as PostgreSQL's do, as far as the script looks
APT_GET = """#!/bin/bash
printf '%s\\n' "$*" >>"$START_POSTGRES_ROOT/asked"
for word in "$@"; do
    case "$word" in update) exit 0 ;; install) break ;; esac
done
[ -x "$START_POSTGRES_ROOT/usr/sbin/policy-rc.d" ] && echo refused >>"$START_POSTGRES_ROOT/asked"
[ -e "$START_POSTGRES_ROOT/offline" ] && { echo 'E: Unable to locate package postgresql'; exit 100; }
bin=$START_POSTGRES_ROOT/usr/lib/postgresql/17/bin
mkdir -p "$bin"
printf '#!/bin/bash\\nmkdir "$2"\\n' >"$bin/initdb"
cp "$START_POSTGRES_ROOT/postgres" "$bin/postgres"
printf '#!/bin/bash\\n[ -e "$3/up" ]\\n' >"$bin/pg_isready"
chmod 755 "$bin"/*
"""
POSTGRES = f"""#!{sys.executable}
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit())
pathlib.Path(sys.argv[4], "up").touch()
time.sleep(60)
"""
ID = """#!/bin/bash
case "$*" in -u) echo "$START_POSTGRES_USER" ;; *) echo 1 ;; esac
"""
SETPRIV = """#!/bin/bash
shift 5
exec "$@"
"""


class Machine:
    """A machine without PostgreSQL, as the script sees it."""

    def __init__(self, root: Path, user: int = 0) -> None:
        self.root, self.folder = root / "root", root / "server"
        programs = root / "bin"
        programs.mkdir()
        (self.root / "usr/sbin").mkdir(parents=True)
        for name, text in {
            "apt-get": APT_GET,
            "id": ID,
            "setpriv": SETPRIV,
            "chown": "#!/bin/bash\n",
        }.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        (self.root / "postgres").write_text(POSTGRES)
        self.environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "START_POSTGRES_ROOT": str(self.root),
            "START_POSTGRES_USER": str(user),
        }

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(SCRIPT), *options, self.folder.name],
            cwd=self.folder.parent,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, *options: str) -> tuple[int, str]:
        """Exit code and what was said, with nothing left to run."""
        with self.start(*options) as started:
            _, errors = started.communicate(timeout=60)
        return started.returncode, errors


def gone(path: Path | str, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not Path(path).exists()


@pytest.mark.parametrize(
    ("options", "user", "words"),
    [
        ((), 0, "looked in"),
        (("--install",), 1000, "not root"),
    ],
)
def test_without_a_server_it_says_what_to_install(
    tmp_path: Path, options: tuple[str, ...], user: int, words: str
) -> None:
    machine = Machine(tmp_path, user)
    code, errors = machine.ended(*options)
    assert code == 3
    assert words in errors
    assert "apt-get install postgresql" in errors
    assert not (machine.root / "asked").exists()


def test_it_installs_the_package_and_no_service_of_it_starts(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.start("--install", "--leave") as started:
        assert started.stdout is not None
        folder, process = started.stdout.read().split()
        assert started.wait(timeout=60) == 0
        assert folder == str(machine.folder)
        asked = (machine.root / "asked").read_text().splitlines()
        assert [line.split()[-1] for line in asked] == ["update", "postgresql", "refused"]
        assert not (machine.root / "usr/sbin/policy-rc.d").exists()
        assert Path(f"/proc/{process}").exists()
    # its standard input is closed now, as by the death of whoever held it
    assert gone(machine.folder)
    assert gone(f"/proc/{process}")


def test_what_stood_in_the_way_of_installing_is_said(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (machine.root / "offline").touch()
    policy = machine.root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    policy.chmod(0o755)
    code, errors = machine.ended("--install")
    assert code == 3
    assert "Unable to locate package postgresql" in errors
    assert policy.exists(), "it was not this script's to take away"
