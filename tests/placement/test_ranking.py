"""Which partitions may take a job, which takes it, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.plan import Assignment, Rejection
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.placement.engine import place
from res_federation.placement.explain import explain
from res_federation.placement.packing import unpack
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Row
from res_federation.topology.distances import Distance, DistanceTable
from tests.builders import A100, CPU, H100, a_job, a_row, a_snapshot, answers, busy, where

POLICY = Policy()
BIG_A100 = replace(A100, accelerator="nvidia-a100-80gb", accelerator_memory_mib=81_920)


def gpus(count: int = 1, family: str = "", memory: int = 0) -> ResourceRequest:
    return ResourceRequest(accelerator=AcceleratorNeed(family, memory), accelerators_per_node=count)


def answer(job, *rows, policy=POLICY, distances=None):
    snapshot = a_snapshot(*rows) if distances is None else a_snapshot(*rows, distances=distances)
    return answers(place(snapshot, (job,), policy))[job.id]


def codes(job, *rows, policy=POLICY) -> dict[str, Code]:
    """Return the reason for each site."""
    _, verdicts = unpack(answer(job, *rows, policy=policy).decision)
    ordered = sorted(rows, key=lambda row: (row.partition, repr(row.shape)))
    return {
        row.partition.split("/")[0]: verdict.reason.code
        for row, verdict in zip(ordered, verdicts, strict=True)
    }


def test_an_a100_is_never_replaced_by_another():
    rows = (a_row("bsc", H100, 100), busy(a_row("csuc", A100, 1)), a_row("uv", CPU, 100))
    found = codes(a_job(0, gpus(1, "a100")), *rows)
    assert found["bsc"] is Code.WRONG_ACCELERATOR
    assert found["uv"] is Code.NO_ACCELERATOR
    assert where(place(a_snapshot(*rows), [a_job(0, gpus(1, "a100"))], POLICY), [a_job(0)]) == [
        "csuc"
    ]


def test_a_thousand_a100_jobs_wait_rather_than_go_elsewhere():
    jobs = [a_job(n, gpus(4, "a100")) for n in range(1000)]
    rows = (a_row("bsc", H100, 100), a_row("csuc", A100, 1))
    assert set(where(place(a_snapshot(*rows), jobs, POLICY), jobs)) == {"csuc"}


def test_any_accelerator_will_do_for_a_job_that_names_none():
    assert answer(a_job(0, gpus()), a_row("uv", CPU), a_row("csuc", A100)).row == 0
    assert answer(a_job(0, gpus()), a_row("uv", CPU), a_row("bsc", H100)).row == 0


def test_memory_of_an_accelerator_is_a_hard_wish():
    rows = (a_row("bsc", H100), a_row("csuc", A100), a_row("uv", BIG_A100))
    unknown = a_row("uma", replace(A100, accelerator_memory_mib=None))
    found = codes(a_job(0, gpus(memory=70_000)), *rows, unknown)
    assert found == {
        "bsc": Code.ACCELERATOR_MEMORY,
        "csuc": Code.ACCELERATOR_MEMORY,
        "uv": Code.FITS,
        "uma": Code.ACCELERATOR_MEMORY_UNKNOWN,
    }


def test_a_faster_accelerator_shortens_the_run():
    found = answer(a_job(0, gpus(1)), a_row("bsc", H100), a_row("csuc", A100))
    assert isinstance(found, Assignment)
    assert found.partition == "bsc/c/p"
    _, verdicts = unpack(found.decision)
    assert dict(verdicts[0].terms)["run_s"] == 1800
    assert dict(verdicts[1].terms)["run_s"] == 3600


@pytest.mark.parametrize("problem", [code for code in Code if code.temporary][:4])
def test_what_may_come_back_is_waited_for(problem):
    found = answer(a_job(0), a_row("bsc", problem=problem, problem_have=7))
    assert isinstance(found, Rejection)
    assert not found.permanent
    assert found.reason.code is problem


def test_nodes_that_are_down_are_waited_for_and_nodes_that_never_were_are_not():
    row = a_row("bsc", nodes=4, available=1, free=())
    four, five = (a_job(0, ResourceRequest(nodes=count)) for count in (4, 5))
    waits, never = answer(four, row), answer(five, row)
    assert isinstance(waits, Rejection)
    assert (waits.permanent, waits.reason.code) == (False, Code.NODES_UNAVAILABLE)
    assert (waits.reason.needed, waits.reason.have) == (4, 1)
    assert isinstance(never, Rejection)
    assert (never.permanent, never.reason.code) == (True, Code.TOO_FEW_NODES)


def test_hardware_that_a_drained_site_lacks_is_said_before_the_drain():
    row = a_row("bsc", problem=Code.SITE_DRAINED)
    found = answer(a_job(0, gpus()), row)
    assert isinstance(found, Rejection)
    assert found.permanent
    assert found.reason.code is Code.NO_ACCELERATOR


def test_a_refused_partition_is_not_tried_again():
    job = a_job(0, refused=(a_row("bsc").partition,))
    found = codes(job, a_row("bsc"), busy(a_row("uv"), backlog_node_s=1e7))
    assert found == {"bsc": Code.TRIED_AND_REFUSED, "uv": Code.FITS}


def _reasoned(row: Row, code: Code, job) -> None:
    assert codes(job, row) == {row.partition.split("/")[0]: code}


def test_limits_and_words_of_a_partition():
    row = a_row("bsc", max_time_s=600, max_nodes=1, max_array=2, features=("license/matlab", "ib"))
    ok: dict[str, Any] = {"time_limit_s": 600}
    _reasoned(row, Code.FITS, a_job(0, **ok))
    _reasoned(row, Code.TIME_LIMIT, a_job(0, time_limit_s=601))
    _reasoned(row, Code.NODE_LIMIT, a_job(0, ResourceRequest(nodes=2), **ok))
    _reasoned(row, Code.ARRAY_LIMIT, a_job(0, array=(0, 1, 2), **ok))
    _reasoned(row, Code.FITS, a_job(0, array=(0, 1), **ok))
    _reasoned(row, Code.LICENSE_MISSING, a_job(0, ResourceRequest(licenses=("abaqus",)), **ok))
    _reasoned(row, Code.FITS, a_job(0, ResourceRequest(licenses=("matlab",)), **ok))
    _reasoned(row, Code.FEATURE_MISSING, a_job(0, ResourceRequest(features=("ssd",)), **ok))
    _reasoned(row, Code.FITS, a_job(0, ResourceRequest(features=("ib",)), **ok))
    arm = ResourceRequest(architecture="aarch64")
    _reasoned(row, Code.WRONG_ARCHITECTURE, a_job(0, arm, **ok))


def test_what_is_not_published_is_not_assumed():
    _reasoned(a_row("uma", NodeShape(None, None), 4), Code.SHAPE_UNKNOWN, a_job(0))
    _reasoned(a_row("uma", CPU, -1), Code.NODES_UNKNOWN, a_job(0))
    needs = a_job(0, ResourceRequest(memory_per_node_mib=10))
    _reasoned(a_row("uma", NodeShape(8, None)), Code.MEMORY_UNKNOWN, needs)


def test_pinned_excluded_and_named_partitions():
    bsc = a_row("bsc/mn5/gpp", names=("gpp", "gp_debug"), site_names=("bsc", "marenostrum5", "mn5"))
    uv = a_row("uv/lluis/cpu")
    both = {"bsc": Code.FITS, "uv": Code.FITS}
    assert codes(a_job(0), bsc, uv) == both
    for words in (("bsc",), ("MN5",), ("marenostrum5", "nowhere")):
        found = codes(a_job(0, clusters=words), bsc, uv)
        assert found == {"bsc": Code.FITS, "uv": Code.PINNED_ELSEWHERE}
    assert codes(a_job(0, excluded=("bsc",)), bsc, uv)["bsc"] is Code.EXCLUDED
    assert codes(a_job(0, partition="acc"), bsc, uv) == both, "binding only when pinned"
    pinned: dict[str, Any] = {"clusters": ("bsc",)}
    assert codes(a_job(0, partition="acc", **pinned), bsc)["bsc"] is Code.PARTITION_NOT_ASKED
    assert codes(a_job(0, partition="acc,gp_debug", **pinned), bsc)["bsc"] is Code.FITS
    nowhere = answer(a_job(0, clusters=("nowhere",)), bsc, uv)
    assert isinstance(nowhere, Rejection)
    assert nowhere.permanent


def test_cores_of_accelerated_nodes_are_kept_for_those_who_need_them():
    gpu, cpu = a_row("bsc", H100, 100), a_row("uv", CPU, 2)
    jobs = [a_job(n, ResourceRequest(tasks=64)) for n in range(3)]
    assert where(place(a_snapshot(gpu, cpu), jobs, POLICY), jobs)[:2] == ["uv", "uv"]
    long_wait = busy(cpu, backlog_node_s=1e6)
    assert where(place(a_snapshot(gpu, long_wait), jobs, POLICY), jobs)[0] == "bsc"
    careless = Policy(idle_accelerator_s=0.0)
    assert set(where(place(a_snapshot(gpu, long_wait), jobs, careless), jobs)) == {"bsc"}


def test_input_data_draws_a_job_to_where_it_lies():
    rows = (a_row("bsc"), a_row("csuc"), a_row("uv"))
    network = DistanceTable({("bsc", "csuc"): Distance(10.0, 4.0)})
    job = a_job(0, input_mib=100_000, input_site="bsc")
    found = answer(job, *rows, distances=network)
    assert isinstance(found, Assignment)
    assert found.partition == "bsc/c/p"
    _, verdicts = unpack(found.decision)
    home, linked, unlinked = (dict(verdict.terms)["transfer_s"] for verdict in verdicts)
    assert home == 0
    assert linked == pytest.approx(100_000 * 8 * 1024**2 / 10e9 + 0.008, abs=0.01)
    assert unlinked == 100_000 / POLICY.unknown_path_mib_s, "an unknown path is never free"


def test_a_free_site_far_away_may_beat_a_busy_one_at_home():
    network = DistanceTable({("bsc", "csuc"): Distance(10.0, 4.0)})
    job = a_job(0, input_mib=1000, input_site="bsc")
    found = answer(job, busy(a_row("bsc"), backlog_node_s=1e5), a_row("csuc"), distances=network)
    assert isinstance(found, Assignment)
    assert found.partition == "csuc/c/p"


def test_ties_change_with_the_seed_and_only_among_equals():
    equals = [a_row(name, nodes=10**6) for name in ("bsc", "cesga", "uv")]
    worse = busy(a_row("uma", nodes=10**6), backlog_node_s=1e9)
    jobs = [a_job(n) for n in range(300)]
    snapshot = a_snapshot(*equals, worse)
    one, other, again = (
        where(place(snapshot, jobs, Policy(seed=seed)), jobs) for seed in (1, 2, 1)
    )
    assert one == again
    assert one != other
    for found in (one, other):
        assert set(found) == {"bsc", "cesga", "uv"}
        assert min(found.count(name) for name in set(found)) > 60


def test_no_members_is_a_wait():
    found = answer(a_job(0))
    assert isinstance(found, Rejection)
    assert not found.permanent
    assert explain(found.job, bytes(found.decision), (), 1.0).candidates == ()
