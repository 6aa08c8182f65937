"""`resfed up`: the whole federation on this machine, in the foreground."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.cli.serve import tell_ready
from res_federation.cli.supervisor import RESFED, Child, Supervisor
from res_federation.client import Federation, SiteState
from res_federation.client.address import DEFAULT_ADDRESS, broker_address
from res_federation.client.health import serving
from res_federation.errors import FailedPrecondition, FederationError, InvalidArgument, Unavailable

_MOST_FAILURES = 5
"""A broker that ends so often before it ever served is given up, with its own last line."""
_ALL_AGENTS_S = 20.0
"""How long to wait for every agent; afterwards half of them are enough."""
_BEAT_S = 0.1


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(epilog="Example: resfed up --home ~/federation --only csuc,bsc")(up)


def up(
    sites: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Catalogue of sites.", show_default=False)
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="State [default: $RESFED_HOME].", show_default=False),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the broker listens; port 0 chooses.")
    ] = DEFAULT_ADDRESS,
    only: Annotated[
        str, typer.Option(metavar="A,B", help="Agents for these sites only.", show_default=False)
    ] = "",
    policy: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="Policy of placement."),
    ] = "federated",
    as_json: Json = False,
) -> None:
    """Run a broker, Ray and an agent for each site in the foreground.

    Prints `ready HOST:PORT` when jobs can be submitted.  A child that dies is started again.
    SIGTERM or Ctrl-C ends it; jobs that run go on, and the next `resfed up` with the same home
    finds them.
    """
    from res_federation.config.places import default_sites, resfed_home  # pydantic

    catalogue = (sites or default_sites()).resolve()
    state = (home or resfed_home()).expanduser().resolve()
    host, port = _free_port(listen)
    address = f"{host}:{port}"
    with _sole_owner(state), _stop_signals() as stopped:
        chosen = _site_files(catalogue, only)
        children = _children(address, catalogue, state, chosen, policy)
        supervisor = Supervisor(children, tell=output.note)
        try:
            _run(supervisor, address, tuple(chosen), stopped, as_json=as_json)
        finally:
            supervisor.stop()


def _run(
    supervisor: Supervisor,
    address: str,
    sites: Sequence[str],
    stopped: list[int],
    *,
    as_json: bool,
) -> None:
    announced = False
    began = time.monotonic()
    while not stopped:
        now = time.monotonic()
        supervisor.step(now)
        if not announced:
            broker = supervisor.children[0]
            if broker.quick_ends >= _MOST_FAILURES:
                raise _broker_failed(broker)
            if _ready(address, sites, patient=now - began < _ALL_AGENTS_S):
                announced = True
                tell_ready(address, as_json=as_json)
        time.sleep(_BEAT_S)


def _broker_failed(broker: Child) -> FederationError:
    words = broker.last_words() or f"exit code {broker.last_code}"
    kind = InvalidArgument if broker.last_code == 2 else Unavailable
    return kind(f"the broker does not start: {words}", way_out=f"its log is {broker.log}")


def _ready(address: str, sites: Sequence[str], *, patient: bool) -> bool:
    near = _dialled(address)
    if not serving(near, timeout_s=1.0):
        return False
    try:
        with Federation(near, patience_s=0) as federation:
            known = {site.id: site.state for site in federation.sites()}
    except FederationError:
        return False
    there = [site for site in sites if known.get(site) in (SiteState.READY, SiteState.DRAINED)]  # type: ignore[call-overload]
    if len(there) == len(sites):
        return True
    if patient or len(there) * 2 < len(sites):
        return False
    output.note(f"{len(there)} of {len(sites)} agents are connected; the others go on trying")
    return True


def _children(
    address: str, catalogue: Path, home: Path, sites: dict[str, Path], policy: str
) -> list[Child]:
    logs = home / "logs"
    logs.mkdir(exist_ok=True)
    broker = [*RESFED, "broker", "serve", "--listen", address, "--home", str(home)]
    broker += ["--sites", str(catalogue), "--policy", policy]
    children = [Child("broker", broker, logs / "broker.log")]
    for site, file in sites.items():
        state = home / "agents" / site
        agent = [*RESFED, "agent", "run", "--site", str(file), "--broker", _dialled(address)]
        children.append(
            Child(f"agent {site}", [*agent, "--state", str(state)], logs / f"agent-{site}.log")
        )
    return children


def _site_files(catalogue: Path, only: str) -> dict[str, Path]:
    from res_federation.config.sites import load_sites  # pydantic

    wanted = tuple(word.strip() for word in only.split(",") if word.strip())
    found = {
        str(site.id): catalogue / site.id / "site.toml"
        for site in load_sites(catalogue, only=wanted)
        if site.batch
    }
    if not found:
        raise InvalidArgument(
            f"no site in '{catalogue}' has a batch system", field="--only" if only else "--sites"
        )
    return found


def _free_port(listen: str) -> tuple[str, int]:
    """Return host and port, choosing a free port for 0; raises InvalidArgument."""
    host, colon, port = listen.rpartition(":")
    broker_address(f"{host}:1" if port == "0" and colon else listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            # as the broker binds: a port that was just left is free, one that is served is not
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]"), int(port)))
            chosen: int = probe.getsockname()[1]
    except OSError as error:
        raise InvalidArgument(
            f"cannot listen at {listen}: {error.strerror}",
            field="--listen",
            way_out="choose another port, or 0 for any",
        ) from None
    if not _is_loopback(host):
        output.note(f"warning: {host} can be reached from other machines")
    return host, chosen


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _dialled(address: str) -> str:
    """Return where to dial a broker that listens on *address*: "any" is not a destination."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else address  # noqa: S104 - compared


@contextmanager
def _sole_owner(home: Path) -> Iterator[None]:
    """Hold the home's lock; the kernel lets go of it however this process ends."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "up.lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FailedPrecondition(
                f"another 'resfed up' (process {lock.read().strip() or '?'}) uses '{home}'",
                field="--home",
                way_out="end that one, or give another --home",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in a list, so that the loop ends between two steps."""
    stopped: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        stopped.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
