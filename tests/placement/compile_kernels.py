"""Compiles the kernels before the tests run: `make test` does it first.

On a fresh clone numba compiles for more than a minute, and every process that needs a kernel before
it is on disk compiles it for itself: each of pytest's workers, each broker that a test starts, each
worker of Ray.  Here two processes share it out once.  Where all are on disk it takes three seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from res_federation.broker.warming import warm
from res_federation.config.dialects import load_dialects
from res_federation.config.places import default_sites
from res_federation.config.sites import load_distances, load_sites
from res_federation.control.state import federation
from res_federation.model.capacity import FreeNodes
from res_federation.model.resources import Layout, NodeShape, ResourceRequest
from res_federation.placement.engine import in_process, place
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Early, ReleaseIn
from res_federation.simulator.federation import replay_federation
from res_federation.simulator.pool import replay_pool
from res_federation.simulator.pool_state import DISCIPLINES
from res_federation.simulator.shaped_queue import ShapedQueue
from res_federation.simulator.site_models import FederationModel, pool
from res_federation.simulator.traces.read import read_trace
from tests.builders import CPU, a_job, a_row, a_snapshot, busy
from tests.simulator.drawn_workload import drawn
from tests.simulator.test_shaped_queue import drive

_LINE = "{n} {at} -1 60 4 -1 -1 4 90 -1 1 1 1 1 1 -1 -1 -1\n"
_THREE = FederationModel("three", (pool("a", 16), pool("b", 8), pool("c", 4)))


def rounds() -> None:
    """Make rounds of both kinds, where jobs start, wait, and hold places."""
    members = load_sites(default_sites())
    dialects = load_dialects(default_sites(), members)
    distances = load_distances(default_sites(), members)
    for policy in (named("federated"), Policy()):
        state = federation(members, distances=distances, policy=policy, dialects=dialects)
        warm(state, in_process)
        part = FreeNodes(1, 32, 128_000, 0)
        releases = tuple(ReleaseIn(60.0 * n, 1.0) for n in (1, 2, 3))
        rows = (
            a_row("a", nodes=4, free=(part,), releases=releases),
            busy(a_row("b", CPU, nodes=3), releases=releases),
        )
        soon = Early(rows[0].partition, ResourceRequest(nodes=1), 60.0, 30.0)
        snapshot = replace(a_snapshot(*rows), early=(soon,))
        wanted = (
            ResourceRequest(tasks=4), ResourceRequest(nodes=2, tasks_per_node=32),
            ResourceRequest(nodes=3, exclusive=True), ResourceRequest(nodes=9),
        )  # fmt: skip
        jobs = [a_job(number, request) for number, request in enumerate(wanted)]
        place(snapshot, jobs, policy)


def queues() -> None:
    """Replay on one machine, with and without nodes, and read a trace."""
    for discipline in DISCIPLINES:
        replay_pool(drawn(1, 60), 16, discipline)
        shaped = ShapedQueue(NodeShape(8, 64), 16, discipline)
        jobs = drawn(2, 40)
        drive(shaped, [Layout(n, 1, 0, 0) for n in jobs.procs.tolist()], jobs)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "small.swf"
        file.write_text("".join(_LINE.format(n=n, at=60 * n) for n in range(1, 9)))
        read_trace(file)


def replays() -> None:
    """Replay a federation: its sites' queues, and starts that are foretold from what was seen."""
    for policy in ("federated", "earliest-start"):
        replay_federation(drawn(1, 80), _THREE, policy=policy, local_share=0.3)


PARTS: dict[str, tuple[Callable[[], None], ...]] = {
    "decisions": (rounds, replays),
    "traces": (queues,),
}


def main(argv: list[str]) -> int:
    """Compile a part, or all in two processes side by side."""
    if argv:
        for compile_some in PARTS[argv[0]]:
            compile_some()
        return 0
    words = [sys.executable, "-m", "tests.placement.compile_kernels"]
    running = [subprocess.Popen([*words, part]) for part in PARTS]
    return max(process.wait() for process in running)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
