"""Nothing in the repository belongs to one machine, one registry or one person."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

import pytest

from tests.architecture.tree import GENERATED, files, text

# Spelled so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.~}*-])/(?:wor[k]|roo[t]|hom[e]/\w+|tm[p]/\w+)/")
REGISTRY = re.compile(
    r"index-ur[l]|/simpl[e]/|pypi\.or[g]|files\.pythonhoste[d]|registry\.npmj[s]|proxy\.golan[g]"
)
MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}")

# Lines of user scripts show what users write: their paths are the point, and no machine of ours.
USERS_WORDS = {".sbatch", ".sh", ".slurm"}
LEFT_OPEN = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b|NotImplemented[E]rror")


def lines(pattern: re.Pattern[str], *, skip: AbstractSet[str] = frozenset()) -> list[str]:
    """Return every line of the tree that has the pattern, as file:line: text."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path in files()
        if path.suffix not in skip and path.name != "LICENSE"
        if not path.is_relative_to(GENERATED)
        for number, line in enumerate((text(path) or "").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_one_machine():
    assert lines(MACHINE, skip=USERS_WORDS) == []


def test_no_address_of_a_package_registry():
    assert lines(REGISTRY) == []


def test_no_mail_address():
    assert lines(MAIL) == []


def test_nothing_is_left_open():
    assert lines(LEFT_OPEN) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE, "open('/wor" + "k/main/x')"),
        (MACHINE, "cd /tm" + "p/scratch/x"),
        (REGISTRY, "pip install --index-ur" + "l http://x"),
        (MAIL, "#SBATCH --mail-user=someone" + "@example.org"),
        (LEFT_OPEN, "# TOD" + "O later"),
    ],
)
def test_each_pattern_finds_what_it_is_for(pattern, line):
    assert pattern.search(line)
