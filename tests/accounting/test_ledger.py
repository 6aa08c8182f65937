"""The ledger: whatever is posted balances, and grants hold what they should."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.accounting import exchange, ledger, usage
from res_federation.accounting.books import (
    AVAILABLE,
    RESERVED,
    USED,
    Books,
    of_grant,
    of_member,
    of_pool,
    with_local,
)
from res_federation.accounting.compare import Charged, compare, used_by_run
from res_federation.accounting.funds import UNLIMITED, Purse
from res_federation.accounting.records import (
    LOCAL,
    AccessMode,
    Grant,
    Membership,
    Pool,
    PoolKind,
    Project,
    checked_grant,
    checked_membership,
    checked_pool,
)
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import JobId, PartitionId, SiteId, run_token
from res_federation.model.job import Run, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.principal import Role

GPU = PartitionId("csuc/pirineus3/gpu")
STD = PartitionId("csuc/pirineus3/std")
A = Grant("a", "fusion", "res", "csuc", 100.0, 200.0, 1000, 50)


def books_with(*grants: Grant) -> Books:
    books = Books(kept=True)
    for grant in grants:
        books.projects.setdefault(grant.project, Project(grant.project))
        books.put_grant(grant)
        ledger.adjust(books, grant, 0.0, "granted")
    return books


def left(books: Books, grant: str) -> tuple[tuple[int, int], ...]:
    """Return what is available, reserved and used."""
    return tuple(books.balance(of_grant(grant, one))[:2] for one in (AVAILABLE, RESERVED, USED))


def test_hours_go_from_the_pool_to_the_grant_to_the_run_and_what_is_left_comes_back():
    books = books_with(A)
    assert books.balance(of_pool("res")) == (-1000, -50, 0)
    ledger.reserve(books, A, (600, 20), 1.0, "run-1")
    assert left(books, "a") == ((400, 30), (600, 20), (0, 0))
    entry = ledger.settle(books, A, (600, 20), (250, 10), 2.0, "run-1")
    assert left(books, "a") == ((750, 40), (0, 0), (250, 10))
    assert entry.kind == "settled"
    ledger.reserve(books, A, (10, 0), 3.0, "run-2")
    assert ledger.settle(books, A, (10, 0), (0, 0), 3.0, "run-2").kind == "released"
    assert left(books, "a") == ((750, 40), (0, 0), (250, 10))
    books.check()


def test_what_a_site_ran_beyond_the_limit_is_an_overdraft_that_is_seen():
    books = books_with(A)
    ledger.reserve(books, A, (1000, 0), 1.0, "run")
    ledger.settle(books, A, (1000, 0), (1100, 0), 2.0, "run")
    assert left(books, "a")[0] == (-100, 50)
    assert books.payers("fusion", GPU, 150.0) == (Purse("a", 0, 50),), "nothing is left to pay"
    books.check()


def test_a_grant_that_is_closed_gives_back_the_rest_and_settles_what_still_runs():
    books = books_with(A)
    ledger.reserve(books, A, (600, 0), 1.0, "run")
    closed = replace(A, closed=True)
    books.put_grant(closed)
    ledger.adjust(books, closed, 2.0, "closed")
    assert left(books, "a") == ((0, 0), (600, 0), (0, 0))
    ledger.settle(books, closed, (600, 0), (100, 0), 3.0, "run")
    assert left(books, "a") == ((0, 0), (0, 0), (100, 0))
    assert books.balance(of_pool("res")) == (-100, 0, 0), "used hours alone stay given"


def test_a_grant_that_changes_counts_what_was_used_and_reserved():
    books = books_with(A)
    ledger.reserve(books, A, (600, 0), 1.0, "run")
    ledger.settle(books, A, (600, 0), (300, 0), 2.0, "run")
    ledger.reserve(books, A, (100, 0), 3.0, "run-2")
    smaller = replace(A, core_s=500)
    books.put_grant(smaller)
    ledger.adjust(books, smaller, 4.0, "changed")
    assert left(books, "a") == ((100, 50), (100, 0), (300, 0))
    books.check()


def test_the_grant_of_developer_mode_pays_everywhere_without_end():
    books = with_local(Books())
    (purse,) = books.payers(LOCAL, GPU, 1e12)
    assert purse == Purse(LOCAL, UNLIMITED, UNLIMITED)
    assert not books.bounded
    grant = books.grants[LOCAL]
    ledger.reserve(books, grant, (10**12, 7), 1.0, "run")
    ledger.settle(books, grant, (10**12, 7), (5, 1), 2.0, "run")
    assert left(books, LOCAL) == ((0, 0), (0, 0), (5, 1))
    assert books.balance(of_pool(LOCAL)) == (-5, -1, 0)


def test_class_a_pays_first_then_what_ends_first_where_it_is_valid():
    later = replace(A, id="later", ends=900.0)
    second = replace(A, id="second", priority=1, machine="")
    elsewhere = replace(A, id="elsewhere", machine="iac")
    gpu_only = replace(A, id="gpu", machine=str(GPU), begins=150.0)
    books = books_with(later, A, second, elsewhere, gpu_only)
    assert [one.grant for one in books.payers("fusion", GPU, 160.0)] == [
        "a", "gpu", "later", "second",
    ]  # fmt: skip
    assert [one.grant for one in books.payers("fusion", STD, 100.0)] == ["a", "later", "second"]
    assert [one.grant for one in books.payers("fusion", GPU, 200.0)] == ["later"]
    assert books.payers("climate", GPU, 160.0) == ()
    assert (books.turns(0.0), books.turns(100.0), books.turns(160.0)) == (100.0, 150.0, 200.0)
    books.projects["fusion"] = Project("fusion", closed=True)
    assert books.payers("fusion", GPU, 160.0) == ()


def test_a_machine_is_a_site_a_cluster_or_a_partition_and_no_beginning_of_a_name():
    assert A.covers(GPU)
    assert replace(A, machine="csuc/pirineus3").covers(GPU)
    assert replace(A, machine=str(GPU)).covers(GPU)
    assert not replace(A, machine=str(GPU)).covers(STD)
    assert not replace(A, machine="cs").covers(GPU)
    assert not replace(A, machine="csuc/pirineus").covers(GPU)


acts = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "change", "close", "charge", "exchange"]),
        st.sampled_from(["a", "b"]), st.integers(0, 2000), st.integers(0, 40),
    ),
    max_size=40,
)  # fmt: skip


@given(acts)
def test_whatever_is_posted_the_books_balance_and_entries_say_it_all(doings):
    books = Books(kept=True)
    entries = []
    for name, core_s in (("a", 1000), ("b", UNLIMITED)):
        grant = Grant(name, "p", "res", "", 0.0, 1e9, core_s, 50)
        books.put_grant(grant)
        entries.append(ledger.adjust(books, grant, 0.0, "granted"))
    open_runs: dict[str, list[tuple[int, int]]] = {"a": [], "b": []}
    for number, (what, name, core_s, accelerator_s) in enumerate(doings):
        grant, amount = books.grants[name], (core_s, accelerator_s)
        match what:
            case "reserve" if not grant.closed:
                entries.append(ledger.reserve(books, grant, amount, 1.0, f"r{number}"))
                open_runs[name].append(amount)
            case "settle" if open_runs[name]:
                reserved = open_runs[name].pop()
                given_ = ("csuc", "iac", core_s)
                entries.append(
                    ledger.settle(books, grant, reserved, amount, 1.0, "r", given=given_)
                )
            case "change" if not grant.closed:
                books.put_grant(replace(grant, core_s=core_s if core_s % 3 else UNLIMITED))
                entries.append(ledger.adjust(books, books.grants[name], 1.0, "changed"))
            case "close" if not grant.closed:
                books.put_grant(replace(grant, closed=True))
                entries.append(ledger.adjust(books, books.grants[name], 1.0, "closed"))
            case "charge":
                entries.append(ledger.charge(books, grant, amount, 1.0, once=f"o{number}"))
            case "exchange":
                entries.append(ledger.exchange(books, "uv", "uc", core_s, 1.0))
        books.check()
        for one in ("a", "b"):
            reserved_now = tuple(map(sum, zip((0, 0), *open_runs[one], strict=True)))
            assert books.balance(of_grant(one, RESERVED))[:2] == reserved_now
    again = Books()
    for entry in entries:
        for line in entry.lines:
            old = again.balance(line.account)
            again.balances[line.account] = (
                old[0] + line.core_s, old[1] + line.accelerator_s, old[2] + line.units,
            )  # fmt: skip
    assert again.balances == books.balances
    assert [one.number for one in entries] == [*range(1, len(entries) + 1)]


def a_run(*tasks: tuple[float | None, float | None], **fields: object) -> Run:
    outcomes = tuple(
        TaskOutcome(number, JobState.COMPLETED, started=started, ended=ended)
        for number, (started, ended) in enumerate(tasks)
    )
    token = run_token(JobId("0" * 26), 1)
    run = Run(token, 1, GPU, SiteId("csuc"), 0.0, state=JobState.COMPLETED, tasks=outcomes)
    for name, value in fields.items():
        setattr(run, name, value)
    return run


def test_each_task_is_charged_whole_seconds():
    assert usage.seconds(a_run((10.0, 13.0), (10.0, 12.1), (None, None))) == 3 + 3
    assert usage.seconds(a_run((10.0, 10.0))) == 0
    assert usage.seconds(a_run(started=5.0, ended=9.5)) == 5
    assert usage.seconds(a_run()) == 0, "what was never seen to start used nothing"
    assert usage.seconds(a_run((10.0, None), ended=40.0)) == 30, "lost while it ran"


def test_exchange_counts_the_scarcer_of_cores_and_accelerators():
    rates = {"core": 1000, "h100": 400_000, "accelerator": 100_000, str(STD): 500}
    assert exchange.units(rates, STD, "", (10, 0)) == 5000
    assert exchange.units(rates, GPU, "nvidia-h100-80gb", (64, 2)) == 800_000
    assert exchange.units(rates, GPU, "nvidia-h100-80gb", (64, 0)) == 64_000
    assert exchange.units(rates, GPU, "nvidia-v100", (0, 1)) == 100_000
    assert exchange.units({f"{GPU}:accelerator": 7}, GPU, "nvidia-h100", (0, 3)) == 21
    assert exchange.units({}, STD, "", (3, 0)) == 3000


def test_what_a_member_gave_is_what_others_took():
    books = books_with(A)
    ledger.reserve(books, A, (500, 0), 1.0, "run")
    ledger.settle(books, A, (500, 0), (500, 0), 1.0, "run", given=("csuc", "uv", 500_000))
    assert exchange.balances(books) == {"csuc": 500_000, "uv": -500_000}
    assert books.balance(of_member("csuc")) == (0, 0, 500_000)
    ledger.exchange(books, "uv", "csuc", 3_600_000 * 260, 2.0)
    assert exchange.parity(books) == {"csuc": -300.0, "uv": 300.0}


def test_a_site_s_own_account_of_runs_is_compared_to_the_second():
    books = books_with(A)
    entries = [
        ledger.reserve(books, A, (100, 8), 1.0, "one-1"),
        ledger.settle(books, A, (100, 8), (60, 4), 2.0, "one-1"),
    ]
    found = compare(used_by_run(entries), [
        Charged("one-1", "x:1", 40, 4), Charged("one-1", "x:2", 20, 0),
        Charged("two-1", "x:3", 1, 0), Charged("", "x:4", 99, 9),
    ])  # fmt: skip
    assert [(one.run, one.same) for one in found] == [("one-1", True), ("two-1", False)]
    assert found[1].ledger is None


@pytest.mark.parametrize("wrong", [
    replace(A, id="No Word"), replace(A, machine="csuc/a/b/c"), replace(A, machine="../x"),
    replace(A, ends=100.0), replace(A, core_s=-2), replace(A, accelerator_s=1 << 53),
    replace(A, priority=26), replace(A, begins=float("nan")),
])  # fmt: skip
def test_a_grant_that_is_wrong_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        checked_grant(wrong)
    assert checked_grant(A) is A


def test_modes_are_for_ai_factories_and_roles_for_projects():
    assert checked_pool(Pool("f", PoolKind.AI_FACTORY, AccessMode.FAST_LANE))
    with pytest.raises(InvalidArgument):
        checked_pool(Pool("f", PoolKind.RES, AccessMode.FAST_LANE))
    assert checked_membership(Membership("p", "i", "s", None))
    for wrong in (Membership("p", "i", "s", Role.OPERATOR), Membership("p", "", "s")):
        with pytest.raises(InvalidArgument):
            checked_membership(wrong)
