"""Which words of a script are directives, and what sbatch makes of them.

The answers were made with sbatch 22.05.8 (``sbatch -vvv --test-only``).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.job import MAX_SCRIPT_BYTES
from res_federation.slurm import script_header
from res_federation.slurm.read_answer import answer


def directives(*lines: str) -> str:
    return "#!/bin/bash\n" + "".join(f"#SBATCH {line}\n" for line in lines) + "hostname\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('-J "a b"', ["-J", "a b"]),
        ('-J a"b c"d', ["-J", "ab cd"]),
        ("-J 'a\"b'", ["-J", 'a"b']),
        (r'-J "a\"b"', ["-J", 'a"b']),
        (r"-J 'a\'b'", ["-J", "a'b"]),
        ("-J a#b", ["-J", "a"]),
        ('-J "a#b"', ["-J", "a#b"]),
        (r"-J a\#b", ["-J", "a#b"]),
        ("-J a # b", ["-J", "a"]),
        ("#-J a", []),
        ("-J a\\", ["-J", "a"]),
        ('--job-name=""', ["--job-name="]),
        ("-J a\t-c\x0b2", ["-J", "a", "-c", "2"]),
        ("-J $HOME --comment=`x`", ["-J", "$HOME", "--comment=`x`"]),
        ("-J a\xa0b", ["-J", "a\xa0b"]),
        ("-J a hetjob -c 3", ["-J", "a"]),
        ('-J "hetjob" -c 3', ["-J", "hetjob", "-c", "3"]),
        (r"-J a \ -c 3", ["-J", "a"]),
    ],
)
def test_words_of_a_line(line: str, found: list[str]) -> None:
    header = script_header.read(directives(line))
    assert not header.refused
    assert list(header.found) == found


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("#!/bin/bash\n#SBATCH-c 3\n", ["-c", "3"]),
        ("#!/bin/bash\n#SBATCH -c 3", ["-c", "3"]),
        ("#!/bin/bash\n #SBATCH -c 3\n", []),
        ("#!/bin/bash\n##SBATCH -c 3\n", []),
        ("#!/bin/bash\n# SBATCH -c 3\n", []),
        ("#!/bin/bash\n#sbatch -c 3\n", []),
        ("#!/bin/bash\n\n \t\n# text\n#SBATCH -c 3\n", ["-c", "3"]),
        ("#!/bin/bash\nx=1\n#SBATCH -c 3\n", []),
        ("#!/bin/bash\n#SBATCH -c 3 \\\n#SBATCH -n 2\n", ["-c", "3", "-n", "2"]),
        ("#!/bin/bash\r#SBATCH -c 3\nx\n", []),
        ("#!\n#SBATCH -c 3\n", ["-c", "3"]),
        ("#!/bin/bash\n#SLURM -c 3\n", ["-c", "3"]),
        ("#!/bin/bash\n#SBATCH -n 1\n#SBATCH hetjob\n#SBATCH -n 2\n", ["-n", "1", "-n", "2"]),
    ],
)
def test_lines_of_a_script(script: str, found: list[str]) -> None:
    header = script_header.read(script)
    assert not header.refused
    assert list(header.found) == found


@pytest.mark.parametrize(
    ("script", "text", "place"),
    [
        ("", "empty", "script"),
        (" \n\n", "whitespace", "script"),
        ("echo\n", "#!", "script line 1"),
        (" #!/bin/bash\n", "#!", "script line 1"),
        ("\ufeff#!/bin/bash\n", "#!", "script line 1"),
        ("#!/bin/bash\n\ntrue\r\n", "DOS line breaks", "script line 3"),
        ("#!/bin/bash\n\0\n", "NULL", "script line 2"),
        (b"\x7fELF\x00\x01", "#!", "script line 1"),
        ("#!/bin/bash\n#SBATCHX -J a\n", "directive found in batch script: X", "script line 2"),
        (directives("-n 1", "-J a b"), "directive found in batch script: b", "script line 3"),
        (directives("-n 1", "--foo"), "unrecognized option '--foo'", "script line 3"),
        (directives("-n x"), 'Invalid numeric value "x" for --ntasks.', "script line 2, --ntasks"),
        (directives('-J "a'), 'Unmatched `"`', "script line 2"),
        (directives("-J a : -J b"), "Unexpected `:`", "script line 2"),
        (directives('-J ""'), "option requires an argument -- 'J'", "script line 2"),
        (directives("-t 1h"), "Invalid --time specification", "script line 2, --time"),
        (directives("--mem=1G", "--mem-per-cpu=1G"), "exclusive", "script line 3, --mem-per-cpu"),
        (directives("-w n[1-3]", "-N 2"), "number of nodes (-N 3-2)", "script line 3, --nodes"),
        (directives("-N 4-2"), "less than minimum node count 4", "script line 2, --nodes"),
        (directives("-w /etc/hosts"), "opening file", "script line 2, --nodelist"),
        (directives("-F hosts"), "--nodefile", "script line 2, --nodefile"),
    ],
)
def test_what_is_refused(script: str | bytes, text: str, place: str) -> None:
    header = script_header.read(script)
    assert text in header.refused
    assert header.refused_field == place
    assert header.options == {}


def test_a_script_that_is_too_large_is_refused_at_once() -> None:
    for script in ("#!/bin/sh\n" + "é" * (MAX_SCRIPT_BYTES // 2), b"#!" + b"x" * 200_000_000):
        assert "MiB" in script_header.read(script).refused
    fits = "#!/bin/sh\n#SBATCH -n 2\n" + "x" * (MAX_SCRIPT_BYTES - 40)
    assert script_header.read(fits).options == {"ntasks": "2"}


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("-t 90 --mem=16gb", {"time": "01:30:00", "mem": "16G"}),
        ("-t 0", {"time": "UNLIMITED"}),
        ("-N 2 -N 3", {"nodes": "3"}),
        ("-N 1k", {"nodes": "1024"}),
        ("-N 8 -n 4", {"nodes": "4", "ntasks": "4"}),
        ("-N 2-8 -n 4", {"nodes": "2-4", "ntasks": "4"}),
        ("-w n[1-3] -N 2-8", {"nodelist": "n[1-3]", "nodes": "3-8"}),
        ("-w n[1-3] -n 2", {"nodelist": "n[1-2]", "ntasks": "2"}),
        ("-o b -D c", {"chdir": "/srv/c", "output": "/srv/c/b"}),
        ("-o none -e /x/%j", {"output": "/dev/null", "error": "/x/%j"}),
        ("--gres=gpu:2,shard:1", {"gres": "gres:gpu:2,gres:shard:1"}),
        ("--mail-type=END --mail-type=begin", {"mail-type": "BEGIN,END"}),
        ("--mail-type=ALL", {"mail-type": "INVALID_DEPEND,BEGIN,END,FAIL,REQUEUE,STAGE_OUT"}),
        ("--signal=B:USR1@60 --signal=10@5", {"signal": "B:USR1@5"}),
        ("--requeue --no-requeue", {"requeue": "no-requeue", "no-requeue": "no-requeue"}),
        ("--exclusive -s", {"exclusive": "oversubscribe", "oversubscribe": "oversubscribe"}),
        ("--hint=nomultithread --ntasks-per-core=1", {"ntasks-per-core": "1"}),
        ("--hint=nomultithread --cores-per-socket=3",
         {"hint": "nomultithread", "cores-per-socket": "-2"}),
        ("-B 2:4 --threads-per-core=2", {"extra-node-info": "2:4:2", "threads-per-core": "2"}),
        ("--mincpus=2 -c 4", {"cpus-per-task": "4", "mincpus": "4"}),
        ("--switches=2@10 --switches=3", {"switches": "3@00:10:00"}),
        ("--get-user-env=L60", {"get-user-env": "0L"}),
        ("--nice --propagate", {"nice": "100", "propagate": "ALL"}),
        ("-m *:block,Pack", {"distribution": "block:block,pack"}),
        ("--open-mode=append --wait", {"open-mode": "a", "wait": "set"}),
        ("--profile=task,energy", {"profile": "Energy,Task"}),
        ("--begin=01/02/30-10:00", {"begin": "2030-01-02T10:00:00"}),
        ("--verbose --quiet --test-only --wrap=x", {}),
    ],
)  # fmt: skip
def test_normal_forms(line: str, options: dict[str, str]) -> None:
    header = script_header.read(directives(line), directory="/srv")
    assert header.refused == ""
    assert header.options == options


def test_command_line_over_environment_over_script() -> None:
    script = directives("-t 10 -p script -J script")
    header = script_header.read(
        script,
        environment={"SBATCH_TIMELIMIT": "20", "SBATCH_PARTITION": "env", "HOME": "/x"},
        arguments=["-p", "line"],
    )
    assert header.options == {"time": "00:20:00", "partition": "line", "job-name": "script"}
    assert dict(zip(dict(header.given), header.origins, strict=True)) == {
        "time": "environment SBATCH_TIMELIMIT",
        "partition": "command line",
        "job-name": "script line 2",
    }
    assert header.found == ("-t", "10", "-p", "script", "-J", "script")


def test_memory_of_the_environment_gives_way() -> None:
    environment = {"SBATCH_MEM_PER_CPU": "1G"}
    header = script_header.read(directives("--mem=4G"), environment=environment)
    assert header.options == {"mem": "4G"}
    header = script_header.read(directives("-n 1"), environment=environment)
    assert header.options == {"ntasks": "1", "mem-per-cpu": "1G"}


def test_errors_of_environment_and_command_line_say_where() -> None:
    header = script_header.read(directives(), environment={"SBATCH_TIMELIMIT": "x"})
    assert header.refused_field == "environment SBATCH_TIMELIMIT, --time"
    assert script_header.read(directives(), arguments=["--gres"]).refused_field == "command line"
    header = script_header.read(directives(), arguments=["-t", "x"])
    assert header.refused_field == "command line, --time"


def test_what_sbatch_overlooks_is_a_warning() -> None:
    script = "#!/bin/bash\n#PBS -l nodes=1\n#SBATCH -n 1\ntrue\n#SBATCH --gres=gpu:1\n"
    warnings = script_header.read(script).warnings
    assert any("script line 5" in text and "ignored" in text for text in warnings)
    assert any("#PBS" in text for text in warnings)
    assert any("#SLURM" in text for text in script_header.read("#!/bin/sh\n#SLURM -n 1").warnings)


def test_the_answer_is_plain_data() -> None:
    assert answer("a.sbatch", directives("-t 1"), "/srv") == {
        "name": "a.sbatch",
        "refused": "",
        "found": ["-t", "1"],
        "options": {"time": "00:01:00"},
        "warnings": [],
    }


_ALPHABET = st.sampled_from([*"-- =:,\"'\\#\t\n%[]0123456789abcNntJx", "#SBATCH ", "--mem", "é"])


@given(st.lists(_ALPHABET, max_size=60).map("".join))
def test_any_header_is_answered(text: str) -> None:
    header = script_header.read("#!/bin/bash\n#SBATCH " + text)
    assert not (header.refused and header.options)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_script_is_answered(script: str | bytes) -> None:
    script_header.read(script)


@pytest.mark.parametrize(
    ("value", "table"),
    [
        ("2:", "2"), ("2::3", "2:3"), ("1-3", "1"), ("2:*:4", "2:4"), ("", "unset"),
        ("0" * 30 + "12", "12"), ("2147483647", "2147483647"),
        (":2", None), ("3-x", None), ("2-", None), ("3-*", None), ("2147483648", None),
        ("9" * 5000, None),
    ],
)  # fmt: skip
def test_geometry_as_sbatch_22_05_answered(value: str, table: str | None) -> None:
    header = script_header.read(f'#!/bin/sh\n#SBATCH --extra-node-info="{value}"\n')
    assert header.options.get("extra-node-info") == table
    assert bool(header.refused) == (table is None)


def test_half_of_a_pair_of_utf_16_is_no_text() -> None:
    header = script_header.read("#!/bin/sh\n# \ud800\n")
    assert header.refused_field == "script line 2"
