"""Partitions and their limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.slurm import partitions

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"
LINE = (
    "PartitionName=acc AllowGroups=ALL AllowAccounts=bsc01,bsc02 AllowQos=ALL AllocNodes=ALL "
    "Default=YES QoS=part_acc DefaultTime=01:00:00 DisableRootJobs=NO ExclusiveUser=NO Hidden=NO "
    "MaxNodes=32 MaxTime=3-00:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=64 Nodes=n[1-2] RootOnly=NO "
    "ReqResv=NO OverSubscribe=EXCLUSIVE State=UP TotalCPUs=160 TotalNodes=2 MaxMemPerNode=500000 "
    "DenyQos=debug TRES=cpu=160"
)


def test_limits_are_seconds_counts_and_mebibytes() -> None:
    (part,) = partitions.read(LINE)
    assert (part.name, part.up, part.default, part.nodes, part.total_nodes) == (
        "acc", True, True, "n[1-2]", 2,
    )  # fmt: skip
    assert (part.max_time_s, part.default_time_s, part.max_nodes) == (259_200, 3600, 32)
    assert (part.max_cpus_per_node, part.max_memory_per_node_mib) == (64, 500_000)
    assert (part.whole_nodes, part.qos, part.deny_qos) == (True, "part_acc", ("debug",))
    assert (part.allow_accounts, part.allow_qos) == (("bsc01", "bsc02"), ())


@pytest.mark.parametrize(
    "change",
    [("State=UP", "State=DOWN"), ("State=UP", "State=DRAIN"), ("State=UP", "State=INACTIVE"),
     ("RootOnly=NO", "RootOnly=YES"), ("ReqResv=NO", "ReqResv=YES"), ("State=UP ", "")],
)  # fmt: skip
def test_a_partition_that_takes_no_jobs_of_users_is_not_up(change: tuple[str, str]) -> None:
    (part,) = partitions.read(LINE.replace(*change))
    assert not part.up


@pytest.mark.parametrize("word", ["UNLIMITED", "INFINITE", "NONE", "(null)", "N/A", "", "soon"])
def test_what_is_no_limit_is_none(word: str) -> None:
    line = LINE.replace("=3-00:00:00", f"={word}").replace("MaxNodes=32", f"MaxNodes={word}")
    (part,) = partitions.read(line)
    assert (part.max_time_s, part.max_nodes) == (None, None)


@given(st.text(max_size=300) | st.lists(st.sampled_from(LINE.split())).map(" ".join))
def test_any_text_is_read_without_failing(text: str) -> None:
    assert partitions.read(f"PartitionName=p {text}")


def test_recorded_partitions() -> None:
    if not FIXTURES.exists():
        pytest.skip("the recorded outputs of Slurm are not here")
    found = {
        path.parts[-3:-1]: partitions.read(path.read_text(errors="replace"))
        for path in FIXTURES.glob("*/*/scontrol_partition.txt")
    }
    assert [part.name for part in found["idle", "mn5"]] == ["acc", "gpp", "debug"]
    assert [part.max_time_s for part in found["idle", "mn5"]] == [None, None, 1800]
    down = {(moment, part.name) for (moment, _), parts in found.items() for part in parts
            if not part.up}  # fmt: skip
    # in ft3, cpu was set DOWN and mix DRAIN
    assert down == {(moment, name) for moment in ("drained", "down") for name in ("cpu", "mix")}
