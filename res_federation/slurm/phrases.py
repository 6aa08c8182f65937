"""Values with a small grammar of their own: mail, signals, distribution, binding, frequencies."""

from __future__ import annotations

import re

from res_federation.errors import InvalidArgument
from res_federation.slurm import durations
from res_federation.slurm.values import leading_int, refuse, whole

_MAIL_ALL = ("INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT")
_MAIL_ORDER = (
    "ARRAY_TASKS", *_MAIL_ALL, "TIME_LIMIT_50", "TIME_LIMIT_80", "TIME_LIMIT_90", "TIME_LIMIT",
)  # fmt: skip
_SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "ALRM": 14,
    "TERM": 15, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24,
}  # fmt: skip
_SIGNAL_NAMES = {number: name for name, number in _SIGNALS.items()}
_SIGNAL = re.compile(r"(?:([rb]{1,2}):)?([a-z0-9]+|-\d+)(?:@(\d*))?", re.ASCII | re.IGNORECASE)
_LEVELS = ("block", "cyclic", "fcyclic")
_HINTS = ("compute_bound", "memory_bound", "multithread", "nomultithread")
_USER_ENV = re.compile(r"(-?\d*)(?:([ls]).*)?", re.ASCII | re.IGNORECASE)
_GPU_BIND = re.compile(
    r"(?:verbose,)?(?:none|closest|(?:single|per_task|map_gpu|mask_gpu):.*)", re.IGNORECASE
)
_FREQUENCY = r"(?:low|medium|high|highm1|\d+)"
_GPU_FREQ = re.compile(rf"(?:memory=)?{_FREQUENCY}|verbose", re.IGNORECASE | re.ASCII)
_CPU_WORDS = {"low": "Low", "medium": "Medium", "high": "High", "highm1": "Highm1"}
_CPU_ORDER = {"low": 0, "medium": 1, "highm1": 2, "high": 3}
_GOVERNORS = {"performance": "Performance", "ondemand": "OnDemand", "userspace": "UserSpace"}
_MEM_BIND = re.compile(
    r"none|local|rank|(?:map_mem|mask_mem):.+|verbose|quiet|v|q|prefer|p|sort|nosort",
    re.IGNORECASE,
)
_PROFILES = ("energy", "lustre", "network", "task")
_ACCOUNTING = re.compile(r"(?:(?:task|energy|network|filesystem)=)?\d+", re.ASCII | re.IGNORECASE)


def mail_type(text: str, before: str) -> str:
    """Read ``--mail-type``; events add up over repeated options."""
    events: set[str] = set()
    nothing = False
    for word in text.upper().split(","):
        if word == "NONE":
            nothing = True
        elif word == "ALL":
            events.update(_MAIL_ALL)
        elif word in _MAIL_ORDER:
            events.add(word)
    if nothing:
        events = set()
    elif not events:
        raise refuse("mail-type", "NONE, ALL, BEGIN, END, FAIL, REQUEUE, TIME_LIMIT, …")
    if before and before != "NONE":
        events.update(before.split(","))
    return ",".join(event for event in _MAIL_ORDER if event in events) or "NONE"


def signal(text: str, before: str) -> str:
    """Read ``--signal``: ``[R][B:]signal[@seconds]``; a letter once given stays."""
    found = _SIGNAL.fullmatch(text)
    if found is None:
        raise refuse("signal", "write it like B:USR1@120")
    flags, word, lead = found.groups()
    value = leading_int(word) % 65536
    if not word.lstrip("-").isdigit():
        value = _SIGNALS.get(word.upper().removeprefix("SIG"), 0)
    seconds = 60 if lead is None else int(lead[:9] or 0)
    if value == 0 or seconds > 65535:
        raise refuse("signal", "write it like B:USR1@120")
    earlier = before.partition(":")[0] if ":" in before else ""
    letters = (flags or "").upper() + earlier
    lead_text = "" if seconds == 60 else f"@{seconds}"
    shown = "".join(letter for letter in "RB" if letter in letters)
    name = _SIGNAL_NAMES.get(value, str(value))
    return f"{shown}:{name}{lead_text}" if shown else f"{name}{lead_text}"


def distribution(text: str) -> str:
    """Read ``--distribution``: levels of block, cyclic and fcyclic, then pack or nopack."""
    plain = text.lower()
    if plain.startswith("plane"):
        size = re.fullmatch(r"plane=(\d{1,9})", plain, re.ASCII)
        if size is None or int(size.group(1)) == 0:
            raise refuse("distribution", "plane needs a size: plane=4")
        return f"plane={int(size.group(1))}"
    body, comma, packing = plain.partition(",")
    if body in ("pack", "nopack") and not comma:
        return body
    if (comma and packing not in ("pack", "nopack")) or not body:
        raise refuse("distribution")
    levels = body.split(":")
    if levels == ["arbitrary"]:
        return "arbitrary" + comma + packing
    for at, default in enumerate(("block", "cyclic")):
        if at < len(levels) and levels[at] == "*":
            levels[at] = default
    if len(levels) == 3 and levels[2] == "*":
        levels[2] = levels[1]
    if len(levels) > 3 or levels[0] == "fcyclic" or any(at not in _LEVELS for at in levels):
        raise refuse("distribution", "write it like block:cyclic")
    return ":".join(levels) + comma + packing


def hint(text: str) -> str:
    """Read ``--hint``: sbatch writes it back as it was given."""
    words = [word for word in text.lower().split(",") if word]
    for word in words or [""]:
        if word not in _HINTS:
            raise InvalidArgument(
                f'unrecognized --hint argument "{word}", see --hint=help',
                field="--hint",
                way_out=f"one of {', '.join(_HINTS)}",
            )
    return text


def user_env(text: str, before: str) -> str:
    """Read ``--get-user-env``: seconds and a mode, both optional; a mode once given stays."""
    found = _USER_ENV.fullmatch(text)
    if found is None:
        raise refuse("get-user-env")
    seconds = leading_int(found.group(1))
    mode = found.group(2) or before.lstrip("0123456789")[:1]
    return "(null)" if seconds < 0 else f"{seconds}{mode.upper()}"


def gpu_bind(text: str) -> str:
    """Read ``--gpu-bind``."""
    if not _GPU_BIND.fullmatch(text):
        raise InvalidArgument(f"Invalid --gpu-bind argument: gpu:{text}", field="--gpu-bind")
    return text


def gpu_freq(text: str) -> str:
    """Read ``--gpu-freq``."""
    if not all(_GPU_FREQ.fullmatch(part) for part in text.split(",")):
        raise InvalidArgument(f"Invalid --gpu-freq argument: gpu:{text}", field="--gpu-freq")
    return text


def cpu_freq(text: str) -> str:
    """Read ``--cpu-freq``: a frequency, a range with a governor, or a governor."""
    bounds, _, governor = text.lower().partition(":")
    if bounds in _GOVERNORS and not governor:
        return _GOVERNORS[bounds]
    low, dash, high = bounds.partition("-")
    parts = [low, high] if dash else [low]
    known = all(re.fullmatch(_FREQUENCY, part, re.ASCII) for part in parts)
    if not known or (governor and (not dash or governor not in _GOVERNORS)):
        raise InvalidArgument("Invalid --cpu-freq argument", field="--cpu-freq")
    if dash and _cpu_rank(low) > _cpu_rank(high):
        raise InvalidArgument("Invalid --cpu-freq argument", field="--cpu-freq")
    shown = "-".join(_CPU_WORDS.get(part, part) for part in parts)
    return f"{shown}:{_GOVERNORS[governor]}" if governor else shown


def _cpu_rank(text: str) -> tuple[int, int]:
    return (1, _CPU_ORDER[text]) if text in _CPU_ORDER else (0, int(text[:18]))


def memory_binding(text: str) -> str:
    """Read ``--mem-bind``: sbatch lists verbosity and preferences first."""
    words = text.lower().split(",")
    if not all(_MEM_BIND.fullmatch(word) for word in words if "mem:" not in text.lower()):
        raise InvalidArgument(f'unrecognized --mem-bind argument "{text}"', field="--mem-bind")
    shown = ["verbose"] if {"v", "verbose"} & set(words) else []
    shown += [word for word in ("prefer", "sort") if word in words]
    for word in words:
        if word in ("none", "local", "rank"):
            shown.append(word)
    at = re.search(r"(map_mem|mask_mem):(.+)", text, re.IGNORECASE)
    if at:
        masks = at.group(2)
        if at.group(1).lower() == "mask_mem":
            masks = ",".join(part.removeprefix("0x") for part in masks.split(","))
        shown.append(f"{at.group(1).lower()}:{masks}")
    return ",".join(shown) or "unset"


def profile(text: str) -> str:
    """Read ``--profile``: all, none, or kinds of data."""
    words = text.lower().split(",")
    if "none" in words:
        return "None"
    kinds = _PROFILES if "all" in words else [kind for kind in _PROFILES if kind in words]
    if not kinds:
        raise InvalidArgument(f"invalid --profile={text} option", field="--profile")
    return ",".join(kind.capitalize() for kind in kinds)


def accounting_frequency(text: str) -> str:
    """Read ``--acctg-freq``."""
    if not all(_ACCOUNTING.fullmatch(part) for part in text.split(",")):
        raise InvalidArgument(f"Invalid --acctg-freq specification: {text}", field="--acctg-freq")
    return text


def switches(text: str, before: str) -> str:
    """Read ``--switches``: a count and the longest wait for it; a wait once given stays."""
    many, at, wait = text.partition("@")
    count = whole(many, "switches", 1)
    if not at:
        kept = before.partition("@")[2]
        return f"{count}@{kept}" if kept else str(count)
    length = durations.minutes(wait)
    if length is None:
        return f"{count}@INVALID"
    return str(count) if length == durations.UNLIMITED else f"{count}@{durations.normal(length)}"


def power(text: str) -> str:
    """Read ``--power``: words that are not known are left out, as sbatch does."""
    return "LEVEL" if "level" in text.lower().split(",") else "unset"
