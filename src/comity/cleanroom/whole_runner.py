"""Runs a job once on all its rows; started by `comity.cleanroom.whole` inside the sandbox.

Standard library only: it has no access to comity. The answer is JSON, whatever the job returned; who reads it
trusts none of it.
"""

from __future__ import annotations

import importlib
import json
import sys
from array import array
from typing import Any


def main(folder: str, out: str) -> None:
    """Run the job in `folder` and write what it returns to `out`."""
    with open(f"{folder}/terms.json", encoding="utf-8") as file:
        terms = json.load(file)
    for name in terms["modules"]:
        importlib.import_module(name)
    with open(f"{folder}/job.py", "rb") as file:
        code = compile(file.read(), "job.py", "exec")
    with open(f"{folder}/parameters", "rb") as file:
        given = array("d", file.read())
    parameters: dict[str, list[float]] = {}
    first = 0
    for name, length in terms["parameters"].items():
        parameters[name] = given[first : first + length].tolist()
        first += length
    with open(f"{folder}/rows", "rb") as file:
        data = array("d", file.read())
    count = terms["rows"]
    columns = {name: data[at * count : (at + 1) * count].tolist() for at, name in enumerate(terms["columns"])}
    names_of_job: dict[str, Any] = {"__name__": "job"}
    exec(code, names_of_job)
    answer = names_of_job["run"](columns, parameters)
    plain = {name: [float(value) for value in answer[name]] for name in terms["outputs"]}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(plain, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
