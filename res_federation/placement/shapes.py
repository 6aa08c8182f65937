"""Jobs as arrays. Jobs of one shape share a row: that saves more than any number of workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.model.data_class import NO_CLASSES, Residency
from res_federation.model.identifiers import site_of
from res_federation.model.job import Job, JobSpec
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import accelerator_fits, request_numbers
from res_federation.placement.policy import Policy
from res_federation.placement.residency import barred
from res_federation.placement.rows import SITE, Floats, Ints, RowArrays, draw
from res_federation.placement.snapshot import Row
from res_federation.slurm.adapt import Refusal, asked, missing_words
from res_federation.slurm.canonical import Need, gpu_types, needed
from res_federation.slurm.dialect import Dialect, Use
from res_federation.topology.distances import DistanceTable

# Columns of `numbers` after the twelve of the request.
LIMIT, TASKS, WISH, HOME = range(12, 16)
COLUMNS = 16
# Columns of `tables`: which table of codes a shape reads, in the order of the constraints.
PINS, ARCHITECTURE, ACCELERATOR, FEATURES, WORDS, REFUSED = range(6)
TABLES = 6


@dataclass(frozen=True, slots=True)
class Shapes:
    """What distinct shapes of jobs ask for.

    Attributes:
        numbers: (shapes, COLUMNS) request, time limit, array tasks, MiB that a core brings at the
            script's own site, number of that site or -1.
        tables: (shapes, TABLES) indices into `codes`.
        codes: (tables, rows, 3) code, needed, have of constraints that are about words. Where the
            words of `WORDS` FIT: 0, longest time limit or -1 for the row's, most nodes or -1.

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


def shape_key(job: Job) -> tuple[Any, ...]:
    """Return what tells jobs of different shapes apart: what scoring looks at, and no more."""
    spec = job.spec
    return (
        spec.request, spec.time_limit_s, len(spec.array), spec.array_throttle, spec.clusters,
        spec.excluded, spec.partition if spec.clusters else "", spec.input_mib,
        spec.input_site if spec.input_mib else "", job.refused,
        spec.account if spec.request.accelerator is not None else "", spec.project,
        spec.data_class, spec.jurisdictions, *_words_key(spec),
    )  # fmt: skip


ANY_WORDS = Dialect("", "")
"""Stands in where a site has no dialect: only what its partitions declare is there."""
Triple = tuple[int, int, int]


class Tables:
    """Code tables by what they are about, each made once."""

    def __init__(self, rows: Sequence[Row], residency: Residency = NO_CLASSES) -> None:
        self.rows, self.residency = rows, residency
        self.made: dict[tuple[int, Any], int] = {}
        self.codes: list[list[Triple]] = []
        self.time_steps = _time_steps(rows)
        self._known = np.zeros((0, len(rows), 3), np.int64)
        self._sites: dict[str, int] | None = None

    def array(self) -> Ints:
        """Return (tables, rows, 3) the codes; what was returned before is not changed."""
        made = len(self._known)
        if made < len(self.codes):
            more = np.array(self.codes[made:], np.int64).reshape(
                len(self.codes) - made, len(self.rows), 3
            )
            self._known = np.concatenate((self._known, more))
        return self._known

    def sites(self, rows: RowArrays) -> Mapping[str, int]:
        """Return the numbers of the sites of *rows*."""
        if self._sites is None:
            places = rows.fixed[:, SITE].tolist()
            self._sites = {
                site_of(row.partition): place for row, place in zip(rows.rows, places, strict=True)
            }
        return self._sites

    def index(self, kind: int, key: Any, verdict: Callable[[Row], Reason | None]) -> int:
        """Return the number of a table, made by *verdict* if it is new."""
        return self.triples(kind, key, lambda row: _triple(verdict(row)))

    def triples(self, kind: int, key: Any, verdict: Callable[[Row], Triple]) -> int:
        """Return the number of a table, made by *verdict* if it is new."""
        number = self.made.get((kind, key))
        if number is None:
            number = self.made[kind, key] = len(self.codes)
            self.codes.append([verdict(row) for row in self.rows])
        return number


def _words_key(spec: JobSpec) -> tuple[Any, ...]:
    """Return what `slurm.adapt.asked` looks at, but for the time limit."""
    disk = any(name == "tmp" and value for name, value in spec.options)
    if not spec.origin:
        return disk, bool(spec.account)
    return (
        disk, bool(spec.account), spec.origin, spec.meant, spec.purpose, spec.qos,
        spec.memory_per_core_mib, spec.partition, spec.constraint, gpu_types(spec.options),
    )  # fmt: skip


def _time_steps(rows: Sequence[Row]) -> tuple[int, ...]:
    """Return every time limit of a QoS: between two of them no verdict about words changes."""
    dialects = {id(row.dialect): row.dialect for row in rows if row.dialect is not None}
    steps = {
        choice.max_time_s
        for dialect in dialects.values()
        for choice in dialect.qos.choices
        if choice.max_time_s is not None
    }
    return tuple(sorted(steps))


def _triple(reason: Reason | None) -> Triple:
    return (0, -1, -1) if reason is None else (int(reason.code), reason.needed, reason.have)


def encode_jobs(
    jobs: Sequence[Job], rows: RowArrays, distances: DistanceTable, policy: Policy,
    residency: Residency = NO_CLASSES,
) -> Queue:  # fmt: skip
    """Return *jobs*, in their order, as arrays."""
    numbers: dict[tuple[Any, ...], int] = {}
    shape = np.empty(len(jobs), np.int64)
    firsts: list[Job] = []
    for place, job in enumerate(jobs):
        key = shape_key(job)
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(firsts)
            firsts.append(job)
        shape[place] = number
    tables = Tables(rows.rows, residency)
    columns = encode_shapes(firsts, tables, rows, distances, policy)
    return Queue(
        jobs=tuple(jobs),
        shape=shape,
        shapes=Shapes(columns.numbers, columns.tables, tables.array()),
        transfer=columns.transfer,
        reference=columns.reference,
        throttle=columns.throttle,
        salt=np.array([draw(job.id, policy.seed) for job in jobs], np.uint64),
    )


@dataclass(frozen=True, slots=True)
class ShapeColumns:
    """What `Queue` says of shapes, one row of each array for a shape; tables of codes are apart."""

    numbers: Ints
    tables: Ints
    transfer: Floats
    reference: Floats
    throttle: Ints


def encode_shapes(
    firsts: Sequence[Job], tables: Tables, rows: RowArrays, distances: DistanceTable, policy: Policy
) -> ShapeColumns:
    """Return the shapes of *firsts*, one each, as arrays; *tables* gains what is new to it."""
    sites = tables.sites(rows)
    count = len(firsts)
    numbers = [(*request_numbers(job.spec.request), *_others(job.spec, sites)) for job in firsts]
    which = [_tables_of(job, tables) for job in firsts]
    return ShapeColumns(
        numbers=np.array(numbers, np.int64).reshape(count, COLUMNS),
        tables=np.array(which, np.int64).reshape(count, TABLES),
        transfer=transfers(firsts, rows.rows, distances, policy),
        reference=np.array([_reference(job.spec, policy) for job in firsts], np.float64),
        throttle=np.array([job.spec.array_throttle or job.spec.tasks for job in firsts], np.int64),
    )


def _others(spec: JobSpec, sites: Mapping[str, int]) -> tuple[int, int, int, int]:
    home = sites.get(spec.origin, -1) if spec.origin else -1
    return spec.time_limit_s, spec.tasks, spec.memory_per_core_mib, home


def _tables_of(job: Job, tables: Tables) -> tuple[int, ...]:
    spec, request = job.spec, job.spec.request
    partition = spec.partition if spec.clusters else ""
    rules = tables.residency
    pins = (spec.clusters, spec.excluded, partition, rules.of(spec), rules.grounds(spec))
    wants = (request.licenses, request.features)
    step = bisect_left(tables.time_steps, spec.time_limit_s)
    return (
        tables.index(
            PINS, pins, lambda row: barred(spec, row.governance, rules) or _pinned(spec, row)
        ),
        tables.index(
            ARCHITECTURE, request.architecture, lambda row: _architecture(request.architecture, row)
        ),
        tables.index(
            ACCELERATOR,
            request.accelerator,
            lambda row: accelerator_fits(request.accelerator, row.shape, row.family),
        ),
        tables.index(FEATURES, wants, lambda row: _features(needed(spec), row)),
        tables.triples(WORDS, (step, _words_key(spec)), lambda row: _words(needed(spec), row)),
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


def _features(need: Need, row: Row) -> Reason | None:
    missing = missing_words(need, row.dialect or ANY_WORDS, row.features)
    return None if missing is None else missing.reason


def _words(need: Need, row: Row) -> Triple:
    """Say whether the site's words for the job are known, and which limits come with them."""
    target = row.dialect
    if target is None:
        return 0, -1, -1
    account = target.account
    paid = need.account or account.default or not row.needs_account
    if paid and not need.account:
        need = replace(need, account="known there")
    found = asked(need, target, row.names[0])
    if isinstance(found, Refusal):
        return _triple(found.reason)
    if account.use is Use.MUST and not paid:
        return _triple(Reason(Code.ACCOUNT_MISSING))
    longest = -1 if found.max_time_s is None else found.max_time_s
    return 0, longest, -1 if found.max_nodes is None else found.max_nodes


def _refused(job: Job, row: Row) -> Reason | None:
    return Reason(Code.TRIED_AND_REFUSED) if row.partition in job.refused else None


def _reference(spec: JobSpec, policy: Policy) -> float:
    """Return the speed for which the user's limit stands: the family asked for, or an A100."""
    need = spec.request.accelerator
    if need is None:
        return 0.0
    return policy.accelerator_speed.get(need.family, 1.0) if need.family else 1.0


def transfers(
    firsts: Sequence[Job], rows: Sequence[Row], distances: DistanceTable, policy: Policy
) -> Floats:
    """Return seconds to bring each shape's input to each row's site.

    Where no path is known the policy's slow speed is assumed: an unknown path is never free.
    """
    seconds = np.zeros((len(firsts), len(rows)))
    if not any(job.spec.input_mib > 0 and job.spec.input_site for job in firsts):
        return seconds
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
