"""How a node says no over HTTP: `{"code": ...}` and nothing else; details stay in its ledger and logs."""

from __future__ import annotations

import logging
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from comity.errors import BadInput, ComityError
from comity.gate import FAILED

_log = logging.getLogger("comity.node")


class Problem(BaseModel):
    """Why a request was not taken: a code of `comity.errors`, or `failed` for a private one; no details."""

    code: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 403, 404, 409, 413, 422, 503)
}


def problem(error: ComityError) -> JSONResponse:
    """The answer that an error gives.

    Private errors are all told alike, as in a refusal that leaves: which kind it was can depend on private
    values. It is an answer after which the same request will not be taken later either.
    """
    if error.private:
        _log.warning("a request failed: %s", error.code)
        return JSONResponse({"code": FAILED}, status_code=BadInput.http_status)
    status = error.http_status
    if status >= 500:
        _log.error("a request failed: %s", error.code)
        status = 503
    return JSONResponse({"code": error.code}, status_code=status)
