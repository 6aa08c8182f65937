"""Whether a need can be asked for at a partition in its site's dialect, and with which numbers.

`fit` answers for one partition, with every number.  Placement asks the same two functions for
thousands: `site_rules.ruled_layout` for the numbers, `asked` for the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from res_federation.model import accelerators
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import (
    Layout,
    ResourceRequest,
    accelerator_fits,
    request_numbers,
    shape_numbers,
)
from res_federation.model.sentences import sentence
from res_federation.model.site import Partition
from res_federation.slurm.canonical import Need, node_words
from res_federation.slurm.dialect import Dialect, PartitionRule, QosChoice, Use
from res_federation.slurm.site_rules import rule_numbers, ruled_layout


@dataclass(frozen=True, slots=True)
class Fit:
    """A need as it can be asked for at one partition.

    Attributes:
        request: With the cores and the memory that the site wants asked for.
        layout: How it lies on the nodes there.
        qos: The quality of service that it goes to, or None where none is written.
        rule: How scripts for the partition look.
        implied_memory_mib: Memory per core that is asked for because the site wants some, or 0.
        whole_nodes: True where whole nodes stand in for all the memory of a node.

    """

    request: ResourceRequest
    layout: Layout
    qos: QosChoice | None
    rule: PartitionRule
    implied_memory_mib: int = 0
    whole_nodes: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a need cannot be asked for at a partition: a reason, and its words where it has some."""

    reason: Reason
    words: str = ""

    def __str__(self) -> str:
        """Return the words, or the sentence of the reason."""
        return self.words or sentence(self.reason)


@dataclass(frozen=True, slots=True)
class Asked:
    """The words with which a need goes to a partition, and the limits that come with them.

    Attributes:
        qos: The qualities of service that would do, the best first; empty where none is written.
        max_time_s: Longest time limit that they allow, or None for the partition's own.
        max_nodes: Most nodes of a job that one of them allows, or None for no limit.

    """

    qos: tuple[QosChoice, ...] = ()
    max_time_s: int | None = None
    max_nodes: int | None = None


def fit(need: Need, target: Dialect, partition: Partition) -> Fit | Refusal:
    """Return how *need* is asked for at *partition*, or why it cannot be.

    A script of that very site is held against the site's rules as it stands.
    """
    shape, request = partition.shape, need.request
    if request.architecture != shape.architecture:
        return Refusal(
            Reason(Code.WRONG_ARCHITECTURE),
            f"needs {request.architecture}, the nodes are {shape.architecture}",
        )
    lacking = accelerator_fits(request.accelerator, shape, _family(shape.accelerator))
    if lacking is not None:
        return _lacking(lacking, request, partition)
    rule = target.rule(partition.name)
    found = ruled_layout(
        *request_numbers(request),
        *shape_numbers(shape),
        *rule_numbers(rule),
        need.memory_per_core_mib,
        int(need.home == target.site),
    )
    if found[0] != Code.FITS:
        return Refusal(Reason(Code(found[0]), found[1], found[2]))
    if need.least_cores:
        lacking = _least(need.least_cores, found[10], partition)
        if lacking is not None:
            return Refusal(lacking, f"--mincpus: {sentence(lacking)}")
    missing = missing_words(need, target, partition.features)
    if missing is not None:
        return missing
    words = asked(need, target, partition.name)
    if isinstance(words, Refusal):
        return words
    nodes = found[3]
    over = limited(need, nodes, words, partition)
    if over is not None:
        return over
    return Fit(
        request=_with_numbers(request, found),
        layout=Layout(found[3], found[4], found[5], found[6]),
        qos=next((one for one in words.qos if _opens(one, nodes)), None),
        rule=rule,
        implied_memory_mib=found[11],
        whole_nodes=rule.memory is Use.NEVER and request.memory_per_node_mib == -2,
    )


def _least(cores: int, memory_per_core: int, partition: Partition) -> Reason | None:
    """Say what a node lacks for a least number of cores, each with its memory (-1 for no word)."""
    shape = partition.shape
    if cores > (shape.cores or 0):
        return Reason(Code.TOO_FEW_CORES_PER_NODE, cores, shape.cores or -1)
    if cores * memory_per_core > (shape.memory_mib or 0) and memory_per_core > 0:
        return Reason(
            Code.TOO_LITTLE_MEMORY_PER_NODE, cores * memory_per_core, shape.memory_mib or -1
        )
    return None


def _lacking(reason: Reason, request: ResourceRequest, partition: Partition) -> Refusal:
    if reason.code is Code.WRONG_ACCELERATOR and request.accelerator is not None:
        family, there = request.accelerator.family, partition.shape.accelerator
        return Refusal(reason, f"needs {family}, the accelerators are {there}")
    return Refusal(reason)


def _with_numbers(request: ResourceRequest, found: Sequence[int]) -> ResourceRequest:
    """Return *request* with what must be asked for, the same object where nothing changes."""
    changed = replace(
        request,
        cpus_per_task=found[7],
        cpus_per_accelerator=None if found[8] == -1 else found[8],
        memory_per_node_mib=None if found[9] == -1 else found[9],
        memory_per_cpu_mib=None if found[10] == -1 else found[10],
    )
    return request if changed == request else changed


def _opens(choice: QosChoice, nodes: int) -> bool:
    return choice.max_nodes is None or nodes <= choice.max_nodes


def limited(need: Need, nodes: int, words: Asked, partition: Partition) -> Refusal | None:
    """Say which limit of nodes, time or array tasks is passed, in the order of the codes."""
    longest = partition.max_time_s if words.max_time_s is None else words.max_time_s
    for code, wanted, most in (
        (Code.TOO_FEW_NODES, nodes, partition.nodes),
        (Code.NODE_LIMIT, nodes, partition.max_nodes),
        (Code.TIME_LIMIT, need.time_limit_s, longest),
        (Code.ARRAY_LIMIT, len(need.array), partition.max_array),
        (Code.QOS_NODES, nodes, words.max_nodes),
    ):
        if most is not None and wanted > most:
            names = ", ".join(one.name for one in words.qos)
            reason = Reason(code, wanted, most)
            more = f" ({names})" if code is Code.QOS_NODES else ""
            return Refusal(reason, sentence(reason) + more)
    return None


def missing_words(need: Need, target: Dialect, features: Sequence[str]) -> Refusal | None:
    """Name the licence or generic resource that the target does not have: never dropped.

    Args:
        need: What is needed.
        target: The site's dialect, which may declare some.
        features: What is known of the partition beside it (``license/NAME``, ``gres/NAME``).

    """
    for name in need.request.licenses:
        if name not in target.licenses and f"license/{name}" not in features:
            return Refusal(
                Reason(Code.LICENSE_MISSING),
                f"--licenses: the licence '{name}' is not declared at {target.site}",
            )
    for name in need.request.features:
        if name.removeprefix("gres/") not in target.gres and name not in features:
            return Refusal(
                Reason(Code.FEATURE_MISSING),
                f"--gres: the generic resource '{name}' is not declared at {target.site}",
            )
    return None


def asked(need: Need, target: Dialect, partition: str) -> Asked | Refusal:
    """Return with which words *need* goes to *partition*; its nodes are not looked at."""
    if need.home == target.site:
        return _as_written(need, target, partition)
    if need.temporary_disk:
        return Refusal(
            Reason(Code.DISK_UNKNOWN), f"--tmp: no disk in the nodes is declared at {target.site}"
        )
    rule = target.rule(partition)
    if rule.qos:
        choice = target.choice(rule.qos) or QosChoice(rule.qos, "", (rule.name,))
        return _allowing((choice,), need)
    open_here = [one for one in target.qos.choices if rule.name in one.partitions]
    if target.qos.use is not Use.MUST:
        return _routed(open_here, need)
    wanted = dict.fromkeys(word for word in (need.purpose, target.qos.purpose) if word)
    choices = tuple(one for word in wanted for one in open_here if one.purpose == word)
    if not choices:
        purpose = target.qos.purpose
        return Refusal(
            Reason(Code.QOS_MISSING), f"no QoS for '{purpose}' is known that opens {rule.name}"
        )
    return _allowing(choices, need)


def _routed(choices: Sequence[QosChoice], need: Need) -> Asked | Refusal:
    """Write no QoS: the site routes the job to one of *choices*, and their limits hold."""
    if not choices:
        return Asked()
    found = _allowing(choices, need)
    return found if isinstance(found, Refusal) else replace(found, qos=())


def _allowing(choices: Sequence[QosChoice], need: Need) -> Asked | Refusal:
    """Keep the choices that allow the job's time; the most nodes that one of them allows."""
    long_enough = tuple(
        one for one in choices if one.max_time_s is None or need.time_limit_s <= one.max_time_s
    )
    if not long_enough:
        longest = max(one.max_time_s or 0 for one in choices)
        reason = Reason(Code.QOS_TIME, need.time_limit_s, longest)
        names = ", ".join(one.name for one in choices)
        return Refusal(reason, f"{sentence(reason)} ({names})")
    bounds = [one.max_nodes for one in long_enough if one.max_nodes is not None]
    bounded = len(bounds) == len(long_enough)
    return Asked(long_enough, max_nodes=max(bounds) if bounded else None)


def _as_written(need: Need, target: Dialect, partition: str) -> Asked | Refusal:
    """Hold the words of a script against the rules of its own site."""
    if need.partition and need.partition != partition:
        return Refusal(Reason(Code.OTHER_PARTITION_MEANT), f"written for {need.partition}")
    if need.named and not need.partition and not target.means(partition, need.named):
        words = f"--partition={need.named} of {target.site} does not mean these nodes"
        return Refusal(Reason(Code.OTHER_PARTITION_MEANT), words)
    strange = [word for word in node_words(need.constraint) if word not in target.node_words]
    if strange and not target.conservative:
        words = f"--constraint={need.constraint}: no node of {target.site} is known as {strange[0]}"
        return Refusal(Reason(Code.FEATURE_MISSING), words)
    rule = target.rule(partition)
    other = [kind for kind in need.gpu_types if kind != rule.gres_type]
    if other and not target.conservative:
        how = f"gpu:{rule.gres_type}:N" if rule.gres_type else "gpu:N, without a type"
        words = f"GPUs are asked for as {how}, and the script says {other[0]}"
        return Refusal(Reason(Code.WRONG_ACCELERATOR), words)
    if target.account.use is Use.MUST and not need.account:
        return Refusal(
            Reason(Code.ACCOUNT_MISSING),
            f"--account is mandatory at {target.site}, and the script has none",
        )
    if target.qos.use is Use.MUST and not need.qos:
        return Refusal(
            Reason(Code.QOS_MISSING),
            f"--qos is mandatory at {target.site}, and the script has none",
        )
    if not target.qos.choices:
        return Asked()
    if not need.qos:
        return _routed([one for one in target.qos.choices if partition in one.partitions], need)
    choice = target.choice(need.qos)
    if choice is None:
        return Refusal(Reason(Code.QOS_MISSING), f"--qos={need.qos} is no QoS of {target.site}")
    found = _allowing((choice,), need)
    if isinstance(found, Refusal) or choice.max_time_s is None:
        return found
    return replace(found, max_time_s=choice.max_time_s)


@lru_cache(maxsize=1024)
def _family(accelerator: str) -> str:
    return accelerators.family_in(accelerator)
