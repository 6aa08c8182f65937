"""Whole exchanges as they come over the wire, made of anything."""

from __future__ import annotations

import copy
import math
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from res_federation.api.v1 import agents_pb2
from res_federation.control.events import (
    JobSubmitted,
    SiteReported,
    Ticked,
)
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import SiteId, run_token
from res_federation.model.job import JobSpec
from res_federation.model.resources import ResourceRequest
from res_federation.wire import exchange
from tests.builders import an_id
from tests.security.lying import AT, Broker, a_site
from tests.strategies import examples

BIG = 2**63 - 1
ints = st.sampled_from([-BIG - 1, -1, 0, 1, 4, 10, 1_000_000, 2**31, BIG]) | st.integers(0, 200)
small = st.sampled_from([-(2**31), -1, 0, 1, 4, 10, 2**31 - 1])
floats = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, 5.0])
texts = st.sampled_from(["", "x", "\x00", "a" * 5000, "\x1b[31m", "é" * 300, "nvidia-h100"])
times = st.builds(
    lambda seconds, nanos: {"seconds": seconds, "nanos": nanos},
    st.sampled_from([0, int(AT), int(AT) + 50, 4 * 10**9] * 4 + [-BIG - 1, -1, BIG]),
    st.sampled_from([0, 0, 0, 0, 0, 5, -1, 2**31 - 1]),
)
places = st.sampled_from(
    ["liar/c/gpu", "liar/c/cpu"] * 6 + ["liar/c/none", "good/c/gpu", "liar/", "liar/c/../x", ""]
)
TYPES = {1: floats, 2: floats, 3: ints, 4: ints.map(abs), 5: small, 8: st.booleans(), 9: texts,
         12: st.binary(max_size=5), 13: small.map(abs), 14: st.integers(-1, 15)}  # fmt: skip
TOKENS = st.deferred(
    lambda: st.sampled_from(
        [run_token(an_id(0), 1), run_token(an_id(1), 1), run_token(an_id(1), 2),
         run_token(an_id(9), 1),
         run_token(an_id(1), 1), run_token(an_id(1), 1), "", "T-" + "9" * 400]
    )
)  # fmt: skip


@st.composite
def messages(draw: st.DrawFn, kind: Any) -> Any:  # noqa: PLR0912 - a branch a kind of field
    """Fill a message of any kind with anything that its fields can carry."""
    message = kind()
    for field in message.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        if field.name == "partition":
            value: Any = draw(places)
        elif field.name == "token":
            value = draw(TOKENS)
        elif field.name == "site":
            value = draw(st.sampled_from(["liar", "liar", "liar", "good", "x/y"]))
        elif field.message_type is not None and field.message_type.full_name.startswith("google."):
            getattr(message, field.name).CopyFrom(
                getattr(message, field.name).__class__(**draw(times))
            )
            continue
        elif field.message_type is not None:
            inner = field.message_type._concrete_class
            if field.is_repeated:
                getattr(message, field.name).extend(draw(st.lists(messages(inner), max_size=3)))
            else:
                getattr(message, field.name).CopyFrom(draw(messages(inner)))
            continue
        else:
            value = draw(TYPES[field.type])
        try:
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        except ValueError:  # out of the range of the field: no peer can send it
            continue
    return message


@given(st.lists(messages(agents_pb2.SiteReport), min_size=1, max_size=4), st.floats(0, 100))
@settings(max_examples=examples(150), deadline=None)
def test_no_exchange_breaks_the_broker_or_touches_another_site(
    reports: list[Any], pause: float
) -> None:
    broker = Broker()
    good = broker.state.sites[SiteId("good")]
    job, before = broker.jobs["good"], copy.deepcopy(broker.jobs["good"])
    for message in reports:
        broker.at += pause
        try:
            message.capacity.site = message.capacity.site or "liar"
            told = exchange.report_from_message(
                agents_pb2.SiteReport.FromString(message.SerializeToString())
            )
        except InvalidArgument:
            continue  # the stream ends; nothing of it was heard
        report, runs, journal, complete, fences = told
        if report.site != "liar":
            continue  # the door refuses it: the certificate is of another site
        event("heard")
        broker.do(SiteReported(broker.at, report, runs, journal, complete, frozenset(), fences))
        for number in (10, 11):  # free to go anywhere: rounds must bear whatever figures they meet
            wide = ResourceRequest(nodes=number, cpus_per_task=number)
            spec = JobSpec("free", "ana", "#!/bin/sh\n", wide)
            broker.do(JobSubmitted(broker.at, an_id(int(broker.at * 100) + number), spec))
            broker.at += 0.2
            broker.do(Ticked(broker.at))
        # what is kept can be told, and what a round makes of it can be carried out
        exchange.report_to_message(good.report or report, (), "", complete=True)
        seen = broker.state.sites[SiteId("liar")].report
        assert seen is not None
        exchange.report_to_message(seen, (), "", complete=True)
        for part in seen.partitions:
            declared = next(one for one in a_site("liar").partitions if one.id == part.id)
            assert part.nodes <= 16 * (declared.nodes or 0)
            assert part.shape.accelerators <= declared.shape.accelerators
            assert sum(bar.nodes for bar in part.free) <= part.available <= part.nodes
    after = broker.state.jobs[job.id]
    assert (after.state, after.runs, after.reason) == (before.state, before.runs, before.reason)
    broker.report("good")
    broker.submit(50, "good")  # others are placed as ever
