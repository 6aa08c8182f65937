"""The whole way on a real cluster: it passes, or names the step that fails, and leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from res_federation.cli.main import execute
from res_federation.lab.lab import Cluster, Lab

Said = dict[str, dict[str, str]]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Make a directory that payloads see."""
    made = tmp_path / "shared"
    made.mkdir()
    return made


def discovered(
    cluster: Cluster, directory: Path, capsys: pytest.CaptureFixture[str], *, user: str = ""
) -> Path:
    """Write the site file of a cluster."""
    argv = ["site", "discover", "slurm", "--conf", str(cluster.conf), "--user", user]
    assert execute(argv) == 0
    file = directory / "site.toml"
    file.write_text(capsys.readouterr().out)
    return file


def probe(
    file: Path, shared: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, Said]:
    """Walk; return exit code and steps by name."""
    argv = ["site", "probe", str(file), "--state", str(shared), "--json", *options]
    code = execute(argv)
    said = json.loads(capsys.readouterr().out)
    assert said["passed"] == (code == 0)
    return code, {step["step"]: step for step in said["steps"]}


def failed(steps: Said) -> list[str]:
    """Return the steps that failed."""
    return [name for name, step in steps.items() if step["state"] == "failed"]


def left_behind(cluster: Cluster, shared: Path) -> tuple[list[Path], str]:
    """Return files and jobs that are still there."""
    done = cluster.run(["squeue", "-h", "-t", "PENDING,RUNNING", "-o", "%j", "--local"])
    return list(shared.iterdir()), done.stdout


@pytest.mark.parametrize("name", ["acclab", "ftlab", "palmalab"])
def test_a_sound_cluster_passes_and_is_left_as_it_was(lab: Lab, name, tmp_path, shared, capsys):
    cluster = lab.cluster(name)
    before = left_behind(cluster, shared)
    code, steps = probe(discovered(cluster, tmp_path, capsys), shared, capsys)
    assert (code, failed(steps)) == (0, [])
    walked = ["programs", "configuration", "controller", "account", "directory", "partition"]
    walked += ["render", "test-only", "submit", "run", "output", "cancel", "tidy up"]
    assert list(steps) == walked
    assert left_behind(cluster, shared) == before


def test_people_read_a_line_for_each_step(plain: Cluster, tmp_path, shared, capsys):
    file = discovered(plain, tmp_path, capsys)
    assert execute(["site", "probe", str(file), "--state", str(shared)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok  programs: ")
    assert lines[-1] == f"{file} passes"


def test_a_job_that_does_not_start_is_told_with_slurms_reason(
    plain: Cluster, tmp_path, shared, capsys
):
    file = discovered(plain, tmp_path, capsys)
    before = left_behind(plain, shared)
    drain = ["scontrol", "update", "NodeName=ALL"]
    assert plain.run([*drain, "State=DRAIN", "Reason=probe"]).returncode == 0
    try:
        code, steps = probe(file, shared, capsys, "--timeout", "4")
    finally:
        assert plain.run([*drain, "State=RESUME"]).returncode == 0
    assert (code, failed(steps)) == (1, ["run"])
    assert "it waits: " in steps["run"]["message"]
    assert steps["tidy up"]["state"] == "ok"
    assert left_behind(plain, shared) == before


def test_a_partition_that_is_down_is_told(a100: Cluster, tmp_path, shared, capsys):
    file = discovered(a100, tmp_path, capsys)
    name = a100.plan.partitions[0].name
    update = ["scontrol", "update", f"PartitionName={name}"]
    assert a100.run([*update, "State=DOWN"]).returncode == 0
    try:
        code, steps = probe(file, shared, capsys, "--partition", name)
    finally:
        assert a100.run([*update, "State=UP"]).returncode == 0
    assert (code, failed(steps)) == (1, ["partition"])
    assert f"{name} is DOWN" in steps["partition"]["message"]


def test_what_slurm_refuses_is_told_in_its_own_words(plain: Cluster, tmp_path, shared, capsys):
    file = discovered(plain, tmp_path, capsys)
    dialect = """site = "palmalab"
profile = "documented"
confidence = "sourced"

[account]
use = "may"
confidence = "sourced"

[qos]
use = "may"
confidence = "sourced"
"""
    for part in plain.plan.partitions:
        dialect += f"""
[[partition]]
name = "{part.name}"
directive = "{part.name}"
constraint = "nowhere"
confidence = "sourced"
"""
    (tmp_path / "dialect.toml").write_text(dialect)
    code, steps = probe(file, shared, capsys)
    assert (code, failed(steps)) == (1, ["submit"])
    assert steps["test-only"]["state"] == "hint"
    assert "Invalid feature specification" in steps["submit"]["message"]


def test_an_account_that_is_not_there_is_told(plain: Cluster, tmp_path, shared, capsys):
    file = discovered(plain, tmp_path, capsys, user="no-such-account")
    code, steps = probe(file, shared, capsys)
    assert (code, failed(steps)) == (1, ["account"])
    assert "no-such-account" in steps["account"]["message"]


def test_a_directory_that_cannot_be_made_is_told(plain: Cluster, tmp_path, shared, capsys):
    code, steps = probe(discovered(plain, tmp_path, capsys), shared / "away", capsys)
    assert (code, failed(steps)) == (1, ["directory"])


def test_programs_that_are_not_there_are_told(tmp_path, shared, capsys, monkeypatch):
    sample = Path(__file__).parents[2] / "docs" / "samples" / "site.toml"
    monkeypatch.setenv("PATH", str(tmp_path))
    code, steps = probe(sample, shared, capsys)
    assert (code, failed(steps)) == (1, ["programs"])
    assert "slurm-client" in steps["programs"]["way_out"]
