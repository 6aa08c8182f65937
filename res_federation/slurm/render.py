"""A job in the dialect of the site that runs it: the exact script, and what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from res_federation.model.job import JobSpec
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.model.site import Partition
from res_federation.slurm import durations, gres
from res_federation.slurm.adapt import Asked, Fit, Refusal, asked, fit, limited
from res_federation.slurm.canonical import Need, need_of, needed
from res_federation.slurm.dialect import Dialect, Use
from res_federation.slurm.directives import own_options, rewritten, unwritable
from res_federation.slurm.options import BY_NAME
from res_federation.slurm.treatment import CLIENT_ONLY

_DROPPED = (
    "clusters", "cluster", "reservation", "nodelist", "exclude", "batch", "wckey", "mcs-label",
    "context", "prefer", "switches", "network", "power", "priority", "reboot", "core-spec",
    "thread-spec", "gpu-freq", "profile", "acctg-freq", "sockets-per-node", "cores-per-socket",
    "extra-node-info", "ntasks-per-socket",
)  # fmt: skip
"""Words about one site's machines or its administration; each is named in a note."""
_THREADS = ("threads-per-core", "ntasks-per-core")
"""Hardware threads: no site publishes that it has more than one in a core."""
_GPU_OPTIONS = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")
_MEMORY_OPTIONS = ("mem", "mem-per-cpu", "mem-per-gpu")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A script as it would be submitted.

    Attributes:
        script: The whole script; its body is the user's, byte for byte.
        notes: What was changed and what to look at, for the user.
        account: The account charged, or "" where the site takes the user's default.
        pool: The pool of hours charged (``res-a``…), or "" where the site has no word for it.
        request: What it asks for, in numbers.
        identical: True where the script is the user's own.

    """

    script: str
    notes: tuple[str, ...]
    account: str
    pool: str
    request: ResourceRequest
    identical: bool = False


@dataclass(frozen=True, slots=True)
class Unrenderable:
    """Why a job cannot be asked for at a partition; never empty."""

    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


def render(
    spec: JobSpec,
    origin: Dialect | None,
    target: Dialect,
    partition: Partition,
    *,
    account: str = "",
) -> Rendered | Unrenderable:
    """Write *spec* in the dialect of *target*, for *partition*.

    Args:
        spec: As `job_spec.read_job` read it.
        origin: Dialect that its site-specific words are in, or None where that is not known.
        target: Dialect of the partition's site.
        partition: Where it is to run.
        account: The user's account there, or "" where none is known.

    """
    return render_need(spec, need_of(spec, origin), target, partition, account=account)


def render_understood(
    spec: JobSpec, target: Dialect, partition: Partition, *, account: str = ""
) -> Rendered | Unrenderable:
    """Write *spec*, which `canonical.understood` has read, as `render` does."""
    return render_need(spec, needed(spec), target, partition, account=account)


def render_need(
    spec: JobSpec, need: Need, target: Dialect, partition: Partition, *, account: str = ""
) -> Rendered | Unrenderable:
    """Write *spec*, whose need is known; see `render`."""
    if need.home == target.site:
        return _at_home(spec, replace(need, account=need.account or account), target, partition)
    found = fit(need, target, partition)
    if isinstance(found, Refusal):
        return Unrenderable((f"{partition.name}: {found}",), need.notes)
    notes = list(need.notes)
    charged = _account(need, target, account, notes)
    if charged is None:
        why = "--account is mandatory there and none is known: name yours with --account"
        return Unrenderable((f"{partition.name}: {why}",), need.notes)
    own = own_options(spec.script)
    wanted = _wanted(spec, own, found, target, charged, partition.shape, notes)
    _array(need, target, notes)
    broken = unwritable(wanted)
    if broken:
        return Unrenderable((_not_written(broken),), need.notes)
    if target.conservative:
        notes.append(
            f"{target.site}: nothing of its dialect is published; written conservatively, with "
            "the catalogue's name of the partition"
        )
    pool = found.qos.purpose if found.qos else ""
    return Rendered(rewritten(spec.script, wanted), tuple(notes), charged, pool, found.request)


def _not_written(name: str) -> str:
    if name in BY_NAME:
        return f"--{name}: a value with a line break cannot be written as a directive"
    return f"--{name[:60]} is no option of sbatch"


def _array(need: Need, target: Dialect, notes: list[str]) -> None:
    """Say that a long array is handed over in pieces."""
    if need.array and need.array[-1] >= target.max_array_size:
        notes.append(
            f"--array: the index {need.array[-1]} is not below MaxArraySize "
            f"{target.max_array_size}: handed over in pieces, each task keeps its index"
        )


_NOT_KNOWN = (Code.MEMORY_UNKNOWN, Code.SHAPE_UNKNOWN)


def _at_home(
    spec: JobSpec, need: Need, target: Dialect, partition: Partition
) -> Rendered | Unrenderable:
    """Leave a script of this very site as it is; say why the site would not take it."""
    found: object = fit(need, target, partition)
    if isinstance(found, Refusal) and found.reason.code in _NOT_KNOWN:
        # what is not published says nothing against it
        found = asked(need, target, partition.name)
        if isinstance(found, Asked):
            found = limited(need, need.request.nodes or 1, found, partition)
    if isinstance(found, Refusal):
        return Unrenderable((f"{partition.name}: {found}",))
    choice = target.choice(spec.qos) if spec.qos else None
    pool = choice.purpose if choice else ""
    notes = [f"written for {target.site}: submitted as it is"]
    _array(need, target, notes)
    own = own_options(spec.script)
    added = {name: value for name, value in spec.options if name not in CLIENT_ONLY}
    if need.account and not added.get("account") and target.account.use is not Use.NEVER:
        added["account"] = need.account
        notes.append(f"--account={need.account} added: the script names none")
    script = spec.script
    if any(own.get(name) != value for name, value in added.items()):
        if unwritable(added):
            return Unrenderable((_not_written(unwritable(added)),))
        script = rewritten(script, own | added)
    return Rendered(script, tuple(notes), need.account, pool, need.request, script == spec.script)


def _account(need: Need, target: Dialect, account: str, notes: list[str]) -> str | None:
    """Return the account to write, "" for none, None where one is mandatory and not known."""
    rule = target.account
    if rule.use is Use.NEVER:
        return ""
    if account:
        return account
    if rule.default:
        return rule.default
    if rule.use is Use.MAY:
        return ""
    if need.account:
        notes.append(
            f"--account={need.account} is carried over from the script: {target.site} must know "
            "it; name another with --account"
        )
        return need.account
    return None


def _wanted(
    spec: JobSpec,
    own: Mapping[str, str],
    found: Fit,
    target: Dialect,
    account: str,
    shape: NodeShape,
    notes: list[str],
) -> dict[str, str]:
    """Return every option that the rendered script says."""
    given = dict(spec.options)
    wanted = {
        name: value for name, value in given.items() if name in own or name not in CLIENT_ONLY
    }
    notes += [
        f"left out: --{name}={wanted.pop(name)}, which means nothing there"
        for name in _DROPPED
        if name in wanted
    ]
    notes += [
        f"left out: --{name}={wanted.pop(name)}; no hardware threads are counted on"
        for name in _THREADS
        if wanted.get(name, "1") != "1"
    ]
    rule = found.rule
    _put(wanted, "partition", rule.directive, notes)
    _put(wanted, "constraint", rule.constraint, notes)
    _put(wanted, "qos", found.qos.name if found.qos else "", notes)
    _put(wanted, "account", account, notes)
    if "time" not in wanted:
        wanted["time"] = durations.normal(-(-spec.time_limit_s // 60))
    _gpus(wanted, found, notes)
    _cpus(wanted, spec.request, found, notes)
    _tasks(wanted, found, shape, notes)
    _memory(wanted, spec.request, found, notes)
    _exports(wanted, found, target, notes)
    return wanted


def _put(wanted: dict[str, str], name: str, value: str, notes: list[str]) -> None:
    before = wanted.pop(name, None)
    if value:
        wanted[name] = value
    if before is not None and not value:
        notes.append(f"left out: --{name}={before}")
    elif value and before != value:
        notes.append(f"--{name}={value}" + (f" in place of {before}" if before else " added"))


def _gpus(wanted: dict[str, str], found: Fit, notes: list[str]) -> None:
    """Ask for the same GPUs with the type word of the site, or with none."""
    request = found.request
    if request.accelerator is None:
        return
    before = {name: wanted[name] for name in _GPU_OPTIONS if name in wanted}
    kind = f"{found.rule.gres_type}:" if found.rule.gres_type else ""
    after: dict[str, str] = {}
    other = [each for each in gres.read(before.get("gres", "")) if each.name != "gpu"]
    parts = [f"{each.name}:{each.type}:{each.count}".replace("::", ":") for each in other]
    if request.accelerators_per_node:
        parts.insert(0, f"gpu:{kind}{request.accelerators_per_node}")
    if parts:
        after["gres"] = ",".join(parts)
    if request.accelerators_total and ("gpus" in before or not _derived(wanted)):
        after["gpus"] = f"{kind}{request.accelerators_total}"
    if request.accelerators_per_task:
        after["gpus-per-task"] = f"{kind}{request.accelerators_per_task}"
    if _same(before, after):
        return
    for name in before:
        del wanted[name]
    wanted.update(after)
    notes.append(f"{_listed(after)} in place of {_listed(before) or 'nothing'}")


def _derived(wanted: Mapping[str, str]) -> bool:
    return "ntasks-per-gpu" in wanted or "ntasks-per-tres" in wanted


def _same(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Tell whether two ways to ask for GPUs say the same (``gpu`` and ``gpu:1``)."""
    if before.keys() != after.keys():
        return False
    for name, value in before.items():
        read = gres.read if name == "gres" else gres.read_gpus
        if sorted(map(str, read(value))) != sorted(map(str, read(after[name]))):
            return False
    return True


def _listed(options: Mapping[str, str]) -> str:
    return " ".join(f"--{name}={value}" for name, value in options.items())


def _cpus(wanted: dict[str, str], asked: ResourceRequest, found: Fit, notes: list[str]) -> None:
    rule = found.rule
    if rule.cpus is Use.NEVER:
        notes += [
            f"left out: --{name}={wanted.pop(name)}; the site gives {rule.cores_per_gpu} cores "
            "with each GPU"
            for name in ("cpus-per-task", "cpus-per-gpu")
            if name in wanted
        ]
        return
    for name, before, after in (
        ("cpus-per-task", asked.cpus_per_task, found.request.cpus_per_task),
        ("cpus-per-gpu", asked.cpus_per_accelerator, found.request.cpus_per_accelerator),
    ):
        if before != after and after:
            wanted[name] = str(after)
            floor = f" (at least {rule.cores_per_gpu} cores with each GPU)"
            why = floor if rule.cores_per_gpu else " (for the memory that cores bring)"
            notes.append(f"--{name}={after} in place of {before}{why}")


def _tasks(wanted: dict[str, str], found: Fit, shape: NodeShape, notes: list[str]) -> None:
    """Say what Slurm would refuse otherwise, or count in another way than the layout does."""
    request, nodes = found.request, found.layout.nodes
    tasks, bound = request.tasks, request.tasks_per_node or 0
    if request.accelerators_per_task and not wanted.keys() & {"ntasks", "gpus"}:
        wanted["ntasks"] = str(nodes * (bound or 1))
        notes.append(f"--ntasks={wanted['ntasks']} added: GPUs are asked for with each task")
    _ratio(wanted, found, notes)
    each = int(wanted.get("cpus-per-gpu", "0"))
    if (request.exclusive or found.whole_nodes) and each * shape.accelerators > (shape.cores or 0):
        fewer = (shape.cores or 0) // shape.accelerators
        wanted["cpus-per-gpu"] = str(fewer)
        notes.append(f"--cpus-per-gpu={fewer} in place of {each}: --exclusive gives every GPU")
    spread = _derived(wanted) or (not tasks and (bound or found.rule.cores_per_gpu))
    if request.accelerators_total and spread and nodes > 1 and "nodes" not in wanted:
        wanted["nodes"] = str(nodes)
        notes.append(f"--nodes={nodes} added: so many have the GPUs and the cores with them")
    standing = -(-(tasks or 0) // nodes)
    if not 0 < standing < bound:
        return
    cores, memory = bound * request.cpus_per_task, request.memory_per_cpu_mib or 0
    over = cores > (shape.cores or cores) or cores * memory > (shape.memory_mib or cores * memory)
    if over or request.accelerators_per_task:
        wanted["ntasks-per-node"] = str(standing)
        notes.append(f"--ntasks-per-node={standing} in place of {bound}: Slurm makes room for all")


def _ratio(wanted: dict[str, str], found: Fit, notes: list[str]) -> None:
    """Leave out how many tasks share a GPU where the other numbers of the script say another."""
    request, per_node = found.request, found.request.accelerators_per_node
    total = per_node * found.layout.nodes if per_node else request.accelerators_total
    for name in ("ntasks-per-gpu", "ntasks-per-tres"):
        each = int(wanted.get(name, "0"))
        if each and request.tasks and total and request.tasks != each * total:
            others = f"{request.tasks} tasks and {total} GPUs"
            notes += [f"left out: --{name}={wanted.pop(name)}; {others} say another ratio"]


def _memory(wanted: dict[str, str], asked: ResourceRequest, found: Fit, notes: list[str]) -> None:
    if found.rule.memory is Use.NEVER:
        notes += [
            f"left out: --{name}={wanted.pop(name)}; memory follows the cores there, and there "
            "are enough of them"
            for name in _MEMORY_OPTIONS
            if name in wanted
        ]
        if found.whole_nodes and not asked.exclusive:
            wanted["exclusive"] = ""
            notes.append("--exclusive added: whole nodes, for all their memory")
        return
    if found.request.memory_per_node_mib and not asked.memory_per_node_mib:
        before = _listed({name: wanted.pop(name) for name in _MEMORY_OPTIONS if name in wanted})
        wanted["mem"] = f"{found.request.memory_per_node_mib}M"
        notes.append(
            f"--mem={wanted['mem']} in place of {before}: --exclusive gives all of a node, and "
            "it has not so much for each"
        )
    if found.implied_memory_mib:
        wanted["mem-per-cpu"] = f"{found.implied_memory_mib}M"
        notes.append(f"--mem-per-cpu={found.implied_memory_mib}M added: memory must be asked for")


def _exports(wanted: dict[str, str], found: Fit, target: Dialect, notes: list[str]) -> None:
    """Export what the site wants exported; a user's own value stays."""
    for export in target.exports:
        before = wanted.get("export", "ALL")
        if found.request.cpus_per_task <= 1 or f"{export.name}=" in before:
            continue
        if before.upper() in ("NONE", "NIL"):
            notes.append(f"--export={before}: export {export.name} in the script yourself")
            continue
        value = export.value.replace("{cpus_per_task}", str(found.request.cpus_per_task))
        wanted["export"] = f"{before},{export.name}={value}"
        notes.append(f"--export={wanted['export']}: {target.site} wants {export.name} set")
