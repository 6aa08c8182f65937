"""getopt's way with sbatch's options."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.slurm import treatment
from res_federation.slurm.options import BY_NAME, LATER_OPTIONS, OPTIONS, read_words


def words(text: str) -> list[tuple[str, str]]:
    return [(option.name, value) for option, value, _ in read_words(text.split(), "leftover")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-c16", [("cpus-per-task", "16")]),
        ("-c 16", [("cpus-per-task", "16")]),
        ("-c=16", [("cpus-per-task", "=16")]),
        ("--cpus-per-task=16", [("cpus-per-task", "16")]),
        ("--cpus-per-task 16", [("cpus-per-task", "16")]),
        ("--cpus-per-t 16", [("cpus-per-task", "16")]),
        ("-Hn2", [("hold", ""), ("ntasks", "2")]),
        ("--exclusive", [("exclusive", "")]),
        ("--exclusive=user", [("exclusive", "user")]),
        ("-koff", [("no-kill", "off")]),
        ("--tasks-per-node=4", [("ntasks-per-node", "4")]),
        ("--tasks 4", [("ntasks-per-node", "4")]),
        ("-p x --", [("partition", "x")]),
        ("--mem=a=b", [("mem", "a=b")]),
    ],
)
def test_spellings(text: str, expected: list[tuple[str, str]]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--foo", "unrecognized option '--foo'"),
        ("--image=x", "unrecognized option '--image=x'"),
        ("-j", "invalid option -- 'j'"),
        ("--tim=1", "option '--tim=1' is ambiguous; possibilities: '--time' '--time-min'"),
        ("--mem", "option '--mem' requires an argument"),
        ("-c", "option requires an argument -- 'c'"),
        ("--hold=3", "option '--hold' doesn't allow an argument"),
        ("-n 1 foo -c 2", "leftover: foo"),
        ("-k off", "leftover: off"),
        ("-- foo", "leftover: foo"),
        ("-", "leftover: -"),
        ("foo --bar", "unrecognized option '--bar'"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        words(text)
    assert caught.value.message == message


def test_an_option_of_a_later_release_says_so() -> None:
    with pytest.raises(InvalidArgument, match="unrecognized") as caught:
        words("--tres-per-task=cpu:1")
    assert "23.11" in caught.value.way_out
    assert not LATER_OPTIONS.keys() & BY_NAME.keys()


def test_no_option_is_dropped() -> None:
    """Each option of sbatch is understood, kept with a note, a hint, mail, or refused by name."""
    treated = (
        treatment.UNDERSTOOD | treatment.KEPT | treatment.CLIENT_ONLY
        | set(treatment.SITE_WORDS) | treatment._REFUSED.keys()
        | {"mail-type", "mail-user", "nodefile"}
    )  # fmt: skip
    assert {option.name for option in OPTIONS} == treated


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_words_are_answered(given_words: list[str]) -> None:
    with contextlib.suppress(InvalidArgument):
        for option, _, at in read_words(given_words, "leftover"):
            assert option in OPTIONS
            assert given_words[at].startswith("-")
