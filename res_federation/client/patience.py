"""How long a call waits through a broker's outage, and how it goes about it. Sleeps nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import grpc
from grpc_status import rpc_status

from res_federation.wire.status import from_rpc_error, retry_s

PATIENCE_S = 30.0
"""Seconds of outage that a call waits through before it gives up."""
CALL_S = 30.0
"""Deadline of one attempt of a unary call, in seconds."""
BULK_S = 300.0
"""Deadline of one attempt to submit a batch or to read a whole output, in seconds."""
STREAM_S = 60.0
"""A watching stream is opened anew after so many seconds: a lost message heals by then."""


class Endurance:
    """Decides, error by error, whether a call is worth another attempt and after which pause."""

    def __init__(self, address: str, patience_s: float, on_outage: Callable[[], None]) -> None:
        """Begin without an outage; *on_outage* is called once for each."""
        self._address = address
        self._patience_s = patience_s
        self._on_outage = on_outage
        self._since: float | None = None
        self._pauses = _pauses()

    def well(self) -> None:
        """Note that the broker answered: the outage is over."""
        if self._since is not None:
            self._since = None
            self._pauses = _pauses()

    def pause_after(self, error: grpc.RpcError, now: float) -> float:
        """Return the seconds to wait before asking again.

        Args:
            error: What the attempt ended with.
            now: Seconds of any clock that does not go back.

        Raises:
            FederationError: The error in its own class, where asking again is of no use or the
                outage has lasted longer than the patience.

        """
        if self._since is None:
            self._since = now
        asked = asked_pause_s(error)
        pause = max(asked, next(self._pauses))
        again = asked > 0 or is_outage(error)
        if not again or now + pause - self._since > self._patience_s:
            raise from_rpc_error(error, self._address) from None
        if pause >= 0.4 and not asked:
            self._on_outage()
            self._on_outage = _nobody_listens
        return pause

    def pause_after_hanging_up(self) -> float:
        """Return the seconds to wait when the broker ended a stream that ought to go on."""
        return next(self._pauses)


def _nobody_listens() -> None:
    """Do nothing: the person has been told once."""


def _pauses() -> Iterator[float]:
    pause = 0.1
    while True:
        yield pause
        pause = min(pause * 2, 2.0)


def is_outage(error: grpc.RpcError) -> bool:
    """Tell whether nobody answered, so that asking again may help.

    An answer with details comes from a living broker and is final, whatever its code.
    """
    if code_of(error) not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return False
    return rpc_status.from_call(cast("grpc.Call", error)) is None


def asked_pause_s(error: grpc.RpcError) -> float:
    """Return the seconds that a broker asks to wait of one who was too fast; else 0.0."""
    if code_of(error) != grpc.StatusCode.RESOURCE_EXHAUSTED:
        return 0.0
    status = rpc_status.from_call(cast("grpc.Call", error))
    return 0.0 if status is None else retry_s(status)


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Return the status code; every error that a call raises is a call too."""
    return cast("grpc.Call", error).code()
