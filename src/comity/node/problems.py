"""How a node says no over HTTP: `{"code": ...}` and nothing else; details stay in its ledger and logs."""

from __future__ import annotations

import logging
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from comity.errors import ComityError

_log = logging.getLogger("comity.node")


class Problem(BaseModel):
    """Why a request was not taken: a code of `comity.errors`, without details."""

    code: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 403, 404, 409, 413, 422, 503)
}


def problem(error: ComityError) -> JSONResponse:
    """The answer that an error gives."""
    status = error.http_status
    if status >= 500:
        _log.error("a request failed: %s", error.code)
        status = 503
    return JSONResponse({"code": error.code}, status_code=status)
