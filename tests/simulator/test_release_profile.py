"""The profile that is kept job by job is the one that an agent would work out anew."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.simulator import release_profile
from res_federation.simulator.release_profile import GRIDS_S, ReleaseProfile
from tests.strategies import examples

steps = st.lists(
    st.tuples(st.booleans(), st.integers(1, 100_000), st.integers(1, 9)), min_size=1, max_size=120
)


@pytest.fixture(scope="module")
def short():
    """Set what counts as a short profile."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda most: patch.setattr(release_profile, "MOST_RELEASES", most)


@settings(max_examples=examples(60), deadline=None)
@given(steps, st.integers(2, 40))
def test_it_is_told_by_the_finest_grid_on_which_it_is_short(short, wanted, most):
    short(most)
    profile = ReleaseProfile()
    held: list[tuple[int, tuple[int, int, int]]] = []
    for come, end, cores in wanted:
        if come or not held:
            held.append((end, (1, cores, 0)))
            profile.add(*held[-1])
        else:
            profile.remove(*held.pop(end % len(held)))
        for grid in GRIDS_S:
            sums: Counter[int] = Counter()
            for at, amounts in held:
                sums[-(-at // grid) * grid] += amounts[1]
            if len(sums) <= most:
                break
        assert [(one.at, one.cores) for one in profile.told()] == sorted(sums.items())
