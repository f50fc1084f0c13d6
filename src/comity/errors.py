"""Every error that comity raises on purpose, and what each one means outside the process.

The tree::

    ComityError                 exit 70, HTTP 500   a bug in comity, if raised bare
    ├── UsageError              exit 2,  HTTP 400   the call itself is wrong (an option, an argument)
    │   └── MissingExtra                            a part that is not installed was asked for
    ├── BadInput                exit 3,  HTTP 422   a table, schema or agreement that cannot be used
    │   ├── BadTable                                ... a table
    │   ├── BadSchema                               ... a schema file
    │   └── BadAgreement                            ... an agreement file (its text, not its limits)
    ├── Refused                 exit 4,  HTTP 403   the agreement or the account says no
    │   ├── ClauseRefused                           ... a clause of the agreement
    │   ├── BudgetRefused                           ... the account has too little left
    │   └── Withheld                                ... the release failed its check and stays charged
    ├── PartyFailed             exit 5,  HTTP 502   another party's process did not do its part
    └── VerificationFailed      exit 6,  HTTP 409   a signature, proof or log does not verify

A message says what happened, where (file, row, column, clause) and what to do. The message of an error
may hold private facts only if `private` is true; such an error goes to the holder of the data, and what
leaves the process is `public_message`, which depends on public facts alone.
"""

from __future__ import annotations

from typing import ClassVar


class ComityError(Exception):
    """Base of all errors raised on purpose. Raised bare, it means a defect in comity."""

    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, private: bool = False) -> None:
        super().__init__(message)
        self.private = private

    @property
    def public_message(self) -> str:
        """What may be told to another party: the message, or only the code where the message is private."""
        return f"{self.code}: the holder of the data has the details" if self.private else str(self)


class UsageError(ComityError):
    """The call is wrong: an unknown option, an argument out of range."""

    exit_code = 2
    http_status = 400
    code = "usage"


class MissingExtra(UsageError):
    """An optional part is not installed. The message carries the line that installs it."""

    code = "missing-extra"

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the optional part '{extra}', which is not installed. "
            f"Install it with: pip install 'comity[{extra}]'"
        )
        self.extra = extra


class BadInput(ComityError):
    """Something handed to comity cannot be used as it is. The message names the place and the remedy."""

    exit_code = 3
    http_status = 422
    code = "bad-input"


class BadTable(BadInput):
    """A table that cannot be used. Private by default: the details name rows and values."""

    code = "bad-table"

    def __init__(self, message: str, *, private: bool = True) -> None:
        super().__init__(message, private=private)


class BadSchema(BadInput):
    """A schema that cannot be used."""

    code = "bad-schema"


class BadAgreement(BadInput):
    """An agreement whose text cannot be used: unknown keys, a missing clause, a value out of range."""

    code = "bad-agreement"


class Refused(ComityError):
    """The agreement or the account does not allow what was asked.

    `clause` is the clause's path in the agreement (`architectures.validation.epsilon`), `asked` and
    `left` are in the clause's own unit, `would_pass` says in words what would be allowed. All four
    depend on public facts only. `by` is the party that refused, where this tells of another's refusal.
    """

    exit_code = 4
    http_status = 403
    code = "refused"

    def __init__(
        self,
        message: str,
        *,
        clause: str,
        asked: str | None = None,
        left: str | None = None,
        would_pass: str | None = None,
        private: bool = False,
    ) -> None:
        parts = [message, f"clause {clause}"]
        if asked is not None:
            parts.append(f"asked: {asked}")
        if left is not None:
            parts.append(f"left: {left}")
        if would_pass is not None:
            parts.append(f"would pass: {would_pass}")
        super().__init__("; ".join(parts), private=private)
        self.clause = clause
        self.asked = asked
        self.left = left
        self.would_pass = would_pass
        self.by: str | None = None


class ClauseRefused(Refused):
    """A clause of the agreement forbids it."""

    code = "clause-refused"


class BudgetRefused(Refused):
    """The account has too little left for it."""

    code = "budget-refused"


class Withheld(Refused):
    """A release without differential privacy failed its check. It stays charged; the steward knows why."""

    code = "withheld"


class PartyFailed(ComityError):
    """Another party's process stopped, answered with an error, or did not answer in time."""

    exit_code = 5
    http_status = 502
    code = "party-failed"


class VerificationFailed(ComityError):
    """A signature, a proof, a commitment or a log does not verify."""

    exit_code = 6
    http_status = 409
    code = "verification-failed"


def error_from(exit_code: object, message: str, *, otherwise: type[ComityError] = ComityError) -> ComityError:
    """The error that another process of ours told, by its exit code and its whole message.

    Args:
        otherwise: for an exit code that stands for no error of the tree.
    """
    if exit_code == Refused.exit_code:
        refused = ClauseRefused(message, clause="see above")
        refused.args = (message,)  # the other process's words name the clause already
        return refused
    told = (UsageError, BadInput, PartyFailed, VerificationFailed)
    return next((kind for kind in told if kind.exit_code == exit_code), otherwise)(message)
