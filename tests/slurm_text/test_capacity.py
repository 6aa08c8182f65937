"""From nodes, partitions, jobs and reservations to what each group of like nodes has."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.capacity import (
    FreeNodes,
    NodeStates,
    PartitionCapacity,
    QosLimit,
    Release,
    Window,
)
from res_federation.model.identifiers import SiteId, partition_id
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition
from res_federation.slurm import capacity, nodes, partitions, reservations, squeue, tres
from res_federation.slurm.nodes import Node
from res_federation.slurm.partitions import SlurmPartition
from res_federation.slurm.queue_depth import MOST_RELEASES
from res_federation.slurm.reservations import Reservation
from res_federation.slurm.slurm_states import read as state
from res_federation.slurm.squeue import QueuedJob

NOW = 1000.0
ACC = SlurmPartition("acc", max_time_s=7200)


def a_node(name: str = "n1", up: str = "IDLE", **fields: Any) -> Node:
    given = {
        "cpus": 80, "memory_mib": 1000, "gpus": (("h100", 4),), "partitions": ("acc",),
        "architecture": "x86_64", "state": nodes.read_state(up),
    } | fields  # fmt: skip
    return Node(name, **given)  # type: ignore[arg-type]


def a_job(number: int = 1, word: str = "PENDING", **fields: Any) -> QueuedJob:
    given = {
        "partitions": ("acc",), "nodes": 1, "cores": 20, "time_limit_s": 3600,
        "tres": tres.read("cpu=20,gres/gpu=2,gres/gpu:h100=2"),
    } | fields  # fmt: skip
    return QueuedJob(number, state(word), **given)  # type: ignore[arg-type]


def running(number: int = 1, where: str = "n1", **fields: Any) -> QueuedJob:
    return a_job(number, "RUNNING", node_list=where, **({"started": 500} | fields))


def of(*have: Node, parts: tuple[SlurmPartition, ...] = (ACC,), **fields: Any) -> Any:
    given: dict[str, Any] = {
        "jobs": (), "reservations": (), "max_array": 1001, "now": NOW, "declared": {},
    } | fields  # fmt: skip
    return capacity.capacities(SiteId("bsc"), "mn5", have, parts, **given)


def test_like_nodes_are_one_group_with_a_histogram_of_what_is_free() -> None:
    (group,) = of(
        a_node("n1"),
        a_node("n2", "MIXED", alloc_cpus=30, alloc_memory_mib=100, alloc_gpus=(("h100", 3),)),
        a_node("n3", "ALLOCATED", alloc_cpus=80),
        a_node("n4", "IDLE+DRAIN"),
        a_node("n5", "DOWN*"),
        a_node("n6"),
    )
    assert (group.id, group.nodes, group.available, group.up) == ("bsc/mn5/acc", 6, 4, True)
    assert group.shape == NodeShape(80, 1000, "nvidia-h100", 4)
    assert group.free == (FreeNodes(2, 80, 1000, 4), FreeNodes(1, 50, 900, 1))
    assert group.states == NodeStates(idle=2, mixed=1, allocated=1, drained=1, down=1)
    assert (group.max_time_s, group.max_array) == (7200, 1001)


def test_a_partition_with_several_shapes_reports_each() -> None:
    groups = of(
        a_node("n1"), a_node("n2"), a_node("c1", gpus=()), a_node("b1", features=("big",)),
        a_node("arm", architecture="aarch64"), a_node("else", partitions=("other",)),
    )  # fmt: skip
    assert len(groups) == 4
    assert groups[0].nodes == 2
    assert sum(group.nodes for group in groups) == 5
    assert {group.features for group in groups} == {(), ("big",)}


def test_the_site_file_tells_the_accelerator_that_slurm_leaves_open() -> None:
    shape = NodeShape(80, 1000, "nvidia-h100-sxm-64gb", 4, 65_536)
    part = Partition(partition_id("bsc", "mn5", "acc"), "acc", shape, 1)
    (group,) = of(a_node(gpus=(("", 4),)), declared={part.id: part})
    assert (group.shape.accelerator, group.shape.accelerator_memory_mib) == (
        "nvidia-h100-sxm-64gb", 65_536,
    )  # fmt: skip
    (mixed,) = of(a_node(gpus=(("t4", 8), ("h100", 2))), declared={part.id: part})
    assert (mixed.shape.accelerator, mixed.shape.accelerators) == ("nvidia-h100-sxm-64gb", 2)
    (first,) = of(a_node(gpus=(("t4", 8), ("h100", 2))))
    assert (first.shape.accelerator, first.shape.accelerators) == ("nvidia-t4", 8)


def test_whole_nodes_and_limits_of_the_partition_bound_what_is_free() -> None:
    half = a_node("n2", "MIXED", alloc_cpus=1)
    (whole,) = of(a_node("n1"), half, parts=(replace(ACC, whole_nodes=True),))
    assert [bar.nodes for bar in whole.free] == [1]
    (narrow,) = of(
        a_node("n1"), half, parts=(replace(ACC, max_cpus_per_node=40, max_memory_per_node_mib=500),)
    )
    assert narrow.free == (FreeNodes(2, 40, 500, 4),)
    assert (narrow.shape.cores, narrow.shape.memory_mib) == (40, 500)


def test_memory_that_slurm_does_not_count_is_minus_one() -> None:
    (group,) = of(a_node(), memory_counted=False)
    assert group.free == (FreeNodes(1, 80, -1, 4),)
    (bare,) = of(a_node(memory_mib=None))
    assert bare.free == (FreeNodes(1, 80, -1, 4),)


def test_what_waits_is_depth_unless_it_could_not_begin_anyway() -> None:
    (group,) = of(a_node(), jobs=(
        a_job(1), a_job(2, array="0-9%2", tres=tres.Tres(), cores=1),
        a_job(3, reason="Dependency"), a_job(4, reason="JobHeldUser"),
        a_job(5, reason="Priority", time_limit_s=None), a_job(6, partitions=("gpp",)),
        a_job(7, "COMPLETED"),
    ))  # fmt: skip
    assert group.pending_jobs == 12
    # a job without a limit counts as the longest that the partition allows
    assert group.pending_core_s == 20 * 3600 + 10 * 3600 + 20 * 7200
    assert group.pending_accelerator_s == 2 * 3600 + 2 * 7200


def test_a_waiting_job_counts_against_the_group_that_could_run_it() -> None:
    have = (a_node("n1"), a_node("n2"), a_node("t", gpus=(("t4", 4),)), a_node("c", gpus=()))
    jobs = (a_job(1), a_job(2, tres=tres.read("gres/gpu=1,gres/gpu:t4=1")),
            a_job(3, tres=tres.Tres()), a_job(4, tres=tres.read("gres/gpu=1")))  # fmt: skip
    depth = {group.shape.accelerator: group.pending_jobs for group in of(*have, jobs=jobs)}
    assert depth == {"nvidia-h100": 2, "nvidia-t4": 1, "": 1}


def test_a_job_that_waits_for_two_partitions_stands_before_a_new_job_in_each() -> None:
    both = a_node(partitions=("acc", "gpp"))
    groups = of(both, parts=(ACC, SlurmPartition("gpp")), jobs=(a_job(partitions=("acc", "gpp")),))
    assert [group.pending_jobs for group in groups] == [1, 1]


def test_releases_are_when_limits_end_and_never_in_the_past() -> None:
    (group,) = of(a_node("n1"), a_node("n2"), jobs=(
        running(1, "n1", started=900, time_limit_s=600), running(2, "n2", started=900),
        running(3, "n1", started=100, time_limit_s=60), running(4, "n1", time_limit_s=None),
        a_job(5, "COMPLETING", node_list="n2", started=900),
        a_job(6, "CONFIGURING", node_list="n2", time_limit_s=60),
    ))  # fmt: skip
    assert group.releases == (
        Release(1000.0, 2, 40, 4), Release(1060.0, 1, 20, 2), Release(1500.0, 1, 20, 2),
        Release(4500.0, 1, 20, 2),
    )  # fmt: skip


def test_a_job_on_nodes_of_two_groups_is_shared_out_and_a_drained_node_gives_nothing_back() -> None:
    wide = running(1, "n[1-2],c[1-2]", nodes=4, cores=80, tres=tres.Tres(), started=1000)
    have = [a_node(name, gpus=(("h100", 4),) if name[0] == "n" else ())
            for name in ("n1", "n2", "c1")]  # fmt: skip
    drained = a_node("c2", "ALLOCATED+DRAIN", gpus=())
    groups = of(*have, drained, jobs=(wide,))
    assert {group.shape.accelerators: group.releases for group in groups} == {
        4: (Release(4600.0, 2, 40, 0),), 0: (Release(4600.0, 1, 20, 0),),
    }  # fmt: skip


def test_a_job_of_another_partition_gives_back_to_every_partition_of_its_node() -> None:
    node = a_node(partitions=("acc", "long"))
    groups = of(node, parts=(ACC, SlurmPartition("long")), jobs=(running(),))
    assert groups[0].releases == groups[1].releases != ()


@pytest.mark.parametrize("where", ["n[1-2,4-", "elsewhere", "n[1-99999999]", ""])
def test_a_list_of_nodes_that_is_cut_or_strange_still_frees_something(where: str) -> None:
    (group,) = of(a_node("n1"), a_node("n2"), jobs=(running(1, where, nodes=2),))
    assert [release.cores for release in group.releases] == [20]


def test_a_long_profile_is_told_on_a_coarser_grid_and_loses_no_core() -> None:
    jobs = [running(number, started=1000 + 7 * number) for number in range(1000)]
    (group,) = of(a_node("n1"), jobs=jobs)
    assert len(group.releases) <= MOST_RELEASES
    assert sum(release.cores for release in group.releases) == 20 * 1000
    assert [release.at for release in group.releases] == sorted(r.at for r in group.releases)
    assert group.releases[0].at >= 1000 + 3600


def test_reservations_take_nodes_now_and_are_windows_before() -> None:
    now = Reservation("course", 900.0, 1100.0, ("n1", "x"))
    soon = Reservation("maint", 5000.0, 6000.0, ("n1", "n2"), flags=frozenset({"MAINT"}))
    past = Reservation("past", 1.0, 2.0, ("n1",))
    else_ = Reservation("else", 5000.0, 6000.0, ("x",))
    (group,) = of(a_node("n1"), a_node("n2"), reservations=(soon, now, past, else_))
    assert (group.available, sum(bar.nodes for bar in group.free)) == (1, 1)
    assert group.states == NodeStates(idle=1, reserved=1)
    assert group.windows == (Window("maint", 5000.0, 6000.0, 2, maintenance=True),)


def test_limits_of_the_partitions_own_qos_bind_and_those_that_it_takes_are_told() -> None:
    qos = (QosLimit("p_acc", 3600, 8), QosLimit("debug", 600), QosLimit("normal"))
    own = replace(ACC, qos="p_acc", deny_qos=("debug",))
    (group,) = of(a_node(), parts=(own,), qos=qos)
    assert (group.max_time_s, group.max_nodes) == (3600, 8)
    assert [limit.name for limit in group.qos] == ["p_acc", "normal"]
    (closed,) = of(a_node(), parts=(replace(ACC, allow_qos=("debug",)),), qos=qos)
    assert [limit.name for limit in closed.qos] == ["debug"]


def test_a_partition_without_nodes_has_no_group() -> None:
    assert of(parts=(ACC,), jobs=(a_job(), running())) == ()


words = st.sampled_from(["IDLE", "MIXED", "ALLOCATED", "DOWN", "UNKNOWN", ""])
flags = st.sampled_from(["", "+DRAIN", "*", "+RESERVED", "+PLANNED", "+COMPLETING", "~", "+NEW"])
gpus = st.lists(
    st.tuples(st.sampled_from(["", "h100", "a100", "odd"]), st.integers(0, 8)), max_size=2
).map(tuple)
small = st.integers(0, 100)
some_nodes = st.lists(
    st.builds(
        Node, name=st.sampled_from([f"n{number}" for number in range(9)]), cpus=small,
        alloc_cpus=small, memory_mib=st.none() | small, alloc_memory_mib=small, gpus=gpus,
        alloc_gpus=gpus, state=st.tuples(words, flags).map("".join).map(nodes.read_state),
        features=st.sampled_from([(), ("big",)]),
        partitions=st.sampled_from([("acc",), ("acc", "q")]),
        architecture=st.sampled_from(["", "x86_64"]),
    ),
    max_size=8, unique_by=lambda node: node.name,
)  # fmt: skip
some_jobs = st.lists(
    st.builds(
        QueuedJob, number=small,
        state=st.sampled_from(["PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "X"]).map(state),
        partitions=st.sampled_from([("acc",), ("q", "acc"), ("other",), ()]), nodes=small,
        cores=small, time_limit_s=st.none() | small, started=st.none() | st.integers(0, 2000),
        node_list=st.sampled_from(["", "n1", "n[0-3]", "n[0-", "z"]) | st.text(max_size=6),
        tres=st.sampled_from(["", "gres/gpu=3", "gres/gpu=2,gres/gpu:a100=2"]).map(tres.read),
        array=st.sampled_from(["", "0-3", "9..."]), reason=st.sampled_from(["", "Dependency"]),
    ),
    max_size=8,
)  # fmt: skip
some_reservations = st.lists(
    st.builds(
        Reservation, st.text(max_size=3), st.floats(0, 2000), st.floats(0, 2000),
        st.sampled_from([(), ("n1", "n2"), ("z",)]),
    ),
    max_size=3,
)  # fmt: skip


@given(some_nodes, some_jobs, some_reservations, st.booleans(), st.booleans())
def test_free_is_never_more_than_available_and_available_never_more_than_declared(
    have: list[Node],
    jobs: list[QueuedJob],
    kept: list[Reservation],
    whole: bool,
    counted: bool,
) -> None:
    parts = (ACC, SlurmPartition("q", max_cpus_per_node=10))
    found = of(*have, parts=parts, jobs=jobs, reservations=kept, whole_nodes=whole,
               memory_counted=counted)  # fmt: skip
    for name in ("acc", "q"):
        mine = [group for group in found if group.id.endswith(f"/{name}")]
        assert sum(group.nodes for group in mine) == sum(name in n.partitions for n in have)
    for group in found:
        check(group)


def check(group: PartitionCapacity) -> None:
    shape = group.shape
    assert sum(bar.nodes for bar in group.free) <= group.available <= group.nodes
    assert sum(astuple(group.states)) == group.nodes
    states = group.states
    assert states.idle + states.mixed + states.allocated == group.available
    for bar in group.free:
        assert 0 < bar.cores <= (shape.cores or 0)
        assert 0 <= bar.accelerators <= shape.accelerators
        assert bar.memory_mib == -1 or 0 < bar.memory_mib <= (shape.memory_mib or 0)
    for release in group.releases:
        assert release.at >= NOW
        assert 0 <= release.nodes <= group.available
        assert min(release.cores, release.accelerators) >= 0
    assert group.pending_core_s >= 0.0 <= group.pending_accelerator_s
    assert all(window.end > NOW and 0 < window.nodes <= group.nodes for window in group.windows)


FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"
COLUMNS = (
    "JobID JobArrayID Name UserName Account Partition QOS State Reason NumCPUs NumNodes tres-alloc "
    "tres-per-node gres TimeLimit TimeUsed TimeLeft SubmitTime StartTime EndTime PriorityLong "
    "NodeList exit_code Comment Dependency"
).split()
FREE = {
    # moment, partition: available, free (nodes, cores, accelerators), releases, pending
    ("idle", "mn5/acc"): (2, [(2, 80, 4)], 0, 0),
    ("idle", "ft3/mix"): (1, [(1, 32, 2)], 0, 0),
    ("idle", "lapalma/batch"): (3, [(3, 16, 0)], 0, 0),
    ("busy", "mn5/acc"): (2, [(1, 80, 4), (1, 52, 1)], 2, 0),
    ("busy", "mn5/gpp"): (2, [(1, 82, 0)], 2, 0),
    ("busy", "mn5/debug"): (1, [(1, 12, 0)], 1, 0),
    ("busy", "ft3/gpu"): (2, [(1, 64, 2), (1, 32, 0)], 1, 0),
    ("busy", "ft3/mix"): (1, [(1, 24, 1)], 1, 0),
    ("busy", "lapalma/batch"): (3, [(1, 16, 0), (1, 6, 0)], 1, 0),
    ("pending", "mn5/acc"): (2, [(1, 80, 4), (1, 44, 0)], 3, 4),
    ("pending", "ft3/gpu"): (2, [(2, 32, 0)], 2, 5),
    ("pending", "lapalma/batch"): (3, [(1, 6, 0)], 2, 5),
    ("drained", "mn5/acc"): (1, [(1, 43, 0)], 4, 3),
    ("drained", "mn5/gpp"): (0, [], 0, 2),
    ("drained", "lapalma/batch"): (2, [(1, 6, 0)], 1, 6),
    ("down", "mn5/debug"): (0, [], 0, 10),
    ("down", "lapalma/batch"): (1, [(1, 6, 0)], 1, 6),
}


def recorded(moment: str, cluster: str) -> tuple[PartitionCapacity, ...]:
    def text(name: str) -> str:
        return (FIXTURES / moment / cluster / name).read_text(errors="replace")

    jobs = []
    for line in text("squeue_O.txt").splitlines():
        row = dict(zip(COLUMNS, (cell.strip() for cell in line.split("|")), strict=False))
        row["ArrayTaskID"] = row["JobArrayID"].partition("_")[2].strip("[]")
        job = squeue.of_row(row)
        assert job is not None
        jobs.append(job)
    return capacity.capacities(
        SiteId("x"), cluster, nodes.read(text("scontrol_node_d.txt")),
        partitions.read(text("scontrol_partition.txt")), jobs,
        reservations.read(text("scontrol_reservation.txt")),
        max_array=1001, now=datetime(2026, 11, 21, 2, 44, 22, tzinfo=UTC).timestamp(), declared={},
    )  # fmt: skip


@pytest.mark.parametrize(("moment", "partition"), FREE)
def test_recorded_clusters_have_the_right_amounts_free(moment: str, partition: str) -> None:
    if not FIXTURES.exists():
        pytest.skip("the recorded outputs of Slurm are not here")
    cluster = partition.partition("/")[0]
    (group,) = [one for one in recorded(moment, cluster) if one.id == f"x/{partition}"]
    bars = [(bar.nodes, bar.cores, bar.accelerators) for bar in group.free]
    found = (group.available, bars, len(group.releases), group.pending_jobs)
    assert found == FREE[moment, partition]
