"""The only place in the agent that starts other programs: argument lists, deadlines, no shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from res_federation.agent.accounts import Account

_MOST_SAID = 256 * 2**20
"""Bytes that a command may say: a line for each of a million jobs is less."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended; *code* is None when its deadline passed and nobody knows."""

    code: int | None
    out: str
    err: str


async def run(
    argv: Sequence[str],
    *,
    deadline_s: float,
    environment: Mapping[str, str] | None = None,
    account: Account | None = None,
) -> Finished:
    """Run a command and return what it said.

    Past the deadline its whole process group is killed: a client that is left behind may still
    carry out later what it was asked (sbatch does).  A program that is not there is code 127.

    *account* is another account to run it as, set by the kernel before the program begins: the
    batch system sees that user as it sees a login, the file system checks that user's rights, and
    neither an option of one version of sbatch (``--uid``) nor another program is needed.
    """
    other = account if account is not None and account.other else None
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=None if environment is None else dict(environment),
            start_new_session=True,
            user=None if other is None else other.uid,
            group=None if other is None else other.gid,
            extra_groups=None if other is None else other.groups,
            cwd=None if other is None else "/",  # where the agent stands may be closed to others
        )
    except FileNotFoundError:
        return Finished(127, "", f"{argv[0]}: not found")
    except OSError as error:
        return Finished(126, "", f"{argv[0]}: {error.strerror}")
    try:
        async with asyncio.timeout(deadline_s):
            out, err = await asyncio.gather(_all_of(process.stdout), _all_of(process.stderr))
            await process.wait()
    except asyncio.LimitOverrunError:
        return Finished(None, "", f"{argv[0]}: it said more than {_MOST_SAID >> 20} MiB")
    except TimeoutError:
        return Finished(None, "", f"{argv[0]}: no answer within {deadline_s:g} s")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Finished(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    """Read a stream to its end; raises LimitOverrunError for one that does not come to it.

    Another account's command is in that account's hands, and the agent's memory is not.
    """
    said = bytearray()
    while stream is not None and (part := await stream.read(1 << 16)):
        said += part
        if len(said) > _MOST_SAID:
            raise asyncio.LimitOverrunError("too much was said", len(said))
    return bytes(said)


def end_leftovers(program: str, arguments: Sequence[str]) -> None:
    """Kill what an earlier life of this agent left running: *program* with one of *arguments*.

    A client that was left behind would still do what it was asked to, at a time nobody knows.
    """
    wanted = {argument.encode() for argument in arguments}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:  # noqa: PTH208
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if not wanted.isdisjoint(words) and Path(os.fsdecode(words[0])).name == program:
                os.kill(pid, signal.SIGKILL)


def detach(argv: Sequence[str], *, environment: Mapping[str, str], log: Path) -> int:
    """Start a program in a session of its own that outlives this process; return its pid.

    What it says goes to *log*.  Raises OSError when the machine has no room for it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        argv[0],
        list(argv),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
