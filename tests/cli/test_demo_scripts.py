"""The demo's scripts are what they claim to be, before any federation runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from res_federation.cli.demo_jobs import foreign_jobs, own_jobs
from res_federation.config.demo import load_expectations
from res_federation.errors import InvalidArgument
from res_federation.model.job_state import JobState
from res_federation.slurm.read_answer import answer

DEMO = Path(__file__).resolve().parents[2] / "simulations" / "demo"
EXPECTED = load_expectations(DEMO / "expected.toml")
ALONE = [one for one in EXPECTED if one.file != "mn5-acc-ranks.sbatch"]  # that one needs srun


def test_every_script_is_expected_to_do_something_and_none_is_forgotten() -> None:
    assert sorted(one.file for one in EXPECTED) == sorted(
        path.name for path in (DEMO / "scripts").iterdir()
    )


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda one: one.file)
def test_sbatch_would_take_the_script(expected: object) -> None:
    text = (DEMO / "scripts" / expected.file).read_text()  # type: ignore[attr-defined]
    told = answer(expected.file, text)  # type: ignore[attr-defined]
    assert told["refused"] == ""
    assert told["found"]


@pytest.mark.parametrize(
    "expected",
    [one for one in ALONE if one.state is not JobState.INFEASIBLE],
    ids=lambda one: one.file,
)
def test_the_body_prints_what_is_expected(expected: object, tmp_path: Path) -> None:
    script = DEMO / "scripts" / expected.file  # type: ignore[attr-defined]
    wanted = expected.tasks or {0: expected.stdout}  # type: ignore[attr-defined]
    for task, text in wanted.items():
        devices = "0,1" if "devices 2" in text else "0"
        done = subprocess.run(
            ["bash", str(script)],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "SLURM_ARRAY_TASK_ID": str(task),
                "SLURM_NTASKS": "150" if "squares" in script.name else "40",
                "SLURM_NNODES": "2",
                "CUDA_VISIBLE_DEVICES": devices,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == text
        assert done.returncode == (expected.exit_code or 0)  # type: ignore[attr-defined]


def test_there_are_enough_jobs_of_enough_kinds() -> None:
    jobs = own_jobs(None)
    assert len(jobs) >= 60
    assert len({job.script for job in jobs}) >= 12
    assert any(job.spec.array for job in jobs)
    assert {bool(job.spec.request.accelerator) for job in jobs} == {True, False}
    states = [job.expected.state for job in jobs if job.expected]
    assert states.count(JobState.INFEASIBLE) == states.count(JobState.FAILED) == 1


def test_the_number_of_jobs_is_scaled_by_repeating() -> None:
    assert len(own_jobs(500)) == 500
    assert len({job.script for job in own_jobs(1)}) == len(EXPECTED)


def test_of_somebody_elses_directory_only_scripts_are_taken(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_text("#!/bin/bash\n#SBATCH -N 1\n")
    (tmp_path / "b.slurm").write_text("#!/bin/bash\ntrue\n")
    (tmp_path / "notes.txt").write_text("nothing\n")
    (tmp_path / "c.sh").write_text("#!/bin/bash\n#SBATCH --frobnicate\n")
    (tmp_path / "d.sh").write_bytes(b"\x7fELF\x00")
    jobs, unread = foreign_jobs(tmp_path, 5)
    assert [job.script for job in jobs] == ["b.slurm", "deep/a", "b.slurm", "deep/a", "b.slurm"]
    assert [one.script for one in unread] == ["c.sh", "d.sh"]
    assert "frobnicate" in unread[0].why


def test_a_directory_without_scripts_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="holds no script"):
        foreign_jobs(tmp_path, None)


def test_a_wrong_file_of_expectations_names_file_and_field(tmp_path: Path) -> None:
    file = tmp_path / "expected.toml"
    file.write_text('[[script]]\nfile = "a.sbatch"\nstate = "HAPPY"\n')
    with pytest.raises(InvalidArgument) as caught:
        load_expectations(file)
    assert str(file) in str(caught.value)
    assert "state" in str(caught.value)
