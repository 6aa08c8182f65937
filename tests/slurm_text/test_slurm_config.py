"""The configuration of a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.slurm import slurm_config
from res_federation.slurm.slurm_config import SlurmConfig

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"


def test_recorded_configuration() -> None:
    if not FIXTURES.exists():
        pytest.skip("the recorded outputs of Slurm are not here")
    for path in FIXTURES.glob("*/*/scontrol_config.txt"):
        found = slurm_config.read(path.read_text(errors="replace"))
        assert found.booted is not None
        assert replace(found, booted=None) == SlurmConfig(
            cluster=path.parts[-2], version="22.05.8", max_array_size=1001, memory_counted=True,
            accounting=True, accelerators_accounted=True, comment_stored=True,
            federation="fed_display", kill_wait_s=3,
        )  # fmt: skip


def test_what_is_not_told_keeps_slurms_own_default() -> None:
    assert slurm_config.read("") == SlurmConfig()
    text = "SelectType = select/linear\nSelectTypeParameters = CR_CORE\nKillWait = (null)\n"
    found = slurm_config.read(text)
    assert (found.whole_nodes, found.memory_counted, found.kill_wait_s) == (True, False, 30)


@given(st.text(max_size=300))
def test_any_text_is_read_without_failing(text: str) -> None:
    assert slurm_config.read(text).max_array_size >= 0
    assert slurm_config.read(f"MaxArraySize = {text}").max_array_size >= 0


def test_age_is_worth_points_where_priority_has_many_factors():
    text = "PriorityType = priority/{}\nPriorityMaxAge = {}\nPriorityWeightAge = 6000\n"
    assert slurm_config.read(text.format("multifactor", "01:00:00")).age_points_per_s == 6000 / 3600
    assert slurm_config.read(text.format("basic", "01:00:00")).age_points_per_s == 0.0
    assert slurm_config.read(text.format("multifactor", "UNLIMITED")).age_points_per_s == 0.0
    assert slurm_config.read(text.format("multifactor", "never")).age_points_per_s == 0.0
