"""The wrapper around one payload: begins it at most once, bounds its time, writes how it ended.

Runs as a program of its own (``python -I -S payload.py DIRECTORY TASK [UID GID GROUPS]``), so that
it outlives the agent, and imports little, because it stands before every task.  Started by root
with an account, it becomes that first.  Everything it knows is in the run's directory:

- ``launch.TASK``: NUL-separated pairs ``limit``, ``grace``, ``argument`` (each), ``env`` (each);
- ``lease``: UTC seconds until which a payload may begin;
- ``cancel``, ``cancel.TASK``: the task must not begin, and ends if it runs;
- ``begun.TASK``: the start-once mark with who took it: its owner alone decides what happens;
- ``exit.TASK``: one JSON object, complete as soon as it exists.
"""

import os
import signal
import sys
import time

DONE = 0
ANOTHER_HAS_IT = 75
"""Exit status when the start-once mark was there already."""
_WATCHED = (signal.SIGTERM, signal.SIGCHLD)


def utc() -> float:
    """Return UTC seconds."""
    return time.time()  # noqa: TID251 - a program of its own, on a compute node


def process_start(pid: int) -> str:
    """Return when a process began, in the kernel's ticks: with the pid it names one process."""
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib costs 5 ms of start
        return file.read().rpartition(b")")[2].split()[19].decode()


def boot() -> str:
    """Return the identifier of this boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123 - as above
        return file.read().strip()


def read_launch(task: str) -> dict[str, list[bytes]]:
    """Read ``launch.TASK``: each key with its values in order."""
    with open(f"launch.{task}", "rb") as file:  # noqa: PTH123 - as above
        parts = file.read().split(b"\0")
    launch: dict[str, list[bytes]] = {}
    for key, value in zip(parts[0::2], parts[1::2], strict=False):
        launch.setdefault(key.decode(), []).append(value)
    return launch


def write_flushed(name: str, text: str) -> None:
    """Write a file and push it to the disk."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_directory() -> None:
    """Push the names in the run's directory to the disk."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_exit(task: str, cause: str, status: int = 0, started: float | None = None) -> None:
    """Write ``exit.TASK``; *started* None says that the payload never began."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = 128 + number if number else os.WEXITSTATUS(status)
    began = "null" if started is None else f"{started:.3f}"
    name = f".exit.{task}.{os.getpid()}"
    write_flushed(
        name,
        f'{{"cause": "{cause}", "exit_code": {code}, "signal": {number}, '
        f'"started": {began}, "ended": {utc():.3f}}}\n',
    )
    os.rename(name, f"exit.{task}")  # noqa: PTH104 - as above
    flush_directory()


def cancelled(task: str) -> bool:
    """Tell whether somebody asked that this task must not run."""
    return os.path.exists("cancel") or os.path.exists(f"cancel.{task}")  # noqa: PTH110 - as above


def may_begin(task: str) -> bool:
    """Tell whether the lease still runs, or another task of the array holds the run here."""
    try:
        with open("lease") as file:  # noqa: PTH123 - as above
            if utc() <= float(file.read()):
                return True
    except (OSError, ValueError):
        pass  # no lease that can be read is no lease
    return task != "batch" and any(name.startswith("out.") for name in os.listdir("."))  # noqa: PTH208 - as above


def take_mark(task: str, started: float) -> bool:
    """Take the start-once mark; False if it was taken before. It appears with its content."""
    me = os.getpid()
    name = f".begun.{task}.{me}"
    write_flushed(name, f"{me} {process_start(me)} {boot()} {started:.3f}\n")
    try:
        os.link(name, f"begun.{task}", follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        os.unlink(name)  # noqa: PTH108 - as above
    flush_directory()
    return True


def become(task: str, launch: dict[str, list[bytes]]) -> None:
    """Turn this (forked) process into the payload; never returns."""
    try:
        os.setpgid(0, 0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        os.dup2(os.open(f"out.{task}", flags, 0o600), 1)
        os.dup2(os.open(f"err.{task}", flags, 0o600), 2)
        script = os.path.abspath("script")  # noqa: PTH100 - as above
        os.chdir("work")
        for each in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these; a payload must not
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        environment = dict(item.split(b"=", 1) for item in launch.get("env", []))
        arguments = [script.encode(), *launch.get("argument", [])]
        for pause in (0.01, 0.05, 0.2, 0.5, 0.0):
            try:
                os.execve(script, arguments, environment)  # noqa: S606 - what this program is for
            except OSError as error:
                if error.errno != 26 or not pause:  # ETXTBSY: a fork elsewhere holds it a moment
                    raise
                time.sleep(pause)
    except BaseException as error:  # noqa: BLE001 - whatever it is, a forked child must not return
        text = getattr(error, "strerror", None) or str(error)
        number = getattr(error, "errno", 0)
        hint = {2: " (the interpreter in its first line)", 8: " (its first line is no '#!')"}
        text += hint.get(number, "")
        os.write(2, f"resfed: cannot start the script: {text}\n".encode())
    finally:
        os._exit(126)


def end_session() -> None:
    """Kill every process of this session but this one: background groups too."""
    me = os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if name.isdigit() and int(name) != me:
            try:
                if os.getsid(int(name)) == me:
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue  # it ended meanwhile


def signal_group(group: int, number: int) -> None:
    """Send a signal to the payload's process group, if anybody is left in it."""
    try:  # noqa: SIM105 - contextlib costs start time
        os.killpg(group, number)
    except OSError:
        pass


def watch(child: int, limit_s: float, grace_s: float) -> tuple[str, int]:
    """Wait for the payload, end it when its time is up; return the cause and the wait status."""
    cause, due, warned = "exit", time.monotonic() + limit_s, False
    while True:
        news = signal.sigtimedwait(_WATCHED, max(0.0, due - time.monotonic()))
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            # the zombie keeps its number, so the group is surely the payload's
            signal_group(child, signal.SIGKILL)
            return cause, os.waitpid(child, 0)[1]
        asked = news is not None and news.si_signo == signal.SIGTERM
        if (asked or news is None) and not warned:
            cause, warned = ("cancelled" if asked else "time-limit"), True
            due = time.monotonic() + grace_s
            signal_group(child, signal.SIGTERM)
            signal_group(child, signal.SIGCONT)
        elif news is None:
            end_session()
            due = time.monotonic() + 1.0


def run(directory: str, task: str) -> int:
    """Run one task to its end; return the exit status of the wrapper, not of the payload."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    os.chdir(directory)
    launch = read_launch(task)
    started = utc()
    # the mark comes first: whoever has it decides alone, so no two wrappers can disagree
    if not take_mark(task, started):
        return ANOTHER_HAS_IT
    if cancelled(task):
        write_exit(task, "cancelled")
        return DONE
    if not may_begin(task):
        write_exit(task, "lease-expired")
        return DONE
    child = os.fork()
    if child == 0:
        become(task, launch)
    try:  # noqa: SIM105 - as above
        os.setpgid(child, child)  # as the child does: whoever comes first
    except OSError:
        pass  # the child is past it
    cause, status = watch(child, float(launch["limit"][0]), float(launch["grace"][0]))
    write_exit(task, cause, status, started)
    return DONE


def become_account(uid: str, gid: str, groups: str) -> None:
    """Give up root for an account, for good; raises OSError where that cannot be."""
    os.setgroups([int(group) for group in groups.split(",")])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))


if __name__ == "__main__":
    if len(sys.argv) > 3:  # a directory, a task, and the account whose run it is
        become_account(*sys.argv[3:6])
    os._exit(run(sys.argv[1], sys.argv[2]))
