"""A real Slurm lab for a whole session: three clusters on loopback, up in three seconds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from res_federation.lab.daemons import PACKAGES
from res_federation.lab.lab import PROGRAMS, Cluster, Lab
from tests.slurm.federation import restore

_FAULTS = ("test_outcomes.py", "test_forgetful_controller.py")
"""Files whose tests break a Slurm for minutes: `make faults` runs them."""
_LINES = 40


@pytest.hookimpl(tryfirst=True)  # before those that are not meant are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what breaks a Slurm for minutes, but where it is asked for."""
    for item in items:
        if item.path.name in _FAULTS:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def lab(requires: Callable[[str, str], Path]) -> Iterator[Lab]:
    for program in PROGRAMS:
        requires(program, PACKAGES.get(program, program))
    with Lab() as running:
        yield running


@pytest.fixture(autouse=True)
def whole(request: pytest.FixtureRequest) -> None:
    """Begin on a lab that is idle: a killed controller may have drained nodes of the test before.

    Tests of a running federation share theirs, and see to it themselves.
    """
    if "lab" in request.fixturenames and "federation" not in request.fixturenames:
        restore(request.getfixturevalue("lab"))


@pytest.fixture
def h100(lab: Lab) -> Cluster:
    return lab.cluster("acclab")


@pytest.fixture
def a100(lab: Lab) -> Cluster:
    return lab.cluster("ftlab")


@pytest.fixture
def plain(lab: Lab) -> Cluster:
    return lab.cluster("palmalab")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print what the controllers said last beside a failure: the lab is gone when one reads it."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(lab, Lab):
        for cluster in lab.clusters:
            log = cluster.home / "slurmctld.log"
            if log.exists():
                last = log.read_text(errors="replace").splitlines()[-_LINES:]
                report.sections.append((f"slurmctld of {cluster.name}", "\n".join(last)))
    return report
