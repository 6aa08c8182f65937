"""The lab itself: what stands under every other test on real Slurm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from res_federation.lab.daemons import wait_for
from res_federation.lab.lab import Cluster, Lab


def submit(cluster: Cluster, out: Path, command: str, *options: str) -> str:
    argv = ["sbatch", "--parsable", f"--output={out}", *options, "--wrap", command]
    done = cluster.run(argv)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["acclab", "ftlab", "palmalab"])
def test_each_cluster_runs_a_job(lab: Lab, tmp_path: Path, name: str):
    out = tmp_path / "out"
    submit(lab.cluster(name), out, "echo ran on $SLURM_CLUSTER_NAME")
    wait_for(lambda: out.is_file() and out.read_text().endswith("\n"), 30, "output")
    assert out.read_text() == f"ran on {name}\n"


def test_accelerators_are_given_out(h100: Cluster, tmp_path: Path):
    out = tmp_path / "out"
    submit(h100, out, "echo devices $CUDA_VISIBLE_DEVICES", "-p", "acc", "--gres=gpu:h100:2")
    wait_for(lambda: out.is_file() and out.read_text().endswith("\n"), 30, "output")
    assert out.read_text() == "devices 0,1\n"


def test_a_controller_that_is_killed_comes_back(lab: Lab, plain: Cluster, tmp_path: Path):
    number = submit(plain, tmp_path / "out", "sleep 60")
    time.sleep(6)  # past the crash window: its state is on disk
    controller = lab.daemon("slurmctld", plain)
    controller.kill()
    assert plain.run(["scontrol", "ping"]).returncode != 0
    controller.start()
    wait_for(lambda: number in plain.run(["squeue", "-h", "-o", "%A"]).stdout, 30, "the job")
    plain.run(["scancel", number])


def test_the_accounting_remembers(a100: Cluster, tmp_path: Path):
    number = submit(a100, tmp_path / "out", "exit 3", "-J", "remembered", "--comment", "kept | so")
    argv = ["sacct", "-nXP", "--name=remembered", "-o", "JobIDRaw,ExitCode,Comment"]
    wait_for(
        lambda: a100.run(argv).stdout.strip() == f"{number}|3:0|kept | so", 40, "the accounting"
    )
