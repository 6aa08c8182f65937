"""``srun`` of the embedded batch system: starts the tasks of a job step on this machine.

A program of its own (standard library only); reads what it needs from the ``SLURM_*`` variables
that the job has.  At most RESFED_SRUN_PARALLEL tasks (default 16) run at the same time.
"""

import os
import signal
import sys
from collections.abc import Sequence

PARALLEL = 16
_NUMBERS = {"-n": "ntasks", "--ntasks": "ntasks", "-N": "nodes", "--nodes": "nodes",
            "-c": "cpus", "--cpus-per-task": "cpus", "--ntasks-per-node": "per_node"}  # fmt: skip
_FILES = {"-o": "output", "--output": "output", "-e": "error", "--error": "error"}
_DIRECTORY = ("-D", "--chdir")
_IGNORED_WITH_VALUE = frozenset(  # words in a row read better than a list of 60 lines
    "-A --account -B --extra-node-info -C --constraint -G --gpus -i --input -J --job-name "
    "-K --kill-on-bad-exit -L --licenses -m --distribution -M --clusters "
    "-p --partition -q --qos -r --relative -t --time -T --threads -w --nodelist -W --wait "
    "-x --exclude --accel-bind --bcast --cores-per-socket --cpu-bind --cpu-freq --cpus-per-gpu "
    "--export --gpu-bind --gpu-freq --gpus-per-node --gpus-per-socket --gpus-per-task --gres "
    "--gres-flags --hint --jobid --mem --mem-bind --mem-per-cpu --mem-per-gpu --mpi --network "
    "--ntasks-per-core --ntasks-per-gpu --ntasks-per-socket --profile --propagate --signal "
    "--sockets-per-node --threads-per-core --tres-bind --tres-per-task".split()
)
_IGNORED_FLAGS = frozenset(
    "-E --preserve-env -H --hold -k --no-kill -l --label -O --overcommit -Q --quiet -s "
    "--oversubscribe -u --unbuffered -v --verbose -vv -vvv -X --disable-status -Z --no-allocate "
    "--contiguous --exact --exclusive --overlap --pty --resv-ports --spread-job --use-min-nodes "
    "--whole".split()
)
_OPTIONAL_VALUE = frozenset(("--exclusive", "--kill-on-bad-exit", "--resv-ports", "-K"))


def say(text: str) -> None:
    """Write one line for people."""
    os.write(2, f"srun: {text}\n".encode(errors="surrogateescape"))


def split(argument: str) -> tuple[str, str | None]:
    """Split ``--name=value`` and ``-n4`` into name and value."""
    if argument.startswith("--"):
        name, equals, value = argument.partition("=")
        return name, value if equals else None
    if argument in _IGNORED_FLAGS:
        return argument, None
    return argument[:2], argument[2:] or None


def read_options(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options that count, by our name, and the command that follows them."""
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        argument = rest.pop(0)
        if argument == "--":
            break
        name, value = split(argument)
        if name in _IGNORED_FLAGS or name in _OPTIONAL_VALUE:
            continue
        known = _NUMBERS.get(name) or _FILES.get(name) or ("chdir" if name in _DIRECTORY else "")
        if known or name in _IGNORED_WITH_VALUE:
            if value is None and rest:
                value = rest.pop(0)
            if known:
                options[known] = value or ""
        else:
            say(f"option '{argument}' is not known here and ignored")
    return options, rest


def number(options: dict[str, str], key: str, default: int) -> int:
    """Return an option as a number (the lower bound of a range), or end with a clear line."""
    text = options.get(key, str(default))
    try:
        return max(1, int(text.partition("-")[0]))
    except ValueError:
        say(f"error: '{text}' is not a number of {key}")
        os._exit(1)


def from_job(name: str, default: int) -> int:
    """Return a number that the job was given."""
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() and int(text) else default


class Step:
    """The tasks of one step."""

    def __init__(self, options: dict[str, str], command: list[str]) -> None:
        """Work out how many tasks there are, and on how many nodes they count as standing."""
        self.command = command
        self.options = options
        self.nodes = number(options, "nodes", from_job("SLURM_NNODES", 1))
        tasks = from_job("SLURM_NTASKS", 1)
        if "per_node" in options:
            tasks = self.nodes * number(options, "per_node", 1)
        self.tasks = self.count = number(options, "ntasks", tasks)
        self.nodes = min(self.nodes, self.tasks)
        self.per_node = -(-self.tasks // self.nodes)
        self.running: dict[int, int] = {}

    def environment(self, rank: int) -> dict[str, str]:
        """Return what task *rank* sees."""
        node, local = divmod(rank, self.per_node)
        variables = dict(os.environ)
        variables |= {
            "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(local), "SLURM_NODEID": str(node),
            "SLURM_NTASKS": str(self.count), "SLURM_NPROCS": str(self.count),
            "SLURM_STEP_ID": "0", "SLURM_STEPID": "0",
            "SLURM_STEP_NUM_TASKS": str(self.count), "SLURM_STEP_NUM_NODES": str(self.nodes),
            "SLURM_STEP_TASKS_PER_NODE": f"{self.per_node}(x{self.nodes})",
            "SLURM_TASK_PID": str(os.getpid()),
        }  # fmt: skip
        if "cpus" in self.options:
            variables["SLURM_CPUS_PER_TASK"] = self.options["cpus"]
        return variables

    def file_actions(self, rank: int) -> list[tuple[int, ...] | tuple[int, int, str, int, int]]:
        """Return where a task's output goes: the job's own, or the step's ``--output``."""
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = []
        for key, descriptor in (("output", 1), ("error", 2)):
            if key in self.options:
                name = self.file_name(self.options[key], rank)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                actions.append((os.POSIX_SPAWN_OPEN, descriptor, name, flags, 0o644))
        if "output" in self.options and "error" not in self.options:
            actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
        return actions

    def file_name(self, pattern: str, rank: int) -> str:
        """Expand srun's patterns; the user's own process opens the file."""
        job = os.environ.get("SLURM_JOB_ID", "0")
        for field, value in (
            ("%j", job), ("%J", f"{job}.0"), ("%t", str(rank)), ("%s", "0"),
            ("%n", str(rank // self.per_node)), ("%x", os.environ.get("SLURM_JOB_NAME", "")),
            ("%A", os.environ.get("SLURM_ARRAY_JOB_ID", job)),
            ("%a", os.environ.get("SLURM_ARRAY_TASK_ID", "0")),
        ):  # fmt: skip
            pattern = pattern.replace(field, value)
        return pattern

    def start(self, rank: int) -> int:
        """Start one task; return 0, or the exit code if it cannot start."""
        try:
            pid = os.posix_spawnp(
                self.command[0],
                self.command,
                self.environment(rank),
                file_actions=self.file_actions(rank),
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
        except OSError as error:
            say(f"error: execve(): {self.command[0]}: {error.strerror}")
            return 2
        self.running[pid] = rank
        return 0

    def run(self, parallel: int) -> int:
        """Run all tasks; return the highest exit code."""
        worst = rank = 0
        while rank < self.tasks or self.running:
            while rank < self.tasks and len(self.running) < parallel:
                failed = self.start(rank)
                if failed:
                    worst, self.tasks = max(worst, failed), 0
                    break
                rank += 1
            if not self.running:
                break
            pid, status = os.wait()
            task = self.running.pop(pid, None)
            if task is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            if code:
                say(f"error: task {task}: {'exit code' if code > 0 else 'signal'} {abs(code)}")
            worst = max(worst, code if code >= 0 else 128 - code)
        return worst

    def forward(self, signum: int, _frame: object) -> None:
        """Pass a signal on to the tasks; after a request to end no more of them start."""
        if signum in (signal.SIGTERM, signal.SIGINT):
            self.tasks = 0
        for pid in self.running:
            try:
                os.kill(pid, signum)
            except OSError:
                continue  # it ended meanwhile


def main(arguments: Sequence[str]) -> int:
    """Run ``srun ARGUMENTS``; return its exit code."""
    options, command = read_options(arguments)
    if not command:
        say("fatal: No command given to execute.")
        return 1
    if "chdir" in options:
        os.chdir(options["chdir"])
    step = Step(options, command)
    parallel = from_job("RESFED_SRUN_PARALLEL", PARALLEL)
    if step.tasks > parallel:
        say(f"{step.tasks} tasks run {parallel} at a time on this machine")
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(each, step.forward)
    return step.run(parallel)


if __name__ == "__main__":
    try:
        os._exit(main(sys.argv[1:]))
    except OSError as problem:
        say(f"error: {problem}")
        os._exit(1)
