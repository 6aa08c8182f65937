"""The change that is suggested does flip the outcome."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.config.dialects import load_dialects
from res_federation.config.sites import load_sites
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.capacity import FreeNodes
from res_federation.model.reason import Code
from res_federation.model.resources import ResourceRequest
from res_federation.placement.counterfactual import NO_CHANGE, ONLY_ONE, counterfactual
from res_federation.placement.declared import declared
from res_federation.placement.engine import place
from res_federation.placement.pins import pin_words
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import ReleaseIn
from tests.builders import A100, H100, a_job, a_row, a_snapshot
from tests.placement.drawn import jobs, requests, snapshots

POLICY, LATE = Policy(), named("federated")
ROWS = a_snapshot(a_row("bsc", H100, 4, max_time_s=86_400), a_row("uv", nodes=4, max_time_s=86_400))
OF_SPEC = ("time_limit_s", "qos", "partition")
OF_REQUEST = ("architecture",)


def applied(spec, change):
    """Return what a user would submit who follows *change*, by its fields alone."""
    request = spec.request
    for field, value in change:
        if field in OF_SPEC:
            spec = replace(spec, **{field: value})
            spec = replace(spec, purpose="") if field == "qos" else spec
        elif field in ("clusters", "excluded"):
            spec = replace(spec, **{field: ()})
        elif field == "array_tasks":
            spec = replace(spec, array=spec.array[:value])
        elif field == "accelerator_memory":
            request = replace(request, accelerator=replace(request.accelerator, min_memory_mib=0))
        elif field == "accelerator":
            request = replace(request, accelerator=AcceleratorNeed())
        elif field in ("features", "licenses"):
            request = replace(request, **{field: ()})
            spec = replace(spec, constraint="")
        else:
            request = replace(request, **{field: None if value == "" else value})
    return replace(spec, request=request)


def outcome(snapshot, job, policy, ahead=()):
    plan = place(snapshot, [*ahead, job], policy)
    chosen = {one.job: one.partition for one in plan.assignments}
    never = {one.job for one in plan.rejections if one.permanent}
    return chosen.get(job.id), job.id in never


def follow(snapshot, job, policy, ahead=()):
    """Ask, do what is suggested, and hold the new outcome against what was promised."""
    before, never = outcome(snapshot, job, policy, ahead)
    said = counterfactual(snapshot, job, policy, ahead)
    assert said.sentence
    if not said.change:
        assert said.partition is None
        return said
    changed = replace(job, spec=applied(job.spec, said.change), refused=())
    assert changed.spec != job.spec
    after, still_never = outcome(snapshot, changed, policy, ahead)
    if after is None:
        assert before is None
        assert never
        assert not still_never
    else:
        assert after == said.partition != before
    assert said.sentence.startswith(f"{said.partition} if ")
    return said


@pytest.mark.parametrize(
    ("job", "sentence", "change"),
    [
        (
            a_job(0, time_limit_s=100_000),
            "uv/c/p if the time limit were at most 24 h",
            {"time_limit_s": 86_400},
        ),
        (a_job(0, ResourceRequest(nodes=5)), "it asked for at most 4 nodes", {"nodes": 4}),
        (
            a_job(0, ResourceRequest(nodes=5, tasks=400)),
            "it asked for at most 4 nodes with 320 tasks in all",
            {"nodes": 4, "tasks": 320},
        ),
        (
            a_job(0, ResourceRequest(cpus_per_task=100)),
            "bsc/c/p if it asked for at most 80 cores per task",
            {"cpus_per_task": 80},
        ),
        (
            a_job(0, ResourceRequest(memory_per_node_mib=10**6)),
            "bsc/c/p if it asked for at most 500 GiB (512000 MiB) per node",
            {"memory_per_node_mib": 512_000},
        ),
        (
            a_job(0, clusters=("nowhere",)),
            "uv/c/p if it were not pinned (-M) and excluded no site",
            {"clusters": "", "excluded": "", "partition": ""},
        ),
        (
            a_job(0, ResourceRequest(architecture="aarch64")),
            "uv/c/p if its payload were for x86_64",
            {"architecture": "x86_64"},
        ),
        (
            a_job(0, ResourceRequest(features=("ssd",))),
            "uv/c/p if it did not insist on ssd",
            {"features": "", "licenses": ""},
        ),
        (
            a_job(0, ResourceRequest(accelerator=AcceleratorNeed("a100"), accelerators_per_node=1)),
            "bsc/c/p if any accelerator would do",
            {"accelerator": ""},
        ),
        (
            a_job(0, ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=7)),
            "bsc/c/p if it asked for at most 4 accelerators per node",
            {"accelerators_per_node": 4},
        ),
    ],
)
@pytest.mark.parametrize("policy", [POLICY, LATE], ids=lambda policy: policy.name)
def test_the_smallest_change_is_named_exactly_and_works(policy, job, sentence, change):
    assert outcome(ROWS, job, policy)[0] is None
    said = follow(ROWS, job, policy)
    assert sentence in said.sentence
    assert dict(said.change) == change


def test_of_two_changes_the_smaller_is_named():
    rows = a_snapshot(a_row("bsc", nodes=2, max_time_s=7200), a_row("uv", nodes=8, max_time_s=3600))
    job = a_job(0, ResourceRequest(nodes=3), time_limit_s=7200)
    assert follow(rows, job, POLICY).sentence == "bsc/c/p if it asked for at most 2 nodes"


@given(snapshots(), jobs(1), st.sampled_from((POLICY, LATE)))
def test_whatever_is_suggested_flips_the_outcome(snapshot, job, policy):
    follow(snapshot, job, policy)


def test_a_job_that_waits_for_its_turn_learns_what_would_let_it_start_now():
    half = (FreeNodes(2, 64, 256_000, 0),)
    row = a_row("uv", nodes=4, free=half, releases=(ReleaseIn(1800.0, 2.0),))
    wide = a_job(1, ResourceRequest(nodes=4, cpus_per_task=64), time_limit_s=600)
    job = a_job(2, ResourceRequest(nodes=1, cpus_per_task=64), time_limit_s=7200)
    assert outcome(a_snapshot(row), job, LATE, (wide,)) == (None, False)
    said = follow(a_snapshot(row), job, LATE, (wide,))
    assert said.sentence == "uv/c/p if the time limit were at most 30 min"


def test_for_a_placed_job_the_runner_up_is_named_with_the_gap():
    rows = (a_row("bsc"), a_row("uv", backlog_node_s=4 * 7200.0))
    assert counterfactual(a_snapshot(*rows), a_job(0), POLICY).sentence == (
        "uv/c/p would be chosen but for 2 h more, mostly of start"
    )
    alike = counterfactual(a_snapshot(a_row("bsc"), a_row("uv")), a_job(0), POLICY)
    assert "documented draw" in alike.sentence
    assert counterfactual(a_snapshot(a_row("bsc")), a_job(0), POLICY).sentence == ONLY_ONE


def test_a_placed_job_learns_which_change_would_bring_it_elsewhere():
    rows = (a_row("bsc", backlog_node_s=4 * 7200.0), a_row("uv", max_time_s=1800))
    said = follow(a_snapshot(*rows), a_job(0, time_limit_s=3600), POLICY)
    assert said.sentence == "uv/c/p if the time limit were at most 30 min"


def test_where_nothing_helps_that_is_said():
    drained = a_snapshot(a_row("csuc", A100, problem=Code.SITE_DRAINED))
    assert counterfactual(drained, a_job(0), POLICY).sentence == NO_CHANGE


CATALOGUE = Path(__file__).parents[2] / "sites"
MEMBERS = load_sites(CATALOGUE)
DIALECTS = load_dialects(CATALOGUE, MEMBERS)


def _catalogue(free):
    """Return the real catalogue with that part of each partition's nodes free."""
    rows = []
    for site in MEMBERS:
        for part in site.partitions:
            row = declared(part, pin_words(site), Code.FITS)
            nodes = max(part.nodes or 0, 0)
            there = int(nodes * free.get(site.id, 1.0))
            shape = part.shape
            bar = FreeNodes(there, shape.cores or 0, shape.memory_mib or -1, shape.accelerators)
            rows.append(
                replace(
                    row, available=nodes, free=(bar,) if there and shape.cores else (),
                    dialect=DIALECTS.get(site.id),
                )
            )  # fmt: skip
    return a_snapshot(*rows)


@given(
    request=requests(),
    hours=st.sampled_from((1, 30, 80, 200, 1000)),
    pin=st.sampled_from(((), (), ("csuc",), ("uma", "uv"))),
    free=st.dictionaries(
        st.sampled_from([site.id for site in MEMBERS]), st.sampled_from((0.0, 0.1, 0.5))
    ),
    policy=st.sampled_from((POLICY, LATE)),
    wide=st.sampled_from((1, 1, 30)),
)
def test_on_the_real_catalogue_the_suggested_change_flips_the_outcome(
    request, hours, pin, free, policy, wide
):
    nodes = None if request.nodes is None else request.nodes * wide
    job = a_job(0, replace(request, nodes=nodes), time_limit_s=hours * 3600, clusters=pin)
    follow(_catalogue(free), job, policy)
