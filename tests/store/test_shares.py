"""Shares of jobs outlive the broker, and lists hold what is shared."""

from __future__ import annotations

import pytest

from res_federation.model.share import Share, ShareKind
from res_federation.model.visible import Visible
from res_federation.store.filters import parse_filter
from res_federation.store.store import Store
from tests.store.making import Log, a_job, an_id

USER, PROJECT = ShareKind.USER, ShareKind.PROJECT
EVE, Q, ODD = (USER, "eve@people"), (PROJECT, "q"), (USER, "o\0dd\ud800@people")


def a_share(number: int, whom: tuple[ShareKind, str], at: float) -> Share:
    return Share(an_id(number), *whom, "ana@people", at)


SHARES = [a_share(2, EVE, 10.5), a_share(2, Q, 11.0), a_share(3, Q, 12.0), a_share(1, ODD, 13.0)]


@pytest.fixture
async def filled(store: Store) -> Store:
    await store.commit(Log().submit(*(a_job(n, user="ana@people") for n in range(1, 5))))
    for share in SHARES:
        await store.shares.add(share)
    return store


async def test_shares_are_there_again_and_end(filled: Store, url: str):
    await filled.shares.add(a_share(2, EVE, 99.0))  # the first one stays
    assert await filled.shares.remove(a_share(3, Q, 100.0))
    assert not await filled.shares.remove(a_share(3, Q, 101.0))
    await filled.close()
    again = await Store.open(url)
    try:
        assert await again.shares.all() == [SHARES[0], SHARES[1], SHARES[3]]
    finally:
        await again.close()


@pytest.mark.parametrize(
    ("seen", "text", "expected"),
    [
        (Visible(), "", []),
        (Visible(shared=frozenset({EVE})), "", [2]),
        (Visible(shared=frozenset({Q})), "", [3, 2]),
        (Visible(shared=frozenset({EVE, Q})), "", [3, 2]),
        (Visible(shared=frozenset({Q})), "user=ana@people", [3, 2]),
        (Visible(shared=frozenset({ODD})), "", [1]),
        (Visible(shared=frozenset({(PROJECT, "eve@people"), (USER, "q")})), "", []),
        (Visible(shared=frozenset({(USER, "' OR 1=1 --")})), "", []),
        (Visible(user="ana@people", shared=frozenset({Q})), "", [4, 3, 2, 1]),
    ],
)
async def test_a_list_holds_what_is_shared(filled: Store, seen, text, expected):
    found, _ = await filled.jobs(parse_filter(text), 100, "", seen)
    assert [int(job.submitted) for job in found] == expected


async def test_a_page_counts_a_job_once_however_often_it_is_shared(filled: Store):
    seen = Visible(shared=frozenset({EVE, Q}))
    first, token = await filled.jobs(parse_filter(""), 1, "", seen)
    second, end = await filled.jobs(parse_filter(""), 1, token, seen)
    assert [int(job.submitted) for job in (*first, *second)] == [3, 2]
    assert end == ""
