"""`resfed replay` as people call it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from res_federation.cli.main import execute
from tests.simulator.oracle import ORACLE

TINY = """; MaxProcs: 10
1 0 -1 100 6 -1 -1 6 100 -1 1 1 1 1 1 1 -1 -1
2 20 -1 50 6 -1 -1 6 60 -1 1 1 1 1 1 1 -1 -1
3 10 -1 90 4 -1 -1 4 90 -1 1 1 1 1 1 1 -1 -1
4 30 -1 90 40 -1 -1 40 90 -1 1 1 1 1 1 1 -1 -1
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.swf"
    path.write_text(TINY)
    return path


@pytest.mark.parametrize("scheduler", ["fcfs", "easy"])
def test_the_micro_trace_starts_as_the_oracle_says(scheduler, tmp_path, capfd):
    raw = ORACLE / "micro-ties" / "raw.swf"
    if not raw.is_file():
        pytest.skip("no oracle beside the repository")
    out = tmp_path / "out"
    argv = ["replay", str(raw), "--machine", "10", "--scheduler", scheduler, "--out", str(out)]
    assert execute([*argv, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    aggregates = json.loads((raw.parent / "aggregates.json").read_text())["policies"][scheduler]
    assert told["start_sha256"] == aggregates["start_sha256"]
    assert told == json.loads((out / "summary.json").read_text())
    rows = [line.split(",") for line in (out / "jobs.csv").read_text().splitlines()[1:]]
    text = "".join(f"{row[0]},{row[4]}\n" for row in rows)
    assert hashlib.sha256(text.encode()).hexdigest() == aggregates["start_sha256"]


def test_people_get_a_table_and_what_was_left_out(trace, tmp_path, capfd):
    argv = ["replay", str(trace), "--machine", "10", "--out", str(tmp_path / "out")]
    assert execute([*argv, "--scheduler", "conservative"]) == 0
    text = capfd.readouterr().out
    assert "tiny: 3 jobs replayed" in text
    assert "1 left out" in text
    assert "MEAN WAIT" in text


def test_a_load_stretches_the_submissions(trace, tmp_path):
    argv = ["replay", str(trace), "--machine", "10", "--load", "0.5", "--out", str(tmp_path / "o")]
    assert execute(argv) == 0
    work = 6 * 100 + 6 * 50 + 4 * 90
    rows = [line.split(",") for line in (tmp_path / "o/jobs.csv").read_text().splitlines()[1:]]
    assert [int(row[3]) for row in rows] == [0, int(work / 5), int(work / 10)]


def test_a_federation_takes_the_trace_too(trace, tmp_path, capfd):
    sites = tmp_path / "two.toml"
    sites.write_text('[[site]]\nid = "one"\nprocessors = 8\n[[site]]\nid = "two"\nsize = 1.0\n')
    argv = ["replay", str(trace), "--sites", str(sites), "--policy", "round-robin"]
    assert execute([*argv, "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["policy"], told["machine"], told["jobs"]) == ("round-robin", "two", 3)
    assert list(told["sites"]) == ["one", "two"]


@pytest.mark.parametrize(
    ("more", "culprit"),
    [
        ([], "--machine/--sites"),
        (["--machine", "4", "--sites", "x"], "--machine/--sites"),
        (["--machine", "0"], "--machine"),
        (["--machine", "4", "--scheduler", "sjf"], "--scheduler"),
        (["--machine", "4", "--load", "0"], "--load"),
        (["--machine", "4", "--first", "0"], "--first"),
        (["--machine", "3"], "no job of 'tiny' can run on 3 processors"),
    ],
)
def test_wrong_words_are_one_line_and_leave_no_results(more, culprit, trace, tmp_path, capfd):
    assert execute(["replay", str(trace), "--out", str(tmp_path / "out"), *more]) == 2
    said = capfd.readouterr().err
    assert culprit in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out" / "summary.json").exists()


def test_an_out_that_is_a_file_is_refused(trace, capfd):
    assert execute(["replay", str(trace), "--machine", "9", "--out", str(trace)]) == 2
    assert "nothing can be written" in capfd.readouterr().err
