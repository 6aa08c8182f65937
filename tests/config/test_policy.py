"""Policy files: every field can be said, and what is wrong is named with its line."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from res_federation.cli.compare import weighed_policies
from res_federation.config.policy import load_policy, policy_at
from res_federation.errors import InvalidArgument
from res_federation.placement.policies import named
from res_federation.placement.policy import LateStart, Policy, Weight

READY = Path(__file__).parents[2] / "simulations" / "policies"
EVERYTHING = """
name = "ours"
seed = 3
idle_accelerator_s = 60.0
unknown_release_s = 61.0
unknown_path_mib_s = 62.0
max_waiting_per_partition = 63
[accelerator_speed]
h100 = 2.5
[late]
age_s = 1.0
width = 0.25
length = 0.75
accelerator_width = 4.0
reservations = 5
patience_s = 64.0
places = 3
fixed_places = 2
yield_s = 65.0
stay = 0.125
settle_s = 66.0
prefer = "emptiest"
slowest = 2.0
history = 1
fair_share = 0.5
half_life_s = 86400.0
[weights]
size = { rate = 0.5, cap_s = 7.0 }
"""


def written(tmp_path, text):
    file = tmp_path / "policy.toml"
    file.write_text(text, "utf-8")
    return file


def test_every_field_can_be_written(tmp_path):
    found, default = load_policy(written(tmp_path, EVERYTHING)), named("federated")
    assert found.late is not None
    for each in fields(Policy):
        assert getattr(found, each.name) != getattr(default, each.name), each.name
    for each in fields(LateStart):
        assert getattr(found.late, each.name) != getattr(default.late, each.name), each.name
    assert found.weights == replace(default.weights, size=Weight(0.5, 7.0))


def test_what_is_left_out_keeps_the_base(tmp_path):
    assert load_policy(written(tmp_path, "")) == replace(named("federated"), name="policy")
    at_once = load_policy(written(tmp_path, 'base = "earliest-start"'))
    assert at_once == replace(named("earliest-start"), name="policy")


def test_half_a_weight_keeps_the_other_half(tmp_path):
    found = load_policy(written(tmp_path, "[weights.carbon]\nrate = 60"))
    assert found.weights.carbon == Weight(60, named("federated").weights.carbon.cap_s)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[late]\nreservation = 1", r"policy.toml:2: late.reservation: .*'reservations'"),
        ('[late]\nprefer = "big"', r"policy.toml:2: late.prefer: .*'small' or 'emptiest'"),
        ("[late]\nreservations = -1", r"policy.toml:2: late.reservations: .*at least 0"),
        ("[weights.sizes]\nrate = 1", r"policy.toml:1: weights.sizes: .*'size'"),
        ("[weights.size]\nrate = nan", r"policy.toml:2: weights.size.rate: "),
        ('base = "best"', r"policy.toml:1: base: .*'federated' or 'earliest-start'"),
        ('base = "earliest-start"\n[late]\nwidth = 1', r"policy.toml:2: late: .*take it out"),
        ('name = "federated"\nseed = 1', r"policy.toml:1: name: .*of its own"),
        ('name = "../x"', r"policy.toml:1: name: "),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, words):
    with pytest.raises(InvalidArgument) as told:
        load_policy(written(tmp_path, text))
    assert "\n" not in str(told.value)
    told.match(words)


def test_a_policy_goes_by_name_or_by_file(tmp_path):
    assert policy_at("federated") == named("federated")
    assert policy_at(str(written(tmp_path, "seed = 4"))).seed == 4
    with pytest.raises(InvalidArgument, match="there is no policy 'best'"):
        policy_at("best")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        policy_at("nowhere.toml")


@pytest.mark.parametrize("file", sorted(READY.glob("*.toml")), ids=lambda file: file.stem)
def test_a_ready_policy_differs_from_its_base_and_has_its_files_name(file):
    found = load_policy(file)
    base = named("earliest-start" if found.late is None else "federated")
    assert found.name == file.stem
    assert found.late is None or replace(found, name=base.name) != base


def test_policies_of_a_comparison_are_names_and_files(tmp_path):
    file = written(tmp_path, 'name = "mine"\n[late]\nreservations = 0')
    names, weights = weighed_policies(f"federated, {file},random", ("federated", "random"))
    assert names == ["federated", "mine", "random"]
    assert weights["mine"].late == replace(LateStart(), reservations=0)
    with pytest.raises(InvalidArgument, match="of another policy"):
        weighed_policies(f"{file},{tmp_path}/./policy.toml", ("federated",))
