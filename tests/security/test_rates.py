"""Rates, counts and open streams of one caller are bounded, and the others do not notice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from res_federation.broker.clock import SystemClock
from res_federation.broker.federation import Federation
from res_federation.client.patience import Endurance
from res_federation.config.limits import LimitsPart
from res_federation.control.events import JobCancelled, JobSubmitted
from res_federation.control.live import Live
from res_federation.control.machine import handle
from res_federation.control.state import Terms, federation
from res_federation.errors import ResourceExhausted
from res_federation.model.job import JobSpec
from res_federation.model.limits import LOCAL_LIMITS, Limits
from res_federation.security.limits import Meter, Rate
from res_federation.wire.status import from_rpc_error, retry_s, to_status
from tests.builders import an_id

SLOW = Limits(calls_per_s=2.0, calls_burst=3, submissions_per_s=10.0, submissions_burst=100)


def test_a_caller_that_is_too_fast_waits_and_others_do_not() -> None:
    meter = Meter(SLOW)
    for _ in range(3):
        meter.call("ana", 0.0)
    with pytest.raises(ResourceExhausted, match=r"ana is over the limit of 2 calls a second") as no:
        meter.call("ana", 0.0)
    meter.call("bob", 0.0)
    assert no.value.retry_s == pytest.approx(0.5)
    meter.call("ana", no.value.retry_s)
    with pytest.raises(ResourceExhausted):
        meter.call("ana", no.value.retry_s)


def test_a_large_batch_passes_and_is_owed() -> None:
    meter = Meter(SLOW)
    meter.submissions("ana", "", 10_000, 0.0)
    with pytest.raises(ResourceExhausted) as no:
        meter.submissions("ana", "", 1, 0.0)
    assert no.value.retry_s == pytest.approx((10_000 - 100 + 1) / 10, rel=0.01)


def test_members_of_a_project_share_its_rate_and_pay_nothing_for_what_is_refused() -> None:
    meter = Meter(replace(SLOW, project_submissions_per_s=1.0, project_submissions_burst=10))
    meter.submissions("ana", "health", 10, 0.0)
    for _ in range(500):
        with pytest.raises(ResourceExhausted, match="project health"):
            meter.submissions("bob", "health", 1, 0.0)
    for _ in range(100):  # bob's own bucket is as full as before
        meter.submissions("bob", "", 1, 0.0)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(1, 50)), max_size=60),
    st.floats(0.5, 100), st.integers(1, 200),
)  # fmt: skip
def test_over_any_time_no_more_passes_than_the_rate(calls, rate: float, burst: int) -> None:
    bucket, passed, now = Rate(rate, burst), 0.0, 0.0
    largest = 0
    for pause, amount in calls:
        now += pause
        wait = bucket.wait_s("ana", amount, now)
        assert wait >= 0
        if wait == 0:
            passed += amount
            largest = max(largest, amount)
        assert passed <= burst + rate * now + largest + 1e-6
    # whoever waits as long as was told passes
    wait = bucket.wait_s("ana", 1, now)
    assert wait == 0 or bucket.wait_s("ana", 1, now + wait + 1e-9) == 0


def test_a_clock_that_goes_back_gives_and_takes_nothing() -> None:
    bucket = Rate(1.0, 1)
    assert bucket.wait_s("ana", 1, 1000.0) == 0
    assert bucket.wait_s("ana", 1, 0.0) > 0
    assert bucket.wait_s("ana", 1, 1001.0) == 0


def test_callers_that_come_once_do_not_fill_the_memory() -> None:
    bucket = Rate(1.0, 1, most=100)
    for number in range(1000):
        bucket.wait_s(f"user-{number}", 1, 0.0)
    assert len(bucket) == 100


def test_streams_are_counted_and_given_back() -> None:
    meter = Meter(Limits(streams=2))
    with meter.stream("ana"), meter.stream("ana"), meter.stream("bob"):
        third = meter.stream("ana")
        with pytest.raises(ResourceExhausted, match="2 streams open, the limit is 2"):
            third.__enter__()
    with meter.stream("ana"):
        pass


def _submit(state, number: int, user: str = "ana", **fields) -> None:
    spec = JobSpec(f"job-{number}", user, "#!/bin/sh\n", **fields)
    handle(state, JobSubmitted(float(number), an_id(number), spec))
    state.check()


def test_live_jobs_of_a_user_and_a_project_are_bounded_and_ended_ones_make_room() -> None:
    limits = Limits(user_jobs=2, user_tasks=5, project_jobs=3)
    state = federation((), terms=Terms(limits=limits))
    _submit(state, 1, project="health")
    _submit(state, 2, array=(1, 2, 3))
    with pytest.raises(ResourceExhausted, match="ana has 2 jobs that wait or run; with 1 more"):
        _submit(state, 3)
    handle(state, JobCancelled(3.0, an_id(1), "ana"))
    state.check()
    with pytest.raises(ResourceExhausted, match="ana has 3 tasks"):
        _submit(state, 4, array=(1, 2, 3))
    _submit(state, 5, project="health")
    _submit(state, 6, "bob", project="health")
    _submit(state, 7, "eva", project="health")
    with pytest.raises(ResourceExhausted, match="project health has 3 jobs"):
        _submit(state, 8, "pau", project="health")
    assert len(state.jobs) == 4


def test_a_chunk_is_taken_whole_or_not_at_all() -> None:
    limits = Limits(user_jobs=3)
    state = federation((), terms=Terms(limits=limits))
    parts = Federation(store=cast("Any", None), clock=SystemClock())
    parts.limits, parts.loop = limits, cast("Any", SimpleNamespace(state=state))
    chunk = [
        JobSubmitted(
            1.0, an_id(number), JobSpec(f"job-{number}", "ana", "#!/bin/sh\n"), f"k{number}"
        )
        for number in range(4)
    ]
    with pytest.raises(ResourceExhausted, match="ana has 0 jobs that wait or run; with 4 more"):
        parts.check_room(chunk)
    parts.check_room(chunk[:3])
    for event in chunk[:3]:
        handle(state, event)
    parts.check_room(chunk[:3])  # sent again: their keys are known, they are no new jobs
    with pytest.raises(ResourceExhausted):
        parts.check_room(chunk)


def test_a_repeated_key_is_no_new_job_whatever_the_limit() -> None:
    state = federation((), terms=Terms(limits=Limits(user_jobs=1)))
    spec = JobSpec("job", "ana", "#!/bin/sh\n")
    handle(state, JobSubmitted(1.0, an_id(1), spec, "key"))
    assert handle(state, JobSubmitted(2.0, an_id(2), spec, "key"))[:0] == []
    assert list(state.jobs) == [an_id(1)]


def test_counts_forget_those_who_have_nothing_live() -> None:
    state = federation(())
    for number in range(50):
        _submit(state, number, f"user-{number}", project=f"p{number}")
        handle(state, JobCancelled(100.0, an_id(number), "x"))
    assert state.live == Live()


class Refused(grpc.RpcError):
    def __init__(self, error: ResourceExhausted) -> None:
        self._status = to_status(error)

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.RESOURCE_EXHAUSTED

    def details(self) -> str:
        return str(self._status.message)

    def trailing_metadata(self):
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


def test_the_refusal_says_when_to_try_again_and_a_client_does_so() -> None:
    error = ResourceExhausted("too fast", way_out="later", code="TOO_FAST", retry_s=1.5)
    assert retry_s(to_status(error)) == pytest.approx(1.5)
    assert any(one.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for one in to_status(error).details)
    told = from_rpc_error(Refused(error))
    assert isinstance(told, ResourceExhausted)
    assert told.retry_s == pytest.approx(1.5)
    endurance = Endurance("127.0.0.1:1", 10.0, on_outage=lambda: pytest.fail("no outage"))
    assert endurance.pause_after(Refused(error), 0.0) == pytest.approx(1.5)
    with pytest.raises(ResourceExhausted):  # its patience is over
        endurance.pause_after(Refused(error), 9.0)
    for_good = Refused(ResourceExhausted("full", code="TOO_MANY_JOBS"))
    with pytest.raises(ResourceExhausted):
        Endurance("127.0.0.1:1", 10.0, on_outage=lambda: None).pause_after(for_good, 0.0)


def test_limits_are_read_and_what_is_left_out_has_a_bound() -> None:
    assert LimitsPart().limits() == Limits()
    assert LimitsPart(calls_per_s=7).limits().calls_per_s == 7
    assert all(getattr(Limits(), name) > 0 for name in Limits.__slots__)
    for wrong in ({"calls_per_s": float("nan")}, {"streams": -1}, {"stream": 5}):
        with pytest.raises(ValueError, match=r"calls_per_s|stream"):
            LimitsPart.model_validate(wrong)
    assert LOCAL_LIMITS.user_jobs == 0
