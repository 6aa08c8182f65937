"""Scenarios: what ships is sound; what is wrong is told by line, with the nearest names."""

from __future__ import annotations

from pathlib import Path

import pytest

from res_federation.config.problems import Problem
from res_federation.config.scenarios import Scenario, check_scenario, load_scenario
from res_federation.errors import InvalidArgument
from tests.architecture.tree import ROOT

POLICIES = ("federated", "slurm-federation", "random")
SHIPPED = ("ai-factory-burst", "member-away", "mn5-ai-upgrade", "res-as-it-is")

FEDERATION = """
title = "Two"
[[site]]
id = "north"
processors = 64
[[site]]
id = "south"
[[site.partition]]
name = "cpu"
processors = 32
[[site.partition]]
name = "gpu"
processors = 8
"""
SOUND = """
title = "A test"
days = 2
policies = ["federated", "random"]
seeds = [1, 2]
loads = [0.5]

[sites]
federation = "two.toml"

[[workload]]
name = "all"
share = 1.0
[workload.generate]
largest = 8

[[overlay]]
name = "calm"

[[overlay]]
name = "storm"
remove = ["south/south/gpu"]
[[overlay.scale]]
where = "north"
factor = 0.5
[[overlay.event]]
where = "south"
kind = "maintenance"
from = "00:00:00"
until = "12:00:00"
"""


def told(tmp_path: Path, text: str) -> list[str]:
    """Return the problems of a scenario, without the file's name."""
    (tmp_path / "two.toml").write_text(FEDERATION)
    (tmp_path / "scenario.toml").write_text(text)
    found = check_scenario(tmp_path, POLICIES)
    if isinstance(found, Scenario):
        return []
    assert all(isinstance(each, Problem) for each in found)
    return [str(each).replace(f"{tmp_path}/", "") for each in found]


def test_a_sound_scenario_is_read(tmp_path):
    assert told(tmp_path, SOUND) == []
    found = load_scenario(tmp_path / "scenario.toml", POLICIES)
    assert (found.loads, found.seeds, found.days) == ((0.5,), (1, 2), 2)
    assert [each.name for each in found.overlays] == ["calm", "storm"]
    assert found.overlays[1].scale == (("north", 0.5),)
    assert found.overlays[1].events[0].end_s == 43200
    assert dict(found.workload[0].figures) == {"largest": 8}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_sound(name):
    every = ("federated", "slurm-federation", "least-load", "shortest-queue")
    found = load_scenario(ROOT / "simulations" / name, every)
    assert found.name == name
    assert found.description
    for part in found.workload:
        assert part.trace is None, "a scenario that ships needs no file of another repository"


def test_the_upgrade_is_1920_gpus_and_says_what_is_assumed():
    found = load_scenario(ROOT / "simulations" / "mn5-ai-upgrade", POLICIES)
    (added,) = found.overlays[1].add
    assert added.nodes is not None
    assert added.nodes * added.shape.accelerators == 1920 * found.scale
    assert added.confidence == "assumption"
    assert "not" in added.note


@pytest.mark.parametrize(
    ("old", "new", "told_is"),
    [
        ('"random"]', '"randon"]', ("scenario.toml:4: policies[2]: there is no policy 'randon'; "
         "nearest: random")),
        ('where = "north"', 'where = "nort"', ("scenario.toml:24: overlay[2].scale[1].where: "
         "there is no site 'nort'; nearest: north")),
        ('["south/south/gpu"]', '["south/south/gpus"]', ("scenario.toml:22: overlay[2].remove[1]: "
         "there is no partition 'south/south/gpus'; nearest: south/south/gpu")),
        ('where = "south"', 'where = "sooth"', "there is no site 'sooth'; nearest: south"),
        ('where = "south"', 'where = "south/south/gpu"', "there is no partition"),
        ("share = 1.0", "share = 0.7", "without accelerators make up 0.7, not 1"),
        ("share = 1.0", "shares = 1.0", "unknown key 'shares'; did you mean 'share'?"),
        ("share = 1.0", "", "'all' needs one of share (of the load) and jobs (how many)"),
        ("loads = [0.5]", "", "loads: is missing"),
        ("loads = [0.5]", "loads = [0.5, 0.5]", "'0.5' stands here twice"),
        ("days = 2", "", "days: is missing"),
        ("seeds = [1, 2]", "seeds = []", "has too few"),
        ("seeds = [1, 2]", "seeds = [1, 1]", "'1' stands here twice"),
        ("largest = 8", "largest = 8\nsmallest = 9", "is less than the smallest"),
        ("largest = 8", 'accelerator = "h101"', "there is no family 'h101'; nearest: h100"),
        ("largest = 8", "largest = 8\nmedian = 60", "is not a time"),
        ('name = "storm"', 'name = "calm"', "'calm' stands here twice"),
        ('name = "storm"', 'name = "../../x"', "is not a lower-case word"),
        ('until = "12:00:00"', 'until = "00:00:00"', "is not after from"),
        ('kind = "maintenance"', 'kind = "strike"', "is not one of 'crash', 'drain'"),
        ('kind = "maintenance"', 'kind = "nodes"', "says how many leave"),
        ('federation = "two.toml"', 'federation = "tow.toml"', "cannot be read"),
        ('federation = "two.toml"', "", "needs one of catalogue and federation"),
        ('federation = "two.toml"', 'federation = "two.toml"\nonly = ["northh"]',
         "there is no site 'northh'; nearest: north"),
        ('federation = "two.toml"', 'catalogue = "nowhere"', "is not a directory"),
        ('remove = ["south/south/gpu"]', 'remove = ["north", "south"]', "leaves no site"),
        ("[workload.generate]\nlargest = 8", 'trace = "no.swf"', "there is no file"),
        ("title =", "title", "is not TOML"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_line_with_the_way_out(tmp_path, old, new, told_is):
    assert old in SOUND
    found = told(tmp_path, SOUND.replace(old, new, 1))
    assert any(told_is in each for each in found), found
    assert all(each.startswith("scenario.toml:") for each in found)


@pytest.mark.parametrize(
    ("text", "told_is"),
    [
        ('partition = "south/south/cpu"', "is there already"),
        ('partition = "south/new"', "is not written site/cluster/partition"),
        ('partition = "soth/a/b"', "there is no site 'soth'; nearest: south"),
        ('partition = "south/a/B c"', "is not a lower-case word"),
        ('partition = "south/a/b"\naccelerator = "nvidia-h100"', "stand together"),
        ('partition = "south/a/b"\naccelerator = "h100"\naccelerators = 4', "write 'nvidia-h100'"),
    ],
)
def test_an_added_partition_is_checked(tmp_path, text, told_is):
    added = f'\n[[overlay.add]]\n{text}\nnodes = 4\ncores = 8\nconfidence = "assumption"\n'
    found = told(tmp_path, SOUND + added)
    assert any(told_is in each for each in found), found


def test_the_first_fault_is_one_line(tmp_path):
    (tmp_path / "scenario.toml").write_text(SOUND)
    with pytest.raises(InvalidArgument) as caught:
        load_scenario(tmp_path, POLICIES)
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidArgument, match="cannot be read"):
        load_scenario(tmp_path / "nowhere.toml", POLICIES)
