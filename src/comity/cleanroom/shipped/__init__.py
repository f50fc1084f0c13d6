"""Programs that comity brings: each a job's source, read as text and run in the sandbox alone."""

from __future__ import annotations

from pathlib import Path


def source(name: str) -> str:
    """The text of one of them: `gradient` or `logistic`."""
    return Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
