"""`resfed compare`: policies side by side, resumable only with the same inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from res_federation.cli.main import execute
from tests.architecture.tree import ROOT

UNEQUAL = str(ROOT / "simulations" / "federations" / "unequal.toml")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small trace: a job a minute, 64 processors in the machine."""
    file = tmp_path_factory.mktemp("trace") / "small.swf"
    lines = ["; MaxProcs: 64"]
    for number in range(1, 201):
        procs, run = 1 + (number * 7) % 24, 60 + (number * 131) % 2000
        lines.append(f"{number} {number * 60} -1 {run} {procs} -1 -1 {procs} {run * 2} -1 1 1 1 "
                     f"1 {number % 3} -1 -1 -1")  # fmt: skip
    file.write_text("\n".join(lines) + "\n")
    return file


def run(trace: Path, out: Path, *more: str, policies: str = "federated,slurm-federation") -> int:
    argv = ["compare", str(trace), "--sites", UNEQUAL, "--policies", policies, "--out", str(out)]
    return execute([*argv, *more])


def test_policies_stand_side_by_side(trace, tmp_path, capsys):
    assert run(trace, tmp_path, "--seeds", "1,2", "--json", "--local-share", "0.3") == 0
    found = json.loads(capsys.readouterr().out)

    assert [(each["policy"], each["seed"]) for each in found["policies"]] == [
        ("federated", 1), ("federated", 2), ("slurm-federation", 1), ("slurm-federation", 2),
    ]  # fmt: skip
    for each in found["policies"]:
        place = tmp_path / each["policy"] / f"seed-{each['seed']}"
        assert json.loads((place / "summary.json").read_text()) == each
        assert len((place / "jobs.csv").read_text().splitlines()) == 201
        assert {"start_sha256", "utilisation", "sites", "dropped"} <= set(each)
    assert found["baseline"] == "slurm-federation"
    ratio = found["ratios"]["federated"]["mean_wait"]
    means: dict[str, list[float]] = {}
    for each in found["policies"]:
        means.setdefault(each["policy"], []).append(each["mean_wait"])
    pairs = zip(means["federated"], means["slurm-federation"], strict=True)
    product = 1.0
    for over, under in pairs:
        product *= over / under
    assert ratio["ratio"] == pytest.approx(product**0.5)
    assert ratio["low"] <= ratio["ratio"] <= ratio["high"]


def test_one_seed_says_that_it_has_no_interval(trace, tmp_path, capsys):
    assert run(trace, tmp_path) == 0
    told = capsys.readouterr()
    assert "One seed: there is no interval" in told.out
    assert "2/2 slurm-federation/seed-1" in told.err


def test_what_is_whole_and_of_the_same_inputs_is_kept(trace, tmp_path, capsys):
    def resumed(*more: str) -> int:
        assert run(trace, tmp_path, "--json", *more) == 0
        return int(json.loads(capsys.readouterr().out)["resumed"])

    assert resumed() == 0
    assert resumed() == 2
    assert resumed("--load", "0.5") == 0, "another load"
    assert resumed("--load", "0.5") == 2
    assert resumed("--load", "0.5", "--first", "100") == 0, "other jobs"
    (tmp_path / "federated" / "seed-1" / "summary.json").write_text('{"jobs": 1')
    assert resumed("--load", "0.5", "--first", "100") == 1, "a summary that is not whole"
    (tmp_path / "federated" / "seed-1" / "jobs.csv").unlink()
    assert resumed("--load", "0.5", "--first", "100") == 1, "no jobs beside it"


def test_job_lines_are_skipped_and_taken(trace, tmp_path, capsys):
    assert run(trace, tmp_path, "--skip", "50", "--first", "30", "--json") == 0
    found = json.loads(capsys.readouterr().out)["policies"][0]
    assert found["jobs"] == 30
    lines = (tmp_path / "federated" / "seed-1" / "jobs.csv").read_text().splitlines()[1:]
    assert [int(line.split(",")[0]) for line in lines] == list(range(51, 81))


@pytest.mark.parametrize(
    ("more", "told_is"),
    [
        (["--policies", "federatd"], "there is no policy 'federatd'"),
        (["--policies", ","], "no policy is named"),
        (["--seeds", "1,x"], "'x' is no seed"),
        (["--skip", "200"], "are skipped"),
        (["--load", "-1"], "load"),
        (["--sites", "nowhere.toml"], "nowhere.toml"),
        (["--scheduler", "best"], "there is no scheduler 'best'"),
        (["--local-share", "2"], "local-share"),
    ],
)
def test_a_wrong_word_is_one_line_and_2(trace, tmp_path, capsys, more, told_is):
    assert run(trace, tmp_path, *more) == 2
    told = capsys.readouterr().err
    assert told_is in told.splitlines()[-1]
    assert "Traceback" not in told
    assert not list(tmp_path.rglob("summary.json"))


def test_a_comparison_makes_a_report(trace, tmp_path, capsys):
    assert run(trace, tmp_path, policies="random") == 0
    assert execute(["report", str(tmp_path)]) == 0
    capsys.readouterr()
    assert "eighth" in (tmp_path / "report.html").read_text("utf-8")
