"""From a site's word for its accelerators to the canonical model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.resources import NodeShape
from res_federation.slurm.gpu_types import GpuModel, model

GIB = 1024
H100 = NodeShape(80, None, "nvidia-h100-sxm-64gb", 4, 64 * GIB)


@pytest.mark.parametrize(
    ("word", "name", "gib"),
    [
        ("h100", "nvidia-h100", None),
        ("NVIDIA-H100-64GB", "nvidia-h100-64gb", 64),
        ("nvidia_h100_80gb_hbm3", "nvidia-h100-sxm-80gb", 80),
        ("nvidia_a100-sxm4-40gb", "nvidia-a100-sxm-40gb", 40),
        ("a100", "nvidia-a100", None),
        ("a100_3g.20gb", "nvidia-a100-20gb", 20),
        ("nvidia_a100_80gb_pcie", "nvidia-a100-pcie-80gb", 80),
        ("tesla_t4", "nvidia-t4", None),
        ("t4", "nvidia-t4", None),
        ("v100", "nvidia-v100", None),
        ("mi210", "amd-mi210", None),
        ("amd_instinct_mi250x", "amd-mi250x", None),
        ("nvidia_gh200_480gb", "nvidia-gh200", None),
        ("nvidia_geforce_rtx_3090", "nvidia-rtx3090", None),
        ("fpga9", "fpga9", None),
        ("Custom", "custom", None),
        ("", "gpu", None),
    ],
)
def test_a_word_means_one_model_or_stays_what_it_is(word: str, name: str, gib: int | None) -> None:
    assert model(word) == GpuModel(name, gib * GIB if gib else None)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("", "nvidia-h100-sxm-64gb"),  # nothing is told: the site file knows
        ("custom", "nvidia-h100-sxm-64gb"),
        ("h100", "nvidia-h100-sxm-64gb"),  # the same, more precise
        ("nvidia_h100_80gb_hbm3", "nvidia-h100-sxm-80gb"),  # its own memory is believed
        ("h100_1g.10gb", "nvidia-h100-10gb"),
        ("a100", "nvidia-a100"),  # another family than declared: never replaced
    ],
)
def test_the_site_file_tells_only_what_the_word_leaves_open(word: str, name: str) -> None:
    assert model(word, H100).name == name


def test_a_declared_partition_without_accelerators_tells_nothing() -> None:
    assert model("", NodeShape(80, None)) == GpuModel("gpu")


@given(st.text(max_size=40))
def test_any_word_is_read_without_failing(word: str) -> None:
    assert model(word).name
    assert model(word, H100).name
