"""Trackable resources: what is read, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.slurm import tres
from res_federation.slurm.tres import Tres


def test_a_list_as_squeue_prints_it() -> None:
    found = tres.read("cpu=20,mem=100G,node=1,billing=20,gres/gpu=2,gres/gpu:h100=2")
    assert (found.cpus, found.nodes, found.memory_mib, found.gpus) == (20, 1, 102400, 2)
    assert found.gpus_by_type == (("h100", 2),)
    assert found.other == ("billing=20",)


@pytest.mark.parametrize("text", ["", "  ", "N/A", "(null)", "None"])
def test_nothing_is_nothing(text: str) -> None:
    assert tres.read(text) == Tres()


@pytest.mark.parametrize(
    ("text", "mib"),
    [("64000", 64000), ("512M", 512), ("1.50T", 1572864), ("8000G", 8192000), ("2048K", 2),
     ("0", 0), ("1P", 1 << 30), ("4Gn", 4096), ("x", None), ("", None), ("-5G", None)],
)  # fmt: skip
def test_memory_in_mebibytes(text: str, mib: int | None) -> None:
    assert tres.read(f"mem={text}").memory_mib == mib


def test_typed_accelerators_count_where_the_sum_is_not_tracked() -> None:
    found = tres.read("gres/gpu:a100=1,gres/gpu:t4=3")
    assert (found.gpus, found.gpus_by_type) == (4, (("a100", 1), ("t4", 3)))


def test_licences_and_unknown_words_are_kept() -> None:
    found = tres.read("license/abaqus=3,fs/disk=10G,bb/x=,energy,cpu=many")
    assert found.licenses == (("abaqus", 3),)
    assert found.other == ("fs/disk=10G", "bb/x=", "energy", "cpu=many")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("gres:gpu:h100:4", (("h100", 4),)), ("gres/gpu:h100:4", (("h100", 4),)),
        ("gres/gpu:h100=4", (("h100", 4),)), ("gres:gpu:2", (("", 2),)), ("gres/gpu=2", (("", 2),)),
        ("gpu", (("", 1),)), ("gres:gpu:a100:2,gres:gpu:t4:4", (("a100", 2), ("t4", 4))),
        ("gres:gpu:h100", (("h100", 1),)), ("gres:gpu:4g.20gb:2", (("4g.20gb", 2),)),
        ("gres:gpu:2(IDX:0-1)", (("", 2),)), ("gres:lustre:1,gres:gpu:1", (("", 1),)),
        ("gres:gpux:2", ()), ("N/A", ()), ("", ()), ("gres:gpu:h100:99999999999", ()),
    ],
)  # fmt: skip
def test_what_is_asked_for(text: str, asked: tuple[tuple[str, int], ...]) -> None:
    assert tres.asked_gpus(text) == asked


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found = tres.read(text)
    assert found.cpus >= 0
    assert found.gpus >= 0
    tres.asked_gpus(text)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 99), st.integers(0, 99))
def test_amounts_come_back(cpus: int, mib: int, ones: int, others: int) -> None:
    text = f"cpu={cpus},mem={mib}M,node=1,gres/gpu:b={others},gres/gpu:a={ones}"
    found = tres.read(text)
    assert (found.cpus, found.memory_mib, found.gpus) == (cpus, mib, ones + others)
    assert dict(found.gpus_by_type) == {"a": ones, "b": others}
