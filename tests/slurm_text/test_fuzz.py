"""Generated directives, through reading and rendering: no crash, nothing lost without a word.

A small part runs with the tests; ``make fuzz`` runs many more (``RESFED_FUZZ_EXAMPLES``).
"""

import os
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from res_federation.config.dialects import load_dialects
from res_federation.config.sites import load_sites
from res_federation.errors import InvalidArgument
from res_federation.model.site import Partition
from res_federation.slurm import script_header
from res_federation.slurm.dialect import Dialect
from res_federation.slurm.directives import own_options
from res_federation.slurm.job_spec import read_job
from res_federation.slurm.losses import losses
from res_federation.slurm.options import OPTIONS
from res_federation.slurm.render import Rendered, render

EXAMPLES = int(os.environ.get("RESFED_FUZZ_EXAMPLES", "150"))
SITES = Path(__file__).parents[2] / "sites"
BODY = "\nsrun ./app\n#SBATCH --uid=0\n"

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


@cache
def targets() -> tuple[tuple[Dialect, Partition], ...]:
    sites = load_sites(SITES)
    dialects = load_dialects(SITES, sites)
    return tuple((dialects[site.id], part) for site in sites for part in site.partitions)


@given(lines=_LINES)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    script = "\n".join(["#!/bin/sh", *lines]) + BODY
    header = script_header.read(script)
    try:
        spec = read_job(script, user="ana")
    except InvalidArgument as error:
        assert "\n" not in error.field
        return
    assert not header.refused
    assert spec.options == header.given
    assert own_options(script) == dict(header.given)
    losses(script, dict(spec.options))


@given(lines=_SOUND, at=st.integers(0, 1000), home=st.integers(0, 1000), more=_ANY)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_option_is_lost_without_a_word(lines: list[str], at: int, home: int, more: str) -> None:
    script = "\n".join(["#!/bin/sh", *lines, f"#SBATCH {more}"]) + BODY
    try:
        spec = read_job(script, user="ana")
    except InvalidArgument:
        return
    everywhere = targets()
    target, part = everywhere[at % len(everywhere)]
    origin = everywhere[home % len(everywhere)][0]
    found = render(spec, origin, target, part, account="uv00")
    if not isinstance(found, Rendered):
        assert all(found.reasons)
        return
    assert found.script.endswith(BODY)
    header = script_header.read(found.script)
    assert not header.refused, header.refused
    told = dict(header.given)
    for name, value in spec.options:
        said = any(f"--{name}" in note for note in found.notes)
        assert told.get(name) == value or said, (name, value, found)
