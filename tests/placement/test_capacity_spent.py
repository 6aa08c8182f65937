"""What one job takes is not there for the next: nodes, shared nodes, arrays, whole nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.capacity import FreeNodes
from res_federation.model.plan import Assignment
from res_federation.model.reason import Code
from res_federation.model.resources import WHOLE_NODE_MEMORY, NodeShape, ResourceRequest
from res_federation.placement.engine import place
from res_federation.placement.packing import unpack
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import ReleaseIn
from tests.builders import A100, CPU, a_job, a_row, a_snapshot, answers, busy, where

POLICY = Policy()


def _starts(snapshot, jobs):
    found = answers(place(snapshot, jobs, POLICY))
    answered = [found[job.id] for job in jobs]
    return [isinstance(one, Assignment) and one.starts_now for one in answered]


def _start_s(snapshot, job):
    found = answers(place(snapshot, (job,), POLICY))[job.id]
    assert isinstance(found, Assignment)
    return found.expected_start_s


def test_two_nodes_are_two_different_nodes():
    row = a_row("bsc", nodes=2, free=(FreeNodes(1, 32, 256_000, 0), FreeNodes(1, 64, 256_000, 0)))
    pair = a_job(0, ResourceRequest(nodes=2, tasks_per_node=16))
    whole = a_job(1, ResourceRequest(nodes=1, tasks_per_node=64))
    assert _starts(a_snapshot(row), (pair, whole)) == [True, False]


def test_an_array_of_pairs_takes_pairs_of_different_nodes():
    row = a_row("bsc", nodes=2, free=(FreeNodes(1, 32, 256_000, 0), FreeNodes(1, 64, 256_000, 0)))
    pairs = a_job(0, ResourceRequest(nodes=2, tasks_per_node=16), array=(0, 1, 2))
    assert _starts(a_snapshot(row), (pairs, a_job(1, ResourceRequest(tasks=48)))) == [True, True]
    assert _starts(a_snapshot(row), (pairs, a_job(1, ResourceRequest(tasks=64)))) == [True, False]


def test_free_nodes_count_towards_a_job_that_needs_more_of_them():
    pair = a_job(0, ResourceRequest(nodes=2, tasks_per_node=64))
    later = tuple(ReleaseIn(after, 1.0) for after in (20.0, 30.0))
    all_taken = busy(a_row("bsc", nodes=3), releases=(ReleaseIn(10.0, 1.0), *later))
    one_free = a_row("bsc", nodes=3, free=(FreeNodes(1, 64, 256_000, 0),), releases=later)
    assert _start_s(a_snapshot(all_taken), pair) == 20
    assert _start_s(a_snapshot(one_free), pair) == 20


def test_small_jobs_share_a_node_until_it_is_full():
    jobs = [a_job(n, ResourceRequest(tasks=16)) for n in range(5)]
    assert _starts(a_snapshot(a_row("bsc", nodes=1)), jobs) == [True] * 4 + [False]


def test_memory_fills_a_node_as_cores_do():
    jobs = [a_job(n, ResourceRequest(memory_per_node_mib=100_000)) for n in range(3)]
    assert _starts(a_snapshot(a_row("bsc", nodes=1)), jobs) == [True, True, False]


def test_memory_that_is_not_counted_fills_nothing():
    row = a_row("bsc", NodeShape(cores=4, memory_mib=None), nodes=1)
    jobs = [a_job(n) for n in range(5)]
    assert _starts(a_snapshot(row), jobs) == [True] * 4 + [False]


@pytest.mark.parametrize(
    "request_of_all",
    [ResourceRequest(exclusive=True), ResourceRequest(memory_per_node_mib=WHOLE_NODE_MEMORY)],
    ids=["exclusive", "mem=0"],
)
def test_a_whole_node_is_for_one_job(request_of_all):
    snapshot = a_snapshot(a_row("bsc", nodes=2))
    whole = [a_job(n, request_of_all) for n in range(2)]
    small = a_job(3, ResourceRequest(memory_per_node_mib=100))
    assert _starts(snapshot, [*whole, small]) == [True, True, False]
    other = [a_job(0, ResourceRequest(memory_per_node_mib=1)), whole[1]]
    assert _starts(a_snapshot(a_row("bsc", nodes=1)), other) == [True, False]


def test_accelerators_of_a_node_are_counted():
    each = ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=2)
    jobs = [a_job(n, each) for n in range(3)]
    assert _starts(a_snapshot(a_row("bsc", A100, nodes=1)), jobs) == [True, True, False]


def test_a_thousand_equal_jobs_do_not_all_go_to_one_site():
    rows = [a_row(name, nodes=5) for name in ("bsc", "cesga", "csuc", "uv")]
    jobs = [a_job(n, ResourceRequest(tasks=32)) for n in range(1000)]
    sites = where(place(a_snapshot(*rows), jobs, POLICY), jobs)
    counts = {name: sites.count(name) for name in set(sites)}
    assert set(counts) == {"bsc", "cesga", "csuc", "uv"}
    assert max(counts.values()) - min(counts.values()) <= 10


def test_a_larger_site_gets_its_larger_part():
    rows = [a_row("big", nodes=30), a_row("small", nodes=10)]
    jobs = [a_job(n, ResourceRequest(tasks=64)) for n in range(400)]
    sites = where(place(a_snapshot(*rows), jobs, POLICY), jobs)
    assert 280 <= sites.count("big") <= 320


def test_tasks_of_an_array_share_nodes():
    tasks = a_job(0, ResourceRequest(cpus_per_task=16), array=tuple(range(8)))
    row = a_row("bsc", nodes=2)
    assert _starts(a_snapshot(row), [tasks, a_job(1)]) == [True, False]
    assert _starts(a_snapshot(a_row("bsc", nodes=3)), [tasks, a_job(1)]) == [True, True]


def test_a_throttled_array_takes_no_more_than_its_throttle():
    throttled = a_job(0, ResourceRequest(cpus_per_task=64), array=tuple(range(8)), array_throttle=2)
    others = [a_job(n, ResourceRequest(cpus_per_task=64)) for n in (1, 2)]
    row = a_row("bsc", nodes=3)
    assert _starts(a_snapshot(row), [throttled, *others]) == [True, True, False]


@pytest.mark.parametrize(
    ("tasks", "throttle", "waves"), [(4, 0, 1), (5, 0, 2), (8, 2, 4), (1, 0, 1), (9, 4, 3)]
)
def test_an_array_runs_in_waves(tasks, throttle, waves):
    job = a_job(
        0, ResourceRequest(cpus_per_task=32), array=tuple(range(tasks)), array_throttle=throttle,
        time_limit_s=600,
    )  # fmt: skip
    plan = place(a_snapshot(a_row("bsc", nodes=2)), (job,), POLICY)
    chosen, verdicts = unpack(plan.assignments[0].decision)
    assert dict(verdicts[chosen].terms)["run_s"] == 600 * waves


def test_what_waits_lengthens_the_queue_of_the_next():
    rows = [busy(a_row(name), releases=(ReleaseIn(60.0, 4.0),)) for name in ("bsc", "uv")]
    jobs = [a_job(n, ResourceRequest(nodes=4, tasks_per_node=64)) for n in range(6)]
    sites = where(place(a_snapshot(*rows), jobs, POLICY), jobs)
    assert sites.count("bsc") == sites.count("uv") == 3


def test_a_queue_takes_no_more_than_the_policy_allows():
    jobs = [a_job(n, ResourceRequest(tasks=64)) for n in range(5)]
    plan = place(a_snapshot(a_row("bsc", nodes=1)), jobs, Policy(max_waiting_per_partition=3))
    assert [one.starts_now for one in plan.assignments] == [True, False, False, False]
    assert [one.reason.code.name for one in plan.rejections] == ["QUEUE_FULL"]
    assert not plan.rejections[0].permanent


def test_groups_of_nodes_of_one_partition_keep_apart():
    rows = [a_row("bsc/c/p", CPU, 1), a_row("bsc/c/p", replace(CPU, memory_mib=512_000), 1)]
    jobs = [a_job(n, ResourceRequest(nodes=2)) for n in range(1)]
    assert place(a_snapshot(*rows), jobs, POLICY).rejections[0].reason.code is Code.TOO_FEW_NODES
    ones = [a_job(n, ResourceRequest(tasks=64)) for n in range(3)]
    plan = place(a_snapshot(*rows), ones, POLICY)
    assert sorted(one.row for one in plan.assignments if one.starts_now) == [0, 1]
