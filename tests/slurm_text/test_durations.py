"""Every spelling of a time limit; the answers are those of sbatch 22.05.8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.slurm import durations


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1", "00:01:00"),
        ("100000", "69-10:40:00"),
        ("1:2", "00:02:00"),
        ("0:30", "00:01:00"),
        ("1:2:3", "01:03:00"),
        ("90:90:90", "3-19:32:00"),
        ("1-", "1-00:00:00"),
        ("1-2", "1-02:00:00"),
        ("1-2:3", "1-02:03:00"),
        ("1-2:3:4", "1-02:04:00"),
        ("0-24:00", "1-00:00:00"),
        ("007:30:00", "07:30:00"),
        ("UNLIMITED", "UNLIMITED"),
        ("infinite", "UNLIMITED"),
        ("-1", "UNLIMITED"),
        ("-5", "2982611-04:17:00"),
        ("99999999999", "2981813-22:48:00"),
        ("99999999-0", "2965552-16:25:00"),
    ],
)
def test_spellings(text: str, normal: str) -> None:
    length = durations.minutes(text)
    assert length is not None
    assert durations.normal(length) == normal


@pytest.mark.parametrize(
    "text",
    ["", " ", "+5", "1h", "10m", "1.5", "1:", ":30", "1::", "1-2:", "1-:2", "1:2:3:4", "1-2-3",
     "-1-2", "Inf", "1 ", " 1", "24:00:00h", "UNLIMITEDX", "٣"],
)  # fmt: skip
def test_what_is_no_duration(text: str) -> None:
    assert durations.minutes(text) is None


@given(st.integers(min_value=1, max_value=30_000_000))
def test_the_normal_form_is_read_back(length: int) -> None:
    assert durations.minutes(durations.normal(length)) == length


@given(st.text(max_size=30))
def test_any_text_is_answered(text: str) -> None:
    length = durations.minutes(text)
    assert length is None or durations.normal(length)
