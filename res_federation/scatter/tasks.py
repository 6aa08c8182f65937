"""A map over Ray: one function, many items, results as they come. Does not import Ray itself.

For long tasks that need nothing of one another (cells of a sweep).  A worker that dies is tried
again by Ray, twice; the error of a task is told with its item and stops nothing else.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from res_federation.errors import Unavailable
from res_federation.scatter import environment

_PATIENCE_S = 10.0
_ASKED = "; a cluster with a token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN set here too"

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """One task that ended.

    Attributes:
        number: Of its item.
        result: What the function returned; None with an error.
        error: One line, or "".

    """

    number: int
    result: Result | None
    error: str = ""


def map_tasks(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None,
    address: str | None = None,
    home: Path | None = None,
) -> Generator[Done[Result]]:
    """Call *function* with each item on Ray and yield the results as they come.

    Closing the iterator cancels what has not ended and leaves Ray.

    Args:
        function: Must pickle by name, and be installed wherever the workers run.
        items: Must pickle; taken as they are needed, so that few are held at a time.
        workers: Tasks at a time; None for as many as the cluster has processors.
        address: Of a Ray cluster to join; None starts a runtime on this machine.
        home: Where a runtime of our own keeps its files.

    Raises:
        Unavailable: If no Ray could be had.

    """
    if address:
        _reachable(address)
    environment.prepare(address)
    import ray  # noqa: PLC0415 - reads its environment when it is imported

    from res_federation.scatter import runtime  # noqa: PLC0415 - imports Ray

    try:
        folder = runtime.join(address, workers or 1, home)
    except Exception as error:  # noqa: BLE001 - Ray fails in many ways; each is told
        raise Unavailable(
            f"no Ray answers at '{address}'" if address else "Ray does not start on this machine",
            field="--ray" if address else "",
            way_out=_line(error) + (_ASKED if address else ""),
        ) from None
    running: dict[Any, int] = {}
    try:
        remote = ray.remote(num_cpus=1, max_retries=2)(function)
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        for number, item in enumerate(items):
            running[remote.remote(item)] = number
            if len(running) >= most:
                yield from _ended(ray, running)
        while running:
            yield from _ended(ray, running)
    finally:
        for call in running:
            ray.cancel(call, force=True)
        runtime.leave(folder)


def _reachable(address: str) -> None:
    """Refuse an address where nothing listens: Ray itself would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return  # a name that Ray knows, such as "auto"
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise Unavailable(
            f"no Ray answers at '{address}'",
            field="--ray",
            way_out=f"{error}; 'ray status' on its head node tells the address",
        ) from None


def _ended(ray: Any, running: dict[Any, int]) -> Iterator[Done[Any]]:
    """Wait for one call at least, and take those that ended out of *running*."""
    ready, _ = ray.wait(list(running), num_returns=1)
    for call in ready:
        number = running.pop(call)
        try:
            yield Done(number, ray.get(call))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause if getattr(error, "cause", None) is not None else error
            yield Done(number, None, _line(cause))
        except ray.exceptions.RayError as error:
            yield Done(number, None, _line(error))


def _line(error: BaseException) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text.strip()}"[:500]
