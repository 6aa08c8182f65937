"""Slurm's commands, run as the site's account with a clean environment and a deadline."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence

from res_federation.agent import commands
from res_federation.agent.accounts import Account
from res_federation.agent.commands import Finished
from res_federation.errors import MissingComponent, Unavailable

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = re.compile(r"_?SLURM|SPANK_|SBATCH_|SCANCEL_|SQUEUE_|SACCT_|LD_|MUNGE|RESFED_")
_FORMS = {"SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "4096"}
"""Times as numbers, and lists of waiting array tasks whole: squeue cuts them at 64 bytes."""
LOOK_DEADLINE_S = 15.0
"""A controller that hangs lets squeue wait for 10 s: its own MessageTimeout."""
SUBMIT_DEADLINE_S = 75.0
"""Longer than sbatch waits for a munge that is down (49 s) or a slurm.conf that is away (59 s)."""


class Calls:
    """Runs the commands of one cluster; few at a time, and never through a shell."""

    def __init__(self, conf: str, account: Account, *, programs: str = "") -> None:
        """Talk to the cluster of *conf*; *programs* is the directory of Slurm's commands."""
        self.account = account
        path = os.environ.get("PATH", os.defpath)
        self._path = f"{programs}:{path}" if programs else path
        self._conf = conf
        self.count = 0
        """Commands run so far."""

    def _base(self, account: Account) -> dict[str, str]:
        return {
            "PATH": self._path,
            "HOME": account.home,
            "USER": account.name,
            "LOGNAME": account.name,
            "LANG": "C.UTF-8",
            "SLURM_CONF": self._conf,
        }

    def check(self) -> None:
        """Find the commands; raises MissingComponent that names the one that is missing."""
        for name in ("sbatch", "squeue", "scontrol", "scancel"):
            if shutil.which(name, path=self._path) is None:
                raise MissingComponent(
                    f"Slurm's command '{name}' is not on this machine",
                    field="slurm.bin",
                    way_out="run the agent on a login node, or name their directory as bin in "
                    "[slurm]; on Debian: apt-get install slurm-client",
                )

    async def look(self, *argv: str, deadline_s: float = LOOK_DEADLINE_S) -> str:
        """Run a command that only looks; return what it printed.

        Raises:
            Unavailable: If it failed or did not answer: with Slurm's own last words.

        """
        # as the agent itself: what an administrator's agent may see, it sees
        environment = {**self._base(self.account), **_FORMS}
        done = await self._run(argv, environment, deadline_s, None)
        if done.code != 0:
            raise Unavailable(f"{argv[0]}: {last_words(done)}")
        return done.out

    async def act(
        self,
        argv: Sequence[str],
        *,
        deadline_s: float = SUBMIT_DEADLINE_S,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
    ) -> Finished:
        """Run a command that changes something, as *account*, by default the site's own.

        *environment* are a user's variables, which sbatch hands to the job: none of them can
        change what Slurm's own commands do.
        """
        theirs = {
            name: value
            for name, value in (environment or {}).items()
            if _VARIABLE.fullmatch(name) and not _RESERVED.match(name) and "\0" not in value
        }
        whose = account or self.account
        return await self._run(argv, {**self._base(whose), **theirs}, deadline_s, whose)

    async def _run(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        deadline_s: float,
        account: Account | None,
    ) -> Finished:
        self.count += 1
        program = shutil.which(argv[0], path=self._path) or argv[0]
        return await commands.run(
            [program, *argv[1:]], deadline_s=deadline_s, environment=environment, account=account
        )


def last_words(done: Finished) -> str:
    """Return the last line that a command wrote to standard error, for people."""
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"ended with {done.code} and said nothing"
