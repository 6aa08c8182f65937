from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from res_federation.agent.batch import Accepted, Found, Refused, RunRequest
from res_federation.agent.local.slots import HostSlots
from res_federation.agent.rundir import RunDirectory
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.identifiers import PartitionId, RunToken
from res_federation.model.job import script_bytes
from res_federation.model.job_state import JobState
from res_federation.model.resources import ResourceRequest
from res_federation.slurm.dialect import Dialect, PartitionRule, Use
from res_federation.slurm.render import Rendered, render_understood
from tests.agent.patience import comes


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_a_job_runs_and_its_output_is_read(bench) -> None:
    task, out = await bench.run(bench.spec("echo hello; echo oops >&2"))
    assert (task.state, task.exit_code, task.signal) == (JobState.COMPLETED, 0, 0)
    assert task.started is not None
    assert task.ended is not None
    assert task.started <= task.ended
    assert out == "hello\n"
    assert task.nodes == "cpu-0001"


async def test_exit_codes_and_signals_are_told(bench) -> None:
    failed, _ = await bench.run(bench.spec("exit 3"))
    assert (failed.state, failed.exit_code, failed.signal) == (JobState.FAILED, 3, 0)
    killed, _ = await bench.run(bench.spec("kill -9 $$"))
    assert (killed.state, killed.exit_code, killed.signal) == (JobState.FAILED, 137, 9)


async def test_the_interpreter_line_is_honoured_and_arguments_arrive(bench) -> None:
    spec = bench.spec("", arguments=("a b", "*"))
    python = type(spec)(
        name="py", user="ana", arguments=("a b", "*"),
        script="#!/usr/bin/env python3\nimport sys; print(sys.argv[1:])\n",
    )  # fmt: skip
    _, out = await bench.run(python)
    assert out == "['a b', '*']\n"
    broken = type(spec)(name="no", user="ana", script="no interpreter line\n")
    token = await bench.submit(broken)
    (task,) = await bench.end(token)
    assert (task.state, task.exit_code) == (JobState.FAILED, 126)
    assert "cannot start the script" in bench.text(token, "err.batch")


async def test_the_time_limit_ends_the_whole_group(bench) -> None:
    spec = bench.spec("trap '' TERM; sleep 60 & echo $! > child; set -m; sleep 60", time_limit_s=1)
    token = await bench.submit(spec)
    (task,) = await bench.end(token)
    assert task.state is JobState.TIMEOUT
    assert not bench.alive(int(bench.text(token, "work/child")))


async def test_cancel_of_running_and_of_waiting(bench) -> None:
    whole = ResourceRequest(nodes=4, exclusive=True)
    first = await bench.submit(bench.spec("echo up; sleep 60", request=whole))
    second = await bench.submit(bench.spec("echo never", request=whole))
    await bench.until(first, lambda found: bool(found.tasks))
    assert (await bench.look(second)).reason == "Resources"
    await bench.batch.cancel(second, None)
    await bench.batch.cancel(first, None)
    (task,) = await bench.end(first)
    assert task.state is JobState.CANCELLED
    (task,) = await bench.end(second)
    assert (task.state, task.started) == (JobState.CANCELLED, None)


async def test_an_array_keeps_to_its_throttle_and_numbers_its_tasks(bench) -> None:
    body = "echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT; sleep 0.1"
    token = await bench.submit(bench.spec(body, array=(2, 4, 6, 8), array_throttle=2))
    tasks = await bench.end(token, tasks=4)
    assert [task.index for task in tasks] == [2, 4, 6, 8]
    assert {task.state for task in tasks} == {JobState.COMPLETED}
    moments = sorted(
        [(task.started or 0.0, 1) for task in tasks] + [(task.ended or 0.0, -1) for task in tasks]
    )
    level = highest = 0
    for _, step in moments:
        level += step
        highest = max(highest, level)
    assert highest == 2
    number = tasks[0].batch_id
    assert bench.text(token, "out.6") == f"{number} 6 4\n"


async def test_one_task_of_an_array_is_cancelled(bench) -> None:
    token = await bench.submit(bench.spec("sleep 0.3", array=(0, 1, 2), array_throttle=1))
    await bench.batch.cancel(token, 1)
    states = [task.state for task in await bench.end(token, tasks=3)]
    assert states == [JobState.COMPLETED, JobState.CANCELLED, JobState.COMPLETED]


async def test_variables_of_slurm_are_set(bench) -> None:
    request = ResourceRequest(
        nodes=2, tasks_per_node=2, cpus_per_task=2, accelerators_per_node=2,
        accelerator=AcceleratorNeed("a100"),
    )  # fmt: skip
    os.environ["RESFED_TOKEN"] = "secret"
    try:
        spec = bench.spec(
            "env", request=request, environment=(("MINE", "1"), ("SLURM_JOB_ID", "7"))
        )
        _, out = await bench.run(spec, bench.gpu)
    finally:
        del os.environ["RESFED_TOKEN"]
    seen = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    assert seen["SLURM_NTASKS"] == "4"
    assert seen["SLURM_JOB_NUM_NODES"] == "2"
    assert seen["SLURM_TASKS_PER_NODE"] == "2(x2)"
    assert seen["SLURM_JOB_NODELIST"] == "gpu-[0001-0002]"
    assert seen["SLURM_CPUS_ON_NODE"] == "4"
    assert seen["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert seen["SLURM_CLUSTER_NAME"] == "box"
    assert seen["RESFED_SITE"] == "here"
    assert seen["MINE"] == "1"
    assert seen["SLURM_JOB_ID"] != "7"
    assert "RESFED_TOKEN" not in seen


async def test_two_jobs_on_a_node_have_different_devices(bench) -> None:
    request = ResourceRequest(accelerators_per_node=1, accelerator=AcceleratorNeed())
    spec = bench.spec("echo $CUDA_VISIBLE_DEVICES; sleep 0.3", request=request)
    tokens = [await bench.submit(spec, partition=bench.gpu) for _ in range(4)]
    nodes = {(await bench.end(token))[0].nodes for token in tokens}
    assert nodes == {"gpu-0001"}
    assert sorted(bench.text(token, "out.batch") for token in tokens) == [
        "0\n", "1\n", "2\n", "3\n",
    ]  # fmt: skip


async def test_what_does_not_fit_is_refused_with_its_reason(bench) -> None:
    async def refusal(partition: str, **more: object) -> str:
        spec = bench.spec("true", **more)
        outcome = await bench.batch.submit(
            RunRequest(RunToken("T-1"), PartitionId(partition), spec, Path("/nowhere"))
        )
        assert isinstance(outcome, Refused)
        return outcome.text

    assert "here/box/dark" in await refusal("here/box/dark")
    assert "5 needed, 4 there" in await refusal(bench.cpu, request=ResourceRequest(cpus_per_task=5))
    assert "limit of 4 nodes" in await refusal(bench.cpu, request=ResourceRequest(nodes=5))
    assert "7200 seconds" in await refusal(bench.cpu, time_limit_s=7201)
    assert "memory unknown" in await refusal(
        bench.gpu, request=ResourceRequest(memory_per_node_mib=1)
    )
    need = AcceleratorNeed("h100")
    wrong = ResourceRequest(accelerator=need, accelerators_per_node=1)
    assert "wrong accelerator" in await refusal(bench.gpu, request=wrong)


async def test_submitting_a_token_again_changes_nothing(bench) -> None:
    spec = bench.spec("echo once >> ../../../marks")
    token = await bench.submit(spec)
    request = RunRequest(token, bench.cpu, spec, bench.state / "runs" / token)
    again = await bench.batch.submit(request)
    await bench.end(token)
    assert await bench.batch.submit(request) == again
    assert isinstance(again, Accepted)
    await bench.restart()
    assert await bench.batch.submit(request) == again
    assert (bench.state / "marks").read_text() == "once\n"


async def test_a_job_goes_on_across_a_restart_and_keeps_its_nodes(bench) -> None:
    whole = ResourceRequest(nodes=4, exclusive=True)
    body = "echo up; while [ ! -e go ]; do sleep 0.05; done; echo done"
    token = await bench.submit(bench.spec(body, request=whole))
    behind = await bench.submit(bench.spec("echo after", request=whole))
    await bench.appears(token, "out.batch")
    await bench.restart()
    (task,) = (await bench.look(token)).tasks
    assert task.state is JobState.RUNNING
    cpu = next(c for c in (await bench.batch.capacity()).partitions if c.id == bench.cpu)
    assert cpu.free == ()
    assert cpu.pending_jobs == 1
    assert [release.nodes for release in cpu.releases] == [4]
    (bench.state / "runs" / token / "work" / "go").touch()
    (task,) = await bench.end(token)
    assert task.state is JobState.COMPLETED
    assert bench.text(token, "out.batch") == "up\ndone\n"
    (task,) = await bench.end(behind)
    assert task.state is JobState.COMPLETED


async def test_the_limit_holds_for_a_job_that_was_found_again(bench) -> None:
    token = await bench.submit(bench.spec("sleep 60", time_limit_s=1))
    await bench.until(token, lambda found: bool(found.tasks))
    await bench.restart()
    (task,) = await bench.end(token)
    assert task.state is JobState.TIMEOUT


async def test_a_wrapper_that_vanishes_is_a_failed_node_and_leaves_nothing(bench) -> None:
    token = await bench.submit(bench.spec("echo $$; exec sleep 60"))
    begun = bench.state / "runs" / token / "begun.batch"
    await bench.appears(token, "out.batch")
    os.kill(int(begun.read_text().split()[0]), signal.SIGKILL)
    (task,) = await bench.end(token)
    assert task.state is JobState.NODE_FAIL
    assert "no exit file" in task.reason
    payload = int(bench.text(token, "out.batch"))
    await comes(lambda: not bench.alive(payload), "the payload's end")


async def test_without_a_lease_nothing_begins(bench) -> None:
    token = await bench.submit(bench.spec("echo begun"), lease_s=-1.0)
    (task,) = await bench.end(token)
    assert task.state is JobState.FAILED
    assert task.reason == "lease expired before start"
    assert task.started is None
    assert not (bench.state / "runs" / token / "out.batch").exists()


async def test_the_mark_keeps_a_payload_from_beginning_again(bench) -> None:
    token = await bench.submit(bench.spec("echo again"))
    await bench.batch.close()  # before the queue was looked at
    directory = bench.state / "runs" / token
    (directory / "begun.batch").write_text("1 1 another-boot 5.0\n")
    bench.batch = bench.fresh()
    (task,) = await bench.end(token)
    assert task.state is JobState.NODE_FAIL
    assert "machine was started anew" in task.reason
    assert not (directory / "out.batch").exists()


async def test_the_host_limit_is_shared_and_named(bench, tmp_path: Path) -> None:
    slots = HostSlots(2)
    one, two = (type(bench)(bench.site, tmp_path / name, slots) for name in ("a", "b"))
    tokens = [(b, await b.submit(bench.spec("sleep 0.1"))) for _ in range(4) for b in (one, two)]
    reasons = set()
    for owner, token in tokens:

        def seen(found: Found) -> bool:
            reasons.add(found.reason)
            assert slots.used <= 2
            return all(task.state.final for task in found.tasks) and bool(found.tasks)

        await owner.until(token, seen)
    assert "HostLimit" in reasons
    assert slots.used == 0
    for owner in (one, two):
        await owner.batch.close()


async def test_hostile_names_stay_in_the_run_directory(bench, tmp_path: Path) -> None:
    for name, output in (
        ("../../x", "/etc/passwd"), ("a/../../b", "%x/../../%x.log"), ("x\0y\n", "../../../up"),
        ("--", "/"), ("%j", "logs/%4j_%a.out"),
    ):  # fmt: skip
        token = await bench.submit(bench.spec("echo mine", name=name, output=output))
        (task,) = await bench.end(token)
        assert task.state is JobState.COMPLETED
        work = bench.state / "runs" / token / "work"
        links = [path for path in work.rglob("*") if path.is_symlink()]
        assert all(link.read_text() == "mine\n" for link in links)
        assert len(links) == (output != "/")
    assert names(tmp_path) == ["state"]
    assert names(bench.state / "runs") == [f"01J{n:023d}-1" for n in range(1, 6)]


async def test_srun_starts_the_tasks(bench) -> None:
    request = ResourceRequest(nodes=2, tasks=5)
    body = """srun bash -c 'echo $SLURM_PROCID/$SLURM_NTASKS $SLURM_NODEID $SLURM_LOCALID' | sort
srun -n 2 --mpi=pmix --cpu-bind=cores -l echo two
srun --strange -n 3 bash -c 'exit $SLURM_PROCID' ; echo code $?
srun nothing-like-this; echo code $?"""
    token = await bench.submit(bench.spec(body, request=request))
    await bench.end(token)
    assert bench.text(token, "out.batch").splitlines() == [
        "0/5 0 0", "1/5 0 1", "2/5 0 2", "3/5 1 0", "4/5 1 1", "two", "two", "code 2", "code 2",
    ]  # fmt: skip
    assert "option '--strange' is not known here" in bench.text(token, "err.batch")


async def test_after_an_end_idleness_is_quiet(bench) -> None:
    token = await bench.submit(bench.spec("true"))
    (task,) = await bench.end(token)
    assert task.ended is not None
    before = time.process_time()
    await asyncio.sleep(0.3)
    assert time.process_time() - before < 0.1


async def test_the_payload_is_the_script_as_the_site_would_be_given_it(bench) -> None:
    cpu = PartitionRule("cpu", directive="batch", memory=Use.MUST, memory_per_core_mib=512)
    bench.dialect = Dialect("here", "Box", rules={"cpu": cpu})
    await bench.restart()
    spec = replace(bench.spec("cat $0"), script="#!/bin/bash\n# \udce1\ncat $0\n")
    written = render_understood(spec, bench.dialect, bench.site.partitions[0])
    assert isinstance(written, Rendered)
    assert "--mem-per-cpu=512M" in written.script
    token = await bench.submit(spec)
    await bench.restart()
    (task,) = await bench.end(token)
    assert task.state is JobState.COMPLETED
    there = RunDirectory.of(bench.state / "runs", token)
    printed, _ = there.read_output(-1, error=False, offset=0, limit=10_000)
    assert printed == script_bytes(written.script)
    assert bench.accepted == Accepted("1", sha256(script_bytes(written.script)).hexdigest())
