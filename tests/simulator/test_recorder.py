"""The files of a replay: read back whole, or not there at all."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from res_federation.errors import InvalidArgument
from res_federation.simulator import recorder
from res_federation.simulator.measures import Setting, summarise
from res_federation.simulator.outcome import Outcome, Place
from res_federation.simulator.report_files import find_replays, read_jobs
from res_federation.simulator.workload import Workload

SETTING = Setting(machine="two", scheduler="easy", policy="federated", seed=3, wall_s=0.1)


def an_outcome(names: tuple[str, ...] = ("7", "8", "9")) -> Outcome:
    ones = np.ones(3, np.int64)
    work = Workload(
        name="drawn", processors=0, job_ids=np.array(names), submit=np.array([0, 3, 3]),
        runtime=5 * ones, estimate=9 * ones, procs=np.array([4, 2, 8]), user=-ones,
        group=np.array([1, -1, 0]), queue=-ones, groups=("ast,ro", "bio"),
        line=np.array([3, 1, 2]),
    )  # fmt: skip
    return Outcome(
        workload=work,
        places=(Place("a", "a/c/x", 4), Place("b", "b/c/y", 6)),
        place=np.array([0, 1, -1]),
        start=np.array([0, 4, -1]),
        end=np.array([5, 9, -1]),
        local=np.zeros(3, np.bool_),
        left_out={"no site fits": 1},
    )


def write(place: Path, outcome: Outcome) -> None:
    recorder.record(place, outcome, summarise(outcome, SETTING))


def test_files_are_in_the_order_of_the_trace_and_read_back(tmp_path):
    write(tmp_path / "deep" / "out", an_outcome())
    (found,) = find_replays(tmp_path / "deep" / "out")
    assert found.summary["jobs"] == 2
    jobs = read_jobs(found)
    assert jobs.never_ran == 1
    assert (jobs.start.tolist(), jobs.sites) == ([4, 0], ("a", "b"))
    assert jobs.groups[jobs.group[1]] == "bio"
    text = (tmp_path / "deep" / "out" / "jobs.csv").read_text()
    assert text.splitlines() == [
        "job_id,site,partition,submit,start,end,procs",
        "8,b,b/c/y,3,4,9,2",
        "9,,,3,,,8",
        "7,a,a/c/x,0,0,5,4",
    ]


def test_names_with_commas_and_quotes_are_one_cell(tmp_path):
    names = ("1_[2,3]", 'a"b', "x\ny")
    write(tmp_path, an_outcome(names))
    with (tmp_path / "jobs.csv").open(newline="") as file:
        assert [row["job_id"] for row in csv.DictReader(file)] == ['a"b', "x\ny", "1_[2,3]"]
    with (tmp_path / "groups.csv").open(newline="") as file:
        assert [row["group"] for row in csv.DictReader(file)] == ["", "ast,ro", "bio"]


def test_a_replay_that_dies_leaves_no_summary_of_the_one_before(tmp_path, monkeypatch):
    write(tmp_path, an_outcome())

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder, "_lines", full)
    with pytest.raises(InvalidArgument, match="No space left"):
        write(tmp_path, an_outcome())
    assert not (tmp_path / "summary.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.csv"]  # the old one, whole


def test_no_groups_no_file_of_groups(tmp_path):
    write(tmp_path, an_outcome())
    outcome = an_outcome()
    nobody = replace(outcome.workload, group=np.full(3, -1))
    write(tmp_path, replace(outcome, workload=nobody))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.csv", "summary.json"]
    assert json.loads((tmp_path / "summary.json").read_text())["seed"] == 3


def test_a_place_that_cannot_be_written_is_named_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match="nothing can be written") as caught:
        recorder.ready(tmp_path / "file")
    assert caught.value.field == "--out"
