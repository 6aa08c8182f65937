"""Streams that callers have open: each goes on while its caller may have it, and no longer.

What somebody may do is found out when a call begins. A stream lasts for hours: memberships end,
bindings are taken out of the broker's file, tokens are revoked. Whoever changes such a thing says
so here, and each open stream is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import isfinite
from typing import Any

from res_federation.errors import FederationError, PermissionDenied, Unauthenticated
from res_federation.security.authenticator import Login
from res_federation.security.caller import Call
from res_federation.security.permissions import permit


class OpenStream:
    """One stream, from its first message to its last."""

    def __init__(self, call: Call, login: Login, now: Callable[[], float]) -> None:
        """Stand for *call* of *login*; *now* tells UTC seconds."""
        self.login = login
        self._call, self._now = call, now
        self._bound: asyncio.Timeout | None = None
        left = login.expires - now()
        self._end = asyncio.get_running_loop().time() + max(0.0, left) if isfinite(left) else None
        self.why: FederationError | None = None
        """Why it was ended, or None."""

    def check(self) -> None:
        """Raise why the stream is over, if it is: not one message passes after that."""
        if self.why is None and self._now() >= self.login.expires:
            self.why = _over()
        if self.why is not None:
            raise self.why

    @asynccontextmanager
    async def within(self) -> AsyncIterator[None]:
        """Wait inside for as long as the stream may go on; raises why it is over."""
        bound = asyncio.timeout_at(self._end)
        try:
            async with bound:
                self._bound = bound
                yield
        except TimeoutError:
            if not bound.expired():
                raise
            raise self.why or _over() from None
        finally:
            self._bound = None

    async def heard(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield what the caller says while the stream may go on."""
        async for message in messages:
            self.check()
            yield message

    async def said(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield what is said to the caller while the stream may go on.

        The wait for the next message is cut when it is over, and nothing else: gRPC tells a caller
        nothing at all, not even an end, when it is cut while it sends.
        """
        while True:
            async with self.within():
                try:
                    message = await anext(messages)
                except StopAsyncIteration:
                    return
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
            if self._bound is not None and not self._bound.expired():  # else it ends already
                self._bound.reschedule(asyncio.get_running_loop().time())
        else:
            self._call.permit = found


class OpenStreams:
    """All of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin with none; *now* tells UTC seconds."""
        self._now = now
        self._open: set[OpenStream] = set()

    @contextmanager
    def kept(self, call: Call, login: Login) -> Iterator[OpenStream]:
        """Look after the stream of *call* while it is open."""
        stream = OpenStream(call, login, self._now)
        self._open.add(stream)
        try:
            yield stream
        finally:
            self._open.discard(stream)

    def look_again(self, of: str = "") -> None:
        """Look at each stream that rests on the standing of *of* (`Login.rests_on`), "" for all."""
        for stream in list(self._open):
            if not of or of in (stream.login.rests_on, stream.login.principal.user):
                stream.look_again()


def _over() -> Unauthenticated:
    return Unauthenticated("the login is over", way_out="resfed login")
