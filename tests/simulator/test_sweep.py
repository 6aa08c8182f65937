"""`resfed sweep`: the grid of a scenario, cell by cell, kept when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from res_federation.cli.main import execute
from res_federation.config.scenarios import Scenario, load_scenario
from res_federation.errors import InvalidArgument
from res_federation.simulator.compare_cells import replay_cell
from res_federation.simulator.federation import POLICIES
from res_federation.simulator.scenario import base_model, cells, model_of, workload_of
from tests.architecture.tree import ROOT

FEDERATION = """
[[site]]
id = "north"
processors = 64
[[site]]
id = "south"
processors = 32
"""
SCENARIO = """
title = "A test"
days = 1
policies = ["slurm-federation", "random"]
seeds = [1, 2]
loads = [0.7]
[sites]
federation = "two.toml"
[[workload]]
name = "usual"
share = 1.0
[workload.generate]
largest = 16
median = "00:10:00"
[[workload]]
name = "burst"
jobs = 20
from = "06:00:00"
until = "07:00:00"
overlays = ["storm"]
[workload.generate]
largest = 4
median = "00:10:00"
[[overlay]]
name = "calm"
[[overlay]]
name = "storm"
[[overlay.add]]
partition = "south/south/more"
nodes = 8
cores = 1
confidence = "assumption"
[[overlay.scale]]
where = "north"
factor = 0.5
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "two.toml").write_text(FEDERATION)
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    return tmp_path


def run(place: Path, capsys, *more: str) -> dict[str, Any]:
    argv = ["sweep", str(place), "--out", str(place / "out"), "--json", *more]
    assert execute(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def read(place: Path) -> Scenario:
    return load_scenario(place, POLICIES)


def test_an_overlay_changes_the_machines_and_not_what_is_asked_for(place):
    scenario = read(place)
    calm, storm = scenario.overlays
    assert base_model(scenario).processors == model_of(scenario, calm).processors == 96
    assert model_of(scenario, storm).processors == 32 + 32 + 8
    before, after = (workload_of(scenario, each, 0.7, 1) for each in (calm, storm))
    usual = after.group == 0
    assert (after.submit[usual] == before.submit).all()
    assert (after.procs[usual] == before.procs).all()
    assert (~usual).sum() == 20
    assert after.submit[~usual].min() >= 6 * 3600
    assert after.submit[~usual].max() < 7 * 3600


def test_the_load_is_what_was_asked_for(place):
    scenario = read(place)
    drawn = workload_of(scenario, scenario.overlays[0], 0.7, 1)
    asked = float((drawn.procs * drawn.runtime).sum())
    assert asked / (96 * 86400) == pytest.approx(0.7, abs=0.05)


def test_a_traces_submissions_are_stretched_to_the_load(place):
    lines = [f"{n} {n * 10} -1 600 4 -1 -1 4 900 -1 1 1 1 1 1 -1 -1 -1" for n in range(1, 101)]
    (place / "t.swf").write_text("; MaxProcs: 64\n" + "\n".join(lines) + "\n")
    text = SCENARIO.replace("[workload.generate]\nlargest = 16\nmedian", "trace = 't.swf'\n#", 1)
    (place / "scenario.toml").write_text(text)
    scenario = read(place)
    drawn = workload_of(scenario, scenario.overlays[0], 0.7, 1)
    asked = float((drawn.procs * drawn.runtime).sum())
    assert asked / (96 * 86400) == pytest.approx(0.7, rel=0.02)
    assert drawn.submit.max() < 86400
    assert (np.diff(drawn.submit) >= 0).all()


def test_every_cell_is_replayed_once_and_kept(place, capsys):
    first = run(place, capsys, "--workers", "1")
    assert len(first["cells"]) == len(cells(read(place))) == 8
    assert first["resumed"] == 0
    assert set(first["ratios"]) == {"calm, load 0.7", "storm, load 0.7"}
    again = run(place, capsys, "--workers", "1")
    assert again["resumed"] == 8
    assert {each["name"]: each["start_sha256"] for each in again["cells"]} == {
        each["name"]: each["start_sha256"] for each in first["cells"]
    }
    text = SCENARIO.replace("factor = 0.5", "factor = 0.75")
    (place / "scenario.toml").write_text(text)
    assert run(place, capsys, "--workers", "1")["resumed"] == 4, "calm is what it was"
    assert execute(["report", str(place / "out")]) == 0


def test_ray_finds_what_one_process_finds(place, capsys):
    alone = run(place, capsys, "--workers", "1")
    argv = ["sweep", str(place), "--out", str(place / "ray"), "--json", "--workers", "2"]
    # In a process of its own: a Ray runtime leaves traces in the one that drove it.
    outcome = subprocess.run(
        [sys.executable, "-m", "res_federation.cli.main", *argv],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    spread = json.loads(outcome.stdout)
    assert {each["name"]: each["start_sha256"] for each in spread["cells"]} == {
        each["name"]: each["start_sha256"] for each in alone["cells"]
    }


def test_a_cell_that_fails_stops_no_other_and_is_told(place, capsys, monkeypatch):
    def fails(inputs):
        if inputs.settings.policy == "random":
            raise InvalidArgument("no luck")
        return replay_cell(inputs)

    monkeypatch.setattr("res_federation.simulator.sweep.replay_cell", fails)
    argv = ["sweep", str(place), "--out", str(place / "out"), "--json", "--workers", "1"]
    assert execute(argv) == 1
    found = json.loads(capsys.readouterr().out)
    assert len(found["cells"]) == 4
    assert set(found["failed"].values()) == {"no luck"}
    assert not list((place / "out").rglob("random/*/summary.json"))


def test_ctrl_c_keeps_what_is_done_and_leaves_with_130(place):
    text = SCENARIO.replace("seeds = [1, 2]", f"seeds = {list(range(1, 400))}")
    (place / "scenario.toml").write_text(text)
    argv = ["sweep", str(place), "--out", str(place / "out"), "--workers", "1"]
    program = [sys.executable, "-m", "res_federation.cli.main", *argv]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "1/1596" in process.stderr.readline()
        os.kill(process.pid, signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert rest.splitlines()[-1] == "resfed: interrupted"
    summaries = list((place / "out").rglob("summary.json"))
    assert summaries
    for each in summaries:
        assert json.loads(each.read_text())["jobs"] > 0


def test_no_ray_at_an_address_is_told(place):
    argv = ["sweep", str(place), "--out", str(place / "out"), "--ray", "127.0.0.1:1"]
    outcome = subprocess.run(
        [sys.executable, "-m", "res_federation.cli.main", *argv],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert outcome.returncode == 3, outcome.stderr
    assert "no Ray answers at '127.0.0.1:1'" in outcome.stderr.splitlines()[-1]


def test_a_scenario_with_a_fault_is_one_line_and_2(place, capsys):
    (place / "scenario.toml").write_text(SCENARIO.replace('"random"', '"randm"'))
    assert execute(["sweep", str(place)]) == 2
    told = capsys.readouterr().err
    assert "scenario.toml:4" in told
    assert "nearest: random" in told
    assert ROOT.name not in told.split("scenario.toml")[1]
