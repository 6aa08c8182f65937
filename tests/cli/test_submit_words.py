from __future__ import annotations

import pytest

from res_federation.cli.submit_words import read
from res_federation.errors import InvalidArgument


def test_what_follows_the_script_belongs_to_it() -> None:
    told = read(["-N", "2", "-c4", "--mem", "4G", "--json", "train.sh", "--epochs", "3", "--json"])
    assert told.sbatch == ["-N", "2", "-c4", "--mem", "4G"]
    assert told.script == "train.sh"
    assert told.arguments == ["--epochs", "3", "--json"]
    assert told.own == {"json": ""}


@pytest.mark.parametrize(
    ("words", "sbatch"),
    [
        (["-N", "2", "x"], ["-N", "2"]),
        (["-N2", "x"], ["-N2"]),
        (["-HN", "2", "x"], ["-HN", "2"]),
        (["-H", "x"], ["-H"]),
        (["--exclusive", "x"], ["--exclusive"]),
        (["--nodes=2", "x"], ["--nodes=2"]),
        (["--part", "gpu", "x"], ["--part", "gpu"]),
        (["-k", "x"], ["-k"]),
        (["--gres", "gpu:2", "x"], ["--gres", "gpu:2"]),
        (["--no-such-option", "x"], ["--no-such-option"]),
        (["--", "x"], []),
    ],
)
def test_a_value_is_told_from_the_script_as_getopt_does(
    words: list[str], sbatch: list[str]
) -> None:
    told = read(words)
    assert (told.sbatch, told.script) == (sbatch, "x")


def test_a_command_line_needs_no_script() -> None:
    told = read(["-t", "5", "--wrap", "echo hi", "-W"])
    assert told.own == {"wrap": "echo hi", "wait": ""}
    assert told.script is None


def test_a_dash_is_standard_input_and_not_an_option() -> None:
    assert read(["-n", "1", "-"]).script == "-"


@pytest.mark.parametrize("words", [["--wrap"], ["--origin"], ["--json=yes", "x"]])
def test_our_own_options_are_checked(words: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        read(words)
