"""`resfed trace check`, as a planner calls it."""

import json
from pathlib import Path

import pytest

from res_federation.cli import main

LINES = """; MaxProcs: 10
1 0 -1 100 5 -1 -1 5 50 -1 1 3 1 1 1 1 -1 -1
2 40 -1 0 20 -1 -1 20 60 -1 1 4 1 1 1 1 -1 -1
3 100 -1 -1 1 -1 -1 1 60 -1 1 4 1 1 1 1 -1 -1
"""


@pytest.fixture
def trace(tmp_path: Path) -> str:
    file = tmp_path / "small.swf"
    file.write_text(LINES, encoding="ascii")
    return str(file)


def test_json(capsys, trace):
    assert main.execute(["trace", "check", trace, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["trace"], told["format"], told["processors"]) == ("small", "swf", 10)
    assert (told["read"], told["jobs"], told["span_s"]) == (3, 2, 40)
    assert told["dropped"] == {"run time below 0": 1}
    assert told["repaired"] == {"run time 0 becomes 1": 1, "estimate below run time: raised": 1}
    assert told["first_lines"]["run time below 0"] == 4
    assert told["load"] == pytest.approx(520 / 400)
    assert told["larger_than_machine"] == 1
    assert told["users"] == 2


def test_for_people(capsys, trace):
    assert main.execute(["trace", "check", trace]) == 0
    text = capsys.readouterr().out
    assert "small: swf, 2 of 3 job lines" in text
    assert "load 1.30 of 10 processors" in text
    assert "run time below 0" in text
    assert "larger than the machine: 1" in text


def test_first(capsys, trace):
    assert main.execute(["trace", "check", trace, "--first", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["read"], told["jobs"], told["load"]) == (1, 1, None)


def test_nothing_is_left(capsys, tmp_path):
    file = tmp_path / "none.swf"
    file.write_text("3 100 -1 -1 1 -1 -1 1 60 -1 1 4 1 1 1 1 -1 -1\n", encoding="ascii")
    assert main.execute(["trace", "check", str(file)]) == 0
    assert "0 of 1 job lines" in capsys.readouterr().out


def test_broken_input_leaves_with_2(capsys, tmp_path):
    assert main.execute(["trace", "check", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert "is a directory" in told.err
    assert not told.out
