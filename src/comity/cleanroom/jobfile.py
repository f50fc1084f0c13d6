"""A job as its author writes it: a YAML or JSON file beside the program.

It holds what `Job` holds, with `program: FILE` (a path from the file's folder) instead of the source, and
`parameters` with their numbers: `{weights: [0.1, 0.2]}`, or a whole number where the ML party sends them
later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from comity.cleanroom.blocks import Parameters
from comity.cleanroom.job import MOST_SOURCE, Job
from comity.errors import BadInput

_MOST_BYTES = 1 << 26


def read_job_file(path: Path) -> tuple[Job, Parameters]:
    """The job of a file, and the parameters that have numbers.

    Raises:
        BadInput: if a file cannot be read, or holds no job.
    """
    import yaml

    try:
        document: Any = yaml.safe_load(_text(path, _MOST_BYTES))
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is neither YAML nor JSON: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path} holds no job: a job is an object with title, program, columns, kind, outputs")
    program = document.pop("program", None)
    if isinstance(program, str) and "source" not in document:
        document["source"] = _text(path.parent / program, MOST_SOURCE)
    if document.get("outputs") and not document.get("source"):
        raise BadInput(
            f"{path} declares outputs and has no program that gives them: name its file as program: FILE.py"
        )
    given = document.get("parameters", {})
    if not isinstance(given, dict):
        raise BadInput(f"{path}: parameters is an object, a list of numbers for each name")
    numbers: Parameters = {}
    for name, values in given.items():
        if isinstance(values, list):
            numbers[name] = _numbers(path, name, values)
    document["parameters"] = {
        name: len(numbers[name]) if name in numbers else values for name, values in given.items()
    }
    return Job.from_dict(document), numbers


def _numbers(path: Path, name: object, values: list[Any]) -> Any:
    if not all(type(value) in (int, float) for value in values):
        raise BadInput(f"{path}: the parameter '{str(name)[:40]}' is a flat list of numbers")
    return np.array(values, dtype=np.float64)


def _text(path: Path, most: int) -> str:
    try:
        if path.stat().st_size > most:
            raise BadInput(f"{path} has more than {most:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadInput(f"{path} cannot be read: {reason}") from None
