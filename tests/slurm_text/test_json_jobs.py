"""JSON of 22.05 as recorded, and the shapes of newer versions: the same jobs come out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import FederationError, Unavailable
from res_federation.model.job_state import JobState
from res_federation.slurm import json_jobs, sacct, squeue
from res_federation.slurm.slurm_states import Phase
from tests.slurm_text.test_squeue import RECORDED

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"
QUEUED: dict[str, Any] = {
    "job_id": 27, "array_job_id": 21, "array_task_id": 1, "array_task_string": "",
    "name": "TOKEN-0", "comment": "TOKEN-0 1/1", "user_name": "resfed", "account": "bsc",
    "partition": "acc,gpp", "qos": "normal", "job_state": "FAILED", "state_reason": "None",
    "state_description": "", "node_count": 2, "cpus": 40, "tasks": 2, "time_limit": 60,
    "tres_req_str": "cpu=40,mem=8G,node=2", "tres_alloc_str": "cpu=40,mem=8G,node=2",
    "tres_per_job": "", "tres_per_node": "gres:gpu:h100:2", "submit_time": 1795229037,
    "start_time": 1795229040, "end_time": 1795229050, "nodes": "n[1-2]", "priority": 99,
    "exit_code": 1792, "resv_name": "", "dependency": "",
    "job_resources": {"nodes": "n[1-2]", "allocated_hosts": 2},
}  # fmt: skip
ACCOUNTED: dict[str, Any] = {
    "job_id": 28, "name": "TOKEN-0", "user": "resfed", "account": "bsc", "partition": "acc",
    "comment": {"administrator": None, "job": "TOKEN-0 1/1", "system": None},
    "array": {"job_id": 21, "task": None, "task_id": 1},
    "association": {"account": "bsc", "user": "resfed"},
    "state": {"current": "CANCELLED", "reason": "None"}, "kill_request_user": "root",
    "exit_code": {"status": "SIGNALED", "return_code": None,
                  "signal": {"signal_id": 15, "name": "Terminated"}},
    "time": {"submission": 1795229037, "start": 1795229040, "end": 1795229050},
    "nodes": "n1",
    "tres": {"allocated": [
        {"type": "cpu", "name": None, "id": 1, "count": 20},
        {"type": "mem", "name": None, "id": 2, "count": 1024},
        {"type": "energy", "name": None, "id": 3, "count": None},
        {"type": "gres", "name": "gpu:h100", "id": 1002, "count": 2},
    ]},
}  # fmt: skip


def number(value: int | None, *, infinite: bool = False) -> dict[str, Any]:
    return {"set": value is not None, "infinite": infinite, "number": value or 0}


def queued(**changed: Any) -> Any:
    text = json.dumps({"errors": [], "jobs": [QUEUED | changed]})
    jobs, bad = json_jobs.read_queue(text)
    assert bad == 0
    return jobs[0]


def accounted(**changed: Any) -> Any:
    text = json.dumps({"errors": [], "jobs": [ACCOUNTED | changed]})
    jobs, bad = json_jobs.read_accounting(text)
    assert bad == 0
    return jobs[0]


def test_a_job_of_the_queue() -> None:
    job = queued()
    assert (job.number, job.array_number, job.array_indices()) == (27, 21, (1,))
    assert (job.state.end, job.exit_code, job.signal) == (JobState.FAILED, 7, 0)
    assert (job.tres.gpus, job.tres.gpus_by_type) == (4, (("h100", 4),))
    assert (job.time_limit_s, job.node_list) == (3600, "n[1-2]")


def test_a_job_of_the_accounting() -> None:
    job = accounted()
    assert (job.number, job.array_number, job.array_indices()) == (28, 21, (1,))
    assert (job.state.by, job.exit_code, job.signal) == ("root", 0, 15)
    assert (job.comment, job.user, job.account) == ("TOKEN-0 1/1", "resfed", "bsc")
    assert (job.tres.cpus, job.tres.memory_mib, job.tres.gpus) == (20, 1024, 2)


@pytest.mark.parametrize(
    "changed",
    [
        {"job_state": ["FAILED"]},
        {key: number(QUEUED[key]) for key in ("array_job_id", "array_task_id", "node_count",
         "cpus", "tasks", "time_limit", "submit_time", "start_time", "end_time", "priority")},
        {"exit_code": number(1792)},
        {"exit_code": {"status": ["ERROR"], "return_code": number(7),
                       "signal": {"id": number(None), "name": ""}}},
        {"tres_per_node": "gres/gpu:h100=2"},
        {"nodes": {"list": "n[1-2]", "count": 2}},
        {"nodes": "", "job_resources": {"nodes": {"list": "n[1-2]", "allocation": []}}},
    ],
)  # fmt: skip
def test_newer_shapes_of_the_queue_are_the_same_job(changed: dict[str, Any]) -> None:
    assert queued(**changed) == queued()


@pytest.mark.parametrize(
    "changed",
    [
        {"state": {"current": ["CANCELLED"], "reason": "None"}},
        {"array": {"job_id": 21, "task": "", "task_id": number(1)}},
        {"exit_code": {"status": ["SIGNALED"], "return_code": number(0),
                       "signal": {"id": number(15), "name": "TERM"}}},
        {"user": ""}, {"account": None},
        {"time": {"submission": 1795229037, "start": number(1795229040), "end": 1795229050}},
    ],
)  # fmt: skip
def test_newer_shapes_of_the_accounting_are_the_same_job(changed: dict[str, Any]) -> None:
    assert accounted(**changed) == accounted()


def test_nodes_that_stand_one_by_one() -> None:
    nodes = {"allocation": [{"name": "n1"}, {"name": "n2"}, {"index": 3}]}
    assert queued(nodes=nodes).node_list == "n1,n2"


def test_limits_without_an_end() -> None:
    for limit in (None, 0xFFFFFFFF, number(None, infinite=True), number(None)):
        assert queued(time_limit=limit).time_limit_s is None


def test_flags_beside_the_state() -> None:
    assert queued(job_state=["COMPLETED", "COMPLETING"]).state.phase is Phase.ENDING
    assert queued(job_state=["RUNNING", "CONFIGURING"]).state.phase is Phase.WAITING
    assert queued(job_state=["PENDING"], start_time=0).expected_start is None


def test_the_accounting_of_22_05_does_not_know_how_a_job_failed() -> None:
    exit_code = {"status": "SUCCESS", "return_code": 0}
    failed = {"current": "FAILED", "reason": "None"}
    assert accounted(state=failed, exit_code=exit_code).exit_code is None


@pytest.mark.parametrize(
    ("task", "indices"),
    [("0x1FFFFF", tuple(range(21))), ("0x5", (0, 2)), ("0-3", (0, 1, 2, 3)), ("0xzz", ()),
     ("0x", ()), ("0x" + "f" * 40_000, ())],
)  # fmt: skip
def test_tasks_that_wait_are_a_bitmap_or_a_list(task: str, indices: tuple[int, ...]) -> None:
    job = accounted(array={"job_id": 21, "task": task, "task_id": None})
    assert job.array_indices() == indices


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"jobs": [], "errors": [{"error": "Unable to contact slurm controller", "errno": -1}]}',
         "Unable to contact slurm controller"),
        ('{"jobs": [], "errors": [{"description": "d", "error": "e"}]}', "e: d"),
        ('{"jobs": [], "errors": "broken"}', "broken"),
        ('{"errors": []}', "lists no jobs"), ("[]", "lists no jobs"), ("", "no JSON"),
        ("{" * 20_000, "no JSON"), ("[" * 20_000, "no JSON"), ("9" * 9_000, "no JSON"),
    ],
)  # fmt: skip
def test_a_failure_is_an_error_and_never_an_empty_queue(text: str, says: str) -> None:
    for read in (json_jobs.read_queue, json_jobs.read_accounting):
        with pytest.raises(Unavailable) as caught:
            read(text)
        assert says in str(caught.value)


def test_no_job_of_that_name_is_an_answer_and_no_failure() -> None:
    error = {"description": "Nothing found", "error_number": 9003, "error": "Nothing found with"}
    assert json_jobs.read_accounting(json.dumps({"jobs": [], "errors": [error]})) == ((), 0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(sorted(QUEUED)), VALUES, max_size=6),
    st.dictionaries(st.sampled_from(sorted(ACCOUNTED)), VALUES, max_size=6),
)
def test_any_values_in_any_field_are_a_job_or_none(
    queue: dict[str, Any], accounting: dict[str, Any]
) -> None:
    records = [QUEUED | queue, ACCOUNTED | accounting, 3]
    text = json.dumps({"jobs": records, "errors": []})
    for read in (json_jobs.read_queue, json_jobs.read_accounting):
        try:
            jobs, bad = read(text)
        except FederationError as error:
            assert str(error)
        else:
            assert len(jobs) + bad == 3


def recorded(state: str, cluster: str, name: str) -> str:
    path = FIXTURES / state / cluster / name
    if not path.exists():
        pytest.skip("no recorded outputs beside the repository")
    return path.read_bytes().decode(errors="replace")


STATES = ["idle", "busy", "pending", "drained", "down"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("cluster", ["mn5", "ft3", "lapalma"])
def test_recorded_json_and_text_of_the_queue_are_the_same_jobs(state: str, cluster: str) -> None:
    jobs, bad = json_jobs.read_queue(recorded(state, cluster, "squeue.json"))
    text = recorded(state, cluster, "squeue_O.txt")
    listed = {job.number: job for job in squeue.read(text, form=RECORDED)[0]}
    assert bad == 0
    assert {job.number for job in jobs} == set(listed)
    for job in jobs:
        # The text form says 1 of a job that never had a core, and cut a long reason.
        same = replace(job, cores=listed[job.number].cores, reason=job.reason[:80].strip())
        assert same == listed[job.number]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("cluster", ["mn5", "ft3", "lapalma"])
def test_recorded_json_and_text_of_the_accounting_are_the_same_jobs(
    state: str, cluster: str
) -> None:
    jobs, bad = json_jobs.read_accounting(recorded(state, cluster, "sacct.json"))
    text = recorded(state, cluster, "sacct.txt")
    columns = text.partition("\n")[0].split("|")
    listed = {job.number: job for job in sacct.read(text, columns=columns, free="JobName")[0]}
    assert bad == 0
    for job in jobs:
        other = listed[job.number]
        assert (job.name, job.array, job.tres, job.submitted, job.partitions) == (
            other.name, other.array, other.tres, other.submitted, other.partitions
        )  # fmt: skip
        if job.state.phase is other.state.phase:  # it ended between the two commands
            assert (job.state.word, job.ended, job.signal) == (
                other.state.word, other.ended, other.signal
            )  # fmt: skip
            assert job.exit_code in (None, other.exit_code)


def test_a_recorded_queue_without_a_controller_is_a_failure() -> None:
    with pytest.raises(Unavailable):
        json_jobs.read_queue(recorded("ctld_down", "lapalma", "squeue.json"))
