"""Jobs on real Slurm, the whole way: client, broker, agent, sbatch, payload, and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from res_federation.model.job import Job, TaskOutcome
from res_federation.model.job_state import JobState
from tests.slurm.federation import Running, once, running


@pytest.fixture(scope="module")
def federation(lab, tmp_path_factory) -> Iterator[Running]:
    with running(lab, tmp_path_factory.mktemp("jobs") / "home") as federation:
        yield federation


def tasks(job: Job) -> dict[int, TaskOutcome]:
    """Return what each task of a job's newest run came to, by index."""
    return {task.index: task for task in job.run.tasks} if job.run is not None else {}


def test_a_typed_accelerator_is_found_and_given_out(federation: Running):
    named = federation.submit("echo devices $CUDA_VISIBLE_DEVICES", "--gres=gpu:a100:1")
    untyped = federation.submit("echo devices $CUDA_VISIBLE_DEVICES", "--gres=gpu:2")
    job = federation.completed(named)
    assert (job.site, once(federation, named)) == ("ftlab", "ftlab")
    assert federation.output(named).startswith("devices ")
    assert federation.output(named).split()[1].isdigit()
    other = federation.completed(untyped)
    assert other.site in {"acclab", "ftlab"}
    assert len(federation.output(untyped).split()[1].split(",")) == 2


def test_a_payload_sees_what_its_user_gave_it(federation: Running):
    spec = federation.spec(
        'echo "$SLURM_JOB_NAME|$1|$2|$FRUIT|${PRIVATE-unset}"; echo apart >&2',
        "-J", "my job", "--export=FRUIT",
        arguments=("two words", "$HOME;*"),
        environment={"FRUIT": "a pear", "PRIVATE": "no"},
    )  # fmt: skip
    job = federation.client.submit(spec).id
    done = federation.completed(job)
    assert federation.output(job) == "my job|two words|$HOME;*|a pear|unset\n"
    assert federation.output(job, stderr=True) == "apart\n"
    assert done.exit_code == 0
    assert tasks(done)[-1].nodes.startswith(done.site)
    once(federation, job)


def test_failures_are_told_as_they_were(federation: Running):
    code = federation.submit("echo half; exit 42")
    killed = federation.submit("kill -SEGV $$")
    failed = federation.until_in(code, JobState.FAILED)
    assert (failed.exit_code, federation.output(code)) == (42, "half\n")
    assert tasks(federation.until_in(killed, JobState.FAILED))[-1].signal == 11
    once(federation, code)
    once(federation, killed)


# --- arrays


def test_an_array_beyond_the_clusters_limit_keeps_its_indices(federation: Running):
    """palmalab takes indices up to 100: this goes in two pieces."""
    body = 'echo "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT to $SLURM_ARRAY_TASK_MAX"'
    body += "; [ $SLURM_ARRAY_TASK_ID != 6000 ] || exit 3"
    wanted = [*range(5000, 5100), 6000, 6001, 6002]
    job = federation.submit(body, "--array=5000-5099,6000-6002", "-M", "palmalab")
    done = federation.until_in(job, JobState.FAILED)
    seen = tasks(done)
    assert sorted(seen) == wanted
    assert {index for index in seen if seen[index].state is JobState.FAILED} == {6000}
    assert seen[6000].exit_code == 3
    for index in (5000, 5099, 6001):
        assert federation.output(job, index) == f"{index} of 103 to 6002\n"
    for index in wanted:
        once(federation, job, index)


def test_one_task_is_cancelled_and_then_the_whole(federation: Running):
    job = federation.submit("exec sleep 300", "--array=100,101,250", "-M", "palmalab")
    federation.until(job, lambda seen: len(_running(seen)) == 3)
    federation.client.cancel(job, 250)
    federation.until(job, lambda seen: _running(seen) == {100, 101})
    federation.client.cancel(job)
    over = tasks(federation.until_in(job, JobState.CANCELLED))
    assert {task.state for task in over.values()} == {JobState.CANCELLED}
    assert sorted(over) == [100, 101, 250]


def test_a_task_that_is_cancelled_in_the_queue_never_begins(federation: Running):
    body = "while [ ! -e go ]; do sleep 0.1; done"
    job = federation.submit(body, "--array=200-202%1", "-M", "palmalab")
    federation.until(job, lambda seen: _running(seen) == {200})
    federation.client.cancel(job, 201)
    federation.until(job, lambda seen: 201 in tasks(seen))
    assert tasks(federation.client.job(job))[201].state is JobState.CANCELLED
    _go(federation, job)
    done = tasks(federation.until_in(job, JobState.CANCELLED))
    assert [done[index].state for index in (200, 202)] == [JobState.COMPLETED] * 2
    assert federation.marks(job, 201) == []


@pytest.mark.parametrize("where", ["here", "at the site"])
def test_an_array_is_cancelled_with_what_waits_of_it(federation: Running, where):
    """Slurm does not say afterwards which tasks it cancelled in the queue."""
    job = federation.submit("exec sleep 300", "--array=200-210%1", "-M", "palmalab")
    seen = federation.until(job, lambda seen: _running(seen) == {200})
    if where == "here":
        federation.client.cancel(job)
    else:
        assert seen.run is not None
        argv = ["scancel", f"--name={seen.run.token}"]
        assert federation.cluster(seen).run(argv).returncode == 0
    over = tasks(federation.until_in(job, JobState.CANCELLED))
    assert sorted(over) == list(range(200, 211))
    assert {task.state for task in over.values()} == {JobState.CANCELLED}
    assert [federation.marks(job, index) for index in range(201, 211)] == [[]] * 10


def test_a_throttle_holds_across_pieces(federation: Running):
    """Each task says how many it sees at work; the second piece waits for the first."""
    body = """\
mkdir -p atwork; : > atwork/$SLURM_ARRAY_TASK_ID
set -- atwork/*; echo $#
sleep 0.05; rm atwork/$SLURM_ARRAY_TASK_ID"""
    job = federation.submit(body, "--array=0-102%20", "-M", "palmalab")
    federation.completed(job)
    seen = [int(federation.output(job, index)) for index in (0, 50, 99, 100, 101, 102)]
    assert max(seen) <= 20


def _running(job: Job) -> set[int]:
    return {index for index, task in tasks(job).items() if task.state is JobState.RUNNING}


def _go(federation: Running, job: str) -> None:
    (federation.run_directory(federation.client.job(job)) / "work" / "go").touch()


# --- what a site does to them


def test_slurms_own_reason_is_passed_through(federation: Running):
    """The cluster is full: the first that waits waits for Resources, the next behind it."""
    full = ("-M", "palmalab", "-N", "3", "--exclusive")
    holder = federation.submit("sleep 300", *full)
    federation.until_in(holder, JobState.RUNNING)
    waiting = [federation.submit("true", *full) for _ in range(2)]
    seen = [federation.until(job, lambda s: s.reason in {"Resources", "Priority"})
            for job in waiting]  # fmt: skip
    assert {job.state for job in seen} == {JobState.SUBMITTED}
    federation.client.cancel(holder)
    for job in waiting:
        assert federation.completed(job).site == "palmalab"
        once(federation, job)
