from __future__ import annotations

from typing import Any

import pytest

from res_federation.client import Federation, SiteState
from res_federation.errors import InvalidArgument, NotFound, Unavailable
from res_federation.model.job import JobSpec
from res_federation.model.job_state import JobState
from tests.agent.patience import PATIENCE_S

SPEC = JobSpec(name="pi", user="ana", script="#!/bin/sh\necho 3.14\n")


def test_a_submit_whose_answer_was_lost_is_the_same_job_when_it_is_sent_again(broker: Any) -> None:
    broker.outages = 2
    with Federation(broker.address) as federation:
        job = federation.submit(SPEC)
    assert list(broker.jobs) == [job.id]
    assert broker.calls == 3


def test_the_same_key_is_the_same_job_and_no_key_is_a_new_one(broker: Any) -> None:
    with Federation(broker.address) as federation:
        first = federation.submit(SPEC, request_id="k")
        again = federation.submit(SPEC, request_id="k")
        other = federation.submit(SPEC)
    assert first.id == again.id != other.id


def test_many_are_submitted_in_order_and_once_through_an_outage(broker: Any) -> None:
    broker.outages = 1
    with Federation(broker.address) as federation:
        ids = federation.submit_many(SPEC for _ in range(1200))
        found = [federation.job(name).id for name in ids[:3]]
    assert len(ids) == len(set(ids)) == len(broker.jobs) == 1200
    assert found == ids[:3]


def test_a_listing_follows_the_page_tokens(broker: Any) -> None:
    with Federation(broker.address) as federation:
        ids = federation.submit_many([SPEC] * 5)
        assert [job.id for job in federation.jobs()] == sorted(ids, reverse=True)


def test_waiting_returns_jobs_as_they_ended_in_the_order_asked_for(broker: Any) -> None:
    with Federation(broker.address) as federation:
        ids = federation.submit_many([SPEC] * 3)
        broker.outages = 2
        ended = federation.wait(reversed(ids), timeout=PATIENCE_S)
    assert [job.id for job in ended] == list(reversed(ids))
    assert {job.state for job in ended} == {JobState.COMPLETED}


def test_output_goes_on_where_an_outage_broke_it_off(broker: Any) -> None:
    broker.printed = bytes(range(256)) * 2
    with Federation(broker.address) as federation:
        job = federation.submit(SPEC)
        broker.outages = 3
        assert b"".join(federation.output(job.id)) == broker.printed


def test_an_error_is_raised_in_the_class_of_the_broker(broker: Any) -> None:
    with Federation(broker.address) as federation, pytest.raises(NotFound) as caught:
        federation.job("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert caught.value.way_out == "resfed queue --all"


def test_sites_come_as_values(broker: Any) -> None:
    with Federation(broker.address) as federation:
        (site,) = federation.sites()
    assert (site.id, site.state) == ("csuc", SiteState.READY)


def test_a_broker_that_is_not_there_is_named_with_the_way_out() -> None:
    with Federation("127.0.0.1:1", patience_s=0) as federation, pytest.raises(Unavailable) as told:
        federation.sites()
    assert "127.0.0.1:1" in str(told.value)
    assert "resfed up" in str(told.value)


@pytest.mark.parametrize("address", ["nohost", "host:", ":1", "host:0", "host:99999", "host:x"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(address: str) -> None:
    with pytest.raises(InvalidArgument):
        Federation(address)


def test_a_job_identifier_that_is_none_is_refused_before_anything_is_sent() -> None:
    with Federation("127.0.0.1:1") as federation, pytest.raises(InvalidArgument):
        federation.job("../../etc")
