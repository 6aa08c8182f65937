"""The example set of the issue on the real catalogue, beside a member that is a cloud."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from res_federation.client import Federation
from tests.journeys.running import SITES, Up, until, up

HEALTH = "health-administration"
_MEMBER = """
id = "{id}"
machine = "{id}"
batch = "local"

[governance]
country = "ES"
operator = "{id}"
owner = "{owner}"
jurisdictions = {jurisdictions}
ens = "alto"
cloud = {cloud}
confidence = "sourced"

[[cluster]]
name = "c"
title = "C"

[[partition]]
cluster = "c"
name = "p"
title = "p"
nodes = {nodes}
cores = 4
memory = "8 GiB"
confidence = "sourced"
"""
_MEMBERS = {
    "clinic": ("public", '["ES", "EU"]', "false", 1),
    "nube": ("private", '["ES", "EU"]', "true", 50),
    "owned": ("private", '["ES", "EU", "US"]', "false", 50),
}


ONLY = ("csuc", "nasertic", *_MEMBERS)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory):
    """Run a federation of real members, a cloud, a foreign owner, and a house that may."""
    sites = tmp_path_factory.mktemp("residency") / "sites"
    shutil.copytree(SITES, sites)
    for name, (owner, jurisdictions, cloud, nodes) in _MEMBERS.items():
        (sites / name).mkdir()
        text = _MEMBER.format(
            id=name, owner=owner, jurisdictions=jurisdictions, cloud=cloud, nodes=nodes
        )
        (sites / name / "site.toml").write_text(text)
    home: Path = tmp_path_factory.mktemp("home")
    with up(home, ",".join(ONLY), sites) as running:
        running.until_ready(*ONLY)
        yield running


def test_a_dry_run_names_each_refusal(federation: Up):
    told = federation.json("submit", "--dry-run", "--data-class", HEALTH, "--wrap", "true")
    codes = {one["partition"].split("/")[0]: one["codes"][0] for one in told["candidates"]}
    assert told["chosen"] == "clinic/c/p"
    assert codes.pop("clinic") == "CHOSEN"
    assert codes.pop("nube") == "DATA_CLOUD"
    assert codes.pop("owned") == "DATA_OPERATOR"
    assert codes.pop("pic") == "NO_PARTITIONS"
    assert set(codes.values()) == {"DATA_UNKNOWN_HERE"}, "what members have not said is a no"


def test_health_data_waits_for_the_one_house_though_the_cloud_is_empty(federation: Up):
    jobs = [
        federation.json("submit", "--data-class", HEALTH, "--exclusive", "--wrap", "sleep 1")["job"]
        for _ in range(4)
    ]
    federation.resfed("wait", *jobs)
    sites = {federation.json("show", job)["site"] for job in jobs}
    assert sites == {"clinic"}
    told = federation.json("explain", jobs[-1])
    barred = {one["partition"]: one["codes"] for one in told["candidates"]}
    assert barred["nube/c/p"] == ["DATA_CLOUD"]


def test_a_job_with_nowhere_to_go_ends_and_says_why(federation: Up):
    told = federation.json(
        "submit", "--data-class", HEALTH, "-M", "nube", "--wrap", "true", expect=5
    )
    assert told["state"] == "INFEASIBLE"
    words = federation.resfed("submit", "--jurisdiction", "PT", "--wrap", "true", expect=5)
    assert "jurisdiction" in words


def test_what_no_class_is_called_is_refused(federation: Up):
    federation.resfed("submit", "--data-class", "helth", "--wrap", "true", expect=2)
    federation.resfed("submit", "--jurisdiction", "Spain", "--wrap", "true", expect=2)
    federation.resfed("submit", "--project", "../x", "--wrap", "true", expect=2)


def test_sites_say_under_whose_rule_they_are(federation: Up):
    told = {one["site"]: one["governance"] for one in federation.json("sites")}
    assert told["nube"]["cloud"] is True
    assert told["owned"]["jurisdictions"] == ["ES", "EU", "US"]
    assert told["csuc"]["ens"] is None
    assert told["csuc"]["confidence"]["jurisdictions"] == "general-knowledge"


@pytest.mark.slow
def test_a_project_that_becomes_stricter_calls_back_what_waits_and_says_what_runs(
    tmp_path: Path,
) -> None:
    sites, go = tmp_path / "sites", tmp_path / "go"
    shutil.copytree(SITES, sites)
    for name in ("clinic", "owned"):
        owner, jurisdictions, cloud, _ = _MEMBERS[name]
        (sites / name).mkdir()
        (sites / name / "site.toml").write_text(
            _MEMBER.format(id=name, owner=owner, jurisdictions=jurisdictions, cloud=cloud, nodes=1)
        )
    script = tmp_path / "job.sh"
    script.write_text(
        f"#!/bin/sh\n#SBATCH --exclusive -t 9\nuntil [ -e {go} ]; do sleep 0.2; done\n"
    )
    with up(tmp_path / "home", "clinic,owned", sites, "earliest-start") as running:
        running.until_ready("clinic", "owned")
        running.resfed("pool", "create", "own", "--kind", "institution")
        running.resfed("project", "create", "study")
        grant = "--project study --pool own --begins 2020-01-01 --ends 2040-01-01"
        running.resfed("grant", "create", "g", *grant.split(), "--core-hours", "unlimited")
        words = ("submit", "--json", "--project", "study", str(script))
        names = [json.loads(running.resfed(*words))["job"] for _ in range(6)]

        def states(site: str) -> list[str]:
            with Federation(running.address) as client:
                return sorted(str(one.state) for one in map(client.job, names) if one.site == site)

        until(lambda: {*states("owned")} == {"RUNNING", "SUBMITTED"})
        waited = states("owned").count("SUBMITTED")
        running.resfed("project", "create", "study", "--data-class", HEALTH)
        until(lambda: states("owned") == ["RUNNING"])
        told = [running.json("show", name) for name in names]
        (stays,) = [one for one in told if one["site"] == "owned"]
        text = running.resfed("show", stays["job"])
        assert "runs at owned, where its data may no longer be" in text
        assert "barred" in text
        audit = running.resfed("audit", "show", "--limit", "1000", "--json")
        assert (audit.count('"data.recall"'), audit.count('"data.stays"')) == (waited, 1)
        go.touch()
        until(lambda: states("clinic") == ["COMPLETED"] * 5 and states("owned") == ["COMPLETED"])
