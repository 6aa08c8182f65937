"""Fair share: use fades, and who used less comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.accounting.fair_share import Usage, factors

DAY = 86_400.0
WEEK = 7 * DAY
used = st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e9), min_size=1)


def test_who_used_his_share_has_a_half_and_who_used_nothing_has_all():
    usage = {"ana": Usage(500.0), "ben": Usage(500.0)}
    assert factors(usage, 0.0, WEEK) == {"ana": 0.5, "ben": 0.5}
    assert factors({**usage, "new": Usage()}, 0.0, WEEK)["new"] == 1.0
    assert factors({}, 0.0, WEEK) == factors({"ana": Usage()}, 0.0, WEEK) == {}


def test_use_fades_by_half_in_a_half_life():
    assert Usage(800.0, 0.0).until(WEEK, WEEK).core_s == pytest.approx(400.0)
    assert Usage(800.0, 0.0).more(100.0, 2 * WEEK, WEEK).core_s == pytest.approx(300.0)
    assert Usage(800.0, WEEK).more(100.0, 0.0, WEEK) == Usage(900.0, WEEK)


@given(used)
def test_who_used_more_has_the_lower_factor(amounts):
    found = factors({user: Usage(amount) for user, amount in amounts.items()}, 0.0, WEEK)
    assert all(0.0 < factor <= 1.0 for factor in found.values())
    by_use = sorted(found, key=lambda user: amounts[user])
    assert [found[user] for user in by_use] == sorted(found.values(), reverse=True)


@given(used, st.floats(0, 10 * WEEK))
def test_waiting_changes_no_factor(amounts, later):
    usage = {user: Usage(amount) for user, amount in amounts.items()}
    now, then = factors(usage, 0.0, WEEK), factors(usage, later, WEEK)
    assert set(now) >= set(then)
    for user, factor in then.items():
        assert factor == pytest.approx(now[user], rel=1e-6)


@given(st.floats(0, 1e6), st.floats(0, WEEK), st.floats(0, WEEK))
def test_two_steps_of_time_are_one(amount, first, second):
    once = Usage(amount).until(first + second, WEEK)
    twice = Usage(amount).until(first, WEEK).until(first + second, WEEK)
    assert twice.core_s == pytest.approx(once.core_s)
