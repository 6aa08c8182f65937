"""Nodes: what they have, what is given away, and whether they take jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.slurm import nodes
from res_federation.slurm.nodes import NodeState

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"
LINE = (
    "NodeName=n1 Arch=aarch64 CoresPerSocket=40  CPUAlloc=28 CPUEfctv=78 CPUTot=80 CPULoad=0.70 "
    "AvailableFeatures=avx,big ActiveFeatures=avx Gres=gpu:h100:4(S:0-1),lustre:1 "
    "Version=22.05.8 OS=Linux 6.18.44-fc-v657 #1 SMP PREEMPT @0  RealMemory=524288 "
    "AllocMem=110592 "
    "Sockets=2 State=MIXED+DRAIN ThreadsPerCore=2 MCS_label=N/A Partitions=acc,all  "
    "CfgTRES=cpu=80,mem=512G,billing=80,gres/gpu=4 AllocTRES=cpu=30,mem=108G,gres/gpu=2 "
    "CapWatts=n/a Reason=GPU 2 fell off: State=IDLE CPUAlloc=0 [root@2026-11-21T02:44:22]"
)  # fmt: skip


def of(line: str) -> nodes.Node:
    (node,) = nodes.read(line)
    return node


def test_one_line_has_blanks_inside_of_values_and_people_write_keys_into_reasons() -> None:
    node = of(LINE)
    assert (node.name, node.cpus, node.alloc_cpus, node.threads_per_core) == ("n1", 78, 30, 2)
    assert (node.memory_mib, node.free_memory_mib) == (524288, 524288 - 110592)
    assert (node.gpus, node.alloc_gpus) == ((("h100", 4),), (("h100", 2),))
    assert node.state == NodeState("MIXED", frozenset({"DRAIN"}))
    assert (node.features, node.partitions) == (("avx",), ("acc", "all"))
    assert node.architecture == "aarch64"
    assert node.reason.startswith("GPU 2 fell off")


def test_what_is_used_is_told_by_gres_used_where_the_accounting_does_not_track_it() -> None:
    line = LINE.replace("lustre:1 ", "lustre:1 GresDrain=N/A GresUsed=gpu:h100:3(IDX:0,2-3) ")
    assert of(line.replace(",gres/gpu=2", "")).free_gpus("h100") == 1
    assert of(line.replace("gpu:h100:3(IDX:0,2-3)", "gpu:h100:0(IDX:N/A)")).alloc_gpus == ()


def test_used_accelerators_without_a_type_may_be_of_any_type_that_the_node_has() -> None:
    mixed = of(LINE.replace("gpu:h100:4(S:0-1)", "gpu:a100:2,gpu:t4:4"))
    assert mixed.gpus == (("a100", 2), ("t4", 4))
    assert (mixed.free_gpus("a100"), mixed.free_gpus("t4"), mixed.free_gpus("v100")) == (0, 2, 0)


def test_accelerators_without_any_type() -> None:
    node = of(LINE.replace("gpu:h100:4(S:0-1)", "gpu:4"))
    assert (node.gpus, node.free_gpus("")) == ((("", 4),), 2)


def test_memory_that_is_not_configured_is_not_known() -> None:
    node = of(LINE.replace("RealMemory=524288", "RealMemory=1"))
    assert (node.memory_mib, node.free_memory_mib) == (None, None)
    assert (
        of(LINE.replace("RealMemory=524288", "RealMemory=1000 MemSpecLimit=100")).memory_mib == 900
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IDLE", "idle"), ("idle", "idle"), ("MIXED", "mixed"), ("ALLOCATED", "allocated"),
        ("IDLE+PLANNED", "idle"), ("IDLE-", "idle"), ("ALLOCATED+COMPLETING", "allocated"),
        ("IDLE+DYNAMIC_NORM", "idle"), ("IDLE+CLOUD", "idle"), ("mix", "mixed"),
        ("IDLE+DRAIN", "drained"), ("ALLOCATED+DRAIN", "drained"), ("drained", "drained"),
        ("draining", "drained"), ("ALLOCATED+FAIL", "drained"), ("failing", "drained"),
        ("DOWN", "down"), ("DOWN*", "down"), ("IDLE*", "down"), ("DOWN+DRAIN", "down"),
        ("MIXED+NOT_RESPONDING", "down"), ("IDLE+INVALID_REG", "down"), ("DOWN*+DRAIN", "down"),
        ("MIXED+RESERVED", "reserved"), ("IDLE+MAINT", "reserved"), ("reserved", "reserved"),
        ("IDLE$", "reserved"), ("IDLE+POWERED_DOWN", "other"), ("IDLE~", "other"),
        ("IDLE+POWERING_UP", "other"), ("FUTURE", "other"), ("UNKNOWN", "other"), ("", "other"),
        ("+", "other"), ("*", "other"), ("NEW_WORD", "other"), ("IDLE+NEW_FLAG", "idle"),
    ],
)  # fmt: skip
def test_a_state_counts_once_and_only_what_is_surely_up_takes_jobs(text: str, kind: str) -> None:
    state = nodes.read_state(text)
    assert state.kind == kind
    assert state.up is (kind in ("idle", "mixed", "allocated"))


@given(st.text(max_size=400) | st.lists(st.sampled_from(LINE.split())).map(" ".join))
def test_any_text_is_read_without_failing(text: str) -> None:
    for node in nodes.read(f"NodeName=n {text}\n{text}"):
        assert node.free_cpus >= 0
        assert all(node.free_gpus(kind) >= 0 for kind, _ in node.gpus)
        assert node.state.kind


@given(st.text(max_size=60))
def test_any_state_and_any_gres_are_read_without_failing(text: str) -> None:
    assert nodes.read_state(text).base
    assert all(count >= 0 for _, count in nodes.read_gpus(text))


@pytest.mark.parametrize("moment", ["idle", "busy", "pending", "drained", "down"])
@pytest.mark.parametrize("cluster", ["mn5", "ft3", "lapalma"])
def test_recorded_nodes_read_the_same_with_and_without_details(moment: str, cluster: str) -> None:
    there = FIXTURES / moment / cluster
    if not there.exists():
        pytest.skip("the recorded outputs of Slurm are not here")
    plain = nodes.read((there / "scontrol_node_o.txt").read_text(errors="replace"))
    assert plain == nodes.read((there / "scontrol_node_d.txt").read_text(errors="replace"))
    assert len(plain) == {"mn5": 5, "ft3": 4, "lapalma": 3}[cluster]
    assert all(node.cpus and node.memory_mib and node.partitions for node in plain)
    if moment == "idle":
        assert {node.state.kind for node in plain} == {"idle"}
