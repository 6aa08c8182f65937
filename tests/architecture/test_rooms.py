"""Rooms import only what they may, and the rules catch who does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

BIN = Path(sys.executable).parent

# The file that gets the line, the line, and the contract or rule that must name it.
IMPORTS = [
    ("placement/order.py", "import ray", "Only scatter imports ray"),
    ("control/state.py", "import pydantic", "Only config imports pydantic"),
    ("broker/loop.py", "import sqlalchemy", "Only store imports SQLAlchemy"),
    ("client/address.py", "import networkx", "Only topology imports networkx"),
    ("broker/loop.py", "import subprocess", "Processes are started in three files"),
    ("slurm/durations.py", "import time", "Decision rooms do no I/O"),
    ("control/state.py", "import res_federation.store", "Rooms: each may import"),
    ("agent/clock.py", "import res_federation.broker.clock", "Rooms: each may import"),
    ("cli/main.py", "import res_federation.api.v1.jobs_pb2", "Generated code is touched"),
    ("helpers/__init__.py", "", "Rooms: each may import"),
]
CALLS = [
    "import subprocess\nsubprocess.run(['true'])",
    "import os\nos.system('true')",
    "import datetime\ndatetime.datetime.now()",
    "import datetime\ndatetime.datetime.utcnow()",
    "import time\ntime.time()",
    "import random\nrandom.random()",
    "import asyncio\nasyncio.create_subprocess_shell('true')",
]


def lint_imports(where: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the tree that lies there."""
    argv = [str(BIN / "lint-imports"), "--no-cache"]
    return subprocess.run(argv, cwd=where, capture_output=True, text=True, check=False)


def refusals(file: str, source: str) -> str:
    """Say which banned calls ruff finds in a text that would stand in this file."""
    argv = [
        str(BIN / "ruff"),
        "check",
        "--quiet",
        "--select",
        "TID251",
        "--stdin-filename",
        file,
        "-",
    ]
    outcome = subprocess.run(
        argv, cwd=ROOT, input=source, capture_output=True, text=True, check=False
    )
    return outcome.stdout + outcome.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the package, so that a violation can be written into it."""
    here = tmp_path / "tree"
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "res_federation", here / "res_federation", ignore=leave_out)
    shutil.copy(ROOT / "pyproject.toml", here)
    return here


def test_every_room_imports_only_what_it_may():
    outcome = lint_imports(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(("file", "line", "contract"), IMPORTS)
def test_a_forbidden_import_is_caught_by_the_contract_meant_for_it(copy, file, line, contract):
    culprit = copy / "res_federation" / file
    culprit.parent.mkdir(exist_ok=True)
    with culprit.open("a", encoding="utf-8") as out:
        out.write(f"\n{line}\n")

    outcome = lint_imports(copy)

    assert outcome.returncode == 1, outcome.stderr
    broken = [row for row in outcome.stdout.splitlines() if " BROKEN" in row]
    assert any(row.startswith(contract) for row in broken), outcome.stdout


@pytest.mark.parametrize("source", CALLS)
def test_a_call_that_no_import_shows_is_refused_by_name(source):
    assert "TID251" in refusals("res_federation/broker/loop.py", source)


def test_what_the_rules_allow_stands_in_few_files():
    for file in ["agent/commands.py", "cli/supervisor.py", "cli/bench_submit.py"]:
        assert refusals(f"res_federation/{file}", "import subprocess\n") == ""
