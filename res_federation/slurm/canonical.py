"""What a script needs, freed from the words of the site that it was written for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache

from res_federation.errors import InvalidArgument
from res_federation.model import accelerators
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.job import JobSpec
from res_federation.model.resources import ResourceRequest
from res_federation.slurm import gres
from res_federation.slurm.dialect import Dialect, Implication, Use

_WORDS_OF = ("constraint", "partition", "qos")
_SPLIT = re.compile(r"[\s,|&()\[\]*!;]+")
_GPU_OPTIONS = frozenset(("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"))
_COUNT = re.compile(r"\*\s*\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Need:
    """What a job needs, in nobody's dialect.

    Attributes:
        request: Resources; its accelerator is the one that the origin's words imply.
        time_limit_s: The time limit.
        array: Indices, ascending.
        purpose: What the job is for (`QosChoice.purpose`), or "" where the script does not say.
        account: As the script has it, or "".
        qos: As the script has it, or "".
        memory_per_core_mib: What a core gets at the origin when no memory is asked for; 0: unknown.
        temporary_disk: ``--tmp`` as given, or "".
        least_cores: ``--mincpus``: cores that a node must have, or 0.
        home: Site whose words the script uses, or "" where that is not known.
        partition: Name of the origin's partition that the words imply, or "".
        named: ``--partition`` as the script has it, or "".
        constraint: ``--constraint`` as the script has it, or "".
        gpu_types: Type words with which it asks for GPUs.
        notes: What was understood of the origin's words, for the user.

    """

    request: ResourceRequest
    time_limit_s: int
    array: tuple[int, ...] = ()
    purpose: str = ""
    account: str = ""
    qos: str = ""
    memory_per_core_mib: int = 0
    temporary_disk: str = ""
    least_cores: int = 0
    home: str = ""
    partition: str = ""
    named: str = ""
    constraint: str = ""
    gpu_types: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def needed(spec: JobSpec) -> Need:
    """Return what *spec* needs, which `understood` has read already (or which is of no site)."""
    return Need(
        request=spec.request,
        time_limit_s=spec.time_limit_s,
        array=spec.array,
        purpose=spec.purpose,
        account=spec.account,
        qos=spec.qos,
        memory_per_core_mib=spec.memory_per_core_mib,
        temporary_disk=_given(spec, "tmp"),
        least_cores=int(_given(spec, "mincpus") or 0),
        home=spec.origin,
        partition=spec.meant,
        named=spec.partition,
        constraint=spec.constraint,
        gpu_types=gpu_types(spec.options) if spec.request.accelerator else (),
    )


def _given(spec: JobSpec, option: str) -> str:
    return next((value for name, value in spec.options if name == option), "")


def gpu_types(options: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the type words with which GPUs are asked for; none where a number alone stands."""
    found = [
        each.type
        for name, value in options
        if name in _GPU_OPTIONS
        for each in (gres.read(value) if name == "gres" else gres.read_gpus(value))
        if each.type and each.name == "gpu"
    ]
    return tuple(dict.fromkeys(found))


def check_origin(spec: JobSpec, dialects: Mapping[str, Dialect]) -> None:
    """Check the site for which *spec* says that it is written; raises InvalidArgument."""
    if spec.origin and spec.origin not in dialects:
        raise InvalidArgument(
            f"there is no site '{spec.origin}'",
            field="spec.origin",
            way_out=f"one of: {', '.join(dialects)}",
        )


def understood(spec: JobSpec, dialects: Mapping[str, Dialect]) -> JobSpec:
    """Return *spec* with its site-specific words read, and notes that say how.

    The origin is the one that *spec* names, or the one that its words give away.

    Raises:
        InvalidArgument: If it names a site that is not among *dialects*.

    """
    if spec.origin:
        check_origin(spec, dialects)
        site = spec.origin
        said: tuple[str, ...] = (f"origin: {spec.origin}, as given",)
    else:
        found = recognise(spec, dialects.values())
        site, said = found.site, _told(found)
    need = need_of(spec, dialects.get(site))
    asked = need.request.accelerator
    if asked is not None and accelerators.is_any(asked.asked):
        # the federation's own word: no site, not even its own, would take the script as it is
        need, site = replace(need, partition=""), ""
    return replace(
        spec,
        request=need.request,
        origin=site,
        meant=need.partition,
        purpose=need.purpose,
        memory_per_core_mib=need.memory_per_core_mib,
        notes=(*spec.notes, *said, *need.notes),
    )


def _told(found: Recognised) -> tuple[str, ...]:
    """Say how the origin is known; a script without any site's words has none, and no note."""
    if found.site:
        return (f"origin: {found.site}, recognised by {', '.join(found.because)}",)
    if found.because:
        return (f"origin: not clear ({'; '.join(found.because)}); name it with --origin",)
    return ()


def need_of(spec: JobSpec, origin: Dialect | None) -> Need:
    """Return what *spec* needs, its site-specific words read with the dialect *origin*."""
    options = dict(spec.options)
    plain = needed(spec)
    if origin is None:
        return plain
    notes: list[str] = []
    meant = _implication(options, origin)
    request = spec.request
    if meant is not None:
        request = _with_accelerator(request, meant, origin, options, notes)
    choice = origin.choice(spec.qos) if spec.qos else None
    if choice is not None:
        notes.append(f"--qos={spec.qos} at {origin.site} is for the purpose '{choice.purpose}'")
    per_core = 0
    if meant is not None and _asks_no_memory(request):
        rule = origin.rule(meant.partition)
        per_core = rule.memory_per_core_mib if rule.memory is Use.NEVER else 0
    return replace(
        plain,
        request=request,
        purpose=choice.purpose if choice else "",
        memory_per_core_mib=per_core,
        home=origin.site,
        partition=meant.partition if meant else "",
        notes=tuple(notes),
    )


def node_words(constraint: str) -> list[str]:
    """Return the words of a constraint, without signs and counts."""
    return [word for word in _SPLIT.split(_COUNT.sub("", constraint)) if word]


def _asks_no_memory(request: ResourceRequest) -> bool:
    return (
        request.memory_per_node_mib is None
        and request.memory_per_cpu_mib is None
        and request.memory_per_accelerator_mib is None
    )


def _implication(options: Mapping[str, str], origin: Dialect) -> Implication | None:
    for name in _WORDS_OF:
        for word in _SPLIT.split(options[name]) if options.get(name) else ():
            meant = origin.implied(name, word) if word else None
            if meant is not None:
                return meant
    return None


def _with_accelerator(
    request: ResourceRequest,
    meant: Implication,
    origin: Dialect,
    options: Mapping[str, str],
    notes: list[str],
) -> ResourceRequest:
    """Name the accelerator that an untyped request means at the origin; no name is replaced."""
    if not meant.accelerator:
        return request
    given = f"--{meant.option}={options[meant.option]}"
    family = accelerators.family_in(meant.accelerator)
    asked = request.accelerator
    if asked is None:
        notes.append(
            f"{given} means the {family} nodes of {origin.site}, but no GPU is asked for: this is "
            "a job without GPUs elsewhere; add --gres=gpu:N if it needs them"
        )
        return request
    if asked.family or accelerators.is_any(asked.asked):
        return request
    notes.append(
        f"the GPUs are {family}: {given} at {origin.site} means {meant.accelerator}; name another "
        "type with --gres=gpu:TYPE:N if it will do"
    )
    return replace(
        request, accelerator=AcceleratorNeed(family, asked.min_memory_mib, meant.accelerator)
    )


@dataclass(frozen=True, slots=True)
class Recognised:
    """The site that a script was probably written for ("" for none), and why."""

    site: str = ""
    because: tuple[str, ...] = ()


def recognise(spec: JobSpec, dialects: Iterable[Dialect]) -> Recognised:
    """Tell by its words which site *spec* was written for; one that leads alone, or none."""
    options = dict(spec.options)
    found: list[tuple[int, str, tuple[str, ...]]] = []
    for dialect in dialects:
        because = tuple(_signs(options, spec.script, dialect))
        if because:
            found.append((len(because), dialect.site, because))
    found.sort(key=lambda each: (-each[0], each[1]))
    if not found:
        return Recognised()
    if len(found) > 1 and found[0][0] == found[1][0]:
        return Recognised("", tuple(f"{each[1]}: {', '.join(each[2])}" for each in found))
    return Recognised(found[0][1], found[0][2])


def _signs(options: Mapping[str, str], script: str, dialect: Dialect) -> Iterable[str]:
    for option, patterns in _marks(dialect):
        if option == "text":
            sign = next((f"'{text}' in the script" for text in patterns if text in script), "")
        elif option in options:
            words = _SPLIT.split(options[option])
            fits = any(fnmatchcase(word, pattern) for word in words for pattern in patterns)
            sign = f"--{option}={options[option]}" if fits else ""
        else:
            continue
        if sign:
            yield sign


@lru_cache(maxsize=256)
def _marks_of(marks: tuple[tuple[str, str], ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = dict.fromkeys(option for option, _ in marks)
    return tuple(
        (name, tuple(pattern for option, pattern in marks if option == name)) for name in names
    )


def _marks(dialect: Dialect) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return _marks_of(tuple([(mark.option, mark.pattern) for mark in dialect.marks]))
