"""The federation over a lab: a broker, and an agent for each of its clusters, as processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from res_federation.cli.site_discover import site_file_text
from res_federation.cli.supervisor import RESFED, Child, Supervisor, ready_server
from res_federation.client.synchronous import Federation
from res_federation.errors import Unavailable
from res_federation.lab.lab import Lab

_UP_S = 60.0


@contextlib.contextmanager
def over(lab: Lab, home: Path, tell: Callable[[str], None]) -> Iterator[str]:
    """Start broker and agents over *lab*, as an administrator would; yield the address.

    The site files are those that `resfed site discover slurm` writes, not one word changed.

    Raises:
        Unavailable: If the sites are not ready in time.

    """
    sites = home / "sites"
    children: list[Child] = []
    for cluster in lab.clusters:
        folder = sites / cluster.name
        folder.mkdir(parents=True)
        (folder / "site.toml").write_text(site_file_text(cluster.conf))
    serve = ["broker", "serve", "--listen", "127.0.0.1:0", "--sites", str(sites)]
    log = home / "broker.log"
    with ready_server([*RESFED, *serve, "--home", str(home / "broker")], log) as address:
        for cluster in lab.clusters:
            name = cluster.name
            argv = [*RESFED, "agent", "run", "--site", str(sites / name / "site.toml")]
            argv += ["--broker", address, "--state", str(home / "agents" / name)]
            children.append(Child(f"agent of {name}", argv, home / f"{name}.log"))
        (home / "agents").mkdir(mode=0o711)
        supervisor = Supervisor(children, tell)
        try:
            supervisor.step(time.monotonic())
            _wait_until_ready(address, len(children), supervisor)
            yield address
        finally:
            supervisor.stop()


def _wait_until_ready(address: str, sites: int, supervisor: Supervisor) -> None:
    end = time.monotonic() + _UP_S
    with Federation(address) as federation:
        while time.monotonic() < end:
            if sum(1 for site in federation.sites() if site.state == "READY") == sites:
                return
            supervisor.step(time.monotonic())
            time.sleep(0.1)
    words = "; ".join(f"{child.name}: {child.last_words()}" for child in supervisor.children)
    raise Unavailable(f"the agents of the lab were not ready within {_UP_S:g} s ({words})")
