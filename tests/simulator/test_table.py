"""`resfed table`: the arithmetic against jobs.csv, what is kept, and files that are wrong."""

from __future__ import annotations

import csv
import json
import math
import shlex
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from res_federation.cli.main import execute
from res_federation.config.campaigns import load_campaign
from res_federation.simulator.federation import COMPARED, replay_federation
from res_federation.simulator.measures import Setting, summarise
from res_federation.simulator.node_list import federation_at
from res_federation.simulator.traces.read import read_trace
from tests.architecture.tree import ROOT

PLACEMENT = ROOT / "simulations" / "placement"
SHARED = ROOT.parent / "shared" / "traces"
FEDERATIONS = ROOT / "simulations" / "federations"
POLICIES = ROOT / "simulations" / "policies"

CAMPAIGN = f"""
title = "Drawn"
policies = ["federated", "slurm-federation", "{POLICIES}/first-come.toml", "one-machine"]
versus = ["one-machine"]
federations = ["{FEDERATIONS}/unequal.toml"]
loads = [0.1, 1.2]
least_wait = 20
long_wait = 100

[[trace]]
file = "drawn.swf"
jobs = 120
skips = [0, 100]

[[target]]
figure = "mean_wait"
at_most = 9.0

[[target]]
figure = "worst"
at_most = 0.001
"""


def write(place: Path, text: str = CAMPAIGN) -> Path:
    lines = ["; MaxProcs: 64"]
    for number in range(1, 221):
        procs, run = 1 + (number * 7) % 40, 60 + (number * 131) % 2000
        lines.append(f"{number} {number * 60} -1 {run} {procs} -1 -1 {procs} {run * 2} -1 1 "
                     f"{number % 5} 1 1 {number % 3} -1 -1 -1")  # fmt: skip
    (place / "drawn.swf").write_text("\n".join(lines) + "\n")
    file = place / "drawn.toml"
    file.write_text(text)
    return file


def table(file: Path, out: Path, *more: str) -> int:
    return execute(["table", str(file), "--out", str(out), "--workers", "1", *more])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("table")
    assert table(write(place), place / "out") == 0
    return place


def found(place: Path) -> dict[str, Any]:
    return dict(json.loads((place / "out" / "drawn" / "table.json").read_text()))


def jobs(place: Path, case: str, policy: str) -> list[tuple[int, int, int, int]]:
    """Return submit, start, end and processors of a replay's jobs, as its file has them."""
    with (place / "out" / "cells" / case / policy / "jobs.csv").open() as file:
        return [
            (int(row["submit"]), int(row["start"]), int(row["end"]), int(row["procs"]))
            for row in csv.DictReader(file)
        ]


def figures(rows: list[tuple[int, int, int, int]]) -> dict[str, float]:
    """Work out in plain Python what a table has ratios of."""
    waits = sorted(start - submit for submit, start, _, _ in rows)
    at = 0.95 * (len(waits) - 1)
    low = math.floor(at)
    high = min(low + 1, len(waits) - 1)
    least = sorted((procs for *_, procs in rows), reverse=True)[math.ceil(len(rows) / 10) - 1]
    return {
        "mean_wait": statistics.fmean(waits),
        "max_wait": waits[-1],
        "p95_wait": waits[low] + (at - low) * (waits[high] - waits[low]),
        "mean_bounded_slowdown": statistics.fmean(
            max(1, (end - submit) / max(end - start, 10)) for submit, start, end, _ in rows
        ),
        "widest_mean_wait": statistics.fmean(
            start - submit for submit, start, _, procs in rows if procs >= least
        ),
    }


def mean(ratios: list[float]) -> float:
    return math.prod(ratios) ** (1 / len(ratios))


def test_ratios_are_those_of_the_jobs(made):
    told = found(made)
    names = [f"drawn-{skip}+120/unequal/load-{load}/seed-1" for skip in (0, 100)
             for load in ("0.1", "1.2")]  # fmt: skip
    under = {name: figures(jobs(made, name, "slurm-federation")) for name in names}
    counted = [name for name in names if under[name]["mean_wait"] >= 20]
    assert told["cases"]["counted"] == counted
    assert set(told["cases"]["left_out"]) == set(names) - set(counted)
    assert told["cases"]["left_out"], "an idle federation is no case"
    assert counted
    machine = {name: figures(jobs(made, name, "one-machine")) for name in counted}
    assert [line["policy"] for line in told["lines"]] == ["federated", "first-come", "one-machine"]
    for line in told["lines"]:
        mine = {name: figures(jobs(made, name, line["policy"])) for name in counted}
        for figure, ratio in line["ratios"].items():
            if figure in ("federated_mean_wait", "local_mean_wait"):
                assert ratio is None, "no job is a site's own"
                continue
            pairs = [(max(1, mine[n][figure]), max(1, under[n][figure])) for n in counted]
            assert ratio == pytest.approx(mean([a / b for a, b in pairs]))
        waits = {n: mine[n]["mean_wait"] / under[n]["mean_wait"] for n in counted}
        longer = [name for name in counted if waits[name] > 1 + 1e-9]
        assert line["longer"] == len(longer)
        assert line["longer_share"] == len(longer) / len(counted)
        assert line["worst_ratio"] == pytest.approx(max(waits.values()))
        assert waits[line["worst"]] == max(waits.values())
        assert line["long_losses"] == [n for n in longer if under[n]["mean_wait"] > 100]
        if line["policy"] != "one-machine":
            both = [mine[n]["mean_wait"] / machine[n]["mean_wait"] for n in counted]
            assert line["versus"]["one-machine"] == pytest.approx(mean(both))
        assert line["never_ran"] == 0
    assert [target["met"] for target in told["targets"]] == [True, False]


def test_the_page_has_a_row_for_each_policy(made):
    text = (made / "out" / "drawn" / "table.md").read_text()
    for policy in ("federated", "first-come", "one-machine"):
        assert f"| `{policy}` | " in text
    assert "| **no** |" in text


def test_what_is_there_is_not_replayed_again(made, capsys):
    before = found(made)
    files = {path: path.stat().st_mtime_ns for path in made.rglob("summary.json")}
    assert table(made / "drawn.toml", made / "out", "--json") == 0
    (again,) = json.loads(capsys.readouterr().out)["tables"]
    assert again["resumed"] == 16
    assert {path: path.stat().st_mtime_ns for path in made.rglob("summary.json")} == files
    assert again["lines"] == before["lines"]
    case = made / "out" / "cells" / before["cases"]["counted"][0]
    (case / "federated" / "jobs.csv").unlink()
    assert table(made / "drawn.toml", made / "out", "--json") == 0
    (again,) = json.loads(capsys.readouterr().out)["tables"]
    assert again["resumed"] == 15
    assert again["lines"] == before["lines"]


def test_the_command_of_a_replay_makes_the_same_starts(made, tmp_path, capsys):
    told = found(made)
    case = told["cases"]["counted"][0]
    one = next(each for each in told["replays"][case] if each["policy"] == "first-come")
    words = shlex.split(one["command"])
    assert words[:2] == ["resfed", "compare"]
    assert execute([*words[1:-1], str(tmp_path), "--json"]) == 0
    mine, base = json.loads(capsys.readouterr().out)["policies"]
    assert mine["start_sha256"] == one["start_sha256"]
    assert mine["mean_wait"] == one["mean_wait"]
    assert base["policy"] == "slurm-federation"


def test_a_table_of_what_is_there(made, tmp_path, capsys):
    shutil.copytree(made / "out", tmp_path / "out")
    name = found(made)["cases"]["counted"][0]
    (tmp_path / "out" / "cells" / name / "first-come" / "summary.json").unlink()
    assert table(made / "drawn.toml", tmp_path / "out", "--done", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["tables"]
    assert told["not_done"] == 1
    assert [line["cases"] for line in told["lines"]] == [2, 1, 2]
    text = (tmp_path / "out" / "drawn" / "table.md").read_text()
    assert "**1 replays are not done" in text
    assert "| cases |" in text


def test_a_page_is_filled_between_its_marks(made, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A\n<!-- table: drawn -->\nold\n<!-- end: drawn -->\nafter\n")
    shutil.copytree(made / "out", tmp_path / "out")
    argv = ("--policies", "federated", "--update", str(page))
    assert table(made / "drawn.toml", tmp_path / "out", *argv) == 0
    text = page.read_text()
    assert text.startswith("# A\n<!-- table: drawn -->\n")
    assert "old" not in text
    assert "| `federated` |" in text
    assert text.endswith("<!-- end: drawn -->\nafter\n")


def test_federated_and_local_jobs_are_told_apart(made):
    workload = read_trace(str(made / "drawn.swf"))
    model = federation_at(FEDERATIONS / "unequal.toml", workload)
    outcome = replay_federation(
        workload, model, policy="slurm-federation", load=1.2, local_share=0.5, seed=1
    )
    summary = summarise(outcome, Setting("m", "easy", "slurm-federation", 1, 1.0))
    wait = outcome.start - outcome.workload.submit
    assert outcome.local.any()
    assert not outcome.local.all()
    assert summary["local_mean_wait"] == pytest.approx(wait[outcome.local].mean())
    assert summary["federated_mean_wait"] == pytest.approx(wait[~outcome.local].mean())


CONDITIONS = f"""
title = "Drawn"
policies = ["federated", "slurm-federation"]
federations = ["{FEDERATIONS}/unequal.toml"]
loads = [1.2]
local_shares = [0.5]
least_wait = 0
[[trace]]
file = "drawn.swf"
jobs = 120
[[condition]]
name = "at once"
[[condition]]
name = "a minute"
report_interval = 60
ends_at_once = false
[[condition]]
name = "quiet"
silent = "half"
begin = 1000
end = 4000
[[target]]
figure = "to_first_condition"
condition = "a minute"
at_most = 100
"""


def test_conditions_stand_beside_one_another(tmp_path):
    assert table(write(tmp_path, CONDITIONS), tmp_path / "out") == 0
    told = found(tmp_path)
    once, minute, quiet = told["lines"]
    assert once["to_first_condition"] == 1.0
    waits = {each["condition"]: each["mean_wait"] for each in told["replays"][once["worst"]]
             if each["policy"] == "federated"}  # fmt: skip
    slower = waits["a minute"] / waits["at once"]
    assert minute["to_first_condition"] == pytest.approx(slower)
    assert told["targets"][0]["found"] == pytest.approx(slower)
    assert quiet["during"] is not None
    assert quiet["busiest"] > 0
    assert minute["busiest"] is None
    assert all(line["ratios"]["local_mean_wait"] is not None for line in told["lines"])
    cells = tmp_path / "out" / "cells"
    assert len(list(cells.rglob("summary.json"))) == 4, "copies hear no news: one replay for all"
    assert len(list(cells.rglob("*+reports-60s+late-ends"))) == 1
    text = (tmp_path / "out" / "drawn" / "table.md").read_text()
    assert "| policy | news | wait |" in text
    assert "| federated | local |" in text


QUIET = """[[condition]]
name = "x"
silent = "moon"
begin = 1
end = 2
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("versus =", "verses ="), "drawn.toml:4: verses: unknown key 'verses'; did you mean"),
        (('"federated"', '"federatd"'), "policies[1]: there is no policy 'federatd'"),
        (("first-come.toml", "nowhere.toml"), "nowhere.toml:1: cannot be read"),
        (('"one-machine"]\nf', '"random"]\nf'), "versus[1]: there is no policy 'random'"),
        (("unequal.toml", "nowhere.toml"), "federations[1]: there is no file"),
        (("loads = [0.1, 1.2]", "loads = [0]"), "loads[1]"),
        (("loads = [0.1, 1.2]", "loads = []"), "loads: has too few"),
        (('"drawn.swf"', '"nowhere.swf"'), "none of its traces is there: nowhere.swf"),
        (('"mean_wait"', '"mean_weight"'), "target[1].figure: there is no figure 'mean_weight'"),
        (("least_wait = 20", "least_wait ="), "is not TOML"),
        (("[[target]]", '[[condition]]\nname = "x"\nsilent = "half"\n[[target]]'),
         "condition[1].silent: needs a begin"),
        (("[[target]]", f"{QUIET}[[target]]"), "has no site 'moon'"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_line_and_2(tmp_path, capsys, change, told):
    assert change[0] in CAMPAIGN
    right, wrong = change
    file = write(tmp_path, CAMPAIGN.replace(right, wrong, 1))
    assert table(file, tmp_path / "out") == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[-1]
    assert not any("Traceback" in line for line in lines)
    assert not list(tmp_path.rglob("summary.json"))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--only", "sdsc"], "no case of"),
        (["--policies", "random"], "has no policy 'random'"),
        (["--update", "nowhere.md"], "nowhere.md"),
        (["--update", __file__], "has no place for 'drawn'"),
    ],
)
def test_a_wrong_word_is_one_line_and_2(made, capsys, more, told):
    assert table(made / "drawn.toml", made / "out", *more) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", sorted(path.name for path in PLACEMENT.glob("*.toml")))
def test_the_campaigns_that_ship_are_whole(name):
    campaign = load_campaign(PLACEMENT / name, COMPARED)
    assert campaign.policies[0] == "federated"
    assert campaign.windows
    labels = [window.label for window in campaign.windows]
    assert len(set(labels)) == len(labels)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared traces are not there")
def test_a_trace_that_is_missing_is_left_out_in_one_line(tmp_path, capsys):
    text = (PLACEMENT / "small.toml").read_text().replace("../", f"{ROOT}/simulations/")
    text = text.replace("jobs = 800", "jobs = 100\n[[trace]]\nfile = 'gone.swf'")
    file = tmp_path / "small.toml"
    file.write_text(text.replace("[0.7, 0.9]", "[0.9]"))
    assert table(file, tmp_path / "out", "--traces", str(SHARED)) == 0
    told = capsys.readouterr()
    assert sum("gone.swf" in line for line in told.err.splitlines()) == 1
    assert "Without gone.swf, which was not there." in told.out
