"""Who stands at the head of a partition's queue, and in which order Slurm looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.capacity import MOST_WAITING, PartitionCapacity, WaitingJob
from res_federation.model.identifiers import SiteId
from res_federation.slurm import capacity, nodes, partitions, squeue, tres
from res_federation.slurm.nodes import Node
from res_federation.slurm.partitions import SlurmPartition
from res_federation.slurm.slurm_states import read as state
from res_federation.slurm.squeue import QueuedJob

OURS = "resfed"
RUN = "01J0000000000000000000000A-1"
OTHER = "01J0000000000000000000000B-1"
ACC = SlurmPartition("acc", max_time_s=7200)
RECORDED = tuple(
    (name, int(width))
    for name, _, width in (
        cell.partition(":")
        for cell in "JobID:40 JobArrayID:40 Name:60 UserName:30 Account:30 Partition:30 QOS:20 \
State:20 Reason:80 NumCPUs:12 NumNodes:12 tres-alloc:200 tres-per-node:80 gres:60 TimeLimit:20 \
TimeUsed:20 TimeLeft:20 SubmitTime:24 StartTime:24 EndTime:24 PriorityLong:20 NodeList:80 \
exit_code:10 Comment:80 Dependency:60".split()
    )
)
FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"


def a_node(name: str = "n1", **fields: Any) -> Node:
    given_: dict[str, Any] = {
        "cpus": 80, "memory_mib": 1000, "gpus": (("h100", 4),), "partitions": ("acc",),
        "architecture": "x86_64", "state": nodes.read_state("IDLE"),
    } | fields  # fmt: skip
    return Node(name, **given_)


def waiting(number: int = 1, priority: int | None = 100, **fields: Any) -> QueuedJob:
    given_: dict[str, Any] = {
        "partitions": ("acc",), "nodes": 2, "cores": 20, "time_limit_s": 3600, "user": "somebody",
        "tres": tres.read("cpu=20,gres/gpu=2,gres/gpu:h100=2"), "state": state("PENDING"),
        "priority": priority, "reason": "Priority",
    } | fields  # fmt: skip
    return QueuedJob(number, **given_)


def of(*jobs: QueuedJob, have: tuple[Node, ...] = (a_node(),)) -> tuple[PartitionCapacity, ...]:
    return capacity.capacities(
        SiteId("bsc"), "mn5", have, (ACC,), jobs,
        max_array=None, now=1000.0, declared={}, whose={RUN: OURS, OTHER: OURS},
    )  # fmt: skip


def test_the_highest_priority_stands_first_and_of_equal_ones_the_lowest_number() -> None:
    jobs = [waiting(4, 7, cores=4), waiting(9, 8, cores=9), waiting(3, 7, cores=3)]
    (group,) = of(*jobs, waiting(2, 7, cores=2, array_number=5, array="1"))
    assert [job.cores for job in group.queue] == [9, 3, 4, 2]
    assert group.queue[0] == WaitingJob(2, 9, 2, 3600)


def test_a_run_of_the_federation_has_its_token_and_nobody_elses_job_has_one() -> None:
    (group,) = of(
        waiting(1, name=RUN, user=OURS), waiting(2, name=OTHER), waiting(3, name="x", user=OURS)
    )
    assert [job.token for job in group.queue] == [RUN, None, None]
    assert group.others == 2


@pytest.mark.parametrize(
    "field",
    [
        {"priority": 0, "reason": "JobHeldUser"}, {"dependency": "afterok:7(unfulfilled)"},
        {"reason": "BeginTime"}, {"reservation": "course"}, {"reason": "QOSMaxJobsPerUserLimit"},
        {"reason": "AssocGrpCpuLimit"}, {"reason": "JobArrayTaskLimit"},
        {"partitions": ("other",)}, {"state": state("COMPLETED")},
    ],
    ids=str,
)  # fmt: skip
def test_what_could_not_begin_if_nodes_came_free_does_not_stand_in_it(field: Any) -> None:
    (group,) = of(waiting(1, **field), waiting(2))
    assert len(group.queue) == 1


def test_tasks_of_an_array_stand_one_by_one_as_many_as_may_begin_together() -> None:
    (group,) = of(waiting(1, array_number=1, array="0-99%3"), waiting(5, array="7", cores=1))
    assert [job.cores for job in group.queue] == [20, 20, 20, 1]
    (long,) = of(waiting(1, array_number=1, array="0-999", name=RUN, user=OURS))
    assert [job.token for job in long.queue] == [RUN] * MOST_WAITING


def test_a_job_without_limit_counts_as_the_partitions() -> None:
    (group,) = of(waiting(time_limit_s=None))
    assert group.queue[0].limit_s == 7200


def test_each_group_of_nodes_has_its_own_queue_and_its_own_others() -> None:
    have = (a_node("n1"), a_node("n2"), a_node("c1", gpus=()))
    runs = waiting(5, state=state("RUNNING"), node_list="c1", tres=tres.Tres())
    mine = waiting(6, state=state("RUNNING"), node_list="n2", name=RUN, user=OURS)
    with_, without = of(waiting(1), waiting(2, tres=tres.Tres()), runs, mine, have=have)
    assert (len(with_.queue), with_.others) == (1, 1)
    assert (len(without.queue), without.others) == (1, 2)


@given(
    st.lists(
        st.builds(
            waiting,
            st.integers(1, 50),
            st.none() | st.integers(0, 5),
            user=st.sampled_from([OURS, "somebody"]),
            name=st.sampled_from([RUN, OTHER, "x", ""]),
            array=st.sampled_from(["", "3", "1-40", "1-9%2", "5-", "1,3..."]),
            state=st.sampled_from([state("PENDING"), state("RUNNING"), state("COMPLETED")]),
            node_list=st.sampled_from(["", "n1", "n[1-", "else"]),
            reason=st.sampled_from(["", "None", "Priority", "Resources", "Dependency"]),
        ),
        max_size=60,
    )
)
def test_whatever_squeue_says_the_head_is_bounded_and_no_token_is_given_away(jobs: Any) -> None:
    (group,) = of(*jobs)
    assert len(group.queue) <= min(MOST_WAITING, max(group.pending_jobs, 0))
    assert sum(job.token is None for job in group.queue) <= group.others
    ours = {job.name for job in jobs if job.user == OURS}
    assert {job.token for job in group.queue} - {None} <= ours


def test_a_recorded_queue_stands_as_slurm_shows_it() -> None:
    home = FIXTURES / "pending" / "lapalma"
    if not home.exists():
        pytest.skip("no recorded outputs beside the repository")

    def text(name: str) -> str:
        return (home / name).read_text(errors="replace")

    jobs, bad = squeue.read(text("squeue_O.txt"), form=RECORDED)
    assert bad == 0
    (group,) = (
        found
        for found in capacity.capacities(
            SiteId("x"), "lapalma", nodes.read(text("scontrol_node_d.txt")),
            partitions.read(text("scontrol_partition.txt")), jobs,
            max_array=None, now=0.0, declared={},
        )
        if found.id == "x/lapalma/batch"
    )  # fmt: skip
    shown = [line.split() for line in text("squeue.txt").splitlines()[1:]]
    stands = [int(words[-2]) for words in shown if "PD" in words]
    assert [job.nodes for job in group.queue] == stands
    assert {job.token for job in group.queue} == {None}
    assert group.others == len(shown)  # none of them has a run's name
