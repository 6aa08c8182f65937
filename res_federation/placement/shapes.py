"""Jobs as arrays. Jobs of one shape share a row: that saves more than any number of workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.model.identifiers import site_of
from res_federation.model.job import Job, JobSpec
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import accelerator_fits, request_numbers
from res_federation.placement.policy import Policy
from res_federation.placement.rows import Floats, Ints, RowArrays, draw
from res_federation.placement.snapshot import Row
from res_federation.topology.distances import DistanceTable

# Columns of `numbers` after the twelve of the request.
LIMIT, TASKS = 12, 13
COLUMNS = 14
# Columns of `tables`: which table of codes a shape reads, in the order of the constraints.
PINS, ARCHITECTURE, ACCELERATOR, FEATURES, REFUSED = range(5)


@dataclass(frozen=True, slots=True)
class Shapes:
    """What distinct shapes of jobs ask for.

    Attributes:
        numbers: (shapes, COLUMNS) request, time limit, array tasks.
        tables: (shapes, 5) indices into `codes`.
        codes: (tables, rows, 3) code, needed, have of constraints that are about words.

    """

    numbers: Ints
    tables: Ints
    codes: Ints


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs in the order in which they are decided.

    Attributes:
        jobs: The jobs.
        shape: (jobs,) index of each one's shape.
        shapes: The distinct shapes.
        transfer: (shapes, rows) seconds to bring the input.
        reference: (shapes,) speed of the accelerator that the limit was written for; 0 for none.
        throttle: (shapes,) array tasks that may run at once.
        salt: (jobs,) a number drawn from seed and identifier: breaks ties.

    """

    jobs: tuple[Job, ...]
    shape: Ints
    shapes: Shapes
    transfer: Floats
    reference: Floats
    throttle: Ints
    salt: npt.NDArray[np.uint64]


def _key(job: Job) -> tuple[Any, ...]:
    spec = job.spec
    return (
        spec.request, spec.time_limit_s, len(spec.array), spec.array_throttle, spec.clusters,
        spec.excluded, spec.partition if spec.clusters else "", spec.input_mib,
        spec.input_site if spec.input_mib else "", job.refused,
    )  # fmt: skip


class _Tables:
    """Code tables by what they are about, each made once."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.made: dict[tuple[int, Any], int] = {}
        self.codes: list[list[tuple[int, int, int]]] = []

    def index(self, kind: int, key: Any, verdict: Callable[[Row], Reason | None]) -> int:
        number = self.made.get((kind, key))
        if number is None:
            number = self.made[kind, key] = len(self.codes)
            self.codes.append([_triple(verdict(row)) for row in self.rows])
        return number


def _triple(reason: Reason | None) -> tuple[int, int, int]:
    return (0, -1, -1) if reason is None else (int(reason.code), reason.needed, reason.have)


def encode_jobs(
    jobs: Sequence[Job], rows: RowArrays, distances: DistanceTable, policy: Policy
) -> Queue:
    """Return *jobs*, in their order, as arrays."""
    numbers: dict[tuple[Any, ...], int] = {}
    shape = np.empty(len(jobs), np.int64)
    firsts: list[Job] = []
    for place, job in enumerate(jobs):
        key = _key(job)
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(firsts)
            firsts.append(job)
        shape[place] = number
    tables = _Tables(rows.rows)
    which = [_tables_of(job, tables) for job in firsts]
    return Queue(
        jobs=tuple(jobs),
        shape=shape,
        shapes=Shapes(
            numbers=np.array(
                [
                    (*request_numbers(job.spec.request), job.spec.time_limit_s, job.spec.tasks)
                    for job in firsts
                ],
                np.int64,
            ).reshape(len(firsts), COLUMNS),
            tables=np.array(which, np.int64).reshape(len(firsts), 5),
            codes=np.array(tables.codes, np.int64).reshape(len(tables.codes), len(rows.rows), 3),
        ),
        transfer=_transfers(firsts, rows.rows, distances, policy),
        reference=np.array([_reference(job.spec, policy) for job in firsts], np.float64),
        throttle=np.array([job.spec.array_throttle or job.spec.tasks for job in firsts], np.int64),
        salt=np.array([draw(job.id, policy.seed) for job in jobs], np.uint64),
    )


def _tables_of(job: Job, tables: _Tables) -> tuple[int, int, int, int, int]:
    spec, request = job.spec, job.spec.request
    partition = spec.partition if spec.clusters else ""
    pins = (spec.clusters, spec.excluded, partition)
    wants = (request.licenses, request.features)
    return (
        tables.index(PINS, pins, lambda row: _pinned(spec, row)),
        tables.index(
            ARCHITECTURE, request.architecture, lambda row: _architecture(request.architecture, row)
        ),
        tables.index(
            ACCELERATOR,
            request.accelerator,
            lambda row: accelerator_fits(request.accelerator, row.shape, row.family),
        ),
        tables.index(FEATURES, wants, lambda row: _features(*wants, row)),
        tables.index(REFUSED, job.refused, lambda row: _refused(job, row)),
    )


def _pinned(spec: JobSpec, row: Row) -> Reason | None:
    if spec.clusters and not {word.lower() for word in spec.clusters} & set(row.site_names):
        return Reason(Code.PINNED_ELSEWHERE)
    if {word.lower() for word in spec.excluded} & set(row.site_names):
        return Reason(Code.EXCLUDED)
    asked = [word for word in spec.partition.split(",") if word]
    if spec.clusters and asked and row.names and not set(asked) & set(row.names):
        return Reason(Code.PARTITION_NOT_ASKED)
    return None


def _architecture(wanted: str, row: Row) -> Reason | None:
    return None if row.shape.architecture == wanted else Reason(Code.WRONG_ARCHITECTURE)


def _features(licenses: Sequence[str], features: Sequence[str], row: Row) -> Reason | None:
    if any(f"license/{name}" not in row.features for name in licenses):
        return Reason(Code.LICENSE_MISSING)
    if any(name not in row.features for name in features):
        return Reason(Code.FEATURE_MISSING)
    return None


def _refused(job: Job, row: Row) -> Reason | None:
    return Reason(Code.TRIED_AND_REFUSED) if row.partition in job.refused else None


def _reference(spec: JobSpec, policy: Policy) -> float:
    """Return the speed for which the user's limit stands: the family asked for, or an A100."""
    need = spec.request.accelerator
    if need is None:
        return 0.0
    return policy.accelerator_speed.get(need.family, 1.0) if need.family else 1.0


def _transfers(
    firsts: Sequence[Job], rows: Sequence[Row], distances: DistanceTable, policy: Policy
) -> Floats:
    """Return seconds to bring each shape's input to each row's site.

    Where no path is known the policy's slow speed is assumed: an unknown path is never free.
    """
    seconds = np.zeros((len(firsts), len(rows)))
    sites = sorted({(site_of(row.partition), row.site_names) for row in rows})
    column = {site: number for number, site in enumerate(sites)}
    place = np.array([column[site_of(row.partition), row.site_names] for row in rows], np.int64)
    known: dict[tuple[str, int], Floats] = {}
    for number, job in enumerate(firsts):
        source, mib = job.spec.input_site, job.spec.input_mib
        if mib > 0 and source:
            if (source, mib) not in known:
                slow = mib / policy.unknown_path_mib_s
                found = [
                    0.0 if source.lower() in names else distances.transfer_s(source, site, mib)
                    for site, names in sites
                ]
                known[source, mib] = np.array([slow if s is None else s for s in found])[place]
            seconds[number] = known[source, mib]
    return seconds
