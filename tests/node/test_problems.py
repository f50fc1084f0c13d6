"""What a node says over HTTP where it says no."""

from __future__ import annotations

from comity.errors import BadInput, BadTable, ClauseRefused, ComityError, UsageError
from comity.node.problems import problem


def test_private_errors_are_told_alike():
    """Neither the code nor the status says which kind it was: that can depend on private values."""
    private = [
        BadTable("row 17 has the value 3"),
        BadInput("the table has 20 rows", private=True),
        UsageError("so many ids", private=True),
        ComityError("KeyError: 'Marie'", private=True),
    ]
    assert {(answer.status_code, bytes(answer.body)) for answer in map(problem, private)} == {
        (422, b'{"code":"failed"}')
    }


def test_public_errors_are_told_by_their_code():
    told = [BadInput("odd"), ClauseRefused("no", clause="x"), ComityError("a slip")]
    assert [(answer.status_code, bytes(answer.body)) for answer in map(problem, told)] == [
        (422, b'{"code":"bad-input"}'),
        (403, b'{"code":"clause-refused"}'),
        (503, b'{"code":"internal"}'),
    ]
