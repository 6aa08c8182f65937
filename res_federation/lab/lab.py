"""`Lab`: munge, database, accounting and real Slurm clusters, up in seconds and gone after."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from res_federation.errors import InvalidArgument, Unavailable
from res_federation.lab import conf_files, daemons, leftovers
from res_federation.lab.daemons import Daemon, Done
from res_federation.lab.plan import THREE, ClusterPlan

PROGRAMS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "sbatch")
_UP_S = 40.0
_LONGEST_SOCKET = 107  # bytes in the path of a local socket, Linux
_FEDERATION = "labfed"
_ALREADY = ("Nothing new added", "already exists", "already assigned")
_ROOM_BYTES = 600 * 2**20


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster that runs.

    Attributes:
        plan: What it consists of.
        home: Its directory.
        conf: Path of its slurm.conf.
        port: Of its controller, on loopback.

    """

    plan: ClusterPlan
    home: Path
    conf: Path
    port: int

    @property
    def name(self) -> str:
        """Its name."""
        return self.plan.name

    def environment(self) -> dict[str, str]:
        """Return what Slurm's commands need to find it."""
        return {"SLURM_CONF": str(self.conf)}

    def run(self, argv: Sequence[str], *, seconds: float = 30.0, given: str = "") -> Done:
        """Run one of Slurm's commands against it."""
        return daemons.run(argv, self.environment(), seconds=seconds, given=given)


class Lab:
    """Real clusters on loopback; a context manager that leaves nothing behind."""

    def __init__(
        self,
        plans: Sequence[ClusterPlan] = THREE,
        *,
        federation: bool = False,
        accounting: bool = True,
        nodes_run: bool = True,
        home: Path | None = None,
    ) -> None:
        """Describe the lab.

        Args:
            plans: Its clusters.
            federation: Whether they form one of Slurm's own federations.
            accounting: Whether they keep an accounting; a federation needs it.
            nodes_run: Whether each node has a slurmd. Without, no job runs, and clusters of
                thousands of nodes stand in a second: enough for ``sbatch --test-only``.
            home: Where its files lie; by default a directory in memory that is removed after.

        Raises:
            MissingComponent: If a program of Slurm, munge or MariaDB is not on this machine.
            InvalidArgument: If *home* is too long a path for the sockets below it.

        """
        daemons.require(*(PROGRAMS if accounting else ("munged", *PROGRAMS[3:])))
        self._kept = home is not None
        self.home = home.absolute() if home is not None else _new_home()
        self._plans, self._federated, self._accounted = tuple(plans), federation, accounting
        self._nodes_run = nodes_run
        self._check_lengths()
        self._keeper: daemons.Keeper | None = None
        self._user = pwd.getpwuid(os.geteuid()).pw_name
        self._munge = self.home / "munge.socket"
        self._daemons: dict[str, Daemon] = {}
        self.clusters: tuple[Cluster, ...] = ()

    def __enter__(self) -> Self:
        """Start everything and wait until every node is idle."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything."""
        self.stop()

    def cluster(self, name: str) -> Cluster:
        """Return the cluster called *name*."""
        return next(cluster for cluster in self.clusters if cluster.name == name)

    def daemon(self, name: str, of: Cluster | str = "") -> Daemon:
        """Return a process: ``munged``, ``mariadbd``, ``slurmdbd``, or one of a cluster.

        Of a cluster it is ``slurmctld``, or ``slurmd`` for that of its first node, or the name of
        a node for its slurmd.
        """
        cluster = of if isinstance(of, str) else of.name
        if name == "slurmd":
            name = self.nodes(self.cluster(cluster))[0].name.split("/")[1]
        return self._daemons[f"{cluster}/{name}" if cluster else name]

    def nodes(self, cluster: Cluster) -> list[Daemon]:
        """Return the slurmd of every node of a cluster."""
        return [
            daemon
            for key, daemon in self._daemons.items()
            if key.startswith(f"{cluster.name}/") and not key.endswith("/slurmctld")
        ]

    def sacctmgr(self, *words: str) -> str:
        """Run sacctmgr without a question; return its output.

        Raises:
            Unavailable: If it fails for another reason than that all is so already.

        """
        done = self.clusters[0].run(["sacctmgr", "-i", *words])
        said = " ".join((done.stdout + done.stderr).split())
        if done.returncode != 0 and not any(word in said for word in _ALREADY):
            raise Unavailable(f"sacctmgr {' '.join(words)}: {said}")
        return done.stdout

    # --- start

    def start(self) -> None:
        """Start everything; see `__enter__`."""
        leftovers.end_all(self.home)  # of an earlier lab with the same directory
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o755)
        self._keeper = daemons.Keeper(self.home, remove=not self._kept)
        self._start_munge()
        counts = [1 + (len(_names(plan)) if self._nodes_run else 0) for plan in self._plans]
        ports = iter(daemons.free_ports(sum(counts) + 1))
        accounting = next(ports)
        if self._accounted:
            self._start_accounting(accounting)
        self.clusters = tuple(
            self._write(plan, list(islice(ports, count)), accounting)
            for plan, count in zip(self._plans, counts, strict=True)
        )
        if self._accounted:
            self.sacctmgr("add", "cluster", ",".join(c.name for c in self.clusters))
            if self._kept:  # an earlier federation knows addresses that nobody has now
                self.clusters[0].run(["sacctmgr", "-i", "delete", "federation", _FEDERATION])
            for cluster in self.clusters:
                for words in cluster.plan.accounting:
                    self.sacctmgr(*words)
        self._start_clusters()
        if self._federated:  # only now: siblings are told of each other as they are registered
            names = ",".join(c.name for c in self.clusters)
            self.sacctmgr("add", "federation", _FEDERATION, f"clusters={names}")
            daemons.wait_for(self._synced, _UP_S, "a synchronised federation")

    def _start_clusters(self) -> None:
        for cluster in self.clusters:
            self._add(f"{cluster.name}/slurmctld", ["slurmctld", "-D"], cluster.environment())
        if self._accounted:  # half a second each, and the controllers start meanwhile
            self.sacctmgr("add", "account", "lab", "Description=lab", "Organization=lab")
            self.sacctmgr("add", "user", self._user, "Account=lab")
        for cluster in self.clusters:
            answers = partial(daemons.listens, cluster.port)
            self.daemon("slurmctld", cluster).wait_until(answers, _UP_S)
            for name in _names(cluster.plan) if self._nodes_run else ():
                argv = ["slurmd", "-D", "-N", name]
                self._add(f"{cluster.name}/{name}", argv, cluster.environment())
        for cluster in self.clusters:
            daemons.wait_for(partial(self._idle, cluster), _UP_S, f"{cluster.name}: idle nodes")

    def _add(self, key: str, argv: Sequence[str], environment: Mapping[str, str]) -> Daemon:
        log = self.home / f"{key.replace('/', '.')}.out"
        marked = {leftovers.MARK: str(self.home), **environment}
        self._daemons[key] = Daemon(key, argv, marked, log)
        self._daemons[key].start()
        return self._daemons[key]

    def _start_munge(self) -> None:
        key = self.home / "munge.key"
        if not key.exists():
            descriptor = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(1024))
        munged = self._add(
            "munged",
            ["munged", "--foreground", "--force", f"--key-file={key}",
             f"--socket={self._munge}", f"--pid-file={self.home}/munged.pid",
             f"--log-file={self.home}/munged.log", f"--seed-file={self.home}/munged.seed"],
            {},
        )  # fmt: skip
        munged.wait_until(partial(daemons.answers, self._munge), 10)

    def _start_accounting(self, port: int) -> None:
        data, sock = self.home / "mysql", self.home / "mysql.socket"
        # a server that starts removes what it takes for its own in the shared directory
        temporary = self.home / "mysql-tmp"
        temporary.mkdir(mode=0o700, exist_ok=True)
        if not data.exists():
            done = daemons.run(
                ["mariadb-install-db", "--no-defaults", f"--datadir={data}",
                 f"--user={self._user}", f"--tmpdir={temporary}",
                 "--skip-test-db", "--auth-root-authentication-method=normal"],
                {},
                seconds=60,
            )  # fmt: skip
            if done.returncode != 0:
                raise Unavailable(f"mariadb-install-db: {done.stderr[-400:]}")
        database = self._add(
            "mariadbd",
            ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={sock}",
             f"--user={self._user}", f"--tmpdir={temporary}",
             "--skip-networking", "--skip-grant-tables",
             f"--pid-file={self.home}/mysql.pid", "--innodb-buffer-pool-size=64M",
             "--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=900",
             "--innodb-log-file-size=16M", "--performance-schema=OFF"],
            {},
        )  # fmt: skip
        database.wait_until(partial(daemons.answers, sock), 30)
        conf = self.home / "slurmdbd.conf"
        conf.write_text(
            conf_files.slurmdbd_conf(self.home, user=self._user, munge=self._munge, port=port)
        )
        conf.chmod(0o600)
        slurmdbd = self._add(
            "slurmdbd", ["slurmdbd", "-D"],
            {"SLURM_CONF": str(self.home / "slurm.conf"), "MYSQL_UNIX_PORT": str(sock)},
        )  # fmt: skip
        slurmdbd.wait_until(partial(daemons.listens, port), 30)

    def _write(self, plan: ClusterPlan, ports: list[int], accounting: int) -> Cluster:
        home = self.home / plan.name
        for name in ("state", "spool", "devices"):
            (home / name).mkdir(parents=True, exist_ok=True)
        conf = home / "slurm.conf"
        conf.write_text(
            conf_files.slurm_conf(
                plan, home, host=socket.gethostname(), user=self._user, munge=self._munge,
                ports=ports, accounting=accounting if self._accounted else None,
                nodes_run=self._nodes_run,
            )
        )  # fmt: skip
        for name, text in plan.files:
            (home / name).write_text(text)
        (home / "gres.conf").write_text(conf_files.gres_conf(plan, home / "devices"))
        return Cluster(plan, home, conf, ports[0])

    def _idle(self, cluster: Cluster) -> bool:
        done = cluster.run(["sinfo", "--local", "-h", "-N", "-o", "%T"])
        return done.returncode == 0 and set(done.stdout.replace("~", "").split()) == {"idle"}

    def _synced(self) -> bool:
        for cluster in self.clusters:
            shown = cluster.run(["scontrol", "show", "federation"]).stdout
            if shown.count("Synced:Yes") < len(self.clusters) - 1:
                return False
        return True

    # --- stop

    def stop(self) -> None:
        """End every process, the newest first, and what still runs of jobs; remove the files."""
        for daemon in reversed(self._daemons.values()):
            daemon.send(signal.SIGCONT)
            hard = "/" in daemon.name and not self._kept  # what is kept is written out first
            daemon.send(signal.SIGKILL if hard else signal.SIGTERM)
        for daemon in reversed(self._daemons.values()):
            daemon.stop()
        leftovers.end_jobs(self.home)
        if self._keeper is not None:
            self._keeper.release()
            self._keeper = None
        if not self._kept:
            shutil.rmtree(self.home, ignore_errors=True)

    def _check_lengths(self) -> None:
        """Refuse a home where the kernel would cut the names of sockets."""
        for plan in self._plans:
            for node in _names(plan) if self._nodes_run else ():
                longest = self.home / plan.name / "spool" / node / f"{node}_4294967295.4294967295"
                if len(os.fsencode(longest)) > _LONGEST_SOCKET:
                    raise InvalidArgument(
                        f"'{self.home}' is too long a path for the sockets of a lab",
                        field="home",
                        way_out="choose a directory with a short path",
                    )


def _names(plan: ClusterPlan) -> list[str]:
    """Return the names of all nodes of a plan."""
    return [name for nodes in plan.nodes for name in conf_files.node_names(plan, nodes.prefix)]


def _new_home() -> Path:
    """Make a directory, in memory where there is room: a database on a slow disk takes its time."""
    memory = Path("/dev/shm")  # noqa: S108 - the name below it is new and unguessable
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    return Path(tempfile.mkdtemp(prefix="resfed-lab-", dir=memory if roomy else None))
