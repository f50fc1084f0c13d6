"""Jobs for the tests, and the control: the same program with the sandbox off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.cleanroom import whole_runner
from comity.cleanroom.job import Blocks, Job, Kind, Output


def whole(source: str, *, length: int = 1, **more: Any) -> Job:
    """A job for a run on all rows, with one output `told`."""
    settings: dict[str, Any] = {
        "title": "an attempt",
        "source": source,
        "columns": ("age",),
        "kind": Kind.model,
        "outputs": (Output("told", length),),
        "parameters": {},
        "seconds": 20.0,
        "memory_mb": 1024,
    }
    return Job(**(settings | more))


def blocks(source: str, *, length: int = 1, number: int | None = None, **more: Any) -> Job:
    """A job of statistics with one output `told` of norm 1."""
    settings: dict[str, Any] = {
        "kind": Kind.statistic,
        "outputs": (Output("told", length, norm=1.0),),
        "blocks": Blocks(number=number, most=100),
        "memory_mb": 256,
    }
    return whole(source, length=length, **(settings | more))


def without_sandbox(
    job: Job, matrix: NDArray[np.float64], folder: Path, *, timeout: float = 60.0, **environment: str
) -> dict[str, Any] | str | None:
    """What the job gives in a plain process of this machine: no walls, no caps. For controls only."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (out / "answer").touch()
    terms = {
        "modules": list(job.modules),
        "parameters": {},
        "columns": list(job.columns),
        "outputs": [output.name for output in job.outputs],
        "rows": len(matrix),
    }
    (folder / "terms.json").write_text(json.dumps(terms), encoding="utf-8")
    (folder / "job.py").write_text(job.source, encoding="utf-8")
    (folder / "parameters").write_bytes(b"")
    (folder / "rows").write_bytes(np.ascontiguousarray(matrix.T).tobytes())
    subprocess.run(
        [sys.executable, "-I", str(Path(whole_runner.__file__)), str(folder), str(out / "answer")],
        timeout=timeout,
        check=False,
        capture_output=True,
        env={**os.environ, **environment},
        cwd=folder,
    )
    text = (out / "answer").read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError:
        return text or None
