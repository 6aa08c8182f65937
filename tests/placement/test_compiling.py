"""What is compiled and kept on disk is used for as long as all that it stands on is the same."""

from __future__ import annotations

import os
import pkgutil
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import res_federation
from res_federation import placement, simulator
from res_federation.placement.compiling import stands_on

PACKAGE = Path(res_federation.__file__).parent
ASK = """
import numpy as np
from {module} import {name} as loop
NOTHING_FREE = (
    np.zeros((1, 1, 3), np.int32), np.zeros((1, 1), np.uint8), np.array([-1]),
    np.full((1, 16), 9), np.array([0]),
)
print({call}, *(sum(count.values()) for count in (loop.stats.cache_hits, loop.stats.cache_misses)))
"""
CASES = {
    "a loop that it calls": (
        "res_federation.placement.kept_places", "nodes_of_tasks",
        "loop(np.array([1, 2, 0, 0]), np.array([8, 0, 0]), 5)",
        "placement/kernels.py", "bar[1] // cores if", "bar[1] // cores + 3 if", ("4", "7"),
    ),
    "a constant of another file": (
        "res_federation.placement.turns", "nearest",
        "loop(*NOTHING_FREE)[0, 1]",
        "placement/ground.py", "= 48, 49, 50, 51", "= 58, 49, 50, 51", ("48", "58"),
    ),
}  # fmt: skip


def asked(home: Path, case: tuple[Any, ...]) -> tuple[str, str]:
    """Return what a loop of the package at *home* says, and whether it came from disk."""
    text = ASK.format(module=case[0], name=case[1], call=case[2])
    told = subprocess.run(
        [sys.executable, "-c", text], cwd=home, check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(home)},
    ).stdout.split()  # fmt: skip
    return told[0], "from disk" if told[1:] == ["1", "0"] else "compiled"


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    home = tmp_path_factory.mktemp("upgraded")
    leave = shutil.ignore_patterns("*.nbi", "*.nbc", "*.pyc")
    shutil.copytree(PACKAGE, home / "res_federation", ignore=leave)
    return home


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_after_an_upgrade_in_place_no_old_loop_runs(copied, case):
    before, after = case[-1]
    assert asked(copied, case) == (before, "compiled")
    assert asked(copied, case) == (before, "from disk")
    file = copied / "res_federation" / case[3]
    times = file.stat()
    text = file.read_text()
    assert text.count(case[4]) == 1
    kept = {one.name for one in copied.rglob(f"*{case[1]}*.nb[ic]")}
    file.write_text(text.replace(case[4], case[5]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + 2_000_000_000))
    assert asked(copied, case) == (after, "compiled")
    assert asked(copied, case) == (after, "from disk")
    assert {one.name for one in copied.rglob(f"*{case[1]}*.nb[ic]")} == kept, "nothing piles up"


def test_all_that_a_loop_stands_on_is_there_when_it_is_compiled():
    stamped = 0
    for room in (placement, simulator):
        for found in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
            for loop in vars(import_module(found.name)).values():
                kept = getattr(getattr(loop, "_cache", None), "_cache_file", None)
                if kept is not None:
                    assert kept._source_stamp[1] == stands_on(loop.py_func), loop
                    stamped += 1
    assert stamped > 100
