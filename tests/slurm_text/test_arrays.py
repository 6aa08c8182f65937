"""Job arrays: what is read, what is refused, and how quickly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.model.job import MAX_ARRAY_TASKS
from res_federation.slurm import arrays
from res_federation.slurm.arrays import Array


@pytest.mark.parametrize(
    ("text", "indices", "throttle"),
    [
        ("5", (5,), 0),
        ("0-3", (0, 1, 2, 3), 0),
        ("1-10:2%4", (1, 3, 5, 7, 9), 4),
        ("1,4,7-9", (1, 4, 7, 8, 9), 0),
        ("7,1,1-2", (1, 2, 7), 0),
        ("[1-3]", (1, 2, 3), 0),
        ("0-5%0", (0, 1, 2, 3, 4, 5), 0),
        ("1, 2", (1, 2), 0),
    ],
)
def test_spellings(text: str, indices: tuple[int, ...], throttle: int) -> None:
    assert arrays.read(text) == Array(indices, throttle)


@pytest.mark.parametrize(
    "text",
    ["", "x", "%3", "1-", "-5", "3-1", "1-5:0", "1-3%x", "1-3%", "$N", "0-999999999",
     "1-4000000", "0-99999999999999999999", "4000001", "1," * 40_000,
     "0-99999:2,1-99999:2,200000-200001"],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"array|range|index|tasks") as caught:
        arrays.read(text)
    assert caught.value.field == "--array"


def test_the_largest_array_is_read() -> None:
    assert len(arrays.read(f"1-{MAX_ARRAY_TASKS}").indices) == MAX_ARRAY_TASKS


@given(st.sets(st.integers(0, 5000), min_size=1, max_size=60), st.integers(0, 50))
def test_the_short_form_is_read_back(indices: set[int], throttle: int) -> None:
    array = Array(tuple(sorted(indices)), throttle)
    assert arrays.read(arrays.normal(array)) == array
