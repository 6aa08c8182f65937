"""Families of failure: what a person is told, and which exit code and gRPC status it becomes.

Every family carries one line for people, the field at fault and the way out.  This room
imports nothing: gRPC is known here by the *name* of its status code only.
"""

from __future__ import annotations

from typing import ClassVar


class FederationError(Exception):
    """A failure that a person can act on.

    Args:
        message: One line that names the culprit.
        field: The field, option or file position at fault, or "" when there is none.
        way_out: What to do about it, or "" when the message already says so.
        code: A stable word for programs (``ErrorInfo.reason``); the family's name by default.

    """

    grpc_code: ClassVar[str] = "UNKNOWN"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, field: str = "", way_out: str = "", code: str = "") -> None:
        """Keep the parts apart, so that each edge can render them its own way."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.way_out = way_out
        self.code = code or type(self).__name__

    def __str__(self) -> str:
        """Return the one line that a person reads."""
        lead = f"{self.field}: " if self.field and self.field not in self.message else ""
        tail = f" ({self.way_out})" if self.way_out else ""
        return f"{lead}{self.message}{tail}"


class InvalidArgument(FederationError):
    """The input is wrong; the message names file, line or field."""

    grpc_code = "INVALID_ARGUMENT"
    exit_code = 2


class NotFound(FederationError):
    """The thing named does not exist."""

    grpc_code = "NOT_FOUND"
    exit_code = 2


class AlreadyExists(FederationError):
    """The same name or key stands for something else already."""

    grpc_code = "ALREADY_EXISTS"
    exit_code = 2


class FailedPrecondition(FederationError):
    """The request is sound, but not in this state of things."""

    grpc_code = "FAILED_PRECONDITION"
    exit_code = 2


class ResourceExhausted(FederationError):
    """A stated limit is reached (size of a script, a full disk, a full inbox, a rate).

    Args:
        message: One line that names the limit and the present figure.
        field: As for every family.
        way_out: As for every family.
        code: As for every family.
        retry_s: Seconds after which the same call will do; 0.0 where waiting alone does not help.

    """

    grpc_code = "RESOURCE_EXHAUSTED"
    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        way_out: str = "",
        code: str = "",
        retry_s: float = 0.0,
    ) -> None:
        """Keep the parts apart."""
        super().__init__(message, field=field, way_out=way_out, code=code)
        self.retry_s = retry_s


class Unauthenticated(FederationError):
    """Nobody knows who calls: no login, or one that is over or does not hold."""

    grpc_code = "UNAUTHENTICATED"
    exit_code = 4


class PermissionDenied(FederationError):
    """The caller may not do this."""

    grpc_code = "PERMISSION_DENIED"
    exit_code = 4


class Unavailable(FederationError):
    """The broker or a site does not answer."""

    grpc_code = "UNAVAILABLE"
    exit_code = 3


class Infeasible(FederationError):
    """No member can ever run the job; the reasons are printed."""

    grpc_code = "FAILED_PRECONDITION"
    exit_code = 5


class DataLoss(FederationError):
    """A record that nobody may change was changed, or is gone."""

    grpc_code = "DATA_LOSS"
    exit_code = 1


class MissingComponent(FederationError):
    """A real component that the command needs is not installed."""

    grpc_code = "FAILED_PRECONDITION"
    exit_code = 6


class Interrupted(FederationError):
    """The person pressed Ctrl-C."""

    grpc_code = "CANCELLED"
    exit_code = 130


FAMILIES: tuple[type[FederationError], ...] = (
    InvalidArgument,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    ResourceExhausted,
    Unauthenticated,
    PermissionDenied,
    Unavailable,
    Infeasible,
    DataLoss,
    MissingComponent,
    Interrupted,
)
