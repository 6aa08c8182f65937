"""The lab itself: what stands under every other test on real Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from res_federation.errors import InvalidArgument, MissingComponent, Unavailable
from res_federation.lab import daemons, leftovers
from res_federation.lab.daemons import wait_for
from res_federation.lab.lab import PROGRAMS, Cluster, Lab
from res_federation.lab.plan import ClusterPlan, NodePlan, PartitionPlan
from tests.slurm.federation import PATIENCE_S

SMALL = ClusterPlan(
    "small", (NodePlan("n", 1, 4, 4096),), (PartitionPlan("p", ("n",), default=True),)
)


@pytest.fixture
def slurm(requires) -> None:
    for program in PROGRAMS:
        requires(program, daemons.PACKAGES.get(program, program))


def submit(cluster: Cluster, out: Path, command: str, *options: str) -> str:
    argv = ["sbatch", "--parsable", f"--output={out}", *options, "--wrap", command]
    done = cluster.run(argv)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().partition(";")[0]


def marked(home: Path) -> list[int]:
    """Processes of a lab: its daemons and, by their script, its jobs."""
    found = []
    for process in psutil.process_iter():
        try:
            environment, words = process.environ(), process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        # a zombie has neither
        if environment.get(leftovers.MARK) == str(home) or any(str(home) in w for w in words):
            found.append(process.pid)
    return found


@pytest.mark.parametrize("name", ["acclab", "ftlab", "palmalab"])
def test_each_cluster_runs_a_script_file(lab: Lab, tmp_path: Path, name: str):
    script, out = tmp_path / "job.sbatch", tmp_path / "out"
    script.write_text(f"#!/bin/bash\n#SBATCH --output={out}\necho ran on $SLURM_CLUSTER_NAME\n")
    assert lab.cluster(name).run(["sbatch", str(script)]).returncode == 0
    wait_for(lambda: out.is_file() and out.read_text().endswith("\n"), PATIENCE_S, "output")
    assert out.read_text() == f"ran on {name}\n"


def test_accelerators_are_given_out(h100: Cluster, tmp_path: Path):
    out = tmp_path / "out"
    submit(h100, out, "echo devices $CUDA_VISIBLE_DEVICES", "-p", "acc", "--gres=gpu:h100:2")
    wait_for(lambda: out.is_file() and out.read_text().endswith("\n"), PATIENCE_S, "output")
    assert out.read_text() == "devices 0,1\n"


def test_all_of_it_listens_on_loopback_only(lab: Lab):
    names = ("slurmdbd", "mariadbd", "munged")
    pids = [lab.daemon(name).pid for name in names]
    for cluster in lab.clusters:
        pids += [lab.daemon("slurmctld", cluster).pid]
        pids += [node.pid for node in lab.nodes(cluster)]
    heard = {
        at.laddr.ip
        for pid in pids
        for at in psutil.Process(pid).net_connections("inet")
        if at.status == psutil.CONN_LISTEN
    }
    assert heard == {"127.0.0.1"}


def test_a_controller_that_is_killed_comes_back_with_its_jobs(
    lab: Lab, plain: Cluster, tmp_path: Path
):
    number = submit(plain, tmp_path / "out", "sleep 60")
    time.sleep(6)  # past the crash window: its state is on disk
    controller = lab.daemon("slurmctld", plain)
    controller.kill()
    assert plain.run(["scontrol", "ping"]).returncode != 0
    with pytest.raises(Unavailable, match="does not run"):
        _ = controller.pid
    controller.start()
    wait_for(
        lambda: number in plain.run(["squeue", "-h", "-o", "%A"]).stdout, PATIENCE_S, "the job"
    )
    plain.run(["scancel", number])


@pytest.mark.faults
@pytest.mark.parametrize("name", ["munged", "slurmdbd", "slurmd"])
def test_every_daemon_can_be_killed_and_started_again(
    lab: Lab, a100: Cluster, tmp_path: Path, name: str
):
    daemon = lab.daemon(name, a100 if name == "slurmd" else "")
    first = daemon.pid
    daemon.kill()
    daemon.restart()
    assert daemon.pid != first
    node = lab.nodes(a100)[0].name.partition("/")[2]
    look = ["sinfo", "-h", "-N", "-n", node, "-o", "%T"]
    wait_for(lambda: "idle" in a100.run(look).stdout, PATIENCE_S, "an idle node")
    out = tmp_path / "out"
    submit(a100, out, "echo still here", "-p", "gpu", "-w", node)
    wait_for(lambda: out.is_file() and out.read_text() == "still here\n", PATIENCE_S, "output")


def test_a_controller_that_is_stopped_does_not_answer_until_it_goes_on(lab: Lab, plain: Cluster):
    controller = lab.daemon("slurmctld", plain)
    controller.send(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        plain.run(["squeue", "-h"], seconds=1)
    controller.send(signal.SIGCONT)
    assert plain.run(["squeue", "-h"]).returncode == 0


def test_the_accounting_remembers(a100: Cluster, tmp_path: Path):
    number = submit(a100, tmp_path / "out", "exit 3", "-J", "remembered", "--comment", "kept | so")
    argv = ["sacct", "-nXP", "--name=remembered", "-o", "JobIDRaw,ExitCode,Comment"]
    wait_for(
        lambda: a100.run(argv).stdout.strip() == f"{number}|3:0|kept | so",
        PATIENCE_S,
        "the accounting",
    )


# --- labs of their own


def test_a_native_federation_is_synchronised_and_spreads_jobs(slurm, tmp_path: Path):
    plans = [
        ClusterPlan(name, (NodePlan("n", 1, 1, 4096),), (PartitionPlan("p", ("n",)),))
        for name in ("here", "there")
    ]
    with Lab(plans, federation=True) as lab:
        here = lab.cluster("here")
        assert "Synced:Yes" in here.run(["scontrol", "show", "federation"]).stdout
        outs = [tmp_path / "one", tmp_path / "two"]
        for out in outs:  # each fills a cluster
            submit(here, out, "echo $SLURM_CLUSTER_NAME; sleep 30", "-p", "p")
        wait_for(lambda: all(o.is_file() and o.read_text() for o in outs), PATIENCE_S, "both jobs")
        assert {out.read_text() for out in outs} == {"here\n", "there\n"}


def test_a_plan_may_enforce_accounts_and_qualities_of_service(slurm, tmp_path: Path):
    plan = ClusterPlan(
        "strict",
        (NodePlan("n", 2, 8, 16_384, "gpu:gh200:1,fpga:2", ("arm", "ib")),),
        (
            PartitionPlan("p", ("n",), default=True),
            PartitionPlan("debug", ("n",), "10:00", options="QOS=debug AllowQos=debug"),
        ),
        max_array_size=51,
        lines=("AccountingStorageEnforce=associations,limits,qos",),
        accounting=(("add", "qos", "debug", "MaxJobsPerUser=1"),),
    )  # fmt: skip
    with Lab([plan]) as lab:
        cluster = lab.cluster("strict")
        lab.sacctmgr("modify", "account", "lab", "set", "qos=normal,debug")
        wait_for(
            lambda: cluster.run(["sbatch", "-q", "debug", "-p", "debug", "-A", "lab", "-o",
                                 "/dev/null", "--wrap", "true"]).returncode == 0,
            PATIENCE_S, "an association with the quality of service",
        )  # fmt: skip
        refused = cluster.run(["sbatch", "-A", "nobodys", "-o", "/dev/null", "--wrap", "true"])
        assert "Invalid account" in refused.stderr
        shown = cluster.run(["sinfo", "-h", "-N", "-p", "p", "-o", "%G %f"]).stdout
        assert "gpu:gh200:1" in shown
        assert "fpga:2" in shown
        assert "arm,ib" in shown


def test_nothing_is_left_of_a_lab_not_even_its_jobs(slurm, tmp_path: Path):
    out = tmp_path / "out"
    with Lab([SMALL], accounting=False) as lab:
        submit(lab.clusters[0], out, "echo begun; sleep 300")
        wait_for(lambda: out.is_file() and out.read_text() == "begun\n", PATIENCE_S, "the job")
        assert len(marked(lab.home)) >= 4  # munged, slurmctld, slurmd, the job
        home = lab.home
    assert marked(home) == []
    assert not home.exists()


def test_nothing_is_left_of_a_lab_whose_process_is_killed(slurm, tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from res_federation.lab.lab import Lab\n"
        "from res_federation.lab.plan import THREE\n"
        "with Lab(THREE[2:], accounting=False) as lab:\n"
        "    job = ['sbatch', '-o', sys.argv[1], '--wrap', 'echo begun; sleep 300']\n"
        "    assert lab.clusters[0].run(job).returncode == 0\n"
        "    print(lab.home, flush=True); sys.stdin.read()\n"
    )
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(out)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        home = Path(process.stdout.readline().strip())
        wait_for(lambda: out.is_file() and out.read_text() == "begun\n", PATIENCE_S, "the job")
        assert marked(home)
        process.kill()
    wait_for(lambda: not home.exists() and not marked(home), PATIENCE_S, "the keeper's work")


def test_a_directory_may_be_used_again_and_its_jobs_are_there(slurm):
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:  # pytest's names are too long
        home = Path(folder) / "kept"
        with Lab([SMALL], accounting=False, home=home) as lab:
            number = submit(lab.clusters[0], Path("/dev/null"), "true", "--hold")
        assert home.is_dir()
        with Lab([SMALL], accounting=False, home=home) as lab:
            assert number in lab.clusters[0].run(["squeue", "-h", "-o", "%A"]).stdout


def test_a_daemon_that_does_not_start_is_named_with_its_last_words(tmp_path: Path):
    daemon = daemons.Daemon("it", ["sh", "-c", "echo because >&2; exit 1"], {}, tmp_path / "log")
    daemon.start()
    with pytest.raises(Unavailable, match="it of the lab ended: because"):
        daemon.wait_until(lambda: False, 10)


def test_a_missing_program_is_named_with_what_installs_it(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingComponent, match=r"'munged'.*apt-get install munge"):
        Lab()


def test_a_home_whose_sockets_the_kernel_would_cut_is_refused(slurm, tmp_path: Path):
    with pytest.raises(InvalidArgument, match="too long a path"):
        Lab(home=tmp_path / ("x" * 90))
