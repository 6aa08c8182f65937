"""The bash wrapper as Slurm would start it: real bash, real files, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from res_federation.agent.fences import Fence
from res_federation.agent.slurm.wrapper import batch_file, shell_signal
from res_federation.model.identifiers import RunToken
from tests.agent.patience import PATIENCE_S, comes_about
from tests.strategies import examples

TOKEN = RunToken("01J0000000000000000000000A-1")
SCRIPT = "#!/bin/bash\n#SBATCH --time=5\n"


class Run:
    """A run's directory as the agent prepares it."""

    def __init__(self, state: Path, body: str, *, header: str = SCRIPT, tasks: str = "",
                 repeat: bool = False, patience_s: int = 5,
                 arguments: Sequence[str] = ()) -> None:  # fmt: skip
        self.path = state / "runs" / TOKEN
        (self.path / "work").mkdir(parents=True)
        (state / "bell").mkdir()
        self.bell = state / "bell"
        self.fence = Fence(self.path)
        script = f"{header}{body}\n"
        (self.path / "script").write_text(script)
        (self.path / "script").chmod(0o700)
        text = batch_file(
            script, run=self.path, token=TOKEN, name="it's a \"name\"\n#SBATCH --hold",
            site="here", partition="here/c/p", tasks=tasks, repeat=repeat, patience_s=patience_s,
            arguments=arguments,
        )  # fmt: skip
        (self.path / "batch").write_text(text)
        (self.path / "batch").chmod(0o700)
        self.lease(time.time() + 60)

    def lease(self, until: float) -> None:
        (self.path / "lease").write_text(f"{until:.3f}\n")

    def start(
        self, *arguments: str, place: int | None = None, **more: str
    ) -> subprocess.Popen[str]:
        environment = {"PATH": os.environ["PATH"], "SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n1",
                       "rf_run": "/nowhere", "hit": "theirs", **more}  # fmt: skip
        if place is not None:
            environment["SLURM_ARRAY_TASK_ID"] = str(place)
        return subprocess.Popen(
            [str(self.path / "batch"), *arguments], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def to_the_end(
        self, *arguments: str, place: int | None = None, **more: str
    ) -> tuple[int, str, str]:
        process = self.start(*arguments, place=place, **more)
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out, err


def until(condition: Callable[[], object]) -> None:
    comes_about(condition)


def test_the_payload_gets_its_arguments_and_its_end_is_written(tmp_path: Path):
    body = 'echo "$PWD|$1|$2|$SLURM_JOB_NAME|$RESFED_RUN|$hit|${rf_task-none}"; exit 7'
    run = Run(tmp_path, body, arguments=("a b", "$(false)"))
    code, out, err = run.to_the_end()
    assert (code, err) == (7, "")
    name = 'it\'s a "name" #SBATCH --hold'
    assert out == f"{run.path}/work|a b|$(false)|{name}|{TOKEN}|theirs|none\n"
    over = run.fence.exit("batch")
    assert over is not None
    assert (over.cause, over.code, over.asked_to_end) == ("exit", 7, False)
    mark = run.fence.begun("batch")
    assert mark is not None
    assert (mark.number, mark.nodes) == ("17", "n1")
    assert [each.name for each in run.bell.iterdir()] == [f"{TOKEN}.batch"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=4))
@settings(max_examples=examples(20), deadline=None)
@example([":", "--hold", "\r", "\n#SBATCH --hold\n", "", "*", "$(false)", "'", "\\"])
def test_arguments_arrive_as_they_are(words: list[str]):
    with TemporaryDirectory() as place:
        run = Run(Path(place), "printf '%s\\0' \"$@\" > ../words", arguments=words)
        code, _, err = run.to_the_end()
        assert (code, err) == (0, "")
        said = (run.path / "words").read_bytes().decode().split("\0")
        assert said[:-1] == (words or [""])


@pytest.mark.parametrize(
    "exported",
    [
        {"BASH_ENV": "$(touch {0}/commanded)"},
        {"ENV": "$(touch {0}/commanded)"},
        {"SHELLOPTS": "xtrace", "PS4": "$(touch {0}/commanded)"},
        {"CDPATH": "{0}/elsewhere"},
        {"BASH_FUNC_cd%%": "() {{ touch {0}/commanded; }}"},
        {"BASH_FUNC_printf%%": "() {{ touch {0}/commanded; }}"},
        {"IFS": "x", "GLOBIGNORE": "*", "POSIXLY_CORRECT": "1", "TMOUT": "1"},
        {"rf_task": "../../x", "rf_forward": "USR1", "rf_tasks": "/etc/passwd"},
    ],
    ids=" ".join,
)
def test_what_a_user_exports_commands_nothing_before_the_payload(tmp_path: Path, exported):
    """A variable is text: bash runs what stands in some, in a shell that is not told better."""
    (tmp_path / "elsewhere" / "work").mkdir(parents=True)
    variables = {name: value.format(tmp_path) for name, value in exported.items()}
    body = 'echo "$PWD"; ' + "; ".join(f"printenv '{name}' || true" for name in exported)
    run = Run(
        tmp_path, body.replace("\n", ""), header="#!/bin/dash\n" if "ENV" in exported else SCRIPT
    )
    run.fence.cancel_all()
    assert run.to_the_end(**variables)[0] == 75
    assert not (tmp_path / "commanded").exists()
    (run.path / "cancel").unlink()
    (run.path / "exit.batch").unlink()
    code, out, _ = run.to_the_end(**variables)
    assert code == 0
    assert out.startswith(f"{run.path}/work\n")
    assert run.to_the_end(**variables)[0] == 75
    assert run.fence.again("batch")


def test_a_second_start_never_begins_the_payload_again(tmp_path: Path):
    run = Run(tmp_path, "echo once >> ../count")
    racing = [run.start() for _ in range(8)]
    codes = sorted(process.wait(timeout=PATIENCE_S) for process in racing)
    for process in racing:
        process.communicate()
    assert codes == [0] + [75] * 7
    assert (run.path / "count").read_text() == "once\n"
    assert run.fence.again("batch")


def test_a_user_who_allows_it_gets_it_again(tmp_path: Path):
    run = Run(tmp_path, "echo once >> ../count; exit 3", repeat=True)
    assert [run.to_the_end()[0], run.to_the_end()[0]] == [3, 3]
    assert (run.path / "count").read_text() == "once\nonce\n"


@pytest.mark.parametrize(
    ("prepare", "cause"),
    [
        (lambda run: run.lease(time.time() - 5), "lease-expired"),
        (lambda run: (run.path / "lease").unlink(), "lease-expired"),
        (lambda run: run.fence.cancel_all(), "cancelled"),
        (lambda run: run.fence.cancel("batch"), "cancelled"),
        (lambda run: run.fence.withdraw(), "cancelled"),
        (lambda run: (run.path / "work").rmdir(), "failed"),
    ],
)
def test_what_may_not_begin_does_not_and_says_why(tmp_path: Path, prepare, cause: str):
    run = Run(tmp_path, "touch ../began")
    prepare(run)
    code, _, err = run.to_the_end()
    assert code == 75
    assert "did not begin" in err
    over = run.fence.exit("batch")
    assert over is not None
    assert (over.cause, over.started) == (cause, None)
    assert not (run.path / "began").exists()
    assert run.fence.unbegun()


def test_a_fenced_payload_asks_and_waits_for_the_word(tmp_path: Path):
    run = Run(tmp_path, "touch ../began")
    assert run.fence.put_up()
    assert not run.fence.asking()
    process = run.start()
    until(run.fence.asking)
    assert run.fence.unbegun()
    assert process.poll() is None
    assert not (run.path / "began").exists()
    run.fence.let_begin()
    assert process.wait(timeout=PATIENCE_S) == 0
    process.communicate()
    assert (run.path / "began").exists()
    assert not run.fence.unbegun()


def test_one_killed_at_the_fence_leaves_the_payload_to_the_next(tmp_path: Path):
    run = Run(tmp_path, "touch ../began")
    run.fence.put_up()
    first = run.start()
    until(run.fence.asking)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    run.fence.let_begin()
    assert run.to_the_end()[0] == 0  # Slurm starts it again, as after a restart of its controller
    assert (run.path / "began").exists()


def test_a_fence_that_was_open_proves_nothing_of_one_that_asked(tmp_path: Path):
    run = Run(tmp_path, "touch ../began")
    run.fence.put_up()
    first = run.start()
    until(run.fence.asking)
    first.send_signal(signal.SIGSTOP)  # it may have read anything by now
    run.fence.let_begin()
    assert not run.fence.withdraw()
    assert run.fence.word() == "go"
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=PATIENCE_S) == 0
    first.communicate()
    assert (run.path / "began").exists()


def test_a_run_that_was_let_and_has_no_wrapper_can_be_withdrawn(tmp_path: Path):
    run = Run(tmp_path, "touch ../began")
    run.fence.put_up()
    run.fence.let_begin()
    assert run.fence.withdraw()
    assert run.to_the_end()[0] == 75
    assert not (run.path / "began").exists()


def test_nobody_answers_and_the_payload_does_not_begin(tmp_path: Path):
    run = Run(tmp_path, "touch ../began", patience_s=1)
    run.fence.put_up()
    assert run.to_the_end()[0] == 75
    over = run.fence.exit("batch")
    assert over is not None
    assert over.cause == "unanswered"
    assert not (run.path / "began").exists()


def test_withdrawing_and_beginning_at_once_has_one_outcome(tmp_path: Path):
    for turn in range(25):
        run = Run(tmp_path / str(turn), "touch ../began", patience_s=2)
        withdrawn: list[bool] = []
        process = run.start()
        time.sleep(turn * 0.0004)
        thread = threading.Thread(target=lambda: withdrawn.append(run.fence.withdraw()))  # noqa: B023
        thread.start()
        thread.join()
        process.communicate(timeout=PATIENCE_S)
        assert withdrawn[0] != (run.path / "began").exists(), "never both, never neither"


def test_the_end_is_written_when_slurm_asks_all_to_end(tmp_path: Path):
    run = Run(
        tmp_path, "trap 'echo bye; exit 9' TERM; touch ../began; sleep 20 > /dev/null 2>&1 & wait"
    )
    process = run.start()
    until((run.path / "began").exists)
    os.killpg(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (9, "bye\n")
    over = run.fence.exit("batch")
    assert over is not None
    assert (over.code, over.asked_to_end) == (9, True)


@pytest.mark.parametrize("name", ["USR1", "INT", "TERM"])
def test_a_signal_for_the_batch_shell_reaches_the_users_shell(tmp_path: Path, name: str):
    header = f"#!/bin/bash\n#SBATCH --signal=B:SIG{name}@60\n"
    body = f"trap 'echo got; exit 4' {name}; touch ../began; sleep 20 > /dev/null 2>&1 & wait"
    run = Run(tmp_path, body, header=header)
    process = run.start()
    until((run.path / "began").exists)
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (4, "got\n")


def test_a_piece_of_a_long_array_counts_as_its_user_does(tmp_path: Path):
    body = 'echo "$SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MAX"'
    run = Run(tmp_path, body, tasks="tasks.2")
    (run.path / "tasks.2").write_text("2000\n2007\n2014\n")
    (run.path / "array").write_text("3000 0 20993\n")
    code, out, _ = run.to_the_end(place=1)
    assert (code, out) == (0, "")
    assert (run.path / "out.2007").read_text() == "2007 3000 20993\n"
    assert run.fence.exit("2007") is not None


def test_where_the_directory_is_gone_nothing_begins(tmp_path: Path):
    run = Run(tmp_path, "true")
    batch = tmp_path / "batch"
    (run.path / "batch").rename(batch)
    run.path.rename(tmp_path / "elsewhere")
    done = subprocess.run(["/bin/bash", str(batch)], capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert "nothing began" in done.stderr


def test_only_the_signal_of_the_batch_shell_is_forwarded():
    assert shell_signal("B:USR1@90") == "USR1"
    assert shell_signal("RB:SIGTERM") == "TERM"
    assert shell_signal("BR:10") == "10"
    assert shell_signal("USR1@60") == ""
    assert shell_signal("B:$(x)") == ""
