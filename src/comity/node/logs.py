"""A node's log: one JSON object a line, in UTC, with nothing in it that an operator may not pass on.

An exception is logged as its type and the places it went through, never with its text: that may quote a
private value. Neither are the values logged that a program worked on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

_QUIET = ("httpx", "httpcore", "uvicorn.access")


class JsonLines(logging.Formatter):
    """One record as one line of JSON: `time`, `level`, `from`, `event`, and of an exception `error`, `at`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "event": _event(record),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["error"] = type(error).__name__
            line["at"] = _places(error)
        return json.dumps(line, ensure_ascii=False)


def log_to(stream: TextIO, level: int = logging.INFO) -> None:
    """Send the log of this process to a stream, one JSON object a line."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _event(record: logging.LogRecord) -> str:
    """The message on one line; of other libraries' only its template, whose arguments may be anything."""
    text = _template(record)
    if record.name.partition(".")[0] == "comity":
        # a slip in a message of ours is no reason to lose the line
        with contextlib.suppress(TypeError, ValueError):
            text = record.getMessage()
    return " ".join(text.split())


def _template(record: logging.LogRecord) -> str:
    # uvicorn logs a failed handshake or request with the traceback as the message itself
    first = str(record.msg).strip().splitlines()
    return first[0][:200] if first else ""


def _places(error: BaseException) -> list[str]:
    """Where it went through, outermost first: file and line, without source text or values."""
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-12:]
    ]
