"""Generated directives, through reading and rendering: no crash, nothing lost without a word.

A small part runs with the tests; ``make fuzz`` runs many more (``RESFED_FUZZ_EXAMPLES``), and asks
for their number (``RESFED_FUZZ_COUNT``: a file).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from res_federation.slurm.directives import directive, unwritable
from res_federation.slurm.options import OPTIONS
from tests.fuzz import laws
from tests.fuzz.scripts import BODY, FREE, OF_VALUE, TRICKS, Asked, as_read
from tests.strategies import examples

EXAMPLES = int(os.environ.get("RESFED_FUZZ_EXAMPLES", examples(150)))
COUNT = os.environ.get("RESFED_FUZZ_COUNT", "")

_NAMES = [f"--{option.name}" for option in OPTIONS] + [
    f"-{option.letter}" for option in OPTIONS if option.letter
]
_VALUES = st.one_of(
    st.sampled_from(
        "1 2 4 16 0 -1 10:00 2-0 1-10:2%4 0,3,7 gpu gpu:2 gpu:a100:1 gpu:h100:4 shard:1 a100:2 8G "
        "3000M 0 acc_resa gp_debug dgx cal acc std all NONE ALL,X=1 matlab:1 n[01-03] x%j a/b "
        '$(id) `id` "a b" \'c d\' "x\\ny" \\ # : hetjob --uid=0'.split()
    ),
    st.text(max_size=12),
)
_USUAL = st.sampled_from(
    "--time=5|-t 10|--gres=gpu:1|--gres=gpu:a100:2|-c 8|-n 4|-N 2|--mem=8G|--mem-per-cpu=2G|"
    "--qos=acc_resa|--account=uv00|--constraint=dgx|-p std|--exclusive|-a 1-5|--gpus=2|"
    "--gpus-per-node=1|--cpus-per-gpu=4|--mem=0|--licenses=x|-J a|--export=NONE|--wckey=w".split(
        "|"
    )
)
_ANY = st.builds(
    lambda name, sign, value: f"{name}{sign}{value}",
    st.sampled_from(_NAMES),
    st.sampled_from(["=", " ", ""]),
    _VALUES,
)
_LINES = st.lists(
    st.builds(
        lambda lead, text: lead + text,
        st.sampled_from(["#SBATCH ", "#SBATCH\t", "#SBATCH", "##SBATCH ", "# ", "#SLURM "]),
        st.one_of(_USUAL, _ANY, st.text(max_size=30), st.lists(_USUAL).map(" ".join)),
    ),
    min_size=1,
    max_size=30,
)
_SOUND = st.lists(_USUAL, max_size=8).map(lambda words: [f"#SBATCH {word}" for word in words])


_FIELD = st.tuples(
    st.sampled_from(FREE + OF_VALUE),
    st.one_of(
        st.lists(st.sampled_from(TRICKS), min_size=1, max_size=5).map("".join),
        st.text(max_size=20),
        _VALUES,
    ).map(as_read),
)


class Count:
    """Directive lines drawn so far, for the figures of a campaign."""

    lines = 0


@pytest.fixture(scope="module", autouse=True)
def _counted() -> Iterator[None]:
    yield
    if COUNT:
        Path(COUNT).write_text(str(Count.lines), encoding="ascii")


def judge(asked: Asked, origin: int, at: int, account: str) -> None:
    Count.lines += asked.lines
    spec = laws.is_read_or_refused(asked)
    if spec is None:
        return
    laws.travels(spec)
    everywhere = laws.targets()
    for home in (*laws.origins(spec), everywhere[origin % len(everywhere)][0]):
        laws.is_rendered_or_refused(spec, home, everywhere[at % len(everywhere)], account)


@given(lines=_LINES, at=st.integers(0, 1000), home=st.integers(0, 1000))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_lines_are_read_or_refused(lines: list[str], at: int, home: int) -> None:
    script = "\n".join(["#!/bin/sh", *lines]) + BODY
    judge(Asked(as_read(script), lines=len(lines)), home, at, "uv00")


@given(lines=_SOUND, at=st.integers(0, 1000), home=st.integers(0, 1000), more=_ANY)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_option_is_lost_without_a_word(lines: list[str], at: int, home: int, more: str) -> None:
    script = "\n".join(["#!/bin/sh", *lines, f"#SBATCH {more}"]) + BODY
    judge(Asked(as_read(script), lines=len(lines) + 1), home, at, "uv00")


@given(
    fields=st.lists(_FIELD, min_size=1, max_size=12),
    written=st.integers(0, 12),
    words=st.lists(st.text(max_size=9).map(as_read), max_size=2),
    account=st.text(max_size=12).map(as_read),
    at=st.integers(0, 1000),
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_value_becomes_more_than_a_value(
    fields: list[tuple[str, str]], written: int, words: list[str], account: str, at: int
) -> None:
    for name, value in fields:
        laws.is_one_directive(name, value)
    lines = [
        directive(name, value) for name, value in fields[:written] if not unwritable({name: value})
    ]
    asked = Asked(
        "\n".join(["#!/bin/sh", *lines]) + BODY,
        tuple(f"--{name}={value}" for name, value in fields[written:]),
        lines=len(fields),
        script_arguments=tuple(words),
    )
    judge(asked, at, at, account)
