"""Lists of hosts: counted, bounded, shortened."""

import pytest

from res_federation.errors import InvalidArgument
from res_federation.slurm import hostlist


@pytest.mark.parametrize(
    ("text", "many"),
    [
        ("n1", 1), ("a,b", 2), ("n1 n2", 2), ("n[1-3]", 3), ("n[01-03,7],m4", 5), ("n[1-3],n2", 3),
        ("n[1-3]x[1-2]", 6), ("n[1,3-]", 2), ("n]", 1), ("n[1", 1), ("a,,b,", 2), ("$N", 1),
    ],
)  # fmt: skip
def test_counts(text: str, many: int) -> None:
    assert len(hostlist.expand(text)) == many


@pytest.mark.parametrize("text", ["n[3-1]", "n[]", "n[a-b]", "n[1-3]_x", "n[1-999999999]",
                                  "n[1-60000]x[1-60000]", "n[1-60000],m[1-60000]"])  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        hostlist.expand(text)


def test_the_first_few_are_written_shortly() -> None:
    assert hostlist.first_of(["n1", "n2", "n3"], 2) == "n[1-2]"
    assert hostlist.first_of(["n01", "n02", "n03", "m4"], 2) == "m4,n01"
    assert hostlist.first_of(["n1", "n3", "b"], 3) == "b,n[1,3]"


def test_brackets_without_end_are_refused() -> None:
    assert hostlist.expand("[1]" * 20) == ["1" * 20]
    with pytest.raises(InvalidArgument):
        hostlist.expand("[1]" * 100_000)
