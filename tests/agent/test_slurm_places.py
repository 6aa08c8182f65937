"""What ``scontrol top`` is given, against what it was measured to do (docs/adr/0010)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from res_federation.agent.slurm.places import rearranged
from res_federation.model.identifiers import RunToken
from res_federation.slurm.queue_front import standing
from res_federation.slurm.slurm_states import read as state
from res_federation.slurm.squeue import QueuedJob


def token(number: int) -> RunToken:
    return RunToken(f"01J{number:023d}-1")


def job(number: int, priority: int = 0, **fields: Any) -> QueuedJob:
    given_: dict[str, Any] = {
        "name": token(number), "partitions": ("batch",), "account": "res", "qos": "normal",
        "priority": priority or 1000 - number, "state": state("PENDING"),
    } | fields  # fmt: skip
    return QueuedJob(number, **given_)


def test_all_jobs_are_named_and_only_those_that_are_arranged_move() -> None:
    jobs = [job(number) for number in (1, 2, 3, 4)]
    assert rearranged(jobs, [token(4), token(1)]) == [[4, 2, 3, 1]]


def test_an_order_that_stands_already_asks_for_nothing() -> None:
    jobs = [job(number) for number in (1, 2, 3)]
    assert rearranged(jobs, [token(1), token(3)]) == []
    assert rearranged(jobs, [token(9), token(2)]) == []
    assert rearranged([], [token(1)]) == []


def test_jobs_of_the_account_that_are_no_runs_keep_their_places() -> None:
    jobs = [job(1), job(2, name="an administrator's test"), job(3)]
    assert rearranged(jobs, [token(3), token(1)]) == [[3, 2, 1]]


def test_what_slurm_would_not_count_is_not_named() -> None:
    jobs = [
        job(1), job(2), job(3, state=state("RUNNING")), job(4, partitions=("batch", "long")),
        job(5, priority=0, reason="JobHeldUser"), job(6, state=state("CANCELLED")),
    ]  # fmt: skip
    jobs[4] = job(5)
    held = QueuedJob(**{**{f: getattr(jobs[4], f) for f in jobs[4].__slots__}, "priority": 0})
    jobs[4] = held
    assert rearranged(jobs, [token(n) for n in (6, 5, 4, 3, 2, 1)]) == [[2, 1]]


def test_each_partition_account_and_qos_is_a_queue_of_its_own() -> None:
    jobs = [job(1), job(2, qos="high"), job(3), job(4, qos="high"), job(5, partitions=("long",))]
    lists = rearranged(jobs, [token(n) for n in (5, 4, 3, 2, 1)])
    assert sorted(lists) == [[3, 1], [4, 2]]


def test_pieces_of_a_long_array_move_together() -> None:
    jobs = [job(1), job(2, name=token(1), array_number=2, array="0-9"), job(3)]
    assert rearranged(jobs, [token(3), token(1)]) == [[3, 1, 2]]


def top(priorities: dict[int, int], named: list[int], mine: set[int]) -> dict[int, int]:
    """Deal as Slurm 22.05 does where all of a user's jobs are named: equal ones lose a point."""
    assert set(named) == mine
    after, last = dict(priorities), None
    for number, place in zip(named, sorted((priorities[n] for n in mine), reverse=True),
                             strict=True):  # fmt: skip
        after[number] = place if last is None else min(place, last - 1)
        last = after[number]
    return after


@given(st.permutations(range(1, 9)), st.data())
def test_the_arranged_take_each_others_places_and_all_others_keep_theirs(order, data) -> None:
    """Property: others, ours that are not named, and the set of places stay as they were."""
    mine = data.draw(st.sets(st.integers(1, 8), min_size=1), label="mine")
    named = data.draw(st.lists(st.sampled_from(sorted(mine)), unique=True), label="named")
    before = {number: 100 * (9 - place) for place, number in enumerate(order)}
    jobs = [job(number, before[number]) for number in mine]
    lists = rearranged(jobs, [token(number) for number in named])
    after = before
    for numbers in lists:
        after = top(after, numbers, mine)
    assert {n: after[n] for n in before if n not in named} == {
        n: before[n] for n in before if n not in named
    }
    assert sorted(after.values()) == sorted(before.values())
    moved = [job(number, after[number]) for number in mine]
    stand = [each.number for each in sorted(moved, key=standing) if each.number in named]
    assert stand == named
    assert rearranged(moved, [token(number) for number in named]) == []
