"""`JobSpec` and `ResourceRequest` to protobuf and back.

Values from outside are checked here once, so that the rest may trust them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from res_federation.api.v1 import specs_pb2
from res_federation.errors import InvalidArgument, ResourceExhausted
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.governance import is_jurisdiction
from res_federation.model.job import (
    MAX_ARRAY_TASKS,
    MAX_SCRIPT_BYTES,
    MAX_TIME_LIMIT_S,
    JobSpec,
    script_bytes,
)
from res_federation.model.resources import WHOLE_NODE_MEMORY, ResourceRequest
from res_federation.slurm.options import BY_NAME

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTIONAL = (
    "nodes",
    "tasks",
    "tasks_per_node",
    "memory_per_node_mib",
    "memory_per_cpu_mib",
    "memory_per_accelerator_mib",
    "accelerators_per_node",
    "accelerators_total",
    "accelerators_per_task",
    "cpus_per_accelerator",
)
_WORDS = (
    "name", "user", "partition", "account", "qos", "constraint", "output", "error", "origin",
    "meant", "purpose", "issuer", "subject", "project", "data_class",
)  # fmt: skip
MAX_WORD = 4096
MAX_OPTION = 65_536
"""Of the value of an option that is no such word: lists of nodes and arrays may be long."""
MAX_NAME = 256
"""Of names that stand in an index of the database: user, and the key beside it."""
# Counts stay far below 2**63 when multiplied in the kernels (cores x memory x nodes).
_MAX_COUNT = 10_000_000
_MAX_MEMORY_MIB = 1 << 40
_MOST_ALTERNATIVES = 32
_MOST_OF_NAME = 128
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_MOST_OF_NAME - 1}}}")
_MOST_JURISDICTIONS = 64


def request_to_message(request: ResourceRequest) -> specs_pb2.ResourceRequest:
    """Return *request* as a message; what was not given is absent."""
    given: dict[str, Any] = {
        name: value for name in _OPTIONAL if (value := getattr(request, name)) is not None
    }
    if request.accelerator is not None:
        given["accelerator"] = _need_to_message(request.accelerator)
    return specs_pb2.ResourceRequest(
        cpus_per_task=request.cpus_per_task,
        exclusive=request.exclusive,
        architecture=request.architecture,
        licenses=request.licenses,
        features=request.features,
        **given,
    )


def _need_to_message(need: AcceleratorNeed) -> specs_pb2.AcceleratorNeed:
    return specs_pb2.AcceleratorNeed(
        family=need.family,
        min_memory_mib=need.min_memory_mib,
        asked=need.asked,
        alternatives=[_need_to_message(other) for other in need.alternatives],
    )


def _need_from_message(message: specs_pb2.AcceleratorNeed) -> AcceleratorNeed:
    """Check and return which accelerators will do."""
    field = "spec.request.accelerator"
    every = (message, *message.alternatives)
    if len(every) > _MOST_ALTERNATIVES or any(one.alternatives for one in message.alternatives):
        raise InvalidArgument(
            f"has more than {_MOST_ALTERNATIVES - 1} alternatives, or some within another",
            field=f"{field}.alternatives",
        )
    if any(one.min_memory_mib < 0 for one in every):
        raise InvalidArgument("must not be negative", field=f"{field}.min_memory_mib")
    first, *others = (AcceleratorNeed(one.family, one.min_memory_mib, one.asked) for one in every)
    return replace(first, alternatives=tuple(others))


def request_from_message(message: specs_pb2.ResourceRequest) -> ResourceRequest:
    """Check and return a request.

    Raises:
        InvalidArgument: If a number is below 1 or absurdly large; the field is named.

    """
    given: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        name = descriptor.name
        if name in _OPTIONAL:
            given[name] = _count(name, value)
    if message.HasField("accelerator"):
        given["accelerator"] = _need_from_message(message.accelerator)
        if not (
            {"accelerators_per_node", "accelerators_total", "accelerators_per_task"} & set(given)
        ):
            given["accelerators_per_node"] = 1
    elif {"accelerators_per_node", "accelerators_total", "accelerators_per_task"} & set(given):
        given["accelerator"] = AcceleratorNeed()
    return ResourceRequest(
        cpus_per_task=_count("cpus_per_task", message.cpus_per_task or 1),
        exclusive=message.exclusive,
        architecture=message.architecture or "x86_64",
        licenses=tuple(message.licenses),
        features=tuple(message.features),
        **given,
    )


def _count(name: str, value: int) -> int:
    memory = name.startswith("memory")
    if memory and value == WHOLE_NODE_MEMORY:
        return value
    if value < 1 or value > (_MAX_MEMORY_MIB if memory else _MAX_COUNT):
        raise InvalidArgument(
            f"{value} is out of range", field=f"spec.request.{name}", way_out="give 1 or more"
        )
    return value


def spec_to_message(spec: JobSpec) -> specs_pb2.JobSpec:
    """Return *spec* as a message."""
    return specs_pb2.JobSpec(
        name=spec.name,
        user=spec.user,
        script=script_bytes(spec.script),
        arguments=spec.arguments,
        request=request_to_message(spec.request),
        time_limit_s=spec.time_limit_s,
        array=spec.array,
        array_throttle=spec.array_throttle,
        clusters=spec.clusters,
        excluded=spec.excluded,
        partition=spec.partition,
        account=spec.account,
        qos=spec.qos,
        constraint=spec.constraint,
        output=spec.output,
        error=spec.error,
        directory=spec.directory,
        environment=[specs_pb2.NamedValue(name=k, value=v) for k, v in spec.environment],
        input_mib=spec.input_mib,
        input_site=spec.input_site,
        requeue=spec.requeue,
        notes=spec.notes,
        options=[specs_pb2.NamedValue(name=k, value=v) for k, v in spec.options],
        origin=spec.origin,
        meant=spec.meant,
        purpose=spec.purpose,
        memory_per_core_mib=spec.memory_per_core_mib,
        issuer=spec.issuer,
        subject=spec.subject,
        project=spec.project,
        data_class=spec.data_class,
        jurisdictions=spec.jurisdictions,
    )


def spec_from_message(message: specs_pb2.JobSpec) -> JobSpec:
    """Check and return what a user submits.

    Raises:
        InvalidArgument: If a field is wrong; it is named as ``spec.FIELD``.
        ResourceExhausted: If the script is too large.

    """
    _check(message)
    return JobSpec(
        name=message.name or "job",
        user=message.user,
        script=message.script.decode("utf-8", "surrogateescape"),
        request=request_from_message(message.request),
        time_limit_s=message.time_limit_s,
        arguments=tuple(message.arguments),
        array=tuple(message.array),
        array_throttle=message.array_throttle,
        clusters=tuple(message.clusters),
        excluded=tuple(message.excluded),
        partition=message.partition,
        account=message.account,
        qos=message.qos,
        constraint=message.constraint,
        output=message.output,
        error=message.error,
        directory=message.directory,
        environment=tuple((pair.name, pair.value) for pair in message.environment),
        input_mib=message.input_mib,
        input_site=message.input_site,
        requeue=message.requeue,
        notes=tuple(message.notes),
        options=tuple((pair.name, pair.value) for pair in message.options),
        origin=message.origin,
        meant=message.meant,
        purpose=message.purpose,
        memory_per_core_mib=message.memory_per_core_mib,
        issuer=message.issuer,
        subject=message.subject,
        project=message.project,
        data_class=message.data_class,
        jurisdictions=tuple(message.jurisdictions),
    )


def _check(message: specs_pb2.JobSpec) -> None:
    if not message.script:
        raise InvalidArgument(
            "there is nothing to run", field="spec.script", way_out="give a script or --wrap CMD"
        )
    if len(message.script) > MAX_SCRIPT_BYTES:
        raise ResourceExhausted(
            f"the script has {len(message.script)} bytes, the limit is {MAX_SCRIPT_BYTES}",
            field="spec.script",
            way_out="keep data out of the script",
        )
    if not message.script.startswith(b"#!"):
        raise InvalidArgument(
            "the first line must name an interpreter",
            field="spec.script",
            way_out="begin with '#!/bin/bash'",
        )
    if b"\0" in message.script:
        raise InvalidArgument("holds a NUL byte: not a text file", field="spec.script")
    if not 0 < message.time_limit_s <= MAX_TIME_LIMIT_S:
        raise InvalidArgument(
            f"{message.time_limit_s} s is not between 1 s and {MAX_TIME_LIMIT_S // 86400} days",
            field="spec.time_limit_s",
            way_out="give --time",
        )
    for name in ("input_mib", "array_throttle", "memory_per_core_mib"):
        if not 0 <= getattr(message, name) <= _MAX_MEMORY_MIB:
            raise InvalidArgument("is out of range", field=f"spec.{name}")
    for name in _WORDS:
        if len(getattr(message, name)) > MAX_WORD:
            raise InvalidArgument(f"is longer than {MAX_WORD} characters", field=f"spec.{name}")
    if len(message.user) > MAX_NAME:
        raise InvalidArgument(f"is longer than {MAX_NAME} characters", field="spec.user")
    _check_data(message)
    _check_options(message)
    _check_array(message)


def _check_data(message: specs_pb2.JobSpec) -> None:
    """Refuse a project, a class or a jurisdiction that nothing can be called."""
    for name in ("project", "data_class"):
        word = getattr(message, name)
        if word and not _NAME.fullmatch(word):
            raise InvalidArgument(
                f"{word[:60]!r} is no name", field=f"spec.{name}",
                way_out=f"letters, digits, '.', '_', '-', at most {_MOST_OF_NAME}",
            )  # fmt: skip
    if len(message.jurisdictions) > _MOST_JURISDICTIONS:
        raise InvalidArgument(
            f"has more than {_MOST_JURISDICTIONS} entries", field="spec.jurisdictions"
        )
    for word in message.jurisdictions:
        if not is_jurisdiction(word):
            raise InvalidArgument(
                f"{word[:60]!r} is no code of a country, nor 'EU'", field="spec.jurisdictions",
                way_out="such as ES or ES,EU",
            )  # fmt: skip


def _check_options(message: specs_pb2.JobSpec) -> None:
    """Refuse options that no client of ours sends: they become directives at a site."""
    for pair in message.options:
        if pair.name not in BY_NAME:
            raise InvalidArgument(
                f"'{pair.name[:60]}' is no option of sbatch", field="spec.options"
            )
        most = MAX_WORD if pair.name in _WORDS else MAX_OPTION
        if len(pair.value) > most or "\n" in pair.value or "\0" in pair.value:
            raise InvalidArgument(
                f"its value has a line break, or more than {most} characters",
                field=f"spec.options.{pair.name}",
            )
    for pair in message.environment:
        if not _VARIABLE.fullmatch(pair.name) or "\0" in pair.value:
            raise InvalidArgument(
                f"'{pair.name[:60]}' is no variable, or its value has a NUL",
                field="spec.environment",
            )
    if any("\0" in word for word in message.arguments):
        raise InvalidArgument("one has a NUL", field="spec.arguments")


def _check_array(message: specs_pb2.JobSpec) -> None:
    if len(message.array) > MAX_ARRAY_TASKS:
        raise InvalidArgument(
            f"{len(message.array)} tasks are more than {MAX_ARRAY_TASKS}", field="spec.array"
        )
    last = -1
    for index in message.array:
        if index <= last:
            raise InvalidArgument(
                "indices must ascend from 0 without repetition", field="spec.array"
            )
        last = index
