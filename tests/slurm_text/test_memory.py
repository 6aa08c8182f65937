"""Amounts of memory; the answers are those of sbatch 22.05.8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.slurm import memory


@pytest.mark.parametrize(
    ("text", "mib", "normal"),
    [
        ("4000", 4000, "4000"),
        ("0", 0, "0?"),
        ("0G", 0, "0?"),
        ("16G", 16 * 1024, "16G"),
        ("16gb", 16 * 1024, "16G"),
        ("+5G", 5 * 1024, "5G"),
        (" 1G", 1024, "1G"),
        ("1K", 1, "1"),
        ("1025K", 2, "2"),
        ("1024", 1024, "1G"),
        ("1025", 1025, "1025"),
        ("1024G", 1024 * 1024, "1T"),
        ("1024T", 1024**3, "1P"),
        ("16777216T", 16 * 1024**4, "16?"),
        ("010", 10, "10"),
    ],
)
def test_spellings(text: str, mib: int, normal: str) -> None:
    assert memory.mebibytes(text) == mib
    assert memory.normal(mib) == normal


@pytest.mark.parametrize(
    "text",
    ["", "G", "16GiB", "16B", "1.5G", "-1", "1P", "16GBX", "1 ", "1 G", "0x10", "4N",
     "99999999999999999999"],
)  # fmt: skip
def test_what_is_no_amount(text: str) -> None:
    assert memory.mebibytes(text) is None


@given(st.integers(min_value=0, max_value=1024**4 - 1))
def test_the_normal_form_is_read_back(mib: int) -> None:
    assert memory.read_normal(memory.normal(mib)) == mib


@given(st.integers(min_value=1, max_value=1024**3), st.sampled_from(["", "M", "MB", "m"]))
def test_a_bare_number_is_megabytes(mib: int, unit: str) -> None:
    assert memory.mebibytes(f"{mib}{unit}") == mib
