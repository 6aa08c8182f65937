"""The users of a campaign: they submit in waves, try again with the same key, and cancel."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from random import Random

from res_federation.client import Federation
from res_federation.errors import FederationError, InvalidArgument
from tests.chaos.workload import Order

_TRY_FOR_S = 120.0


class Users(threading.Thread):
    """Submits all orders over so many seconds, however the broker is."""

    def __init__(
        self, address: str, orders: Sequence[Order], span_s: float, random: Random
    ) -> None:
        super().__init__(daemon=True)
        self._address, self._orders, self._span_s, self._random = address, orders, span_s, random
        self.jobs: dict[str, Order] = {}
        """What was acknowledged, by the job's identifier."""
        self.repeated = 0
        """Submissions that were sent again because of an outage."""
        self.complaints: list[str] = []
        """What must never happen: refused, or one key and two jobs."""
        self._cancels: list[tuple[float, str]] = []

    def run(self) -> None:
        """Submit and cancel."""
        with Federation(self._address, patience_s=2.0) as client:
            left = list(self._orders)
            began = time.monotonic()
            while left:
                wave = [left.pop(0) for _ in range(min(len(left), self._random.randint(1, 12)))]
                for order in wave:
                    self._submit(client, order)
                    self._cancel_due(client)
                done = 1 - len(left) / len(self._orders)
                while time.monotonic() < began + done * self._span_s:
                    self._cancel_due(client)
                    time.sleep(0.1)
            while self._cancels:
                self._cancel_due(client)
                time.sleep(0.1)

    def _submit(self, client: Federation, order: Order) -> None:
        end = time.monotonic() + _TRY_FOR_S
        while True:
            try:
                job = client.submit(order.spec, request_id=order.key).id
                if self._random.random() < 0.05:  # one whose answer was lost asks again
                    twin = client.submit(order.spec, request_id=order.key).id
                    if twin != job:
                        self.complaints.append(f"{order.key} is {job} and {twin}")
            except InvalidArgument as error:
                self.complaints.append(f"{order.key} was refused: {error}")
                return
            except FederationError as error:
                self.repeated += 1
                if time.monotonic() > end:
                    self.complaints.append(f"{order.key} was not taken: {error}")
                    return
                time.sleep(0.2)
            else:
                break
        self.jobs[job] = order
        if order.cancel_after_s is not None:
            self._cancels.append((time.monotonic() + order.cancel_after_s, job))

    def _cancel_due(self, client: Federation) -> None:
        for due in [each for each in self._cancels if each[0] <= time.monotonic()]:
            with contextlib.suppress(FederationError):  # then it is cancelled a little later
                client.cancel(due[1])
                self._cancels.remove(due)
