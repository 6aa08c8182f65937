"""A site's own mapping in a whole federation: who is refused at one site runs at another."""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.local_accounts import People
from tests.journeys.running import Up, up

_MEMBER = """
id = "{id}"
machine = "{id}"
batch = "local"
[identity]
file = "accounts.toml"
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
_RULE = '[[exact]]\nissuer = "local"\nsubject = "{}"\naccount = "{}"\n'


@pytest.fixture(scope="module")
def federation(people: People) -> Iterator[Up]:
    """Run three members: one knows the local user by an account, one does not, one has no file."""
    root = Path(tempfile.mkdtemp(prefix="rfedtest-"))
    root.chmod(0o711)
    (root / "home").mkdir(mode=0o711)
    rules = {
        "closed": _RULE.format("somebody-else", people.one),
        "open": _RULE.format(getpass.getuser(), people.one),
        "empty": None,
    }
    for name, rule in rules.items():
        (root / "sites" / name).mkdir(parents=True)
        text = _MEMBER.format(id=name, nodes=9 if name == "closed" else 2)
        (root / "sites" / name / "site.toml").write_text(text)
        if rule is not None:
            (root / "sites" / name / "accounts.toml").write_text(rule)
    with up(root / "home", ",".join(rules), root / "sites") as running:
        running.until_ready("closed", "open")
        yield running
    shutil.rmtree(root)


def test_who_is_refused_at_one_site_runs_at_another(federation: Up, people: People) -> None:
    job = federation.json("submit", "--wrap", "id -un; echo $HOME")["job"]
    federation.resfed("wait", job)
    told = federation.json("show", job)
    assert told["site"] == "open"
    assert federation.resfed("output", job).splitlines()[0] == people.one
    assert os.geteuid() == 0


def test_the_user_reads_why(federation: Up, people: People) -> None:
    job = federation.json("submit", "-M", "closed", "--wrap", "id -un", expect=None)["job"]
    federation.resfed("wait", job, expect=None)
    told = federation.json("show", job)
    assert told["state"] == "INFEASIBLE"
    (run,) = told["runs"]
    assert "this site has no local account for" in run["reason"]
    assert "accounts.toml" in run["reason"]
    assert people.one not in run["reason"]


def test_a_site_whose_file_is_missing_gets_no_jobs_and_says_so(federation: Up) -> None:
    told = {one["site"]: one for one in federation.json("sites")}["empty"]
    assert "nobody is mapped to a local account here" in told["problem"]
