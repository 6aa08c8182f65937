"""The accounting: what is asked for, what is read, and what was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.job_state import JobState
from res_federation.slurm import sacct
from res_federation.slurm.sacct import AccountedJob
from res_federation.slurm.slurm_states import Phase

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"
ROW = {
    "JobIDRaw": "28", "JobID": "21_1", "User": "resfed", "Account": "bsc", "Partition": "acc",
    "State": "FAILED", "ExitCode": "7:0", "Reason": "None", "Submit": "1795229037",
    "Start": "1795229040", "End": "1795229050", "NodeList": "mn5-acc1",
    "AllocTRES": "billing=20,cpu=20,gres/gpu:h100=2,gres/gpu=2,mem=100G,node=1",
    "JobName": "TOKEN-0", "Comment": "TOKEN-0 1/1",
}  # fmt: skip


def line(**row: str) -> str:
    return "|".join({**ROW, **row}[name] for name in sacct.COLUMNS) + "\n"


def of(**row: str) -> AccountedJob:
    jobs, bad = sacct.read(line(**row))
    assert bad == 0
    (job,) = jobs
    return job


def recorded(state: str, cluster: str) -> dict[str, AccountedJob]:
    path = FIXTURES / state / cluster / "sacct.txt"
    if not path.exists():
        pytest.skip("no recorded outputs beside the repository")
    text = path.read_bytes().decode(errors="replace")
    jobs, bad = sacct.read(text, columns=text.partition("\n")[0].split("|"), free="JobName")
    assert bad == 0
    return {job.name: job for job in jobs}


def test_one_command_asks_for_many_jobs() -> None:
    words = sacct.argv(["one", "two"], "now-8days")
    assert words[0] == "sacct"
    assert {"-a", "-n", "-X", "-D", "-P", "--name=one,two", "now-8days"} <= set(words)
    assert "--jobs=3,4" in sacct.argv(numbers=[3, 4])


def test_jobs_of_others_do_not_count_where_our_account_is_known() -> None:
    words = sacct.argv(["one"], "now-1days", user="resfed")
    assert "--user=resfed" in words
    assert "-a" not in words


def test_every_field() -> None:
    job = of()
    assert (job.number, job.array_number, job.array, job.array_indices()) == (28, 21, "1", (1,))
    assert (job.name, job.comment, job.user) == ("TOKEN-0", "TOKEN-0 1/1", "resfed")
    assert (job.state.end, job.exit_code, job.signal) == (JobState.FAILED, 7, 0)
    assert (job.submitted, job.started, job.ended) == (1795229037, 1795229040, 1795229050)
    assert (job.node_list, job.reason, job.partitions) == ("mn5-acc1", "", ("acc",))
    assert (job.tres.cpus, job.tres.gpus_by_type) == (20, (("h100", 2),))


def test_tasks_that_wait_together_and_parts_of_one_job() -> None:
    job = of(JobIDRaw="17", JobID="17_[0-20]", State="PENDING", ExitCode="0:0", Start="Unknown",
             End="Unknown", NodeList="None assigned")  # fmt: skip
    assert (job.array_number, len(job.array_indices()), job.exit_code) == (17, 21, None)
    assert (job.started, job.ended, job.node_list) == (None, None, "")
    assert of(JobIDRaw="25", JobID="24+1").array_number is None


def test_who_cancelled_and_which_signal() -> None:
    job = of(State="CANCELLED by 1000", ExitCode="0:15")
    assert (job.state.by, job.exit_code, job.signal) == ("1000", 0, 15)


def test_bars_belong_to_the_comment() -> None:
    assert of(Comment="a|b||c").comment == "a|b||c"


def test_a_comment_of_several_lines_does_not_spoil_the_next_job() -> None:
    jobs, bad = sacct.read(line(Comment="a\nb|c\x0cd\u2028e") + line(JobIDRaw="29"))
    assert ([job.number for job in jobs], bad) == ([28, 29], 1)


def test_headings_are_no_job() -> None:
    assert sacct.read("|".join(sacct.COLUMNS) + "\n\n") == ((), 0)


@given(st.lists(st.text(), min_size=15, max_size=15))
def test_any_cells_are_a_job_or_a_bad_line(cells: list[str]) -> None:
    for job in sacct.read("|".join(cells))[0]:
        job.array_indices()


@given(st.text(alphabet="0123_[]-,:%.|\n"))
def test_any_text_is_read(text: str) -> None:
    jobs, bad = sacct.read(text, columns=["JobIDRaw", "JobName", "JobID"], free="JobName")
    assert len(jobs) + bad <= text.count("\n") + 1


def test_recorded_jobs() -> None:
    jobs = recorded("pending", "mn5")
    assert (jobs["bad"].exit_code, jobs["killed"].signal) == (7, 9)
    assert jobs["cancelrun"].state.by == "0"
    assert jobs["toolong"].reason == "PartitionConfig"
    assert jobs["train-a"].submitted == 1795229037
    assert "name with | pipe and ñ" in recorded("busy", "lapalma")
    assert len(recorded("pending", "ft3")["arrq"].array_indices()) == 21


@pytest.mark.parametrize("state", ["idle", "busy", "pending", "drained", "down", "ctld_down"])
@pytest.mark.parametrize("cluster", ["mn5", "ft3", "lapalma"])
def test_everything_that_was_recorded_is_known(state: str, cluster: str) -> None:
    for job in recorded(state, cluster).values():
        assert job.state.phase is not Phase.UNKNOWN
        assert job.submitted
