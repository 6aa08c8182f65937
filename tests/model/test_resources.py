"""How a request lies on nodes, in sbatch's terms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import (
    WHOLE_NODE_MEMORY,
    Layout,
    NodeShape,
    ResourceRequest,
    accelerator_fits,
    layout,
)
from tests.placement.drawn import SHAPES, requests

GPP = NodeShape(cores=112, memory_mib=229_376)
ACC = NodeShape(
    cores=80, memory_mib=512_000, accelerator="nvidia-h100-sxm-64gb", accelerators=4,
    accelerator_memory_mib=65_536,
)  # fmt: skip
UNPUBLISHED = NodeShape(cores=None, memory_mib=None)
NO_MEMORY = NodeShape(cores=48, memory_mib=None)
G = 1024


@pytest.mark.parametrize(
    ("words", "shape", "fields", "lies"),
    [
        ("(nothing)", GPP, {}, (1, 1, 0, 0)),
        ("-n 64", GPP, {"tasks": 64}, (1, 64, 0, 0)),
        ("-n 113", GPP, {"tasks": 113}, (2, 112, 0, 0)),
        ("-n 224 -c 2", GPP, {"tasks": 224, "cpus_per_task": 2}, (4, 112, 0, 0)),
        ("-N 2", GPP, {"nodes": 2}, (2, 1, 0, 0)),
        ("-N 2 -n 3", GPP, {"nodes": 2, "tasks": 3}, (2, 2, 0, 0)),
        ("-N 2 --ntasks-per-node=20", GPP, {"nodes": 2, "tasks_per_node": 20}, (2, 20, 0, 0)),
        ("--ntasks-per-node=20", GPP, {"tasks_per_node": 20}, (1, 20, 0, 0)),
        ("-n 50 --ntasks-per-node=20", GPP, {"tasks": 50, "tasks_per_node": 20}, (3, 17, 0, 0)),
        ("-c 40", GPP, {"cpus_per_task": 40}, (1, 40, 0, 0)),
        ("--mem=10G", GPP, {"memory_per_node_mib": 10 * G}, (1, 1, 10 * G, 0)),
        ("--mem=0", GPP, {"memory_per_node_mib": WHOLE_NODE_MEMORY}, (1, 1, 229_376, 0)),
        ("--mem=0", NO_MEMORY, {"memory_per_node_mib": WHOLE_NODE_MEMORY}, (1, 1, 0, 0)),
        ("--mem-per-cpu=2G -c 4", GPP, {"memory_per_cpu_mib": 2 * G, "cpus_per_task": 4},
         (1, 4, 8 * G, 0)),
        ("-n 112 --mem-per-cpu=4G", GPP, {"tasks": 112, "memory_per_cpu_mib": 4 * G},
         (2, 56, 224 * G, 0)),
        ("--exclusive", GPP, {"exclusive": True}, (1, 112, 229_376, 0)),
        ("--exclusive", ACC, {"exclusive": True}, (1, 80, 512_000, 4)),
        ("--exclusive --mem-per-cpu=4G -n 8", GPP,
         {"exclusive": True, "memory_per_cpu_mib": 4 * G, "tasks": 8}, (1, 112, 229_376, 0)),
        ("--gres=gpu:2", ACC, {"accelerators_per_node": 2}, (1, 1, 0, 2)),
        ("-N 3 --gres=gpu:4", ACC, {"nodes": 3, "accelerators_per_node": 4}, (3, 1, 0, 4)),
        ("--gpus=8", ACC, {"accelerators_total": 8}, (2, 1, 0, 4)),
        ("--gpus=6", ACC, {"accelerators_total": 6}, (2, 1, 0, 3)),
        ("-n 8 --gpus-per-task=1", ACC, {"tasks": 8, "accelerators_per_task": 1}, (2, 4, 0, 4)),
        ("-N 4 -n 8 --gpus-per-task=1", ACC, {"nodes": 4, "tasks": 8, "accelerators_per_task": 1},
         (4, 2, 0, 2)),
        ("--gpus=8 --gpus-per-task=2", ACC, {"accelerators_total": 8, "accelerators_per_task": 2},
         (2, 2, 0, 4)),
        ("--gres=gpu:2 --cpus-per-gpu=16", ACC,
         {"accelerators_per_node": 2, "cpus_per_accelerator": 16}, (1, 32, 0, 2)),
        ("--gpus=4 --cpus-per-gpu=40", ACC,
         {"accelerators_total": 4, "cpus_per_accelerator": 40}, (2, 80, 0, 2)),
        ("--gres=gpu:2 --mem-per-gpu=60G", ACC,
         {"accelerators_per_node": 2, "memory_per_accelerator_mib": 60 * G}, (1, 1, 120 * G, 2)),
        ("--gpus=4 --mem-per-gpu=200G", ACC,
         {"accelerators_total": 4, "memory_per_accelerator_mib": 200 * G}, (2, 1, 400 * G, 2)),
    ],
)  # fmt: skip
def test_requests_lie_as_sbatch_lays_them(words, shape, fields, lies):
    assert layout(_request(**fields), shape) == Layout(*lies), words


@pytest.mark.parametrize(
    ("words", "shape", "fields", "reason"),
    [
        ("-c 113", GPP, {"cpus_per_task": 113}, Reason(Code.TOO_FEW_CORES_PER_NODE, 113, 112)),
        ("-N 1 -n 200", GPP, {"nodes": 1, "tasks": 200},
         Reason(Code.TOO_FEW_CORES_PER_NODE, 200, 112)),
        ("--mem=225G", GPP, {"memory_per_node_mib": 225 * G},
         Reason(Code.TOO_LITTLE_MEMORY_PER_NODE, 225 * G, 229_376)),
        ("--mem=1G", NO_MEMORY, {"memory_per_node_mib": G}, Reason(Code.MEMORY_UNKNOWN, G)),
        ("-n 1", UNPUBLISHED, {"tasks": 1}, Reason(Code.SHAPE_UNKNOWN)),
        ("--gres=gpu:1", GPP, {"accelerators_per_node": 1}, Reason(Code.NO_ACCELERATOR, -1, 0)),
        ("--gres=gpu:8", ACC, {"accelerators_per_node": 8},
         Reason(Code.TOO_FEW_ACCELERATORS_PER_NODE, 8, 4)),
        ("-N 1 --gpus=8", ACC, {"nodes": 1, "accelerators_total": 8},
         Reason(Code.TOO_FEW_ACCELERATORS_PER_NODE, 8, 4)),
        ("--gres=gpu:4 --cpus-per-gpu=30", ACC,
         {"accelerators_per_node": 4, "cpus_per_accelerator": 30},
         Reason(Code.TOO_FEW_CORES_PER_NODE, 120, 80)),
        ("--gres=gpu:4 --mem-per-gpu=200G", ACC,
         {"accelerators_per_node": 4, "memory_per_accelerator_mib": 200 * G},
         Reason(Code.TOO_LITTLE_MEMORY_PER_NODE, 800 * G, 512_000)),
    ],
)  # fmt: skip
def test_what_is_short_is_named_with_its_numbers(words, shape, fields, reason):
    assert layout(_request(**fields), shape) == reason, words


def _request(**fields: Any) -> ResourceRequest:
    wants = any(name.startswith("accelerators_") for name in fields)
    return ResourceRequest(accelerator=AcceleratorNeed() if wants else None, **fields)


@given(requests(), st.sampled_from(SHAPES))
def test_a_layout_never_asks_for_more_than_a_node_has(request_, shape):
    lies = layout(request_, shape)
    if isinstance(lies, Reason):
        assert lies.code.permanent
        return
    assert lies.nodes >= 1
    assert 1 <= lies.cores_per_node <= shape.cores
    assert 0 <= lies.memory_per_node_mib <= max(shape.memory_mib or 0, 0)
    assert 0 <= lies.accelerators_per_node <= shape.accelerators


@given(requests(), st.sampled_from(SHAPES))
def test_a_layout_holds_all_that_was_asked(request_, shape):
    lies = layout(request_, shape)
    if isinstance(lies, Reason):
        return
    assert lies.nodes >= (request_.nodes or 1)
    if request_.tasks:
        assert lies.nodes * lies.cores_per_node >= request_.tasks * request_.cpus_per_task
    if request_.accelerators_total:
        assert lies.nodes * lies.accelerators_per_node >= request_.accelerators_total
    if request_.accelerators_per_node:
        assert lies.accelerators_per_node >= request_.accelerators_per_node
    if request_.accelerators_per_task and request_.tasks:
        asked = request_.tasks * request_.accelerators_per_task
        assert lies.nodes * lies.accelerators_per_node >= asked


@given(
    requests(),
    st.sampled_from(SHAPES),
    st.integers(0, 100),
    st.integers(0, 500_000),
    st.integers(0, 8),
)
def test_a_larger_node_takes_whatever_a_smaller_one_takes(request_, shape, cores, memory, devices):
    larger = replace(
        shape,
        cores=shape.cores + cores,
        memory_mib=None if shape.memory_mib is None else shape.memory_mib + memory,
        accelerators=shape.accelerators + devices,
    )
    before, after = layout(request_, shape), layout(request_, larger)
    if isinstance(before, Layout):
        assert isinstance(after, Layout)
        assert after.nodes <= before.nodes


H100_64 = ACC
A100_UNKNOWN = replace(ACC, accelerator="nvidia-a100", accelerator_memory_mib=None)


@pytest.mark.parametrize(
    ("need", "shape", "family", "code"),
    [
        (None, GPP, "", None),
        (AcceleratorNeed(), GPP, "", Code.NO_ACCELERATOR),
        (AcceleratorNeed(), H100_64, "h100", None),
        (AcceleratorNeed("a100"), H100_64, "h100", Code.WRONG_ACCELERATOR),
        (AcceleratorNeed("h100"), H100_64, "h100", None),
        (AcceleratorNeed("a100", alternatives=(AcceleratorNeed("h100"),)), H100_64, "h100", None),
        (
            AcceleratorNeed("a100", alternatives=(AcceleratorNeed("h100", 80 * G),)),
            H100_64,
            "h100",
            Code.WRONG_ACCELERATOR,
        ),
        (AcceleratorNeed("", 60 * G), H100_64, "h100", None),
        (AcceleratorNeed("", 80 * G), H100_64, "h100", Code.ACCELERATOR_MEMORY),
        (AcceleratorNeed("a100", 1), A100_UNKNOWN, "a100", Code.ACCELERATOR_MEMORY_UNKNOWN),
        (AcceleratorNeed("a100"), A100_UNKNOWN, "a100", None),
    ],
)
def test_only_the_accelerator_that_was_asked_will_do(need, shape, family, code):
    found = accelerator_fits(need, shape, family)
    assert (found.code if found else None) == code
