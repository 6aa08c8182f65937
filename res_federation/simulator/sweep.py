"""`resfed sweep`: the grid of a scenario, cell by cell, here or as Ray tasks; resumable.

The driver makes each cell's jobs and federation, so that workers need no file of it, and writes
each cell's results as they come.  A cell that is there already, of the same inputs, is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from res_federation.config.scenarios import Happening, Overlay, Scenario
from res_federation.errors import FederationError
from res_federation.scatter.tasks import Done, map_tasks
from res_federation.simulator.compare import cell_words
from res_federation.simulator.compare_cells import (
    CellInputs,
    Replayed,
    Settings,
    fingerprint,
    finished,
    replay_cell,
    write_cell,
)
from res_federation.simulator.disturbances import Disturbance, Kind
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.recorder import ready
from res_federation.simulator.report_files import Found, plan
from res_federation.simulator.scenario import Cell, cells, model_of, workload_of

One = TypeVar("One")
Tell = Callable[[int, int, str], None]
"""Takes how many cells are done, of how many, and a line about the last one."""


@dataclass(slots=True)
class Sweep:
    """What was found so far.

    Attributes:
        found: Cells that are done, in the order in which they were.
        failed: Cells that could not be replayed, and why.
        resumed: Cells that were there already.
        total: Cells of the grid.

    """

    found: list[Found] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    total: int = 0


def sweep(
    scenario: Scenario,
    out: Path,
    *,
    workers: int | None,
    address: str | None,
    tell: Tell,
) -> Sweep:
    """Replay every cell that is not done yet and write its files below *out*.

    What is done stays when this is interrupted: run it again to go on.

    Args:
        scenario: The grid.
        out: Directory of the results.
        workers: Cells at a time; 1 without *address* replays in this process, without Ray.
        address: Of a Ray cluster, or None for this machine.
        tell: Told after each cell.

    Raises:
        InvalidArgument: If a trace cannot be read.
        Unavailable: If no Ray could be had.

    """
    grid = cells(scenario)
    ready(out)
    plan(out, [cell.place for cell in grid])
    state = Sweep(total=len(grid))
    make = _Maker(scenario)
    todo: list[tuple[Cell, str]] = []
    for cell in grid:
        inputs = fingerprint(make(cell))
        summary = finished(out / cell.place, inputs)
        if summary is None:
            todo.append((cell, inputs))
            continue
        state.resumed += 1
        _add(state, out, cell, summary, tell, was_there=True)
    if not todo:
        return state
    for done in replay_all(make, [cell for cell, _ in todo], workers, address):
        cell, inputs = todo[done.number]
        if done.result is None:
            state.failed[cell.place] = done.error
            tell(len(state.found) + len(state.failed), state.total, f"{cell.place}: {done.error}")
            continue
        one = make(cell)
        summary = write_cell(out / cell.place, done.result, one, inputs, _labels(scenario, cell))
        _add(state, out, cell, summary, tell, was_there=False)
    return state


def _add(
    state: Sweep, out: Path, cell: Cell, summary: dict[str, Any], tell: Tell, *, was_there: bool
) -> None:
    state.found.append(Found(out / cell.place, cell.place, summary))
    words = cell_words(summary, was_there=was_there)
    tell(len(state.found) + len(state.failed), state.total, f"{cell.place}: {words}")


def _labels(scenario: Scenario, cell: Cell) -> dict[str, Any]:
    return {"scenario": scenario.name, "overlay": cell.overlay.name, "load": cell.load}


def replay_all(
    make: Callable[[One], CellInputs],
    todo: Sequence[One],
    workers: int | None,
    address: str | None,
) -> Generator[Done[Replayed]]:
    """Replay the cells *todo*, here one after the other or as Ray tasks; yield them as they end.

    Args:
        make: Makes a cell's inputs, when it is its turn.
        todo: Cells.
        workers: At a time; 1 without *address* replays in this process, without Ray.
        address: Of a Ray cluster, or None for this machine.

    Raises:
        Unavailable: If no Ray could be had.

    """
    if address is None and (workers == 1 or len(todo) == 1):
        for number, cell in enumerate(todo):
            try:
                yield Done(number, replay_cell(make(cell)))
            except FederationError as error:
                yield Done(number, None, str(error))
        return
    few = None if workers is None else min(workers, len(todo))
    with closing(map_tasks(replay_cell, map(make, todo), workers=few, address=address)) as done:
        yield from done


class _Maker:
    """Makes the inputs of cells; those of the last few workloads and federations are kept."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._workload = lru_cache(2)(lambda *key: workload_of(scenario, *key))
        self._model = lru_cache(2)(lambda overlay: model_of(scenario, overlay))

    def __call__(self, cell: Cell) -> CellInputs:
        scenario = self._scenario
        return CellInputs(
            workload=self._workload(cell.overlay, cell.load, cell.seed),
            model=self._model(cell.overlay),
            settings=Settings(
                policy=cell.policy,
                seed=cell.seed,
                scheduler=scenario.scheduler,
                local_share=scenario.local_share,
                rules=Rules(
                    report_interval_s=scenario.report_interval_s,
                    order_delay_s=scenario.order_delay_s,
                    kill=scenario.kill,
                ),
            ),
            events=disturbances(cell.overlay),
        )


def disturbances(overlay: Overlay) -> tuple[Disturbance, ...]:
    """Return what happens to sites in *overlay*."""
    return tuple(_disturbance(each) for each in overlay.events)


def _disturbance(event: Happening) -> Disturbance:
    site, _, rest = event.where.partition("/")
    return Disturbance(
        kind=Kind(event.kind),
        site=site,
        start=event.begin_s,
        end=event.end_s,
        partition=rest.rpartition("/")[2],
        nodes=event.nodes,
    )
