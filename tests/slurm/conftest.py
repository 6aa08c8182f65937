"""A real Slurm lab for a whole session: three clusters on loopback, up in five seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from res_federation.lab.lab import PROGRAMS, Cluster, Lab

_PACKAGE = {"munged": "munge", "mariadbd": "mariadb-server", "sbatch": "slurm-client"}


@pytest.fixture(scope="session")
def lab(requires: Callable[[str, str], Path]) -> Iterator[Lab]:
    for program in PROGRAMS:
        requires(program, _PACKAGE.get(program, program))
    with Lab() as running:
        yield running


@pytest.fixture
def h100(lab: Lab) -> Cluster:
    return lab.cluster("acclab")


@pytest.fixture
def a100(lab: Lab) -> Cluster:
    return lab.cluster("ftlab")


@pytest.fixture
def plain(lab: Lab) -> Cluster:
    return lab.cluster("palmalab")
