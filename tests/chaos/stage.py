"""What a campaign plays on: three real Slurm clusters, a broker with Ray, an agent for each."""

from __future__ import annotations

import contextlib
import heapq
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

import psutil

from res_federation.lab.daemons import Daemon, free_ports, wait_for
from res_federation.lab.lab import Cluster, Lab
from res_federation.lab.plan import ClusterPlan, NodePlan, PartitionPlan
from tests.chaos.proxy import Links, Proxy

RESFED = [sys.executable, "-m", "res_federation.cli.main"]
REPOSITORY = Path(__file__).resolve().parents[2]
LEASE_S, MARGIN_S, BEAT_S = 20.0, 5.0, 1.0
CLOCK_OFF_S = 60.0
SMALL_DISK = "24m"
PLANS = (
    ClusterPlan(
        "ana",
        (NodePlan("g", 1, 4, 8_192, "gpu:h100:2"), NodePlan("c", 1, 4, 8_192)),
        (PartitionPlan("gpu", ("g",)), PartitionPlan("cpu", ("c",), default=True)),
    ),
    ClusterPlan(
        "bea",
        (NodePlan("g", 2, 4, 8_192, "gpu:a100:2"),),
        (PartitionPlan("gpu", ("g",), default=True),),
    ),
    ClusterPlan(
        "cid",
        (NodePlan("n", 2, 4, 8_192),),
        (PartitionPlan("batch", ("n",), default=True),),
        max_array_size=4,
    ),
)
"""Small clusters, so that jobs queue; at the last one most arrays are cut in pieces."""
_SUBREAPER = 36
_ADMINISTERS_EVERY_S = 10.0


@dataclass(slots=True)
class Agent:
    """One site: its cluster, its agent, its link and its directory."""

    cluster: Cluster
    daemon: Daemon
    proxy: Proxy
    state: Path
    small_disk: bool = False

    def phases(self) -> dict[str, str]:
        """Return how far each run got, by token, as the agent's journal has it."""
        with contextlib.suppress(sqlite3.Error):
            file = f"file:{self.state / 'journal.sqlite'}?mode=ro"
            with contextlib.closing(sqlite3.connect(file, uri=True, timeout=0.1)) as journal:
                return dict(
                    journal.execute("SELECT token, phase FROM run WHERE phase <> 'forgotten'")
                )
        return {}


@dataclass(order=True, slots=True)
class _Step:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)
    target: str = field(compare=False)


class Stage:
    """Everything that can be hurt, and what is to be mended when."""

    def __init__(self, home: Path, random: Random, *, accounting: bool, haste: float = 1.0) -> None:
        """Describe it; `start` starts it. *haste* shortens every outage by this factor."""
        self.haste = haste
        self.home, self.random = home, random
        self.lab = Lab(PLANS, accounting=accounting, home=home / "lab")
        self.links = Links()
        self.agents: dict[str, Agent] = {}
        self.hurt: set[str] = set()
        """What is broken on purpose now, by name."""
        self.fell: list[str] = []
        """What ended without being asked."""
        self.drained: dict[str, str] = {}
        """Nodes that Slurm drained by itself."""
        self.off_s = CLOCK_OFF_S * random.choice((-1, 1))
        self.accounting = accounting
        self._steps: list[_Step] = []
        self._number = 0
        self._mounted: list[Path] = []
        self._again: dict[str, float] = {}
        self._over = threading.Event()
        self._administrator = threading.Thread(target=self._administer, daemon=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- start and stop

    def start(self) -> None:
        """Start everything, and wait until the broker answers."""
        adopt_orphans()
        self.home.chmod(0o755)
        self.lab.start()
        port, agents_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        sites = self.home / "sites"
        for cluster in self.lab.clusters:
            self._site_file(cluster, sites / cluster.name)
        environment = {
            "RESFED_LEASE_S": str(LEASE_S), "RESFED_MARGIN_S": str(MARGIN_S),
            "RESFED_BEAT_S": str(BEAT_S), "RESFED_UP_PID": str(os.getpid()),
            "PYTHONPATH": str(self._copy_code()), "PYTHONSAFEPATH": "1",
        }  # fmt: skip
        self.broker = Daemon(
            "broker",
            [*RESFED, "broker", "serve", "--listen", self.address, "--listen-agents",
             f"127.0.0.1:{agents_port}", "--home", str(self.home / "broker"),
             "--sites", str(sites)],
            environment,
            self.home / "broker.log",
        )  # fmt: skip
        self.broker.start()
        for number, cluster in enumerate(self.lab.clusters):
            self._agent(
                cluster, sites / cluster.name / "site.toml", agents_port, number, environment
            )
        log = self.home / "broker.log"
        self._administrator.start()
        wait_for(lambda: f"ready {self.address}" in log.read_text(), 180, "the broker's ready")

    def _copy_code(self) -> Path:
        """Copy the code, so that what starts again is what was started, whoever edits meanwhile."""
        code = self.home / "code"
        for name in ("res_federation", "tests/chaos"):
            ignored = shutil.ignore_patterns("*.pyc")  # compiled kernels come along
            shutil.copytree(REPOSITORY / name, code / name, ignore=ignored)
        return code

    def _site_file(self, cluster: Cluster, directory: Path) -> None:
        directory.mkdir(parents=True)
        done = subprocess.run(
            [*RESFED, "site", "discover", "slurm", "--conf", str(cluster.conf)],
            capture_output=True, text=True, timeout=60, check=True, cwd=REPOSITORY,
        )  # fmt: skip
        (directory / "site.toml").write_text(done.stdout)

    def _agent(
        self, cluster: Cluster, site: Path, port: int, number: int, environment: dict[str, str]
    ) -> None:
        """Start an agent that comes to the agents' *port* through a proxy."""
        state = self.home / f"agent-{cluster.name}"
        state.mkdir()
        small = number == 1 and self._mount(state)
        proxy = self.links.open(port, number)
        broker, agents = self.address, f"127.0.0.1:{proxy.port}"
        if number == 2:
            off = [str(self.off_s), str(site), broker, agents, str(state), str(BEAT_S)]
            argv = [sys.executable, "-m", "tests.chaos.agent_off_by", *off]
        else:
            argv = [*RESFED, "agent", "run", "--site", str(site), "--broker", broker]
            argv += ["--state", str(state), "--agents", agents]
        log = self.home / f"agent-{cluster.name}.log"
        daemon = Daemon(f"agent {cluster.name}", argv, environment, log)
        self.agents[cluster.name] = Agent(cluster, daemon, proxy, state, small)
        daemon.start()

    def _mount(self, path: Path) -> bool:
        """Put a small disk under *path*, if this user may."""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "resfed-chaos", str(path)],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            self._mounted.append(path)
        return done.returncode == 0

    def daemons(self) -> dict[str, Daemon]:
        """Return every process that the stage keeps running, by name."""
        found = {"broker": self.broker, "munged": self.lab.daemon("munged")}
        if self.accounting:
            found["slurmdbd"] = self.lab.daemon("slurmdbd")
        for name, agent in self.agents.items():
            found[f"agent {name}"] = agent.daemon
            found[f"slurmctld {name}"] = self.lab.daemon("slurmctld", agent.cluster)
            for node in self.lab.nodes(agent.cluster):
                found[f"slurmd {node.name.rpartition('/')[2]}"] = node
        return found

    def stop(self) -> None:
        """End everything that was started here, whatever became of it."""
        self._over.set()
        self.links.close()
        for agent in self.agents.values():
            agent.daemon.send(signal.SIGCONT)
            agent.daemon.stop()
        if hasattr(self, "broker"):
            self.broker.send(signal.SIGCONT)
            self.broker.stop()
        self.lab.stop()
        end_descendants()
        for path in self._mounted:  # what lies on it is evidence
            copy = path.with_name(f"{path.name}.copy")
            with contextlib.suppress(OSError, shutil.Error):
                shutil.copytree(path, copy, symlinks=True)
            subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
            with contextlib.suppress(OSError):
                path.rmdir()
                copy.rename(path)

    # --- what is to be done later

    def later(self, seconds: float, act: Callable[[], None], target: str = "") -> None:
        """Do something in so many seconds; then *target* is whole again."""
        self._number += 1
        heapq.heappush(self._steps, _Step(time.monotonic() + seconds, self._number, act, target))

    def step(self) -> None:
        """Mend what is due, and start again what fell without being asked."""
        while self._steps and self._steps[0].at <= time.monotonic():
            self._take_first()
        now = time.monotonic()
        for name, daemon in self.daemons().items():
            if name in self.hurt or daemon.alive:
                continue
            if name not in self._again:
                self.fell.append(name)
                self._again[name] = now + 1.0
            elif now >= self._again[name]:
                del self._again[name]
                daemon.start()

    def _take_first(self) -> None:
        step = heapq.heappop(self._steps)
        step.act()
        self.hurt.discard(step.target)

    def wait(
        self, seconds: float, until: Callable[[], bool] = lambda: False, *, every_s: float = 0.02
    ) -> bool:
        """Let time pass; return whether *until* came true in it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
            if until():
                return True
            time.sleep(every_s)
        return False

    def mend(self) -> None:
        """Do at once all that was to be done later."""
        while self._steps:
            self._take_first()
        self.step()

    def _administer(self) -> None:
        """Do what an administrator does: take back the nodes that Slurm itself drained.

        A controller that was killed hard gives numbers away again, and Slurm drains a node that
        gets a job under a number that it still has ("Duplicate jobid on nodes").
        """
        while not self._over.wait(_ADMINISTERS_EVERY_S):
            for cluster in self.lab.clusters:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._resume_nodes(cluster)

    def _resume_nodes(self, cluster: Cluster) -> None:
        shown = cluster.run(["sinfo", "-h", "-N", "-o", "%N %T"], seconds=15.0).stdout
        for line in sorted(set(shown.splitlines())):
            name, _, state = line.partition(" ")
            if "drain" in state:
                self.drained[name] = state
                words = ["update", f"NodeName={name}", "State=RESUME"]
                cluster.run(["scontrol", *words], seconds=15.0)

    def write_down(self) -> None:
        """Keep what each Slurm says at the end: a job that is stuck has its cause there."""
        words = (["squeue", "-a", "-t", "all"], ["scontrol", "show", "node"],
                 ["scontrol", "show", "job"])  # fmt: skip
        for cluster in self.lab.clusters:
            with contextlib.suppress(subprocess.TimeoutExpired):
                told = "\n".join(cluster.run(each, seconds=15.0).stdout for each in words)
                (self.home / f"slurm-{cluster.name}.txt").write_text(told)


def adopt_orphans() -> None:
    """Let what loses its parent become a child of this process, so that it can be ended."""
    import ctypes

    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """Kill every process below this one, by its number; what they leave behind too."""
    for _ in range(20):
        below = psutil.Process().children(recursive=True)
        if not below:
            return
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(below, timeout=0.5)


def remove(home: Path) -> None:
    """Remove a campaign's files."""
    shutil.rmtree(home, ignore_errors=True)
