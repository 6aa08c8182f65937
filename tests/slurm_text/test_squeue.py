"""The queue: every field, arrays, accelerators, and what was recorded of real clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.model.job_state import JobState
from res_federation.slurm import arrays, squeue
from res_federation.slurm.slurm_states import Phase
from res_federation.slurm.squeue import QueuedJob
from tests.slurm_text.squeue_printer import ROW, lines

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"
RECORDED = tuple(
    (name, int(width))
    for name, width in (
        cell.split(":")
        for cell in "JobID:40 JobArrayID:40 Name:60 UserName:30 Account:30 Partition:30 QOS:20 \
State:20 Reason:80 NumCPUs:12 NumNodes:12 tres-alloc:200 tres-per-node:80 gres:60 TimeLimit:20 \
TimeUsed:20 TimeLeft:20 SubmitTime:24 StartTime:24 EndTime:24 PriorityLong:20 NodeList:80 \
exit_code:10 Comment:80 Dependency:60".split()
    )
)


def of(**row: str) -> QueuedJob:
    jobs, bad = squeue.read(lines(row))
    assert bad == 0
    (job,) = jobs
    return job


def recorded(state: str, cluster: str) -> dict[str, QueuedJob]:
    path = FIXTURES / state / cluster / "squeue_O.txt"
    if not path.exists():
        pytest.skip("no recorded outputs beside the repository")
    jobs, bad = squeue.read(path.read_bytes().decode(errors="replace"), form=RECORDED)
    assert bad == 0
    return {job.name: job for job in jobs}


def test_one_command_asks_for_all_jobs_of_this_cluster() -> None:
    words = squeue.argv()
    assert words[:6] == ("squeue", "-h", "-a", "-t", "all", "--local")
    assert not any(word.startswith("--name") for word in words)
    assert "--name=one,two" in squeue.argv(["one", "two"])


def test_every_field_of_a_running_job() -> None:
    job = of(Name="TOKEN-0", Comment="TOKEN-0 1/1", Account="bsc", Reservation="r1",
             Dependency="afterok:3(unfulfilled)", Partition="acc,gpp")  # fmt: skip
    assert (job.number, job.name, job.comment) == (7, "TOKEN-0", "TOKEN-0 1/1")
    assert (job.array_number, job.array, job.array_indices()) == (None, "", ())
    assert (job.user, job.account, job.qos) == ("resfed", "bsc", "normal")
    assert job.partitions == ("acc", "gpp")
    assert (job.state.phase, job.reason, job.reservation) == (Phase.RUNNING, "", "r1")
    assert (job.nodes, job.cores, job.node_list, job.priority) == (1, 20, "mn5-acc1", 4294901759)
    assert (job.time_limit_s, job.submitted, job.started) == (3600, 1795229037, 1795229040)
    assert (job.expected_start, job.ended, job.exit_code) == (None, None, None)
    assert job.tres.memory_mib == 102400
    assert job.dependency == "afterok:3(unfulfilled)"


def test_the_start_of_a_job_that_waits_is_only_expected() -> None:
    job = of(State="PENDING", Reason="Resources", NodeList="")
    assert (job.started, job.expected_start) == (None, 1795229040)
    assert of(State="PENDING", StartTime="N/A").expected_start is None


@pytest.mark.parametrize(
    ("status", "code", "signal"), [("0", 0, 0), ("1792", 7, 0), ("9", 0, 9), ("15", 0, 15)]
)
def test_the_exit_code_is_in_a_wait_status(status: str, code: int, signal: int) -> None:
    job = of(State="FAILED", exit_code=status)
    assert (job.exit_code, job.signal) == (code, signal)
    assert job.ended == 1795232640


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1:00:00", 3600), ("1-02:03:04", 93784), ("30:00", 1800), ("UNLIMITED", None),
     ("INVALID", None), ("Partition_Limit", None), ("NOT_SET", None), ("", None)],
)  # fmt: skip
def test_time_limits(text: str, seconds: int | None) -> None:
    assert of(TimeLimit=text).time_limit_s == seconds


@pytest.mark.parametrize(
    ("row", "gpus", "types"),
    [
        ({"tres-alloc": "cpu=1,gres/gpu=2,gres/gpu:h100=2"}, 2, (("h100", 2),)),
        ({"tres-per-job": "gres:gpu:h100:6", "NumNodes": "3"}, 6, (("h100", 6),)),
        ({"tres-per-node": "gres/gpu:a100:2,gres/gpu:t4:4"}, 6, (("a100", 2), ("t4", 4))),
        ({"tres-per-node": "gres:gpu:4", "NumNodes": "2"}, 8, ()),
        ({"tres-per-task": "gres:gpu:h100:2", "NumTasks": "3"}, 6, (("h100", 6),)),
        ({"tres-per-socket": "gres:gpu:2", "NumNodes": "2"}, 4, ()),
        ({"tres-per-node": "gres:lustre:1"}, 0, ()),
    ],
)
def test_accelerators_count_also_where_the_cluster_does_not_track_them(
    row: dict[str, str], gpus: int, types: tuple[tuple[str, int], ...]
) -> None:
    job = of(State="PENDING", **row)
    assert (job.tres.gpus, job.tres.gpus_by_type) == (gpus, types)


@pytest.mark.parametrize(
    ("tasks", "indices"),
    [
        ("3", (3,)), ("5-9,12%2", (5, 6, 7, 8, 9, 12)), ("1-9:4", (1, 5, 9)),
        ("1,3,57...", (1, 3)), ("1-3,5-...", (1, 2, 3)), ("...", ()),
        ("0-4000000000", ()), ("0-3999999", ()), ("9-1", ()), ("x", ()), ("1," * 9000, ()),
    ],
)  # fmt: skip
def test_tasks_of_an_array(tasks: str, indices: tuple[int, ...]) -> None:
    job = of(ArrayJobID="3", ArrayTaskID=tasks)
    assert (job.array_number, job.array) == (3, tasks)
    assert job.array_indices() == indices


def test_ranges_that_name_the_same_tasks_again_and_again_are_not_counted_out() -> None:
    assert squeue.array_indices(",".join(["0-99999"] * 1000)) == ()
    with pytest.raises(InvalidArgument):
        arrays.read(",".join(["0-99999"] * 8000))
    assert len(arrays.read("0-99999,0-99999").indices) == 100_000


def test_names_may_hold_bars_and_letters_of_several_bytes() -> None:
    job = of(Name="name with | pipe and ñ", Comment="|a|ñ|")
    assert (job.name, job.comment) == ("name with | pipe and ñ", "|a|ñ|")
    job = of(Name="x" + "日" * 30, Comment="é" * 50)
    assert job.name == "x" + "日" * 15 + "\N{REPLACEMENT CHARACTER}"
    assert job.comment == "é" * 32


def test_a_row_is_small_and_holds_what_it_must() -> None:
    name, comment, amounts = "n" * 40, "c" * 64, "gres/gpu:h100=1," * 18 + "cpu=3"
    job = of(Name=name, Comment=comment, **{"tres-alloc": amounts})
    assert (job.name, job.comment, job.tres.cpus) == (name, comment, 3)
    assert len(lines({"Name": name, "Comment": comment})) < 400


def test_lines_that_are_no_jobs_are_counted() -> None:
    text = "slurm_load_jobs error\n\n" + lines({"JobID": "1"}, {"JobID": "x"}, {"JobID": "2"})
    jobs, bad = squeue.read(text)
    assert ([job.number for job in jobs], bad) == ([1, 2], 2)


def test_the_end_of_the_last_line_may_be_missing() -> None:
    jobs, bad = squeue.read(lines({}).removesuffix("\n"))
    assert (len(jobs), bad) == (1, 0)


@given(st.lists(st.integers(1, 10**9), max_size=6), st.sampled_from(("RUNNING", "PENDING", "CG")))
def test_as_many_jobs_as_rows(numbers: list[int], state: str) -> None:
    jobs, bad = squeue.read(lines(*({"JobID": str(each), "State": state} for each in numbers)))
    assert ([job.number for job in jobs], bad) == (numbers, 0)


@given(st.dictionaries(st.sampled_from(sorted(ROW)), st.text(), max_size=8))
def test_any_values_are_a_job_or_none(row: dict[str, str]) -> None:
    job = squeue.of_row({**ROW, **row})
    if job is not None:
        job.array_indices()


def test_recorded_running_and_ended_jobs() -> None:
    jobs = recorded("busy", "mn5")
    train = jobs["train-a"]
    assert (train.state.phase, train.cores, train.nodes) == (Phase.RUNNING, 20, 1)
    assert (train.tres.gpus_by_type, train.comment) == ((("h100", 2),), "resfed:a1")
    assert (train.submitted, train.node_list) == (1795229037, "mn5-acc1")
    assert (jobs["bad"].state.end, jobs["bad"].exit_code) == (JobState.FAILED, 7)
    assert (jobs["killed"].exit_code, jobs["killed"].signal) == (0, 9)
    assert jobs["cancelrun"].state.end is JobState.CANCELLED


def test_recorded_jobs_that_wait() -> None:
    jobs = recorded("pending", "mn5")
    assert (jobs["big"].reason, jobs["big"].tres.gpus) == ("Resources", 8)
    assert jobs["big"].expected_start is not None
    assert jobs["dep"].dependency == "afterok:11(unfulfilled)"
    assert jobs["twoparts"].partitions == ("gpp", "debug")
    assert (jobs["het2"].number, jobs["het2"].array_number) == (25, None)


def test_recorded_arrays_and_names_with_bars() -> None:
    jobs = recorded("pending", "ft3")
    assert (jobs["arrq"].array_number, jobs["arrq"].array_indices()) == (17, tuple(range(21)))
    assert recorded("busy", "ft3")["arr"].array_number == 3
    assert "name with | pipe and ñ" in recorded("busy", "lapalma")


@pytest.mark.parametrize("state", ["idle", "busy", "pending", "drained", "down"])
@pytest.mark.parametrize("cluster", ["mn5", "ft3", "lapalma"])
def test_everything_that_was_recorded_is_known(state: str, cluster: str) -> None:
    for job in recorded(state, cluster).values():
        assert job.state.phase is not Phase.UNKNOWN
        assert job.submitted
        assert job.partitions
        assert job.nodes
