"""What grants pay: a partition where no purse of a job's project can pay for it is closed to it.

What classes may use is noted over their scores, by class, and changes only with purses.  Of what a
round then gives, each job is paid in its turn, so that one purse is not given away twice: who
comes too late waits for the next round.  Without accounts (`Snapshot.funds` is None) nothing here
is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from res_federation.accounting.funds import Funds, Purse, cost, payer
from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job, JobSpec
from res_federation.model.plan import Candidate, Explanation
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import NodeShape
from res_federation.placement.kernels import Narrow
from res_federation.placement.snapshot import Row

Unpaid = npt.NDArray[np.uint8]
Nodes = Mapping[PartitionId, Sequence[NodeShape]]
_NO_GRANT, _SPENT = int(Code.NO_GRANT), int(Code.GRANT_SPENT)
_NOT_BEGUN = int(Code.GRANT_NOT_BEGUN)


class Holder(NamedTuple):
    """Jobs of a class that hold a place at a partition, which is paid for."""

    kind: int
    partition: PartitionId


def nodes_of(rows: Iterable[Row]) -> Nodes:
    """Return the shapes of nodes by partition."""
    found: dict[PartitionId, list[NodeShape]] = {}
    for row in rows:
        found.setdefault(row.partition, []).append(row.shape)
    return found


def price(spec: JobSpec, shapes: Iterable[NodeShape]) -> tuple[int, int]:
    """Return core- and accelerator-seconds of a job at a partition at its time limit.

    On the nodes there on which it costs most: the site gives which it likes.  Nothing where it
    lies on none: then it does not go there either.
    """
    found = (cost(spec.request, shape, spec.time_limit_s, spec.tasks) for shape in shapes)
    return max((one for one in found if not isinstance(one, Reason)), default=(0, 0))


def codes_of(spec: JobSpec, nodes: Nodes, funds: Funds) -> dict[PartitionId, int]:
    """Return by partition the code that keeps a job from it, 0 where a purse pays."""
    return {
        name: _code(spec, shapes, funds.get((spec.project, name), ()))
        for name, shapes in nodes.items()
    }


def begun_at(purses: Sequence[Purse], at: float) -> tuple[Purse, ...]:
    """Return purses as they pay at a later time: those that have begun by then, with all left."""
    return tuple(replace(one, begins=0.0) if one.begins <= at else one for one in purses)


def _code(spec: JobSpec, shapes: Sequence[NodeShape], purses: Sequence[Purse]) -> int:
    if not purses:
        return _NO_GRANT
    if any(one.bottomless for one in purses):
        return 0
    if all(one.begins for one in purses):
        return _NOT_BEGUN
    amount = price(spec, shapes)
    return 0 if any(one.pays(*amount) for one in purses) else _SPENT


def with_grants(told: Explanation, job: Job, rows: Sequence[Row], funds: Funds) -> Explanation:
    """Return an explanation that says of each candidate which grant pays there, or when one begins.

    Where a run of the job was paid for already, that grant is named.
    """
    nodes = nodes_of(rows)
    paid = {run.partition: run.grant for run in job.runs if run.grant}

    def grant(name: PartitionId) -> str:
        purses = funds.get((job.spec.project, name), ())
        return paid.get(name) or payer(purses, *price(job.spec, nodes.get(name, ()))) or ""

    def named(one: Candidate) -> Candidate:
        if one.feasible:
            return replace(one, grant=grant(one.partition))
        if one.reasons[0].code is not Code.GRANT_NOT_BEGUN:
            return one
        purses = funds.get((job.spec.project, one.partition), ())
        later = next((purse for purse in purses if purse.begins), None)
        if later is None:
            return one
        reason = Reason(Code.GRANT_NOT_BEGUN, have=int(later.begins))
        return replace(one, reasons=(reason,), grant=later.grant)

    return replace(told, candidates=tuple(map(named, told.candidates)))


class Paying:
    """Which classes no purse pays for, by row; kept from one round to the next."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._rows: tuple[Row, ...] = ()
        self._purses: dict[str, tuple[tuple[Purse, ...], ...]] = {}
        self._projects: list[str] = []
        self._codes: Unpaid = np.zeros((0, 0), np.uint8)

    def codes(
        self,
        specimens: Sequence[Job],
        fresh: Sequence[int],
        rows: tuple[Row, ...],
        funds: Funds,
    ) -> tuple[Unpaid, list[int]]:
        """Return (classes, rows) codes, 0 where a purse pays, and which classes are new or other.

        What was returned before is not changed.
        """
        count = len(specimens)
        same = len(rows) == len(self._rows) and all(
            one is other or (one.partition, one.shape) == (other.partition, other.shape)
            for one, other in zip(rows, self._rows, strict=True)
        )
        anew = set(fresh) if same else set(range(count))
        anew |= set(range(len(self._codes), count))
        projects = self._projects[:count] + [""] * (count - len(self._projects))
        for kind in anew:
            projects[kind] = specimens[kind].spec.project
        purses = {name: _of(name, rows, funds) for name in set(projects)}
        other = {name for name in purses if not same or purses[name] != self._purses.get(name)}
        if other:
            anew |= {kind for kind, name in enumerate(projects) if name in other}
        self._rows, self._projects, self._purses = rows, projects, purses
        if not anew and self._codes.shape == (count, len(rows)):
            return self._codes, []
        found = np.zeros((count, len(rows)), np.uint8)
        if same:
            found[: len(self._codes)] = self._codes[:count]
        nodes, frame = nodes_of(rows), [row.partition for row in rows]
        for kind in anew:
            mine = codes_of(specimens[kind].spec, nodes, funds)
            found[kind] = [mine[name] for name in frame]
        self._codes = found
        return found, sorted(anew)


def _of(project: str, rows: Sequence[Row], funds: Funds) -> tuple[tuple[Purse, ...], ...]:
    return tuple(funds.get((project, row.partition), ()) for row in rows)


def noted(scored: Narrow, codes: Unpaid, holders: Iterable[Holder], rows: Sequence[Row]) -> Narrow:
    """Return scores with what is not paid for noted over them.

    That there is no grant, or not yet, counts more than what waiting may heal; a grant that is
    spent says so only where the job could go.  A place that a job holds already is paid for.
    """
    found = scored.copy()
    mine = found[: len(codes)]
    code = mine[:, :, 2] & 255
    waits = (code >= Code.SITE_NOT_CONNECTED) & (code != Code.TRIED_AND_REFUSED)
    over = ((code == 0) & (codes != 0)) | (waits & ((codes == _NO_GRANT) | (codes == _NOT_BEGUN)))
    for kind, partition in holders:
        for place, row in enumerate(rows):
            if row.partition == partition:
                over[kind, place] = False
    mine[over, :2] = -1
    mine[over, 2] = codes[over]
    return found


class Till:
    """Pays for the jobs of one round, one after the other."""

    def __init__(self, funds: Funds, rows: Sequence[Row]) -> None:
        """Begin with all that is left."""
        self._funds, self._nodes = funds, nodes_of(rows)
        self._taken: dict[str, tuple[int, int]] = {}

    def pay(self, spec: JobSpec, partition: PartitionId) -> str | None:
        """Return the grant that pays for a job at a partition, in the order in which purses pay.

        None where none has enough left after those before it.
        """
        purses = self._funds.get((spec.project, partition), ())
        if purses and purses[0].bottomless:
            return purses[0].grant
        core_s, accelerator_s = price(spec, self._nodes[partition])
        for purse in purses:
            cores, accelerators = self._taken.get(purse.grant, (0, 0))
            if purse.pays(
                core_s + cores if core_s else 0,
                accelerator_s + accelerators if accelerator_s else 0,
            ):
                self._taken[purse.grant] = cores + core_s, accelerators + accelerator_s
                return purse.grant
        return None
