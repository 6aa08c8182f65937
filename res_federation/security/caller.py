"""Who makes the call that is being answered, and what the table lets them do."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from res_federation.errors import FederationError, Unauthenticated
from res_federation.model.principal import Principal
from res_federation.security.authenticator import Login
from res_federation.security.permissions import Permit

Denied = Callable[["Call", FederationError, str], None]
"""Hears of a refusal: which call, why, and the address that it came from."""


def _nobody_hears(call: Call, error: FederationError, peer: str) -> None:
    """Do nothing."""


@dataclass(slots=True)
class Call:
    """A call that came in.

    Attributes:
        method: Full name.
        permit: What its caller may do with it; None before that is known, and where anybody may.
            In a stream it changes with what its caller may: ask for it each time.
        login: Of the caller, None where there is none.
        denied: Hears of what the call was refused.

    """

    method: str
    permit: Permit | None = None
    login: Login | None = None
    denied: Denied = field(default=_nobody_hears)

    @property
    def user(self) -> str:
        """The caller's name, or "" where nobody is signed in."""
        return "" if self.login is None else self.login.principal.user


_call: ContextVar[Call] = ContextVar("call")


def begin(call: Call) -> None:
    """Note that *call* is what this task answers."""
    _call.set(call)


def present() -> Call | None:
    """Return the call that is being answered, None outside of one."""
    return _call.get(None)


def permit() -> Permit:
    """Return what the caller may do.

    Raises:
        Unauthenticated: In a call that anybody may make: such a call must not ask.

    """
    call = _call.get(None)
    if call is None or call.permit is None:
        raise Unauthenticated("nobody is logged in", way_out="resfed login")
    return call.permit


def caller() -> Principal:
    """Return who makes the call.

    Raises:
        Unauthenticated: In a call that anybody may make.

    """
    return permit().principal
