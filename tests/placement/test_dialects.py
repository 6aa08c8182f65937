"""What is placed at a member can be written in its dialect, and the other way round."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from res_federation.config.dialects import load_dialects
from res_federation.config.sites import load_sites
from res_federation.errors import InvalidArgument
from res_federation.model.job import JobSpec
from res_federation.model.reason import Code
from res_federation.model.site import Partition, Site
from res_federation.placement.declared import all_free
from res_federation.placement.engine import place
from res_federation.placement.packing import RowVerdict, unpack
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Snapshot
from res_federation.slurm.canonical import understood
from res_federation.slurm.dialect import Dialect
from res_federation.slurm.job_spec import read_job
from res_federation.slurm.render import Rendered, render_understood
from tests.builders import a_job
from tests.strategies import examples

SITES = Path(__file__).parents[2] / "sites"
UNKNOWN = (Code.SHAPE_UNKNOWN, Code.NODES_UNKNOWN, Code.MEMORY_UNKNOWN)
"""At its own site a script is handed in though a figure is not published; it is not placed."""


@cache
def catalogue() -> tuple[tuple[Site, ...], dict[str, Dialect], Snapshot]:
    sites = load_sites(SITES)
    dialects = load_dialects(SITES, sites)
    free = all_free(sites, dialects=dialects)
    rows = tuple(replace(row, needs_account=True) for row in free.rows)
    return sites, dialects, replace(free, rows=rows)


def read(*directives: str) -> JobSpec:
    lines = "".join(f"#SBATCH {one}\n" for one in directives)
    spec = read_job(f"#!/bin/bash\n{lines}srun ./app\n", user="ana")
    return understood(spec, catalogue()[1])


def verdicts(spec: JobSpec) -> dict[str, RowVerdict]:
    job = replace(a_job(1), spec=spec)
    plan = place(catalogue()[2], (job,), Policy())
    decided = plan.assignments or plan.rejections
    return dict(zip(plan.frame, unpack(decided[0].decision)[1], strict=True))


def partitions() -> list[tuple[Site, Partition]]:
    return [(site, part) for site in catalogue()[0] for part in site.partitions]


def pick(*words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(("", *words))


ANY_DIRECTIVES = st.tuples(
    pick("-N 1", "-N 4", "-N 300", "-N 3000"),
    pick("-n 1", "-n 4", "-n 112", "-n 5000"),
    pick("-c 1", "-c 4", "-c 20", "-c 80", "-c 200"),
    pick("--ntasks-per-node=2", "--ntasks-per-node=48"),
    pick("--mem=0", "--mem=8G", "--mem=300G", "--mem=4T", "--mem-per-cpu=1G", "--mem-per-cpu=9G"),
    pick("--gres=gpu:1", "--gres=gpu:4", "--gres=gpu:h100:2", "--gpus=6", "--gres=gpu:a100:1"),
    pick("--cpus-per-gpu=4", "--cpus-per-gpu=40"),
    pick("-t 5", "-t 3:00:00", "-t 60:00:00", "-t 90:00:00", "-t 8-0"),
    pick("--exclusive"),
    pick("-a 1-50", "-a 0-5000"),
    pick("--tmp=10G"),
    pick("--account=uv00"),
    pick("--qos=gp_debug", "--qos=acc_resa", "--qos=acc_debug", "--constraint=dgx", "-p std"),
    pick("--licenses=matlab"),
)


@given(ANY_DIRECTIVES)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_partition_is_feasible_where_the_script_can_be_written(words: tuple[str, ...]) -> None:
    try:
        spec = read(*filter(None, words))
    except InvalidArgument:
        return
    found = verdicts(spec)
    dialects = catalogue()[1]
    for site, part in partitions():
        verdict = found[part.id]
        rendered = render_understood(spec, dialects[site.id], part)
        if verdict.reason.code in UNKNOWN:
            continue
        told = f"{part.id}: placed {verdict.reason}, written {rendered}"
        assert (verdict.score_s is not None) == isinstance(rendered, Rendered), told


@pytest.mark.parametrize(
    ("directives", "where", "code"),
    [
        (("--gres=gpu:1", "-t 5"), "bsc/mn5/acc", Code.ACCOUNT_MISSING),
        (("--gres=gpu:1", "-t 5", "--account=a", "--tmp=1G"), "bsc/mn5/acc", Code.DISK_UNKNOWN),
        (("-N 300", "-n 300", "-t 5", "--account=a"), "bsc/mn5/gpp", Code.QOS_NODES),
        (("--gres=gpu:1", "--cpus-per-gpu=60"), "cesga/ft3/a100", Code.FITS),
        (("--gres=gpu:2", "-c 65"), "cesga/ft3/a100", Code.TOO_FEW_CORES_PER_NODE),
        (("--mem=8G",), "csuc/pirineus3/gpu", Code.CORES_WITH_ACCELERATORS_ONLY),
        (("--qos=gp_debug", "--account=a", "-t 5"), "bsc/mn5/acc", Code.OTHER_PARTITION_MEANT),
        (("--qos=gp_debug", "--account=a", "-t 5"), "bsc/mn5/gpp", Code.FITS),
        (("--qos=gp_debug", "--account=a", "-t 5:00:00"), "bsc/mn5/gpp", Code.QOS_TIME),
    ],
)
def test_the_reason_is_the_sites_own_rule(
    directives: tuple[str, ...], where: str, code: Code
) -> None:
    assert verdicts(read(*directives))[where].reason.code is code


def test_what_the_site_makes_of_a_request_is_what_it_takes() -> None:
    """MareNostrum gives 20 cores with each GPU: four such jobs fill a node of 80 cores."""
    free = catalogue()[2]
    rows = tuple(
        replace(row, free=(replace(row.free[0], nodes=1),), available=1)
        for row in free.rows
        if row.partition == "bsc/mn5/acc"
    )
    spec = read("--gres=gpu:1", "-c 1", "-t 5", "--account=a")
    jobs = [replace(a_job(number), spec=spec) for number in range(1, 6)]
    plan = place(replace(free, rows=rows), jobs, Policy())
    assert [one.starts_now for one in plan.assignments] == [True] * 4 + [False]


def test_a_recognised_origin_is_told_to_its_user() -> None:
    spec = read("--constraint=dgx", "--gres=gpu:1")
    assert (spec.origin, spec.meant) == ("uma", "exa")
    assert any(note.startswith("origin: uma, recognised by") for note in spec.notes)
    assert spec.request.accelerator is not None
    assert spec.request.accelerator.family == "a100"


@pytest.mark.parametrize(("word", "least"), [("any", 0), ("any-64gb", 65536), ("64gb", 65536)])
def test_any_accelerator_with_enough_memory_will_do_and_is_written_as_the_site_wants_it(
    word: str, least: int
) -> None:
    spec = read(f"--gres=gpu:{word}:1", "--mem=8G", "-t 5", "--account=a", "--qos=acc_resa")
    found = verdicts(spec)
    dialects = catalogue()[1]
    feasible = [
        (site, part) for site, part in partitions() if found[part.id].reason.code is Code.FITS
    ]
    assert feasible
    for site, part in feasible:
        assert (part.shape.accelerator_memory_mib or 0) >= least
        written = render_understood(spec, dialects[site.id], part)
        assert isinstance(written, Rendered)
        assert f"gpu:{word}" not in written.script
        asked = read_job(written.script, user="ana").request
        assert asked.accelerators_per_node == 1
    refused = {found[part.id].reason.code for _, part in partitions()}
    assert (Code.ACCELERATOR_MEMORY in refused) == bool(least)
