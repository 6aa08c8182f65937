"""Jobs from ``squeue --json`` and ``sacct --json``, as 22.05 writes them and as newer ones do.

What changed over the versions: a state became a list of words, a number became
``{"set": …, "infinite": …, "number": …}``, an exit code and the nodes became objects. A command
that failed ends with 0 and an empty list: only ``errors`` tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from res_federation.errors import Unavailable
from res_federation.slurm import slurm_states, squeue, tres
from res_federation.slurm.sacct import AccountedJob
from res_federation.slurm.slurm_states import Phase, SlurmState
from res_federation.slurm.squeue import QueuedJob
from res_federation.slurm.tres import Tres

_INFINITE = 0xFFFF_FFFF
_NO_VALUE = 0xFFFF_FFFE
_NO_NODES = frozenset({"", "None assigned", "(null)"})
_WAY_OUT = "use the text form"
_EMPTY_RESULT = 9003
_MOST_HEX = 32 * 1024


def read_queue(text: str) -> tuple[tuple[QueuedJob, ...], int]:
    """Read ``squeue --json``: the jobs, and how many records are none.

    Raises:
        Unavailable: If Slurm reports an error, or *text* is no list of jobs in JSON.

    """
    found = [_queued(record) for record in _records(text, "squeue")]
    jobs = tuple(job for job in found if job is not None)
    return jobs, len(found) - len(jobs)


def read_accounting(text: str) -> tuple[tuple[AccountedJob, ...], int]:
    """Read ``sacct --json``: the jobs, and how many records are none.

    Raises:
        Unavailable: If Slurm reports an error, or *text* is no list of jobs in JSON.

    """
    found = [_accounted(record) for record in _records(text, "sacct")]
    jobs = tuple(job for job in found if job is not None)
    return jobs, len(found) - len(jobs)


def _records(text: str, command: str) -> list[Any]:
    try:
        whole = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise Unavailable(
            f"{command} --json printed no JSON", way_out="use the text form"
        ) from None
    answer = _object(whole)
    errors = answer.get("errors")
    if errors and not _nothing_found(errors):
        raise Unavailable(f"{command} --json: {_said(errors)}")
    jobs = answer.get("jobs")
    if not isinstance(jobs, list):
        raise Unavailable(f"{command} --json lists no jobs", way_out=_WAY_OUT)
    return jobs


def _nothing_found(errors: object) -> bool:
    """Tell whether the error is sacct's way to say that there are no such jobs."""
    each = errors if isinstance(errors, list) else [errors]
    return all(_object(one).get("error_number") == _EMPTY_RESULT for one in each)


def _said(errors: object) -> str:
    """Return what the first of Slurm's errors says, for people."""
    first = errors[0] if isinstance(errors, list) else errors
    parts = _object(first)
    words = [parts.get(key) for key in ("error", "description")]
    said = ": ".join(word for word in words if isinstance(word, str) and word)
    return (said or str(first))[:300]


def _queued(record: object) -> QueuedJob | None:
    job = _object(record)
    number = _number(job.get("job_id"))
    if number is None:
        return None
    state = _state(job.get("job_state"))
    waits, over = state.phase is Phase.WAITING, state.phase is Phase.OVER
    code, signal = _exit(job.get("exit_code"), state)
    start = _time(job.get("start_time"))
    limit = _number(job.get("time_limit"))
    array, array_number = _tasks(job), _number(job.get("array_job_id"))
    return QueuedJob(
        number=number,
        state=state,
        name=_text(job.get("name")),
        comment=_text(job.get("comment")),
        array_number=(array_number or None) if array else None,
        array=array,
        user=_text(job.get("user_name")),
        account=_text(job.get("account")),
        partitions=_parts(job.get("partition")),
        qos=_text(job.get("qos")),
        reason=_reason(job.get("state_description")) or _reason(job.get("state_reason")),
        nodes=_number(job.get("node_count")) or 0,
        cores=_number(job.get("cpus")) or 0,
        tres=_asked(job),
        time_limit_s=None if limit is None else limit * 60,
        submitted=_time(job.get("submit_time")),
        started=None if waits else start,
        expected_start=start if waits else None,
        ended=_time(job.get("end_time")) if over else None,
        node_list=_nodes(job),
        priority=_number(job.get("priority")),
        exit_code=code,
        signal=signal,
        reservation=_text(job.get("resv_name")),
        dependency=_text(job.get("dependency")),
    )


def _accounted(record: object) -> AccountedJob | None:
    job = _object(record)
    number = _number(job.get("job_id"))
    if number is None:
        return None
    status, time = _object(job.get("state")), _object(job.get("time"))
    state = _state(status.get("current"), _text(job.get("kill_request_user")))
    code, signal = _exit(job.get("exit_code"), state)
    array = _object(job.get("array"))
    index = _number(array.get("task_id"))
    tasks = str(index) if index is not None else _bits(_text(array.get("task")))
    comment, whose = job.get("comment"), _object(job.get("association"))
    return AccountedJob(
        number=number,
        state=state,
        name=_text(job.get("name")),
        comment=_text(_object(comment).get("job")) or _text(comment),
        array_number=(_number(array.get("job_id")) or None) if tasks else None,
        array=tasks,
        user=_text(job.get("user")) or _text(whose.get("user")),
        account=_text(job.get("account")) or _text(whose.get("account")),
        partitions=_parts(job.get("partition")),
        reason=_reason(status.get("reason")),
        exit_code=code,
        signal=signal,
        submitted=_time(time.get("submission")),
        started=_time(time.get("start")),
        ended=_time(time.get("end")),
        node_list=_nodes(job),
        tres=_listed(_object(job.get("tres")).get("allocated")),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parts(value: object) -> tuple[str, ...]:
    return tuple(part for part in _text(value).split(",") if part)


def _number(value: object) -> int | None:
    """Return a number in either shape; None for none, one without an end, or a negative one."""
    if isinstance(value, dict):
        if not value.get("set") or value.get("infinite"):
            return None
        value = value.get("number")
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 10**18 and value not in (_INFINITE, _NO_VALUE) else None


def _time(value: object) -> int | None:
    return _number(value) or None


def _state(value: object, by: str = "") -> SlurmState:
    words = value if isinstance(value, list) else [value]
    state = slurm_states.read(",".join(_text(word) for word in words[:32]))
    if by and state.word == "CANCELLED":
        return SlurmState(state.word, state.phase, state.end, by)
    return state


def _exit(value: object, state: SlurmState) -> tuple[int | None, int]:
    """Return exit code and signal: of a wait status, or of the object that newer ones write.

    sacct --json of 22.05 says 0 of every job that exited, also of one that failed.
    """
    if state.phase is not Phase.OVER:
        return None, 0
    if not isinstance(value, dict) or "number" in value:
        return squeue.exit_of(_number(value))
    ended_by = _object(value.get("signal"))
    signal = _number(ended_by.get("id", ended_by.get("signal_id"))) or 0
    code = _number(value.get("return_code"))
    if state.word == "FAILED" and not code and not signal:
        return None, 0
    return (0 if code is None and signal else code), signal


def _reason(value: object) -> str:
    return squeue.word(_text(value))


def _tasks(job: Mapping[str, Any]) -> str:
    index = _number(job.get("array_task_id"))
    waiting = _text(job.get("array_task_string"))
    return waiting or ("" if index is None else str(index))


def _bits(text: str) -> str:
    """Write the tasks of a bitmap, ``0x1FFFFF``, as Slurm's text forms do; others as they are."""
    digits = text.removeprefix("0x")
    if digits == text or not digits or len(digits) > _MOST_HEX:
        return text
    try:
        bits = bin(int(digits, 16))[:1:-1]
    except ValueError:
        return text
    ranges: list[str] = []
    at = bits.find("1")
    while at >= 0:
        end = bits.find("0", at)
        end = len(bits) if end < 0 else end
        ranges.append(str(at) if end == at + 1 else f"{at}-{end - 1}")
        at = bits.find("1", end)
    return ",".join(ranges)


def _nodes(job: Mapping[str, Any]) -> str:
    """Return the list of nodes: a text, or an object that has it, or has them one by one."""
    for value in (job.get("nodes"), _object(job.get("job_resources")).get("nodes")):
        inner = _object(value)
        for text in (value, inner.get("list"), inner.get("nodes")):
            if isinstance(text, str) and text not in _NO_NODES:
                return text
        each = inner.get("allocation")
        if isinstance(each, list):
            names = [_object(node).get("name", _object(node).get("nodename")) for node in each]
            return ",".join(name for name in names if isinstance(name, str))
    return ""


_COLUMNS = {"tres-per-job": "tres_per_job", "tres-per-node": "tres_per_node",
            "tres-per-socket": "tres_per_socket", "tres-per-task": "tres_per_task"}  # fmt: skip


def _asked(job: Mapping[str, Any]) -> Tres:
    """Read what a job has, or asks for, by the same rule as the text form."""
    row = {column: _text(job.get(key)) for column, key in _COLUMNS.items()}
    row["tres-alloc"] = _text(job.get("tres_alloc_str")) or _text(job.get("tres_req_str"))
    row["NumNodes"] = str(_number(job.get("node_count")) or 1)
    row["NumTasks"] = str(_number(job.get("tasks")) or 1)
    return squeue.with_gpus(row)


def _listed(value: object) -> Tres:
    """Read amounts that stand one by one: type, name, count."""
    parts: list[str] = []
    for each in value if isinstance(value, list) else []:
        one = _object(each)
        kind, name, count = (
            _text(one.get("type")),
            _text(one.get("name")),
            _number(one.get("count")),
        )
        if kind and count is not None and "," not in kind + name:
            parts.append(f"{kind}/{name}={count}" if name else f"{kind}={count}")
    return tres.read(",".join(parts))
