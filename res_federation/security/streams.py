"""Streams that callers have open: each goes on while its caller may have it, and no longer.

What somebody may do is found out when a call begins. A stream lasts for hours: memberships end,
bindings are taken out of the broker's file, tokens are revoked. Whoever changes such a thing says
so here, and each open stream is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import isfinite
from typing import Any

from res_federation.errors import FederationError, PermissionDenied, Unauthenticated
from res_federation.security.authenticator import Login
from res_federation.security.caller import Call
from res_federation.security.permissions import permit


class OpenStream:
    """One stream, from its first message to its last."""

    def __init__(
        self, call: Call, login: Login, bound: asyncio.Timeout, now: Callable[[], float]
    ) -> None:
        """Stand for *call* of *login*; *bound* ends it."""
        self.login = login
        self._call, self._bound, self._now = call, bound, now
        self.why: FederationError | None = None
        """Why it was ended, or None."""

    def check(self) -> None:
        """Raise why the stream is over, if it is: not one message passes after that."""
        if self.why is None and self._now() >= self.login.expires:
            self.why = _over()
        if self.why is not None:
            raise self.why

    async def checked(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield messages, of either direction, while the stream may go on."""
        async for message in messages:
            self.check()
            yield message

    def look_again(self) -> None:
        """Find out anew what the caller may do; end the stream where that is nothing."""
        if self.why is not None:
            return
        try:
            who = self.login.again(self._now())
            found = permit(who, self._call.method)
            if found is None:
                raise PermissionDenied(
                    f"you may not call {self._call.method.rpartition('/')[2]} any more",
                    way_out="resfed whoami shows your roles",
                )
        except FederationError as error:
            self.why = error
            if not self._bound.expired():  # else it ends already: its time is over
                self._bound.reschedule(asyncio.get_running_loop().time())
        else:
            self._call.permit = found


class OpenStreams:
    """All of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin with none; *now* tells UTC seconds."""
        self._now = now
        self._open: set[OpenStream] = set()

    @asynccontextmanager
    async def kept(self, call: Call, login: Login) -> AsyncIterator[OpenStream]:
        """Keep the stream of *call* open while *login* holds, also while nothing is said.

        Raises:
            Unauthenticated: When the login is over.
            PermissionDenied: When its holder may not make the call any more.

        """
        left = login.expires - self._now()
        end = asyncio.get_running_loop().time() + max(0.0, left) if isfinite(left) else None
        try:
            async with asyncio.timeout_at(end) as bound:
                stream = OpenStream(call, login, bound, self._now)
                self._open.add(stream)
                try:
                    yield stream
                finally:
                    self._open.discard(stream)
        except TimeoutError:
            if not bound.expired():
                raise
            raise stream.why or _over() from None

    def look_again(self, of: str = "") -> None:
        """Look at each stream that rests on the standing of *of* (`Login.rests_on`), "" for all."""
        for stream in list(self._open):
            if not of or of in (stream.login.rests_on, stream.login.principal.user):
                stream.look_again()


def _over() -> Unauthenticated:
    return Unauthenticated("the login is over", way_out="resfed login")
