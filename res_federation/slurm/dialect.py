"""How a site wants its scripts: a dialect, each rule with how well it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache

from res_federation.model.site import Confidence, Partition, Site

SLURM_MAX_ARRAY_SIZE = 1001
"""Slurm's own default of ``MaxArraySize``: the largest index is one less."""


class Use(StrEnum):
    """Whether an option is asked for by a site."""

    MUST = "must"
    MAY = "may"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Known:
    """How well a rule is known, where from, and what a reader should know."""

    confidence: Confidence
    sources: tuple[str, ...] = ()
    note: str = ""


UNKNOWN = Known(Confidence.ASSUMPTION, note="nothing is published; conservative")


@dataclass(frozen=True, slots=True)
class AccountRule:
    """Whether ``--account`` is wanted, and the one that stands in for none ("" for no such)."""

    use: Use = Use.MAY
    default: str = ""
    known: Known = UNKNOWN


@dataclass(frozen=True, slots=True)
class QosChoice:
    """A quality of service.

    Attributes:
        name: As ``--qos`` has it.
        purpose: ``res-a``, ``res-b``, ``res-c``, ``debug``, ``ehpc``…: the same word at all sites.
        partitions: Names of the partitions that it opens.
        max_nodes: Most nodes of a job, or None.
        max_time_s: Longest time limit, or None.
        known: Confidence and sources.

    """

    name: str
    purpose: str
    partitions: tuple[str, ...]
    max_nodes: int | None = None
    max_time_s: int | None = None
    known: Known = UNKNOWN


@dataclass(frozen=True, slots=True)
class QosRule:
    """Whether ``--qos`` is wanted, for what purpose by default, and what there is."""

    use: Use = Use.MAY
    purpose: str = ""
    choices: tuple[QosChoice, ...] = ()
    known: Known = UNKNOWN


@dataclass(frozen=True, slots=True)
class PartitionRule:
    """What a script for one partition looks like.

    Attributes:
        name: The partition's name in ``site.toml``.
        directive: Value of ``--partition``, or "" where none is written.
        constraint: Value of ``--constraint``, or "".
        qos: The quality of service that goes with it whatever the purpose, or "".
        gres_type: Type word of its GPUs in ``--gres``, or "" where GPUs are asked for untyped.
        cores_per_gpu: Least cores that a job asks for with each GPU; with ``cpus = "never"``
            the cores that the site gives with each. 0 for no rule.
        cpus: Whether ``--cpus-per-task`` is wanted.
        memory: Whether ``--mem`` or its like is wanted.
        memory_per_core_mib: What a core gets when nothing is asked; 0 where that is not known.
        known: Confidence and sources.

    """

    name: str
    directive: str = ""
    constraint: str = ""
    qos: str = ""
    gres_type: str = ""
    cores_per_gpu: int = 0
    cpus: Use = Use.MAY
    memory: Use = Use.MAY
    memory_per_core_mib: int = 0
    known: Known = UNKNOWN


@dataclass(frozen=True, slots=True)
class Implication:
    """A word that says which partition a script of this site means.

    Attributes:
        option: ``partition``, ``qos`` or ``constraint``.
        pattern: The word; ``*`` stands for anything.
        partition: Name of the partition.
        accelerator: The model that its nodes have, or "".
        known: Confidence and sources.

    """

    option: str
    pattern: str
    partition: str
    accelerator: str = ""
    known: Known = UNKNOWN


@dataclass(frozen=True, slots=True)
class Export:
    """A variable that a script must export; ``{cpus_per_task}`` in the value is filled in."""

    name: str
    value: str
    known: Known = UNKNOWN


@dataclass(frozen=True, slots=True)
class Mark:
    """What gives away that a script was written for this site: an option's word, or a text."""

    option: str
    pattern: str
    known: Known = UNKNOWN


@dataclass(frozen=True, slots=True)
class Dialect:
    """A site's dialect.

    Attributes:
        site: Identifier of the site.
        machine: Its name for people.
        conservative: True where nothing of its scripts is published.
        account: About ``--account``.
        qos: About ``--qos``.
        rules: By name of the partition.
        implications: Words that name a partition, most exact first.
        exports: Variables that scripts must export.
        licenses: Licences that may be asked for.
        gres: Generic resources other than GPUs that may be asked for.
        partition_words: What ``--partition`` may say, and the partitions that each word means;
            none where it is known that there is one, and not what it holds.
        node_words: What ``--constraint`` may say.
        max_array_size: ``MaxArraySize``: array indices stay below it.
        array_known: Confidence of `max_array_size`.
        marks: How a script of this site is recognised.
        known: Of the profile as a whole.

    """

    site: str
    machine: str
    conservative: bool = True
    account: AccountRule = AccountRule()
    qos: QosRule = QosRule()
    rules: Mapping[str, PartitionRule] = field(default_factory=dict)
    implications: tuple[Implication, ...] = ()
    exports: tuple[Export, ...] = ()
    licenses: tuple[str, ...] = ()
    gres: tuple[str, ...] = ()
    partition_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    node_words: frozenset[str] = frozenset()
    max_array_size: int = SLURM_MAX_ARRAY_SIZE
    array_known: Known = UNKNOWN
    marks: tuple[Mark, ...] = ()
    known: Known = UNKNOWN

    def rule(self, partition: str) -> PartitionRule:
        """Return the rule of a partition; the conservative one where there is none."""
        return self.rules.get(partition) or PartitionRule(partition, directive=partition)

    def implied(self, option: str, word: str) -> Implication | None:
        """Return what *word* after *option* means here, or None."""
        return _implied(self.implications, option, word)

    def means(self, partition: str, words: str) -> bool:
        """Tell whether ``--partition=WORDS`` in a script of this site may mean *partition*.

        Where nothing is published, every word may.
        """
        if self.conservative:
            return True
        for word in words.split(","):
            meant = self.partition_words.get(word)
            implied = self.implied("partition", word)
            if meant is not None and (not meant or partition in meant):
                return True
            if implied is not None and implied.partition == partition:
                return True
        return False

    def choice(self, qos: str) -> QosChoice | None:
        """Return the quality of service of that name, or None."""
        for each in self.qos.choices:
            if each.name == qos:
                return each
        return None


@lru_cache(maxsize=65536)
def _implied(implications: tuple[Implication, ...], option: str, word: str) -> Implication | None:
    for each in implications:
        if each.option == option and fnmatchcase(word, each.pattern):
            return each
    return None


def conservative(site: Site) -> Dialect:
    """Return the profile of a site whose dialect is not known; it promises nothing more.

    Partitions are named as the catalogue does, GPUs are asked for without a type (which typed
    and untyped sites take alike), memory as the user gave it, no account and no QoS are added.
    """
    return Dialect(
        site=site.id,
        machine=site.machine,
        rules={
            part.name: PartitionRule(part.name, directive=part.name) for part in site.partitions
        },
        implications=implied_by(site.partitions),
    )


def implied_by(partitions: tuple[Partition, ...]) -> tuple[Implication, ...]:
    """Return what the names, aliases and features of *partitions* imply.

    A word that several of them carry (``cal`` for any CPU node) implies none.
    """
    meant: dict[tuple[str, str], list[Partition]] = {}
    for part in partitions:
        words = [("partition", word) for word in (part.name, *part.aliases)]
        words += [("qos", word) for word in part.aliases]
        words += [("constraint", word) for word in (*part.features, *part.aliases)]
        for key in dict.fromkeys(words):
            meant.setdefault(key, []).append(part)
    return tuple(
        Implication(
            option,
            word,
            named[0].name,
            named[0].shape.accelerator,
            Known(named[0].confidence, named[0].sources),
        )
        for (option, word), named in meant.items()
        if len(named) == 1 and "*" not in word
    )
