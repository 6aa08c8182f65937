"""Generic resources and counts of GPUs, typed and untyped."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.slurm import gres
from res_federation.slurm.gres import Gres


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu", (Gres("gpu", "", 1),)),
        ("gpu:2", (Gres("gpu", "", 2),)),
        ("gpu:a100", (Gres("gpu", "a100", 1),)),
        ("gpu:A100:2", (Gres("gpu", "A100", 2),)),
        ("gpu:a100=2", (Gres("gpu", "a100", 2),)),
        ("gres:gpu:0", (Gres("gpu", "", 0),)),
        ("gres/gpu:2(S:0-1)", (Gres("gpu", "", 2),)),
        ("gpu:", (Gres("gpu", "", 1),)),
        ("gpu:a100:2,shard:4", (Gres("gpu", "a100", 2), Gres("shard", "", 4))),
        ("gpu:1, lustre,", (Gres("gpu", "", 1), Gres("lustre", "", 1))),
        ("craynetwork:1k", (Gres("craynetwork", "", 1024),)),
        ("none", ()),
    ],
)
def test_lists(text: str, expected: tuple[Gres, ...]) -> None:
    assert gres.read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", (Gres("gpu", "", 4),)),
        ("a100:4", (Gres("gpu", "a100", 4),)),
        ("a100", (Gres("gpu", "a100", 1),)),
        ("gpu:2", (Gres("gpu", "", 2),)),
        ("gpu:a100:2", (Gres("gpu", "a100", 2),)),
        ("a100:2,v100:1", (Gres("gpu", "a100", 2), Gres("gpu", "v100", 1))),
        ("none", ()),
    ],
)
def test_counts_of_gpus(text: str, expected: tuple[Gres, ...]) -> None:
    assert gres.read_gpus(text) == expected


@pytest.mark.parametrize("text", [":gpu", "gpu::2", "gpu:a100:x", "gpu:a:b:1", "gpu:a100:-1"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        gres.read(text)
    assert caught.value.field == "--gres"


@given(st.text(max_size=40))
def test_any_text_is_answered(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert all(one.count >= 0 for one in gres.read(text))
    with contextlib.suppress(InvalidArgument):
        assert all(one.name == "gpu" for one in gres.read_gpus(text))


def test_brackets_that_open_and_never_close_are_read_in_one_pass() -> None:
    (odd,) = gres.read("gpu:" + "(" * 1_000_000)
    assert (odd.type, odd.count) == ("(" * 1_000_000, 1)
    assert gres.read("gpu:a100:2(S:0-1)") == gres.read("gpu:a100:2")
