"""Bad input: each gives one clear line, the documented exit code and no traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from res_federation.cli import main
from res_federation.cli.main import COMMANDS, execute

NOBODY = "127.0.0.1:1"
GOOD = "#!/bin/bash\n#SBATCH -N 1\ntrue\n"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    files = {
        "good.sh": GOOD.encode(),
        "no_shebang.sh": b"#SBATCH -N 1\necho hi\n",
        "empty.sh": b"",
        "binary.sh": b"\x7fELF\x00\x01\x02",
        "bad_time.sh": b"#!/bin/bash\n#SBATCH -t tomorrow\n",
        "bad_gres.sh": b"#!/bin/bash\n#SBATCH --gres=gpu:a100:many\n",
        "unknown_option.sh": b"#!/bin/bash\n#SBATCH --frobnicate=1\n",
        "dos.sh": b"#!/bin/bash\r\n#SBATCH -N 1\r\n",
        "lines.jsonl": b"not json\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "huge.sh").open("wb") as huge:
        huge.write(b"#!/bin/bash\n")
        huge.truncate(200 * 1024 * 1024)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "culprit"),
    [
        ("submit {0}/missing.sh", 2, "missing.sh"),
        ("submit {0}", 2, "directory"),
        ("submit {0}/huge.sh", 2, "200 MiB"),
        ("submit {0}/binary.sh", 2, "NUL"),
        ("submit {0}/empty.sh", 2, "script"),
        ("submit {0}/no_shebang.sh", 2, "script"),
        ("submit {0}/bad_time.sh", 2, "line 2"),
        ("submit {0}/bad_gres.sh", 2, "line 2"),
        ("submit {0}/unknown_option.sh", 2, "frobnicate"),
        ("submit {0}/dos.sh", 2, "line"),
        ("submit --frobnicate {0}/good.sh", 2, "frobnicate"),
        ("submit --nodes=many {0}/good.sh", 2, "--nodes"),
        ("submit --wrap= ", 2, "--wrap"),
        ("submit --wrap=true {0}/good.sh", 2, "--wrap"),
        ("submit --origin Barcelona! {0}/good.sh", 2, "--origin"),
        ("submit --input-size 5Q --input-site bsc {0}/good.sh", 2, "--input-size"),
        ("submit --input-size 5G {0}/good.sh", 2, "--input-site"),
        ("submit --broker nowhere {0}/good.sh", 2, "--broker"),
        ("submit", 2, "script"),
        ("queue --state SLEEPING", 2, "SLEEPING"),
        ("queue --bogus", 2, "--bogus"),
        ("show", 2, "JOB"),
        ("show not-an-id", 2, "not-an-id"),
        ("show 01ARZ3NDEKTSV4RRFFQ69G5FAL", 2, "01ARZ3NDEKTSV4RRFFQ69G5FAL"),
        ("cancel --task -1 01ARZ3NDEKTSV4RRFFQ69G5FAV", 2, "--task"),
        ("share 01ARZ3NDEKTSV4RRFFQ69G5FAV", 2, "--with"),
        ("share --with= 01ARZ3NDEKTSV4RRFFQ69G5FAV", 2, "nobody"),
        ("share --project Not! 01ARZ3NDEKTSV4RRFFQ69G5FAV --end", 2, "Not!"),
        ("wait --timeout soon 01ARZ3NDEKTSV4RRFFQ69G5FAV", 2, "--timeout"),
        ("output ../../etc/passwd", 2, "passwd"),
        ("explain 01", 2, "01"),
        ("site drain Barcelona!", 2, "barcelona!"),
        ("site frobnicate", 2, "frobnicate"),
        ("script read {0}/missing.sh", 2, "missing.sh"),
        ("script read --jsonl {0}/lines.jsonl", 2, "lines.jsonl:1"),
        ("script read --jsonl {0}/none.jsonl", 2, "none.jsonl"),
        ("demo --scripts {0}/none", 2, "none"),
        ("demo --jobs 0", 2, "--jobs"),
        ("bench submit --repeats 0", 2, "--repeats"),
        ("up --listen somewhere", 2, "somewhere"),
        ("frobnicate", 2, "frobnicate"),
        ("--frobnicate", 2, "--frobnicate"),
    ],
)
def test_bad_input_is_one_line_that_names_the_culprit(
    words: str,
    code: int,
    culprit: str,
    scripts: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.setenv("RESFED_BROKER", NOBODY)
    monkeypatch.setenv("RESFED_HOME", str(scripts / "home"))
    assert execute(words.format(scripts).split()) == code
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert len(lines) == 1, told.err
    assert lines[0].startswith("resfed: ")
    assert culprit.lower() in lines[0].lower()
    assert "Traceback" not in told.err + told.out


def test_a_broker_that_is_not_there_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("res_federation.cli.options.PATIENCE_S", 0.0)
    assert execute(["sites", "--broker", NOBODY]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert NOBODY in line
    assert "resfed up" in line


def test_a_fault_of_ours_is_one_line_and_names_the_way_to_a_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*names: str) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(main, "application", broken)
    assert execute(["queue"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in line
    assert "RESFED_TRACE=1" in line


def test_an_interrupt_is_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*names: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "application", interrupted)
    assert execute(["queue"]) == 130
    assert capsys.readouterr().err == "resfed: interrupted\n"


def test_the_first_failure_of_a_task_group_is_the_one_that_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from res_federation.errors import PermissionDenied

    def failing(*names: str) -> None:
        raise ExceptionGroup("tasks", [PermissionDenied("not yours")])

    monkeypatch.setattr(main, "application", failing)
    assert execute(["queue"]) == 4
    assert capsys.readouterr().err == "resfed: not yours\n"


COMMAND_LINES = [
    [],
    *([name] for name in COMMANDS),
    ["broker", "serve"],
    ["agent", "run"],
    ["site", "check"],
    ["site", "drain"],
    ["site", "resume"],
    ["script", "read"],
    ["bench", "submit"],
    *(["pool", word] for word in ("create", "list")),
    *(["project", word] for word in ("create", "list", "member", "members")),
    *(["grant", word] for word in ("create", "list", "show", "close", "import", "export")),
    *(["ledger", word] for word in ("show", "export", "compare", "import")),
    *(["exchange", word] for word in ("show", "record")),
    ["bench", "place"],
    ["bench", "slurm"],
    ["lab", "up"],
    ["site", "probe"],
    ["site", "discover", "slurm"],
    *(["audit", name] for name in ("show", "export", "head", "key", "verify")),
]


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_every_command_has_help_with_an_example(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*words, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Usage: resfed" in told
    bare = (["broker"], ["agent"], ["script"], ["trace"], ["bench"], ["lab"])
    assert words in bare or "Example: resfed" in told


def test_every_command_that_does_something_takes_json(capsys: pytest.CaptureFixture[str]) -> None:
    for words in COMMAND_LINES:
        execute([*words, "--help"])
        told = capsys.readouterr().out
        assert "--json" in told or "\nCommands:" in told, words


def test_a_plain_command_imports_nothing_heavy() -> None:
    heavy = ["ray", "numba", "numpy", "pydantic", "sqlalchemy", "networkx", "rich"]
    code = (
        "import sys; from res_federation.cli.main import application; application('queue');"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_reader_who_goes_away_is_no_failure(scripts: Path) -> None:
    script = scripts / "good.sh"
    words = [sys.executable, "-m", "res_federation.cli.main", "script", "read", str(script)]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(words, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_script_is_read_as_sbatch_lists_it(
    scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["script", "read", "--json", str(scripts / "good.sh")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"name", "refused", "found", "options", "warnings"}
    assert told["found"] == ["-N", "1"]
