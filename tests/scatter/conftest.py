"""One Ray runtime at a time: this machine is small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from res_federation.scatter.ray_scatter import RayScatter


@pytest.fixture(scope="session")
def scatters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], RayScatter]]:
    """Give ``scatters(workers)``: the running scatter if it has as many, else a new one."""
    current: list[tuple[int, RayScatter]] = []
    home: Path = tmp_path_factory.mktemp("ray")

    def get(workers: int) -> RayScatter:
        if current and current[0][0] == workers:
            return current[0][1]
        while current:
            current.pop()[1].close()
        scatter = RayScatter(workers, home=home)
        current.append((workers, scatter))
        return scatter

    yield get
    while current:
        current.pop()[1].close()
