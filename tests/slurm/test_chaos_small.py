"""A small part of the fault campaign, always the same draw; `make chaos` runs all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from res_federation.lab.daemons import PACKAGES
from tests.chaos.campaign import plan
from tests.chaos.faults import FAULTS
from tests.chaos.points import POINTS
from tests.chaos.workload import orders
from tests.strategies import LONG

REPOSITORY = Path(__file__).resolve().parents[2]
JOBS, STRIKES, SPAN_S = (60, 8, 20) if LONG else (24, 6, 10)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(170)
def test_nothing_is_lost_duplicated_or_stuck(requires: Callable[[str, str], Path]) -> None:
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
        requires(program, PACKAGES.get(program, program))
    words = f"--mild --no-accounting --jobs {JOBS} --faults {STRIKES} --span {SPAN_S}".split()
    words += "--seed 7 --patience 90".split()
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.campaign", *words],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=160, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    result = json.loads(done.stdout.splitlines()[-1])
    told = (result["jobs"], result["lost"], result["duplicated"], result["stuck"])
    assert told == (JOBS, 0, 0, 0)
    assert result["faults"] >= STRIKES


def test_a_whole_campaign_has_every_kind_and_every_point():
    planned = plan(70, Random(1), mild=False)
    assert len(planned) == 70
    assert {fault.name for fault, _ in planned} == {fault.name for fault in FAULTS}
    assert {point for _, point in planned} == {"", *POINTS}


def test_the_same_seed_is_the_same_campaign(tmp_path: Path):
    assert plan(30, Random("7 plan"), mild=False) == plan(30, Random("7 plan"), mild=False)
    assert orders(50, tmp_path, Random("7 jobs")) == orders(50, tmp_path, Random("7 jobs"))
