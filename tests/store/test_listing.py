"""Lists, newest first: filters, pages, tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import JobId
from res_federation.model.job_state import FINAL, JobState
from res_federation.store.filters import JobFilter, page_token, parse_filter, read_page_token
from res_federation.store.store import Store
from tests.store.making import Log, a_job, a_run, an_id

ALL = JobFilter()


async def _listed(store: Store, text: str) -> list[str]:
    jobs, token = await store.jobs(parse_filter(text), 100, "")
    assert token == ""
    return [job.spec.name for job in jobs]


async def test_filters_match_what_they_say(store: Store):
    jobs = [a_job(number, user="ana" if number % 2 else "eva") for number in range(6)]
    jobs[0].state, jobs[1].state = JobState.COMPLETED, JobState.RUNNING
    for number in (1, 2):
        jobs[number].runs = [a_run(jobs[number], "bsc", JobState.RUNNING)]
    await store.commit(Log().submit(*jobs))
    assert await _listed(store, "") == [f"job-{number}" for number in range(5, -1, -1)]
    assert await _listed(store, "state=running") == ["job-1"]
    assert await _listed(store, "state=RUNNING,COMPLETED") == ["job-1", "job-0"]
    assert await _listed(store, "user=eva AND active=true") == ["job-4", "job-2"]
    assert await _listed(store, "site=bsc AND user=ana") == ["job-1"]
    assert await _listed(store, "name=job-3") == ["job-3"]
    assert await _listed(store, "user=nobody") == []


async def test_pages_are_stable_while_jobs_are_added(store: Store):
    log = Log()
    await store.commit(log.submit(*[a_job(number) for number in range(10, 20)]))
    seen: list[JobId] = []
    page, token = await store.jobs(ALL, 3, "")
    newer = 20
    while True:
        seen += [job.id for job in page]
        await store.commit(log.submit(a_job(newer)))
        newer += 1
        if not token:
            break
        page, token = await store.jobs(ALL, 3, token)
    assert seen == [an_id(number) for number in range(19, 9, -1)]


async def test_the_last_page_may_be_full(store: Store):
    await store.commit(Log().submit(a_job(1), a_job(2)))
    page, token = await store.jobs(ALL, 2, "")
    assert (len(page), token) == (2, "")
    assert await store.jobs(JobFilter(user="nobody"), 2, "") == ([], "")


async def test_a_size_out_of_range_is_refused(store: Store):
    for size in (0, -1, 1001):
        with pytest.raises(InvalidArgument, match=str(size)) as refusal:
            await store.jobs(ALL, size, "")
        assert refusal.value.field == "page_size"


@given(st.data())
def test_a_token_that_was_changed_is_refused(data):
    token = page_token(an_id(7), ALL)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters().filter(lambda one: one != token[at]))
    for other in (token[:at] + letter + token[at + 1 :], token[:at], token + letter):
        with pytest.raises(InvalidArgument) as refusal:
            read_page_token(other, ALL)
        assert refusal.value.field == "page_token"


def test_a_token_belongs_to_its_filter():
    wanted = JobFilter(user="ana")
    assert read_page_token(page_token(an_id(7), wanted), wanted) == an_id(7)
    with pytest.raises(InvalidArgument, match="this filter"):
        read_page_token(page_token(an_id(7), wanted), ALL)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ALL),
        ("  ", ALL),
        ("state=RUNNING", JobFilter(states=("RUNNING",))),
        (" State = queued , running AND user=x ", JobFilter(("QUEUED", "RUNNING"), "x")),
        ("name=my job  AND  site=bsc", JobFilter(site="bsc", name="my job")),
        ('name="ana AND eva" AND active=TRUE', JobFilter(name="ana AND eva", active=True)),
        ("active=false", ALL),
        ("name=a=b", JobFilter(name="a=b")),
        ("name=ANDES", JobFilter(name="ANDES")),
    ],
)
def test_a_filter_is_read(text, wanted):
    assert parse_filter(text) == wanted


@pytest.mark.parametrize(
    ("text", "culprit", "way_out"),
    [
        ("colour=red", "'colour=red' is not a term", "user=NAME"),
        ("user=x AND oops AND site=y", "'oops' is not a term", "user=NAME"),
        ("user", "'user' is not a term", "site=ID"),
        ("user=", "'user=' is not a term", "site=ID"),
        ("user= AND site=x", "'user=' is not a term", "site=ID"),
        ('user=""', "has no value", "site=ID"),
        ("user=x AND user=y", "'user=y' names its key a second time", "site=ID"),
        ("user=x AND", "'AND' joins nothing", "site=ID"),
        ("state=DONE", "'DONE' is not a state", "QUEUED"),
        ("state=RUNNING,", "'' is not a state", "COMPLETED"),
        ("active=maybe", "'active=maybe' is neither true nor false", "active=true"),
        ("user=" + "x" * 5000, "longer than 4096", ""),
    ],
)
def test_a_wrong_filter_names_the_term_and_the_terms_there_are(text, culprit, way_out):
    with pytest.raises(InvalidArgument) as refusal:
        parse_filter(text)
    assert culprit in refusal.value.message
    assert way_out in refusal.value.way_out
    assert refusal.value.field == "filter"


@given(st.text(max_size=50))
def test_any_text_is_a_filter_or_is_refused(text):
    try:
        parse_filter(text)
    except InvalidArgument as refusal:
        assert refusal.field == "filter"


def test_every_live_state_counts_as_active():
    from res_federation.store.queries import _LIVE

    assert {*_LIVE, *FINAL} == set(JobState)
