"""A steward's approval of a job: an entry in the provider's own ledger that names the job's digest."""

from __future__ import annotations

from typing import Final

from comity.cleanroom.job import Job
from comity.ledger import Ledger

_KIND: Final = "job-approved"


def approve(ledger: Ledger, job: Job, steward: str) -> int:
    """Write the approval; its place in the ledger.

    Args:
        steward: who has read the source and the declared outputs, in words.
    """
    told = {"note": _KIND, "job": job.digest, "program": job.source_digest, "title": job.title}
    return ledger.append("note", {**told, "steward": steward}).seq


def approved(ledger: Ledger, job: Job) -> bool:
    """Whether the ledger holds an approval of this very job."""
    return any(
        entry.body.get("note") == _KIND and entry.body.get("job") == job.digest
        for entry in ledger.events("note")
    )
