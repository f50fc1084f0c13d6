"""Every dependency is pinned, installed as pinned, and really imports.

A wheel that installs and passes `pip check` may still not import, so each declared dependency is imported
in a process of its own: with the submodules that comity uses, and with telemetry and update checks off.

Exit code: 0 if requirements.lock satisfies pyproject.toml, is what is installed, and everything imports.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

NOT_LOCKED = {"cluster", "presidio", "nets", "all"}  # extras that `make venv` leaves out

# Distributions whose modules are not simply the distribution's name with underscores.
IMPORTS: dict[str, tuple[str, ...]] = {
    "adbc-driver-postgresql": ("adbc_driver_postgresql.dbapi",),
    "dp-accounting": ("dp_accounting", "dp_accounting.pld.pld_privacy_accountant", "dp_accounting.rdp"),
    "flwr": ("flwr.clientapp", "flwr.serverapp"),
    "hatchling": ("hatchling.build",),
    "import-linter": ("importlinter",),
    "jax": ("jax.numpy",),
    "matplotlib": ("matplotlib.figure", "matplotlib.backends.backend_svg"),
    "opendp": ("opendp.measurements", "opendp.transformations", "opendp.combinators"),
    "pyarrow": ("pyarrow.parquet", "pyarrow.csv", "pyarrow.dataset"),
    "pytest-xdist": ("xdist",),
    "python-stdnum": ("stdnum",),
    "pyyaml": ("yaml",),
    "scikit-learn": ("sklearn.linear_model", "sklearn.ensemble"),
    "scipy": ("scipy.stats", "scipy.optimize"),
    "spu": ("spu", "spu.psi", "spu.libspu"),
}

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
}


def pins() -> dict[str, str]:
    """Name and exact version of every line of requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(";")[0].strip().partition("==") for line in lines if line.strip())
    return {canonicalize_name(name.partition("[")[0]): version for name, _, version in pairs}


def declared() -> list[Requirement]:
    """Every requirement of pyproject.toml that belongs in the lock."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines: list[str] = list(document["project"]["dependencies"])
    for extra, members in document["project"]["optional-dependencies"].items():
        lines += [] if extra in NOT_LOCKED else members
    for members in document["dependency-groups"].values():
        lines += members
    return [Requirement(line) for line in lines]


def lock_faults(locked: dict[str, str], requirements: list[Requirement]) -> list[str]:
    """Where lock, pyproject.toml and environment disagree."""
    faults: list[str] = []
    for requirement in requirements:
        version = locked.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"requirements.lock has {version} for '{requirement}'; run: make lock")
    for name, version in locked.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "nothing"
        if installed != version:
            faults.append(f"{name}: the lock says {version}, installed is {installed}; run: make venv")
    return faults


def import_fault(name: str) -> str | None:
    """What went wrong when a distribution's modules were imported, if anything."""
    modules = IMPORTS.get(name, (name.replace("-", "_"),))
    code = "import " + ", ".join(modules)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | QUIET,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{name}: `{code}` did not end within 180 s"
    if done.returncode == 0:
        return None
    return f"{name}: `{code}` failed: {(done.stderr.strip() or 'killed').splitlines()[-1]}"


def main() -> int:
    requirements = declared()
    names = sorted({canonicalize_name(requirement.name) for requirement in requirements} - {"ruff", "uv"})
    faults = lock_faults(pins(), requirements)
    with ThreadPoolExecutor(max_workers=2) as pool:
        faults += [fault for fault in pool.map(import_fault, names) if fault is not None]
    print("\n".join(faults) or f"{len(names)} dependencies import; {len(pins())} pins match")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
