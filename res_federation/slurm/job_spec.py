"""From a script and its options to the `JobSpec` that the federation places."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from res_federation.errors import InvalidArgument
from res_federation.model.job import MAX_TIME_LIMIT_S, JobSpec
from res_federation.model.resources import WHOLE_NODE_MEMORY, ResourceRequest
from res_federation.slurm import (
    accelerator_request,
    arrays,
    contradictions,
    durations,
    memory,
    script_header,
    treatment,
)
from res_federation.slurm.accelerator_request import AcceleratorRequest

DEFAULT_TIME_LIMIT_S = 3600
_LONGEST_VALUE = 65_536
_LICENSE_SPLIT = re.compile(r"[,;|\s]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPORT_SPLIT = re.compile(r"""((?:[^,"']|"[^"]*"|'[^']*'|["'])+)""")


def read_job(
    script: str,
    *,
    user: str,
    name: str = "",
    arguments: Sequence[str] = (),
    script_arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    directory: str = "",
) -> JobSpec:
    """Read what a script asks for.

    Args:
        script: The whole script.
        user: Who submits.
        name: Name of the job when ``--job-name`` is not given.
        arguments: Options of the command line in sbatch's spelling.
        script_arguments: Arguments of the script itself.
        environment: Variables of the submitter; ``SBATCH_*`` count as options.
        directory: Where the submitter stands.

    Raises:
        InvalidArgument: sbatch would refuse it, or the federation cannot honour an option;
            the field says where (``script line 4, --time``, ``command line, --gres``).

    """
    header = script_header.read(
        script, directory=directory or "/", arguments=arguments, environment=environment
    )
    if header.refused:
        raise InvalidArgument(header.refused, field=header.refused_field, way_out=header.way_out)
    header = _readable(header)
    given = dict(header.given)
    places = {
        option: f"{origin}, --{option}"
        for (option, _), origin in zip(header.given, header.origins, strict=True)
    }
    if header.parts > 1:
        raise InvalidArgument(
            "heterogeneous jobs are not supported",
            field="script, #SBATCH hetjob",
            way_out="submit each component as a job of its own",
        )
    for option, value in header.given:
        if "\n" in value or "\0" in value or len(value) > _LONGEST_VALUE:
            raise InvalidArgument(
                f"a value with a line break, or of more than {_LONGEST_VALUE:,} characters, is not "
                "written as a directive",
                field=places[option],
                way_out="write it in one line, or into the script's body",
            )
    treatment.refuse(header.options, places)
    try:
        return _spec(header, given, script, user, name, tuple(script_arguments), environment or {})
    except InvalidArgument as error:
        place = places.get(error.field.removeprefix("--"), error.field)
        raise InvalidArgument(
            error.message, field=place, way_out=error.way_out, code=error.code
        ) from None


def _readable(header: script_header.Header) -> script_header.Header:
    """Read values that are not UTF-8 as Latin-1, which never fails, and say so.

    Old scripts of this country have accents in one byte; sbatch passes any bytes on.
    """
    odd = [name for name, value in header.given if _utf8(value) != value]
    if not odd:
        return header
    return replace(
        header,
        options={name: _utf8(value) for name, value in header.options.items()},
        given=tuple([(name, _utf8(value)) for name, value in header.given]),
        warnings=(*header.warnings, *(f"--{name} is not UTF-8: read as Latin-1" for name in odd)),
    )


def _utf8(value: str) -> str:
    if value.isascii():
        return value
    try:
        content = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair of UTF-16: no bytes stand for it
        return value.encode("utf-8", "replace").decode()
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _spec(
    header: script_header.Header,
    given: Mapping[str, str],
    script: str,
    user: str,
    name: str,
    script_arguments: tuple[str, ...],
    environment: Mapping[str, str],
) -> JobSpec:
    options = header.options
    notes = list(header.warnings)
    clusters = _clusters(options)
    request = _request(options, notes)
    limit = _time_limit(options, notes)
    array = arrays.read(options["array"]) if "array" in options else arrays.Array(())
    exported = _exported(options.get("export", ""), environment, notes)
    _check_words(script_arguments, exported)
    notes += treatment.notes(given, pinned=bool(clusters))
    get = options.get
    return JobSpec(
        name=get("job-name") or _utf8(name) or "job",
        user=user,
        script=script,
        request=request,
        time_limit_s=limit,
        arguments=script_arguments,
        array=array.indices,
        array_throttle=array.throttle,
        clusters=clusters,
        partition=get("partition", ""),
        account=get("account", ""),
        qos=get("qos", ""),
        constraint=get("constraint", ""),
        output=given.get("output", ""),
        error=given.get("error", ""),
        directory=given.get("chdir", ""),
        environment=exported,
        requeue=get("requeue", get("no-requeue")) == "requeue",
        notes=tuple(notes),
        options=header.given,
    )


def _check_words(arguments: Sequence[str], variables: Sequence[tuple[str, str]]) -> None:
    """Refuse words that cannot travel: to change a byte of a file's name would be worse."""
    places = [(f"argument {at} of the script", word) for at, word in enumerate(arguments, 1)]
    places += [(f"--export, {name}", value) for name, value in variables]
    for place, word in places:
        if "\0" in word or (
            not word.isascii() and word.encode("utf-8", "replace").decode() != word
        ):
            raise InvalidArgument(
                "is not UTF-8, or has a NUL",
                field=place,
                way_out="name such a file within the script, where any bytes may stand",
            )


def _request(options: Mapping[str, str], notes: list[str]) -> ResourceRequest:
    asked = accelerator_request.read(options, notes)
    contradictions.refuse(options, asked)
    nodes = _nodes(options, notes)
    if nodes is None and asked.per_node and not asked.total and "ntasks" not in options:
        nodes = 1 if "ntasks-per-gpu" in options else None  # the tasks of one node are counted
    tasks = _tasks(options, asked, nodes, notes)
    if asked.per_task and tasks is None and not asked.total and nodes is None:
        notes.append("--gpus-per-task without --ntasks: one task is assumed (sbatch refuses it)")
    exclusive = options.get("exclusive", "")
    if exclusive in ("user", "mcs"):
        notes.append(f"--exclusive={exclusive} is taken as --exclusive: whole nodes")
    return ResourceRequest(
        nodes=nodes,
        tasks=tasks,
        tasks_per_node=_count(options, "ntasks-per-node"),
        cpus_per_task=_count(options, "cpus-per-task") or 1,
        memory_per_node_mib=_memory_per_node(options),
        memory_per_cpu_mib=_memory(options, "mem-per-cpu", notes),
        memory_per_accelerator_mib=_memory(options, "mem-per-gpu", notes),
        accelerator=asked.need,
        accelerators_per_node=asked.per_node,
        accelerators_total=asked.total,
        accelerators_per_task=asked.per_task,
        cpus_per_accelerator=_count(options, "cpus-per-gpu") if asked.need else None,
        exclusive=exclusive in ("exclusive", "user", "mcs"),
        architecture=accelerator_request.architecture(options, asked.need, notes),
        licenses=_licenses(options.get("licenses", "")),
        features=asked.features,
    )


def _count(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    number = int(text)
    if number < 1:
        raise InvalidArgument(
            f"'{number}' is not a number that can be asked for", field=f"--{name}"
        )
    return number


def _nodes(options: Mapping[str, str], notes: list[str]) -> int | None:
    text = options.get("nodes")
    if text is None:
        return None
    least, dash, _ = text.partition("-")
    if dash:
        notes.append(f"--nodes={text}: the federation asks for the lower bound, {least}")
    return int(least) or None


def _tasks(
    options: Mapping[str, str],
    asked: AcceleratorRequest,
    nodes: int | None,
    notes: list[str],
) -> int | None:
    """Return ``--ntasks``, or what ``--ntasks-per-gpu`` makes of the accelerators."""
    tasks = _count(options, "ntasks")
    each = _count(options, "ntasks-per-gpu") or _count(options, "ntasks-per-tres")
    if each is None:
        return tasks
    devices = asked.total or (asked.per_node or 0) * (nodes or 1)
    if devices:
        if tasks is not None and not asked.total and not nodes:
            asked.total = -(-tasks // each)  # so many nodes that each task has its share
        return tasks if tasks is not None else each * devices
    if tasks is None:
        raise InvalidArgument(
            "--ntasks-per-gpu needs a number of GPUs or of tasks",
            field="--ntasks-per-gpu",
            way_out="add --gpus=N",
        )
    # as sbatch does: so many tasks to a GPU, so many GPUs for the tasks
    asked.total = -(-tasks // each)
    asked.need = asked.need or accelerator_request.inferred(options, notes)
    return tasks


def _memory_per_node(options: Mapping[str, str]) -> int | None:
    text = options.get("mem")
    if text is None:
        return None
    return memory.read_normal(text) or WHOLE_NODE_MEMORY


def _memory(options: Mapping[str, str], name: str, notes: list[str]) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    amount = memory.read_normal(text)
    if not amount:
        notes.append(f"--{name}=0 asks for no amount: the site's default counts")
    return amount or None


def _time_limit(options: Mapping[str, str], notes: list[str]) -> int:
    text = options.get("time")
    if text is None:
        notes.append("no --time: the limit is one hour")
        return DEFAULT_TIME_LIMIT_S
    length = durations.minutes(text)
    if length is None or length == durations.UNLIMITED:
        notes.append(
            f"--time without an end: {MAX_TIME_LIMIT_S // 86400} days are asked for, which few "
            "partitions allow"
        )
        return MAX_TIME_LIMIT_S
    if length * 60 > MAX_TIME_LIMIT_S:
        raise InvalidArgument(
            f"a time limit of {text} is longer than {MAX_TIME_LIMIT_S // 86400} days",
            field="--time",
            way_out="ask for the time that the job needs: minutes, h:m:s or days-h:m:s",
        )
    return length * 60


def _clusters(options: Mapping[str, str]) -> tuple[str, ...]:
    text = options.get("clusters", options.get("cluster", ""))
    names = tuple([part for part in (piece.strip() for piece in text.split(",")) if part])
    return () if names == ("all",) else names


def _licenses(text: str) -> tuple[str, ...]:
    names = [part.partition(":")[0] for part in _LICENSE_SPLIT.split(text)]
    return tuple(dict.fromkeys([name for name in names if name]))


def _exported(
    text: str, environment: Mapping[str, str], notes: list[str]
) -> tuple[tuple[str, str], ...]:
    """Read ``--export``: pairs as given, names alone from the submitter's variables."""
    values: dict[str, str] = {}
    for part in _EXPORT_SPLIT.findall(text) if text else ():
        name, equals, value = part.strip().partition("=")
        if not equals and name.upper() in ("ALL", "NONE", "NIL"):
            if name.upper() == "ALL":
                notes.append(
                    "--export=ALL: the variables of your shell do not travel to another site; "
                    "name those that the job needs"
                )
            continue
        if not _NAME.fullmatch(name):
            raise InvalidArgument(f"'{part[:60]}' is neither NAME nor NAME=VALUE", field="--export")
        if equals:
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            values[name] = value[1:-1] if quoted else value
        elif name in environment:
            values[name] = environment[name]
        else:
            notes.append(f"--export={name}: no such variable here, so it is not set")
    return tuple(values.items())
