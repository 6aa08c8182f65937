"""A list of nodes as a federation, and the hours of accelerators that jobs did not need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from res_federation.cli.main import execute
from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.placement.accelerator_grades import accelerator_grades
from res_federation.placement.policy import Policy
from res_federation.simulator.accelerator_hours import KEYS, accelerator_figures
from res_federation.simulator.federation import outcome
from res_federation.simulator.federation_rules import Record
from res_federation.simulator.node_list import federation_at, is_node_list, sites_of
from res_federation.simulator.site_models import FederationModel, machine
from res_federation.simulator.traces.read import read_trace
from res_federation.simulator.workload import Workload

NODES = """sn,cpu_milli,memory_mib,gpu,model
n1,32000,131072,0,
n2,96000,393216,2,T4
n3,96000,393216,2,T4
n4,64000,262144,2,P100
n5,96000,393216,8,G2
n6,128000,786432,8,G3
n7,96000,393216,8,V100M32
"""
POD_HEAD = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,"
    "deletion_time,scheduled_time"
)
ROOM = NodeShape(32, 131_072)
T4 = NodeShape(96, 393_216, "nvidia-t4", 2)
P100 = NodeShape(64, 262_144, "nvidia-p100", 2)
V16 = NodeShape(64, 262_144, "nvidia-v100-16gb", 4, 16 * 1024)
V32 = NodeShape(96, 393_216, "nvidia-v100-32gb", 8, 32 * 1024)
EIGHT = NodeShape(96, 393_216, "alibaba-openbg2", 8)


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    file = tmp_path / "nodes.csv"
    file.write_text(NODES)
    return file


def pods(folder: Path, *lines: tuple[int, int, str, int]) -> Path:
    """Write pods: cores, GPUs, models, seconds; one comes every minute."""
    rows = [
        f"p{k},{cores}000,1024,{gpus},1000,{spec},LS,Running,{60 * k},{60 * k + run},{60 * k}"
        for k, (cores, gpus, spec, run) in enumerate(lines)
    ]
    file = folder / "pods.csv"
    file.write_text("\n".join([POD_HEAD, *rows]) + "\n")
    return file


def test_a_site_for_each_model_and_one_without(tmp_path, nodes):
    assert is_node_list(nodes)
    model = federation_at(nodes, read_trace(pods(tmp_path, (1, 1, "", 60))))
    assert [site.id for site in model.sites] == [
        "alibaba-openbg2", "alibaba-openbg3", "cpu", "nvidia-p100", "nvidia-t4", "nvidia-v100-32gb",
    ]  # fmt: skip
    t4 = model.sites[4].partitions
    assert [(part.id, part.nodes) for part in t4] == [("nvidia-t4/nvidia-t4/2x-96c-384g", 2)]
    assert t4[0].shape == T4


def test_shapes_of_one_model_are_partitions():
    (site,) = sites_of([(T4, 3), (NodeShape(48, 1024, "nvidia-t4", 1), 2)])
    assert [(part.name, part.nodes) for part in site.partitions] == [
        ("1x-48c-1g", 2), ("2x-96c-384g", 3),
    ]  # fmt: skip


def test_other_files_are_no_lists_of_nodes(tmp_path):
    other = pods(tmp_path, (1, 1, "", 60))
    assert not is_node_list(other)
    assert not is_node_list(tmp_path)
    with pytest.raises(InvalidArgument):
        federation_at(other, read_trace(other))


def test_grades_go_by_speed_then_memory_then_scarcity():
    shapes = [(ROOM, 9, ""), (V32, 1, "v100"), (P100, 1, "p100"), (T4, 2, "t4"), (V16, 9, "v100")]
    assert accelerator_grades(shapes, Policy().accelerator_speed).tolist() == [0, 4, 2, 1, 3]


def played(requests: list[ResourceRequest], hours: int = 1) -> Workload:
    """Return jobs that each ran for *hours*."""
    jobs = len(requests)
    zero, run = np.zeros(jobs, np.int64), np.full(jobs, 3600 * hours, np.int64)
    return Workload(
        "drawn", 0, np.arange(jobs), zero, run, run, np.ones(jobs, np.int64), zero - 1, zero - 1,
        zero - 1, shape=np.arange(jobs, dtype=np.int64), shapes=tuple(requests),
    )  # fmt: skip


def figures(
    requests: list[ResourceRequest], places: list[int], model: FederationModel
) -> dict[str, Any]:
    jobs = len(requests)
    record = Record(places, [0] * jobs, [3600] * jobs)
    return accelerator_figures(outcome(played(requests), model, record, [-1] * jobs))


def test_hours_above_the_least_that_would_have_done():
    shapes = [(ROOM, 1), (T4, 2), (P100, 1), (V16, 1), (V32, 1), (EIGHT, 1)]
    model = FederationModel("drawn", sites_of(shapes))
    place = {site.partitions[0].shape: k for k, site in enumerate(model.sites)}

    def gpus(count: int, need: AcceleratorNeed | None = None) -> ResourceRequest:
        return ResourceRequest(accelerator=need or AcceleratorNeed(), accelerators_per_node=count)

    v100 = AcceleratorNeed("v100")
    either = AcceleratorNeed("v100", alternatives=(AcceleratorNeed("p100"),))
    jobs = [
        (gpus(1), T4, 0.0),
        (gpus(2), P100, 2.0),  # T4 would do
        (gpus(8), EIGHT, 0.0),  # of those that have eight it is the least
        (gpus(8), V32, 8.0),
        (gpus(1, v100), V16, 0.0),
        (gpus(1, v100), V32, 1.0),
        (gpus(1, either), P100, 0.0),
        (gpus(1, either), V16, 1.0),
    ]  # fmt: skip
    for request, shape, above in jobs:
        found = figures([request], [place[shape]], model)
        assert found["accelerator_hours"] == request.accelerators_per_node
        assert found["accelerator_hours_above"] == above, (request, shape)
        assert found["accelerator_idle_hours"] == 0.0
    together = figures([one[0] for one in jobs], [place[one[1]] for one in jobs], model)
    assert together["accelerator_hours_above"] == 12.0
    assert together["accelerator_above_share"] == pytest.approx(12.0 / 23.0)
    assert next(iter(together["accelerators"])) == "nvidia-t4"
    assert together["accelerators"]["nvidia-v100-32gb"] == {
        "devices": 8, "grade": 5, "hours": 9.0, "hours_above": 9.0,
    }  # fmt: skip


def test_jobs_without_accelerators_leave_some_idle():
    model = FederationModel("drawn", sites_of([(ROOM, 1), (T4, 2)]))
    half = ResourceRequest(tasks=1, cpus_per_task=24)
    found = figures([half, half], [0, 1], model)
    assert found["accelerator_hours"] == 0.0
    assert found["accelerator_above_share"] is None
    assert found["accelerator_idle_hours"] == 2 * 24 / 96


def test_without_accelerators_there_is_nothing_to_tell():
    found = figures([ResourceRequest()], [0], machine(8))
    assert found == dict.fromkeys(KEYS)


def test_compare_on_a_list_of_nodes(tmp_path, nodes, capsys):
    many = [(4 + k % 9, k % 3, "", 300) for k in range(60)]
    trace = pods(tmp_path, *many, (8, 8, "", 600), (4, 1, "V100M16|V100M32", 600))
    argv = ["compare", str(trace), "--sites", str(nodes), "--out", str(tmp_path / "out")]
    assert execute([*argv, "--policies", "federated,least-load,slurm-federation", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_name = {each["policy"]: each for each in found["policies"]}
    assert {each["jobs"] for each in found["policies"]} == {62}
    hours = {name: each["accelerator_hours_above"] for name, each in by_name.items()}
    assert by_name["federated"]["accelerator_hours"] > 0
    for other in ("least-load", "slurm-federation"):
        assert hours["federated"] <= 0.5 * hours[other]
        assert by_name["federated"]["mean_wait"] <= by_name[other]["mean_wait"]
    assert found["ratios"]["federated"]["accelerator_hours_above"]["ratio"] <= 0.5

    assert execute([*argv, "--policies", "federated,least-load"]) == 0
    assert "On a model above the least" in capsys.readouterr().out
