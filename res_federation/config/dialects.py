"""`sites/<site>/dialect.toml`: how a site wants its scripts (``docs/dialects.md`` for people)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from res_federation.config.problems import Document, Problem, checked, first, read
from res_federation.config.site_file import Count, Known, Memory, PartitionName, Strict, Text, Word
from res_federation.model.site import Confidence, Site
from res_federation.slurm.dialect import (
    SLURM_MAX_ARRAY_SIZE,
    AccountRule,
    Dialect,
    Export,
    Implication,
    Mark,
    PartitionRule,
    QosChoice,
    QosRule,
    Use,
    conservative,
    implied_by,
)
from res_federation.slurm.dialect import Known as HowKnown

DIALECT_FILE = "dialect.toml"

Wanted = Literal["must", "may", "never"]
Path_ = tuple[str | int, ...]
Value = Annotated[str, Field(pattern=r"^[\w.:+@%/,-]{1,120}$")]
"""A value of an option: nothing that a script could take for something else."""
Pattern = Annotated[str, Field(pattern=r"^[\w.:+@%/,*<>-]{1,120}$")]


class Stated(Strict):
    """A table whose rules are known somehow."""

    confidence: Known
    sources: list[Text] = Field(default=[])
    note: str = ""


class AccountTable(Stated):
    """``[account]``."""

    use: Wanted
    default: Value | None = None


class ChoiceTable(Strict):
    """``[[qos.choice]]``: names of ``[[qos]]`` in site.toml, which has their limits."""

    purpose: Word
    names: Annotated[list[Value], Field(min_length=1)]


class QosUseTable(Stated):
    """``[qos]``."""

    use: Wanted
    purpose: Word | None = None
    choice: list[ChoiceTable] = Field(default=[])


class ArrayTable(Stated):
    """``[array]``."""

    max_size: Count


class RuleTable(Stated):
    """``[[partition]]``."""

    name: PartitionName
    directive: Value | None = None
    constraint: Value | None = None
    qos: Value | None = None
    gres: Literal["typed", "untyped"] = "untyped"
    gres_type: Value | None = None
    cores_per_gpu: Annotated[int, Field(ge=1, le=4096)] | None = None
    cpus: Literal["may", "never"] = "may"
    memory: Wanted = "may"
    memory_per_core: Memory | None = None


class ImpliesTable(Stated):
    """``[[implies]]``."""

    option: Literal["partition", "qos", "constraint"]
    words: Annotated[list[Pattern], Field(min_length=1)]
    partition: PartitionName


class ExportTable(Stated):
    """``[[export]]``."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,60}$")]
    value: Annotated[str, Field(pattern=r"^(\{cpus_per_task\}|[\w.:+@%/-]{1,60})$")]


class MarkTable(Stated):
    """``[[mark]]``."""

    option: Literal["partition", "qos", "constraint", "account", "gres", "text"]
    words: Annotated[list[Text], Field(min_length=1)]


class DialectTable(Stated):
    """A whole ``dialect.toml``."""

    site: Word
    profile: Literal["documented", "conservative"]
    licenses: list[Value] = Field(default=[])
    gres: list[Value] = Field(default=[])
    account: AccountTable
    qos: QosUseTable
    array: ArrayTable | None = None
    partition: list[RuleTable] = Field(default=[])
    implies: list[ImpliesTable] = Field(default=[])
    export: list[ExportTable] = Field(default=[])
    mark: list[MarkTable] = Field(default=[])


def load_dialects(directory: Path, sites: Iterable[Site]) -> dict[str, Dialect]:
    """Return the dialect of each of *sites* by identifier; the conservative one without a file.

    Args:
        directory: The catalogue.
        sites: As `config.sites.load_sites` returns them.

    Raises:
        InvalidArgument: With file, line and field of the first fault.

    """
    return {site.id: load_dialect(directory / site.id / DIALECT_FILE, site) for site in sites}


def load_dialect(file: Path, site: Site) -> Dialect:
    """Return the dialect of one site; the conservative one where there is no file.

    Raises:
        InvalidArgument: With file, line and field of the first fault.

    """
    if not file.exists():
        return conservative(site)
    found = dialect_of(file, site)
    if isinstance(found, Dialect):
        return found
    raise first(found, more=f"resfed site check {file.parent}")


def dialect_of(
    file: Path, site: Site, source_keys: Collection[str] | None = None
) -> Dialect | list[Problem]:
    """Return the dialect in *file*, or all its faults.

    Args:
        file: A ``dialect.toml``.
        site: The site that it is of.
        source_keys: Keys of ``sources.toml``, or None where they are not checked.

    """
    document = read(file)
    if isinstance(document, Problem):
        return [document]
    table = checked(document, DialectTable)
    if isinstance(table, list):
        return table
    faults = [*_faults(table, site), *_unsourced(document, source_keys)]
    problems = [document.problem(path, text) for path, text in faults]
    return problems or _made(table, site)


def _faults(table: DialectTable, site: Site) -> Iterator[tuple[Path_, str]]:
    yield from _rule_faults(table, site)
    yield from _qos_faults(table, site)
    if table.site != site.id:
        yield ("site",), f"'{table.site}' stands beside the site.toml of '{site.id}'"


def _rule_faults(table: DialectTable, site: Site) -> Iterator[tuple[Path_, str]]:
    names = [part.name for part in site.partitions]
    ruled = [rule.name for rule in table.partition]
    for index, rule in enumerate(table.partition):
        at = ("partition", index)
        if rule.name not in names:
            yield (*at, "name"), f"'{rule.name}' is no partition of this site; {_list(names)}"
        if rule.name in ruled[:index]:
            yield (*at, "name"), f"'{rule.name}' stands here twice; remove one"
        if (rule.gres == "typed") != (rule.gres_type is not None):
            yield (*at, "gres"), "a typed one needs gres_type, an untyped one has none"
        if rule.cpus == "never" and rule.cores_per_gpu is None:
            yield (*at, "cpus"), "says what a job gets instead: add cores_per_gpu"
    for name in names:
        if name not in ruled:
            yield ("partition",), f"there is no [[partition]] for '{name}'; add one"
    for index, word in enumerate(table.implies):
        if word.partition not in names:
            yield ("implies", index, "partition"), f"'{word.partition}' is none; {_list(names)}"


def _qos_faults(table: DialectTable, site: Site) -> Iterator[tuple[Path_, str]]:
    known = {qos.name for qos in site.qos}
    purposes = [choice.purpose for choice in table.qos.choice]
    for index, choice in enumerate(table.qos.choice):
        for name in choice.names:
            if name not in known:
                yield ("qos", "choice", index, "names"), f"'{name}' is no [[qos]] of site.toml"
    if table.qos.use == "must" and table.qos.purpose not in purposes:
        yield ("qos", "purpose"), f"must be a purpose of a [[qos.choice]]; {_list(purposes)}"


def _list(words: Iterable[str]) -> str:
    return f"there is: {', '.join(words) or 'none'}"


def _unsourced(document: Document, keys: Collection[str] | None) -> Iterator[tuple[Path_, str]]:
    if keys is None:
        return
    values = document.values
    tables: list[tuple[Path_, dict[str, list[str]]]] = [((), values)]
    for name, value in values.items():
        if isinstance(value, dict):
            tables.append(((name,), value))
        elif isinstance(value, list):
            tables += [((name, at), each) for at, each in enumerate(value) if type(each) is dict]
    for path, table in tables:
        for key in table.get("sources", []):
            if key not in keys:
                yield (*path, "sources"), f"'{key}' is not in sources.toml; add it there"


def _known(table: Stated) -> HowKnown:
    return HowKnown(Confidence(table.confidence), tuple(table.sources), table.note)


def _made(table: DialectTable, site: Site) -> Dialect:
    shapes = {part.name: part.shape for part in site.partitions}
    words = [
        Implication(each.option, word, each.partition, shapes[each.partition].accelerator,
                    _known(each))
        for each in table.implies
        for word in each.words
    ]  # fmt: skip
    array = table.array
    return Dialect(
        site=table.site,
        machine=site.machine,
        conservative=table.profile == "conservative",
        account=AccountRule(
            Use(table.account.use), table.account.default or "", _known(table.account)
        ),
        qos=_qos(table.qos, site),
        rules={rule.name: _rule(rule) for rule in table.partition},
        implications=(*sorted(words, key=lambda word: "*" in word.pattern),
                      *implied_by(site.partitions)),
        exports=tuple(Export(each.name, each.value, _known(each)) for each in table.export),
        licenses=tuple(table.licenses),
        gres=tuple(table.gres),
        partition_words=_partition_words(table, site),
        node_words=_node_words(table, site),
        max_array_size=array.max_size if array else SLURM_MAX_ARRAY_SIZE,
        array_known=_known(array or table),
        marks=tuple(
            Mark(each.option, word, _known(each)) for each in table.mark for word in each.words
        ),
        known=_known(table),
    )  # fmt: skip


def _partition_words(table: DialectTable, site: Site) -> dict[str, tuple[str, ...]]:
    """Return what ``--partition`` may say: directives, names, aliases, partitions of a QoS."""
    words: dict[str, tuple[str, ...]] = {}
    said: list[tuple[str, tuple[str, ...]]] = [
        (rule.directive or "", (rule.name,)) for rule in table.partition
    ]
    said += [
        (word, (part.name,)) for part in site.partitions for word in (part.name, *part.aliases)
    ]
    said += [(word.strip(), qos.opens) for qos in site.qos for word in qos.partition.split(",")]
    for word, meant in said:
        if word:
            words[word] = tuple(dict.fromkeys((*words.get(word, ()), *meant)))
    return words


def _node_words(table: DialectTable, site: Site) -> frozenset[str]:
    words = {word for part in site.partitions for word in (*part.features, *part.aliases)}
    words |= {rule.constraint for rule in table.partition if rule.constraint}
    implied = (each for each in table.implies if each.option == "constraint")
    return frozenset(words.union(*(each.words for each in implied)))


def _qos(table: QosUseTable, site: Site) -> QosRule:
    known = {qos.name: qos for qos in site.qos}
    choices = []
    for choice in table.choice:
        for name in choice.names:
            qos = known[name]
            choices.append(
                QosChoice(
                    name=name,
                    purpose=choice.purpose,
                    partitions=qos.opens,
                    max_nodes=qos.max_nodes,
                    max_time_s=qos.max_time_s,
                    known=HowKnown(qos.confidence, note=qos.note),
                )
            )
    return QosRule(Use(table.use), table.purpose or "", tuple(choices), _known(table))


def _rule(table: RuleTable) -> PartitionRule:
    return PartitionRule(
        name=table.name,
        directive=table.directive or "",
        constraint=table.constraint or "",
        qos=table.qos or "",
        gres_type=table.gres_type or "",
        cores_per_gpu=table.cores_per_gpu or 0,
        cpus=Use(table.cpus),
        memory=Use(table.memory),
        memory_per_core_mib=table.memory_per_core or 0,
        known=_known(table),
    )
