"""Through Ray, with any number of workers, the plan is the same; what dies comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import replace

import psutil
import pytest

from res_federation.model.plan import Plan
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from res_federation.placement.score import SHARD_SHAPES
from res_federation.placement.snapshot import Snapshot
from res_federation.scatter.bench_place import drawn_jobs
from tests.agent.patience import PATIENCE_S
from tests.builders import A100, CPU, H100, a_row, a_snapshot

POLICY = Policy(seed=3)
SNAPSHOT = a_snapshot(
    a_row("bsc/mn5/gpp", CPU, 40),
    a_row("bsc/mn5/acc", H100, 8),
    a_row("csuc/pirineus3/gpu", A100, 2),
    a_row("uv/lluis/cpu", replace(CPU, memory_mib=None), 30),
)
JOBS = drawn_jobs(3 * SHARD_SHAPES, seed=5)


def _bytes(plan: Plan) -> tuple[object, ...]:
    """Return all that a plan says, decisions as the bytes that are stored."""
    return (plan.version, plan.frame, plan.frame_id, plan.assignments, plan.rejections)


@pytest.fixture(scope="module")
def here() -> Plan:
    return place(SNAPSHOT, JOBS, POLICY)


@pytest.mark.parametrize("workers", [1, 4, 2])
def test_the_number_of_workers_changes_nothing(workers, here, scatters):
    through_ray = place(SNAPSHOT, JOBS, POLICY, scatter=scatters(workers))
    assert _bytes(through_ray) == _bytes(here)
    assert len(scatters(workers).start()) == workers


def test_a_new_snapshot_replaces_the_one_that_workers_hold(here, scatters):
    scatter = scatters(2)
    place(SNAPSHOT, JOBS, POLICY, scatter=scatter)
    smaller = replace(SNAPSHOT, version=2, rows=SNAPSHOT.rows[1:])
    assert place(smaller, JOBS, POLICY, scatter=scatter) == place(smaller, JOBS, POLICY)
    assert _bytes(place(SNAPSHOT, JOBS, POLICY, scatter=scatter)) == _bytes(here)


def test_rounds_without_work_ask_nobody(scatters):
    scatter = scatters(2)
    assert place(SNAPSHOT, (), POLICY, scatter=scatter).assignments == ()
    nobody: Snapshot = a_snapshot()
    plan = place(nobody, JOBS[:3], POLICY, scatter=scatter)
    assert [one.permanent for one in plan.rejections] == [False] * 3


def test_rounds_may_come_from_several_threads(here, scatters):
    scatter, found = scatters(2), []

    def one_round() -> None:
        found.append(_bytes(place(SNAPSHOT, JOBS, POLICY, scatter=scatter)))

    threads = [threading.Thread(target=one_round) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [_bytes(here)] * 3


def test_a_worker_that_was_killed_is_replaced(here, scatters):
    scatter = scatters(2)
    victim = scatter.start()[0]
    os.kill(victim, signal.SIGKILL)
    assert _bytes(place(SNAPSHOT, JOBS, POLICY, scatter=scatter)) == _bytes(here)
    alive = scatter.start()
    assert len(alive) == 2
    assert victim not in alive


def _below(scatter) -> list[psutil.Process]:
    """Return the processes of our own runtime, all below the engine that we started."""
    engine = psutil.Process(scatter._process.pid)
    assert engine.ppid() == os.getpid()
    return engine.children(recursive=True)


def test_a_runtime_that_was_killed_comes_back(here, scatters):
    scatter = scatters(2)
    scatter.start()
    runtime = _below(scatter)
    names = {process.name() for process in runtime}
    assert any("raylet" in name for name in names), names
    for process in runtime:
        with contextlib.suppress(psutil.NoSuchProcess):
            if "raylet" in process.name():
                process.kill()
    assert _bytes(place(SNAPSHOT, JOBS, POLICY, scatter=scatter)) == _bytes(here)
    raylets = [process for process in _below(scatter) if "raylet" in process.name()]
    assert raylets
    assert not set(raylets) & set(runtime)


def test_an_engine_that_was_killed_is_started_again(here, scatters):
    scatter = scatters(2)
    scatter.start()
    runtime = _below(scatter)
    names = {process.pid: process.name() for process in runtime}
    engine = scatter._process
    engine.kill()
    engine.join(10)
    assert _bytes(place(SNAPSHOT, JOBS, POLICY, scatter=scatter)) == _bytes(here)
    assert scatter._process is not engine
    # Ray's own agents look only now and then whether their raylet lives: half a minute.
    heavy = [process for process in runtime if "Agent" not in names[process.pid]]
    _, alive = psutil.wait_procs(heavy, timeout=PATIENCE_S)
    assert alive == [], "the runtime of a dead engine ends by itself"


def test_closing_leaves_nothing_behind(scatters):
    scatter = scatters(2)
    scatter.start()
    runtime = _below(scatter)
    scatter.close()
    _, alive = psutil.wait_procs(runtime, timeout=PATIENCE_S)
    assert alive == []
    scatter.close()
