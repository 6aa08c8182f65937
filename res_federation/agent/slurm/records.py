"""Slurm's jobs of one run, sorted by the tasks that they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from res_federation.agent.batch import Found
from res_federation.agent.slurm.pieces import Piece
from res_federation.agent.slurm.tasks import Record
from res_federation.model.identifiers import RunToken
from res_federation.slurm.sacct import AccountedJob
from res_federation.slurm.slurm_states import Phase
from res_federation.slurm.squeue import QueuedJob

_ACCOUNTING_LAGS_S = 12.0
_COMMENT = re.compile(r"(\S+) (\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Listed:
    """The jobs of one run.

    Attributes:
        number: The number of its newest piece, "" when there is none.
        jobs: What squeue lists, or what sacct remembers of the end; by piece, the newest first.

    """

    number: str
    jobs: tuple[tuple[int, QueuedJob | AccountedJob], ...]


def listed(token: RunToken, jobs: Sequence[QueuedJob], accounted: Sequence[AccountedJob]) -> Listed:
    """Return the jobs that carry *token* in name and comment.

    What only sacct knows counts once it is over: the accounting may believe for ever that a job
    runs which the controller has forgotten.
    """
    found: list[tuple[int, QueuedJob | AccountedJob]] = []
    authors = {past.number: past.state for past in accounted if past.state.by}
    for job in jobs:
        piece = _piece(token, job.comment)
        if piece:
            known = replace(job, state=authors[job.number]) if job.number in authors else job
            found.append((piece, known))
    if not found:
        for past in accounted:
            piece = _piece(token, past.comment) or (1 if not past.comment else 0)
            if piece and past.state.phase is Phase.OVER:
                found.append((piece, past))
    found.sort(key=lambda each: -(each[1].array_number or each[1].number))
    number = str(found[0][1].array_number or found[0][1].number) if found else ""
    return Listed(number, tuple(found))


def without_author(found: Listed, now: float) -> bool:
    """Tell whether a job was just cancelled, and only the accounting can say by whom."""
    return any(
        job.state.word == "CANCELLED"
        and not job.state.by
        and job.ended is not None
        and now - job.ended < _ACCOUNTING_LAGS_S
        for _, job in found.jobs
    )


def _piece(token: RunToken, comment: str) -> int:
    match = _COMMENT.match(comment)
    return int(match.group(2)) if match and match.group(1) == token else 0


def numbers_of_pieces(found: Listed) -> dict[int, int]:
    """Return the number under which Slurm has each piece."""
    numbers: dict[int, int] = {}
    for piece, job in found.jobs:
        numbers.setdefault(piece, job.array_number or job.number)
    return numbers


def by_task(found: Listed, cut: Sequence[Piece]) -> tuple[dict[int, Record], list[Record]]:
    """Return a record for each task that Slurm lists by itself, and those that wait together.

    Where a task is there twice (Slurm forgot it, and it was submitted again), one that is not over
    counts, then the newest.
    """
    plan = {piece.number: piece for piece in cut}
    single: dict[int, Record] = {}
    waiting: list[Record] = []
    rest: list[tuple[Piece, Record]] = []
    for number, job in found.jobs:
        piece = plan.get(number)
        if piece is None:
            continue
        record = _record(job)
        if job.state.phase is Phase.WAITING:
            waiting.append(record)
        elif piece.array and not job.array:
            rest.append((piece, record))
        for index in _indices(job, piece):
            known = single.get(index)
            lives = record.state.phase is not Phase.OVER
            if known is None or (lives and known.state.phase is Phase.OVER):
                single[index] = record
    for piece, record in rest:  # cancelled while they waited: Slurm does not say any more which
        for index in piece.indices if record.state.phase is Phase.OVER else ():
            single.setdefault(index, record)
    return single, waiting


def _record(job: QueuedJob | AccountedJob) -> Record:
    return Record(
        number=job.number,
        state=job.state,
        reason=job.reason,
        exit_code=job.exit_code,
        ended=None if job.ended is None else float(job.ended),
        nodes=job.node_list,
    )


def _indices(job: QueuedJob | AccountedJob, piece: Piece) -> Iterable[int]:
    if not piece.array:
        return (-1,)
    places = job.array_indices()
    return [index for place in places if (index := piece.index(place)) is not None]


def with_partial(found: Found, *, partial: bool) -> Found:
    """Say whether pieces of the run are missing at the cluster."""
    return replace(found, partial=partial) if partial else found


def cancel_words(found: Listed, cut: Sequence[Piece], task: int) -> list[str]:
    """Return how scancel names one task, as far as Slurm lists it."""
    numbers = numbers_of_pieces(found)
    for piece in cut:
        if task in piece.indices and piece.number in numbers:
            if not piece.array:
                return [str(numbers[piece.number])]
            place = piece.indices.index(task) if piece.mapped else task
            return [f"{numbers[piece.number]}_{place}"]
    return []
