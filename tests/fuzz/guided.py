"""One fuzzing process, guided by coverage: ``python -m tests.fuzz.guided TARGET COUNT -seed=1 …``.

The arguments after the first two are libFuzzer's. COUNT is a file of eight bytes: the number of
directive lines so far, which outlives a crash and a hang.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["res_federation.slurm", "res_federation.agent.slurm"]):
    from tests.fuzz.targets import TARGETS

COUNT_BYTES = 8


def counted(target: Callable[[bytes], int], file: Path) -> Callable[[bytes], None]:
    """Return *target* as the fuzzer calls it, with its lines added up in *file*."""
    with file.open("r+b") as opened:
        kept = mmap.mmap(opened.fileno(), COUNT_BYTES)
    total = 0

    def one_input(data: bytes) -> None:
        nonlocal total
        try:
            total += target(data)
        except BaseException:
            total += 1
            raise
        finally:
            kept[:] = total.to_bytes(COUNT_BYTES, "little")

    return one_input


def main() -> None:
    """Fuzz until libFuzzer's own bounds are reached; never returns."""
    name, file = sys.argv[1:3]
    atheris.Setup([sys.argv[0], *sys.argv[3:]], counted(TARGETS[name], Path(file)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
