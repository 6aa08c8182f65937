"""Nodes of a cluster as ``scontrol -d -o show node`` prints them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from res_federation.slurm import gres, tres
from res_federation.slurm.key_values import number, records, word, words
from res_federation.slurm.tres import Tres

# With -d Slurm tells GresUsed: AllocTRES knows accelerators only where the accounting tracks them.
ARGV = ("scontrol", "-d", "-o", "show", "node")

Gpus = tuple[tuple[str, int], ...]
"""Type word of the site ("" for none) and count, in the order of slurm.conf."""

_SIGNS = {"*": "NOT_RESPONDING", "~": "POWERED_DOWN", "#": "POWERING_UP", "%": "POWERING_DOWN",
          "!": "POWER_DOWN", "$": "MAINT", "@": "REBOOT_REQUESTED", "^": "REBOOT_ISSUED",
          "-": "PLANNED"}  # fmt: skip
_LONG = {"DRAINED": "IDLE+DRAIN", "DRAINING": "ALLOCATED+DRAIN", "FAILING": "ALLOCATED+FAIL",
         "FAIL": "IDLE+FAIL", "RESERVED": "IDLE+RESERVED", "MAINT": "IDLE+MAINT",
         "PLANNED": "IDLE+PLANNED", "COMPLETING": "ALLOCATED+COMPLETING", "ALLOC": "ALLOCATED",
         "DRAIN": "IDLE+DRAIN", "MIX": "MIXED"}  # fmt: skip
"""Words of sinfo that stand for a state with a flag."""
_DOWN = frozenset(("NOT_RESPONDING", "INVALID_REG", "INVAL", "REBOOT_ISSUED", "REBOOT"))
_DRAINED = frozenset(("DRAIN", "FAIL", "UNDRAIN"))
_RESERVED = frozenset(("RESERVED", "RES", "MAINT", "MAINTENANCE"))
_AWAY = frozenset(("POWERED_DOWN", "POWERING_DOWN", "POWERING_UP", "POWER_DOWN", "POWERED_OFF",
                   "BLOCKED", "FUTURE"))  # fmt: skip
_IN_BRACKETS = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class NodeState:
    """A base word (``IDLE``, ``MIXED``, ``DOWN``) and flags (``DRAIN``, ``NOT_RESPONDING``)."""

    base: str
    flags: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """How it counts: a field of `model.capacity.NodeStates`; the worst that is said wins."""
        if self.base in ("DOWN", "ERROR") or self.flags & _DOWN:
            return "down"
        if self.flags & _DRAINED:
            return "drained"
        if self.flags & _RESERVED:
            return "reserved"
        if self.base not in ("IDLE", "MIXED", "ALLOCATED") or self.flags & _AWAY:
            return "other"
        return self.base.lower()

    @property
    def up(self) -> bool:
        """Whether new jobs may begin there, now or when it has room; not in an unknown state."""
        return self.kind in ("idle", "mixed", "allocated")


@dataclass(frozen=True, slots=True)
class Node:
    """A node: what it has and what of it is given away.

    Attributes:
        name: ``NodeName``.
        cpus: What jobs can be given, as Slurm counts (threads, where it schedules threads).
        alloc_cpus: Given away.
        memory_mib: What jobs can be given; None where it is not configured.
        alloc_memory_mib: Given away.
        gpus: Accelerators by type word.
        alloc_gpus: Given away, by type word; "" for those whose type is not told.
        state: Base word and flags.
        features: Active constraint words.
        partitions: Names of the partitions that it is in.
        reason: Why it is drained or down, in the administrator's words.
        architecture: As the node told it; "" before it ever did.
        threads_per_core: Hardware threads.

    """

    name: str
    cpus: int = 0
    alloc_cpus: int = 0
    memory_mib: int | None = None
    alloc_memory_mib: int = 0
    gpus: Gpus = ()
    alloc_gpus: Gpus = ()
    state: NodeState = NodeState("UNKNOWN")
    features: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    reason: str = ""
    architecture: str = ""
    threads_per_core: int = 1

    @property
    def free_cpus(self) -> int:
        """What is not given away; never less than none."""
        return max(0, self.cpus - self.alloc_cpus)

    @property
    def free_memory_mib(self) -> int | None:
        """MiB not given away, None where memory is not configured."""
        if self.memory_mib is None:
            return None
        return max(0, self.memory_mib - self.alloc_memory_mib)

    def free_gpus(self, kind: str) -> int:
        """Accelerators of type *kind* not given away; one whose type is not told may be of it."""
        have = sum(count for name, count in self.gpus if name == kind)
        gone = sum(count for name, count in self.alloc_gpus if name in (kind, ""))
        return max(0, have - gone)


def read(text: str) -> tuple[Node, ...]:
    """Read nodes, one line each; lines that are none are left out."""
    return tuple(_node(fields) for fields in records(text, "NodeName"))


def read_state(text: str) -> NodeState:
    """Read ``MIXED+DRAIN``, ``DOWN*``, ``IDLE+PLANNED``, ``drained``…; a strange word stays."""
    parts: list[str] = []
    for part in text.upper().replace(",", "+").split("+"):
        whole = part.strip()
        plain = whole.rstrip("".join(_SIGNS))
        signs = [_SIGNS[sign] for sign in reversed(whole[len(plain) :])]
        if plain:
            parts += _LONG.get(plain, plain).split("+") if not parts else [plain]
        parts += signs if parts else []
    if not parts:
        return NodeState("UNKNOWN")
    return NodeState(parts[0], frozenset(parts[1:]))


def read_gpus(text: str) -> Gpus:
    """Read the accelerators of ``gpu:a100:2(S:0-1),gpu:t4:4,lustre:1``; other things are not."""
    found: dict[str, int] = {}
    for part in _IN_BRACKETS.sub("", text).split(","):
        name, *rest = (piece.strip() for piece in part.removeprefix("gres/").split(":"))
        if name.lower() != "gpu":
            continue
        rest = [piece for piece in rest if piece and piece != "no_consume"]
        amount = gres.count(rest[-1]) if rest else None
        kind = ":".join(rest if amount is None else rest[:-1])
        found[kind] = found.get(kind, 0) + (1 if amount is None else amount)
    return tuple(found.items())


def _node(fields: Mapping[str, str]) -> Node:
    has, gone = tres.read(word(fields, "CfgTRES")), tres.read(word(fields, "AllocTRES"))
    memory = number(fields, "RealMemory") or has.memory_mib or 0
    memory -= number(fields, "MemSpecLimit") or 0
    gpus = read_gpus(word(fields, "Gres")) or _typed(has)
    used = read_gpus(fields["GresUsed"]) if "GresUsed" in fields else _typed(gone)
    return Node(
        name=fields["NodeName"],
        cpus=number(fields, "CPUEfctv") or number(fields, "CPUTot") or has.cpus,
        # the two disagree while a job ends: what either says is taken is not free yet
        alloc_cpus=max(number(fields, "CPUAlloc") or 0, gone.cpus),
        memory_mib=memory if memory > 1 else None,  # 1 MiB is Slurm's word for not configured
        alloc_memory_mib=max(number(fields, "AllocMem") or 0, gone.memory_mib or 0),
        gpus=gpus,
        alloc_gpus=_of_one_type(gpus, tuple((kind, many) for kind, many in used if many)),
        state=read_state(fields.get("State", "")),
        features=words(fields, "ActiveFeatures") or words(fields, "AvailableFeatures"),
        partitions=words(fields, "Partitions"),
        reason=word(fields, "Reason"),
        architecture=word(fields, "Arch"),
        threads_per_core=number(fields, "ThreadsPerCore") or 1,
    )


def _typed(amounts: Tres) -> Gpus:
    """Return accelerators by type, with what is counted without a type under ""."""
    rest = amounts.gpus - sum(count for _, count in amounts.gpus_by_type)
    return (*amounts.gpus_by_type, ("", rest)) if rest > 0 else amounts.gpus_by_type


def _of_one_type(gpus: Gpus, used: Gpus) -> Gpus:
    """Give what was counted without a type the one type that the node has."""
    if len(gpus) != 1 or not used:
        return used
    return ((gpus[0][0], sum(count for _, count in used)),)
