"""Spellings of accelerators: many words for one model, and never one model for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.accelerators import FAMILIES, GIB, accelerator, family_in, memory_in, need

SPELLINGS = [
    # as Slurm, nvidia-smi, members' pages and users write them
    ("h100", "nvidia-h100"),
    ("H100", "nvidia-h100"),
    ("acc_h100", "nvidia-h100"),
    ("hopper", "nvidia-h100"),
    ("NVIDIA-H100-64GB", "nvidia-h100-64gb"),
    ("NVIDIA H100 (custom 64 GB)", "nvidia-h100-64gb"),
    ("nvidia_h100_80gb_hbm3", "nvidia-h100-sxm-80gb"),
    ("NVIDIA H100 SXM5", "nvidia-h100-sxm"),
    ("nvidia_h100_nvl", "nvidia-h100-nvl"),
    ("NVIDIA H200 NVL", "nvidia-h200-nvl"),
    ("NVIDIA A100", "nvidia-a100"),
    ("NVIDIA A100-SXM4-40GB", "nvidia-a100-sxm-40gb"),
    ("A100-PCIE-40GB", "nvidia-a100-pcie-40gb"),
    ("a100-80", "nvidia-a100-80gb"),
    ("normal-a100-40", "nvidia-a100-40gb"),
    ("A100 80 GB", "nvidia-a100-80gb"),
    ("a10080gb", "nvidia-a100-80gb"),
    ("a10040", "nvidia-a100-40gb"),
    ("a100.20gb", "nvidia-a100-20gb"),
    ("a100_1g.5gb", "nvidia-a100-5gb"),
    ("Tesla V100-SXM2-16GB", "nvidia-v100-sxm-16gb"),
    ("V100M32", "nvidia-v100-32gb"),
    ("V100S-PCIE-32GB", "nvidia-v100s-pcie-32gb"),
    ("tesla_v100", "nvidia-v100"),
    ("teslav100", "nvidia-v100"),
    ("volta", "nvidia-v100"),
    ("NVIDIA GH200 480GB", "nvidia-gh200"),  # the processor's memory
    ("NVIDIA GH200 96GB HBM3", "nvidia-gh200-96gb"),
    ("rtx_3090", "nvidia-rtx3090"),
    ("l40s", "nvidia-l40s"),
    ("mi300a", "amd-mi300a"),
]


@pytest.mark.parametrize(("text", "name"), SPELLINGS)
def test_a_spelling_has_one_canonical_name(text, name):
    found = accelerator(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "text",
    ["", "cal", "gpu", "gpu2", "sd", "standard-gpu", "gpp", "acc", "80gb", "sxm", "grace", "x86"],
)
def test_other_words_name_no_accelerator(text):
    assert accelerator(text) is None
    assert family_in(text) == ""


@pytest.mark.parametrize(
    ("text", "not_this"),
    [
        ("a4000", "a40"),
        ("a3000", "a30"),
        ("a2000", "a2"),
        ("a1000", "a10"),
        ("p4000", "p40"),
        ("t400", "t4"),
        ("l4000", "l40"),
        ("a100x2y", "a100"),
    ],
)
def test_a_product_is_never_taken_for_another_whose_name_it_begins_with(text, not_this):
    assert family_in(text) != not_this
    assert need(text).family == text  # kept as it was asked, so that nothing else is given for it


def test_memory_known_apart_is_part_of_the_name():
    found = accelerator("NVIDIA H100", 64 * GIB)
    assert found is not None
    assert (found.name, found.memory_mib) == ("nvidia-h100-64gb", 64 * GIB)


@pytest.mark.parametrize(
    ("text", "gib"),
    [("a100-80", 80), ("a100_40gb", 40), ("a10080gb", 80), ("v100m32", 32), ("a100-01", 0),
     ("gpu", 0), ("a100", 0), ("a100_2g.10gb", 10), ("h100-94", 94), ("h200-141", 141)],
)  # fmt: skip
def test_a_wish_for_memory_is_not_dropped(text, gib):
    assert memory_in(text) == gib * GIB
    assert need(text).min_memory_mib == gib * GIB


def test_what_is_asked_keeps_the_users_word():
    assert need("A100-80").asked == "A100-80"
    assert need("Cerebras").family == "cerebras"


@given(
    family=st.sampled_from(sorted(FAMILIES)),
    form=st.sampled_from(["", "-sxm", "-nvl", "-pcie"]),
    gib=st.none() | st.integers(1, 999),
)
def test_a_canonical_name_reads_back_as_itself(family, form, gib):
    memory = None if gib is None else gib * GIB
    found = accelerator(family + form, memory)
    assert found is not None
    assert found.family == family
    again = accelerator(found.name, memory)
    assert again == found


@given(text=st.text(max_size=40))
def test_any_word_is_read_without_failing(text):
    found = need(text)
    assert found.asked == text
    assert found.min_memory_mib >= 0
    assert family_in(text) == "" or family_in(text) in FAMILIES


@given(family=st.sampled_from(sorted(FAMILIES)), case=st.sampled_from([str.upper, str.title]))
def test_case_means_nothing(family, case):
    assert family_in(case(family)) == family
