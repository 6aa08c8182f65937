"""Scripts drawn from a seed: every option that decides where a job fits, in odd combinations."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

_TIMES = ("30", "02:00:00", "12:00:00", "1-00:00:00", "3-00:00:00", "5-00:00:00", "10-00:00:00")
_SMALL = (1, 1, 1, 2, 2, 3, 4, 5, 6, 8)
_CORES = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 112, 128)
_MEMORY = ("500", "2G", "4000M", "8G", "16G", "60G", "90G", "180G", "250G", "400G", "0")
_PER_CORE = ("500", "1G", "1900M", "2G", "3G", "4G", "6G", "8G", "16G", "64G")
_KINDS = ("", "", "", "", "a100:", "v100:", "h100:", "t4:")
_KEPT = (
    "hint=nomultithread", "hint=multithread", "hint=compute_bound", "hint=memory_bound",
    "threads-per-core=1", "threads-per-core=2", "ntasks-per-core=1", "ntasks-per-core=2",
    "ntasks-per-socket=1", "ntasks-per-socket=4", "ntasks-per-socket=16", "mincpus=4",
    "mincpus=40", "distribution=cyclic", "distribution=block:cyclic:fcyclic", "contiguous",
    "gres-flags=enforce-binding", "gpu-bind=closest", "gpu-bind=single:1", "mem-bind=local",
    "cpu-freq=high", "overcommit", "oversubscribe", "use-min-nodes", "spread-job", "nice=100",
    "signal=B:USR1@120", "time-min=10", "kill-on-invalid-dep=yes", "wait-all-nodes=1", "no-kill",
    "requeue", "open-mode=append", "sockets-per-node=2", "cores-per-socket=8",
    "extra-node-info=2:8:1", "core-spec=2", "thread-spec=2", "switches=1@10", "exclude=node7",
    "nodelist=node[1-2]", "constraint=skylake", "constraint=[rack1|rack2]", "reservation=week",
    "partition=compute", "qos=normal", "account=project", "wckey=key", "licenses=matlab:2",
    "tmp=10G", "propagate=NONE", "get-user-env", "comment=a word", "deadline=now+30days",
    "export=NONE", "array=1-10", "array=0-99%5", "array=1-3000", "priority=10", "delay-boot=5",
    "profile=none", "power=level", "acctg-freq=30", "reboot", "network=ib", "clusters=east",
    "prefer=fast", "mcs-label=one", "batch=big", "bbf=file", "gpu-freq=medium",
)  # fmt: skip


def generated(number: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield name and text of *number* scripts."""
    draw = Random(seed)
    for index in range(number):
        lines = [f"#SBATCH --{option}" for option in _options(draw)]
        draw.shuffle(lines)
        yield f"drawn-{seed}-{index}", "\n".join(["#!/bin/bash", *lines, "true", ""])


def _options(draw: Random) -> Iterator[str]:
    def often(share: float) -> bool:
        return draw.random() < share

    if often(0.9):
        yield f"time={draw.choice(_TIMES)}"
    if often(0.5):
        least = draw.choice((1, 1, 1, 2, 2, 3, 4, 8, 40, 150))
        yield f"nodes={least}" + (f"-{least + draw.choice((0, 2, 300))}" if often(0.1) else "")
    if often(0.45):
        yield f"ntasks={draw.choice((*_SMALL, *_CORES, 256, 1000))}"
    if often(0.35):
        yield f"ntasks-per-node={draw.choice((*_SMALL, *_CORES))}"
    if often(0.45):
        yield f"cpus-per-task={draw.choice((*_SMALL, *_CORES))}"
    if often(0.15):
        yield draw.choice(("exclusive", "exclusive", "exclusive=user"))
    yield from _memory(draw)
    if often(0.45):
        yield from _gpus(draw)
    yield from draw.sample(_KEPT, draw.choice((0, 0, 0, 1, 1, 2)))


def _memory(draw: Random) -> Iterator[str]:
    way = draw.random()
    if way < 0.3:
        yield f"mem={draw.choice(_MEMORY)}"
    elif way < 0.6:
        yield f"mem-per-cpu={draw.choice(_PER_CORE)}"
    elif way < 0.65:
        yield f"mem-per-gpu={draw.choice(('8G', '32G', '64G', '120G'))}"


def _gpus(draw: Random) -> Iterator[str]:
    kind, many = draw.choice(_KINDS), draw.choice((1, 1, 1, 2, 2, 3, 4, 8))
    way = draw.random()
    if way < 0.5:
        yield f"gres=gpu:{kind}{many}"
    elif way < 0.62:
        yield f"gpus-per-node={kind}{many}"
    elif way < 0.8:
        yield f"gpus={kind}{draw.choice((many, many, 16, 40))}"
    elif way < 0.92:
        yield f"gpus-per-task={kind}{draw.choice((1, 1, 2))}"
    else:
        yield f"gpus={kind}{many}"
        yield f"gpus-per-node={kind}{draw.choice((1, 2, many))}"
    if draw.random() < 0.15:
        yield f"cpus-per-gpu={draw.choice((1, 2, 4, 8, 16, 20, 32))}"
    if draw.random() < 0.05:
        yield f"ntasks-per-gpu={draw.choice((1, 2))}"
