"""Kill -9 of broker, agent and Ray worker in the middle: each side effect is there exactly once."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from res_federation.client import Federation, job_from_script
from tests.journeys.running import until, up

JOBS = int(os.environ.get("RESFED_KILL_JOBS", "60"))
SITES = os.environ.get("RESFED_KILL_SITES", "csuc,iac,uma")
"""`make kill-campaign` takes 500 jobs and every member."""


@pytest.mark.slow
def test_every_side_effect_is_there_exactly_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    script = f"#!/bin/sh\nsleep 0.3\necho $RESFED_JOB >> {marks}\n"
    with up(tmp_path / "home", SITES, ray=True) as federation:
        with Federation(federation.address) as client:
            jobs = [
                client.submit(job_from_script(script, options=["-t", "5"])).id for _ in range(JOBS)
            ]
        for words in (
            ("broker", "serve"), ("agent", "run", "csuc"), ("ray::",), ("broker", "serve"),
            ("agent", "run", "iac"), ("raylet",), ("agent", "run", "uma"),
        ):  # fmt: skip
            until(lambda words=words: federation.kill(*words))
        until(lambda: federation.children("broker", "serve"))
        with Federation(federation.address) as client:
            ended = client.wait(jobs, timeout=90)
            states = Counter(str(job.state) for job in ended)
        assert states == {"COMPLETED": JOBS}
        assert Counter(marks.read_text().split()) == Counter(jobs)


@pytest.mark.slow
def test_what_was_acknowledged_survives_the_end_of_everything(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    script = f"#!/bin/sh\nsleep 1\necho $RESFED_JOB >> {marks}\n"
    with up(tmp_path / "home", "csuc", ray=True) as federation:
        with Federation(federation.address) as client:
            jobs = [
                client.submit(job_from_script(script, options=["-t", "5"])).id for _ in range(20)
            ]
        for child in federation.children("res_federation.cli.main"):
            child.kill()
        assert federation.stop() == 0
        federation.start()
        with Federation(federation.address) as client:
            ended = client.wait(jobs, timeout=60)
        assert {str(job.state) for job in ended} == {"COMPLETED"}
        assert Counter(marks.read_text().split()) == Counter(jobs)
