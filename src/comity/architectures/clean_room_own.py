"""`clean-room`: whether a job is one that comity ships, as comity declares it.

An agreement names these by their program's digest, before anybody knows the task's columns. What else a job
declares (columns, kind, caps, modules, outputs) is built here again from the task and compared. What differs
from run to run of `gradient`, its bins, norm and parameters, cannot weaken its noise.
"""

from __future__ import annotations

from comity.architectures.clean_room_exact import exact_job
from comity.architectures.definition import Task
from comity.cleanroom.job import Job, Kind
from comity.cleanroom.lesson import MOST_WIDTH, gradient_job
from comity.errors import ComityError


def own_job(task: Task, job: Job) -> bool:
    """Whether the job is `gradient` or `logistic` on this task's features and target, and nothing besides."""
    try:
        return job == (exact_job(task)[0] if job.kind is Kind.model else _gradient(task, job))
    except ComityError:  # what the task allows is no such job
        return False


def _gradient(task: Task, job: Job) -> Job | None:
    """The job that comity would send with as many bins as this one; None where there is none."""
    if job.kind is not Kind.statistic or len(job.outputs) != 1:
        return None
    output = job.outputs[0]
    features, width = len(task.features), output.length
    lengths = {name: count for name, count in job.parameters.items() if name in ("edges", "weights")}
    fixed = {"width": 1, "bins": features, "positive": 1, "mix": width**2}
    if width > MOST_WIDTH or len(lengths) != 2 or max(lengths.values()) > 2 * MOST_WIDTH + 1:
        return None
    return gradient_job((*task.features, task.target), width, output.norm or 0.0, {**lengths, **fixed})
