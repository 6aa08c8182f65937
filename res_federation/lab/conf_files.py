"""slurm.conf, gres.conf and slurmdbd.conf of a lab. Settings were measured on Slurm 22.05."""

from __future__ import annotations

from pathlib import Path

from res_federation.lab.plan import ClusterPlan, NodePlan

_COMMON = """\
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={munge}
CredType=cred/munge
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool/%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/%n.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=5,batch_sched_delay=0,sched_min_interval=0
DefMemPerCPU=512
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=5
MaxArraySize={max_array_size}
MaxJobCount=20000
"""
_ASLEEP = """\
ResumeProgram=/bin/true
SuspendProgram=/bin/true
SuspendTime=-1
PrivateData=cloud
"""
_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={munge}
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
JobCompType=jobcomp/none
"""


def node_names(plan: ClusterPlan, prefix: str) -> list[str]:
    """Return the names of the nodes of a prefix."""
    return [
        f"{plan.name}-{prefix}{number}"
        for nodes in plan.nodes
        if nodes.prefix == prefix
        for number in range(1, nodes.count + 1)
    ]


def node_range(plan: ClusterPlan, nodes: NodePlan) -> str:
    """Return the names of some like nodes as Slurm writes them together: ``acclab-gpp[1-9]``."""
    stem = f"{plan.name}-{nodes.prefix}"
    return f"{stem}[1-{nodes.count}]" if nodes.count > 1 else f"{stem}1"


def slurm_conf(
    plan: ClusterPlan,
    home: Path,
    *,
    host: str,
    user: str,
    munge: Path,
    ports: list[int],
    accounting: int | None,
    nodes_run: bool = True,
) -> str:
    """Return a slurm.conf.

    Args:
        plan: The cluster.
        home: Its directory.
        host: Name of this machine.
        user: Who runs it.
        munge: Socket of munge.
        ports: Those of the controller and of each node in order.
        accounting: Port of slurmdbd, or None for no accounting.
        nodes_run: Whether each node has a slurmd. Otherwise the nodes are those of a cloud,
            asleep: Slurm counts on them for every job, and no process stands behind one.

    """
    lines = [f"ClusterName={plan.name}"]
    lines.append(
        _COMMON.format(
            host=host, port=ports[0], user=user, munge=munge, home=home,
            max_array_size=plan.max_array_size,
        )
    )  # fmt: skip
    if accounting is not None:
        lines.append(_ACCOUNTING.format(port=accounting, munge=munge))
    kinds = sorted({part.split(":")[0] for nodes in plan.nodes for part in _gres(nodes)})
    if kinds:
        lines.append(f"GresTypes={','.join(kinds)}")
    lines += plan.lines
    if nodes_run:
        numbers = iter(ports[1:])
        for nodes in plan.nodes:
            for name in node_names(plan, nodes.prefix):
                place = f"NodeHostname={name} NodeAddr=127.0.0.1 Port={next(numbers)}"
                lines.append(f"NodeName={name} {place} {_made_of(nodes)} State=UNKNOWN")
    else:
        lines.append(_ASLEEP)
        for nodes in plan.nodes:
            lines.append(f"NodeName={node_range(plan, nodes)} {_made_of(nodes)} State=CLOUD")
    for part in plan.partitions:
        names = [node_range(plan, each) for each in plan.nodes if each.prefix in part.prefixes]
        lines.append(
            f"PartitionName={part.name} Nodes={','.join(names)} MaxTime={part.max_time} State=UP "
            f"Default={'YES' if part.default else 'NO'} {part.options}".rstrip()
        )
    return "\n".join(lines) + "\n"


def _made_of(nodes: NodePlan) -> str:
    line = f"CPUs={nodes.cores} RealMemory={nodes.memory_mib}"
    if nodes.sockets:
        line += f" Sockets={nodes.sockets} CoresPerSocket={nodes.cores // nodes.sockets}"
    line += f" Gres={nodes.gres}" if nodes.gres else ""
    return line + (f" Feature={','.join(nodes.features)}" if nodes.features else "")


def _gres(nodes: NodePlan) -> list[str]:
    return [part for part in nodes.gres.split(",") if part]


def gres_conf(plan: ClusterPlan, devices: Path) -> str:
    """Return a gres.conf; devices are links to the null device, made here."""
    lines: list[str] = []
    for nodes in plan.nodes:
        for part in _gres(nodes):
            words = part.split(":")
            kind, count = words[0], int(words[-1])
            type_word = f"Type={words[1]} " if len(words) == 3 else ""
            stem = f"{nodes.prefix}-{kind}-{words[1] if len(words) == 3 else 'x'}"
            for number in range(count):
                device = devices / f"{stem}{number}"
                if not device.is_symlink():
                    device.symlink_to("/dev/null")
            names = node_range(plan, nodes)
            files = f"{devices}/{stem}[0-{count - 1}]" if count > 1 else f"{devices}/{stem}0"
            lines.append(f"NodeName={names} Name={kind} {type_word}File={files}")
    return "\n".join(lines) + "\n"


def slurmdbd_conf(home: Path, *, user: str, munge: Path, port: int) -> str:
    """Return a slurmdbd.conf; the database's socket is named in the environment."""
    return f"""\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={munge}
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={user}
StorageLoc=slurm_acct
PidFile={home}/slurmdbd.pid
LogFile={home}/slurmdbd.log
CommunicationParameters=NoInAddrAny
"""
