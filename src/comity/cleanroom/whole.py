"""Runs a job once on all its rows, in the sandbox; what it gives has no differential privacy."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity import sandbox
from comity.cleanroom.answers import faults_on_made_up_rows, most_bytes, read_answer
from comity.cleanroom.blocks import Parameters, check_parameters, hand_over
from comity.cleanroom.job import Job
from comity.errors import BadInput

Floats = NDArray[np.float64]

_RUNNER: Final = Path(__file__).with_name("whole_runner.py")
_LEAST_FILE: Final = 1 << 16


@dataclass(frozen=True, eq=False)
class Whole:
    """What came of a run. For the holder of the data only.

    Attributes:
        outputs: by name, of the declared length; None if it gave no such thing.
        fault: why not, for the steward.
        cpu_s, peak_mb: what it took.
    """

    outputs: dict[str, Floats] | None
    fault: str
    cpu_s: float
    peak_mb: float


def run_whole(job: Job, parameters: Parameters, matrix: Floats, *, made_up: bool = False) -> Whole:
    """Run the job on all rows of (rows, columns).

    Args:
        made_up: whether no row is anybody's, so that the fault may tell all that is wrong with the answer.

    Raises:
        NoSandbox: if there is none on this machine.
        BadInput: if parameters do not fit the declaration.
    """
    check_parameters(job, parameters)
    terms = {
        "modules": list(job.modules),
        "parameters": dict(job.parameters),
        "columns": list(job.columns),
        "outputs": [output.name for output in job.outputs],
        "rows": len(matrix),
    }
    with tempfile.TemporaryDirectory(prefix="comity-room-") as name:
        folder = Path(name)
        hand_over(folder, job, terms, [parameters[name] for name in job.parameters])
        (folder / "rows").write_bytes(np.ascontiguousarray(matrix.T, dtype="<f8").tobytes())
        inputs = {path.name: path for path in folder.iterdir()}
        done = sandbox.run(
            sandbox.Job(
                [sys.executable, "-I", "/in/runner.py", "/in", "/out/answer"],
                inputs={**inputs, "runner.py": _RUNNER},
                outputs=("answer",),
                tools=sandbox.python_tools(),
            ),
            sandbox.Limits(
                seconds=job.seconds,
                memory_bytes=job.memory_mb << 20,
                # one byte more than an honest answer has, so that a longer one shows
                file_bytes=max(most_bytes(job) + 1, _LEAST_FILE),
            ),
        )
    cost = done.cpu_s, done.peak_bytes / 2**20
    if not done.ok:
        return Whole(None, f"it ended by {done.cut or done.status}: {done.printed[-1000:]}", *cost)
    try:
        return Whole(read_answer(job, done.outputs["answer"]), "", *cost)
    except BadInput as error:
        faults = faults_on_made_up_rows(job, done.outputs["answer"]) if made_up else []
        return Whole(None, "; ".join(faults) or str(error), *cost)
