"""Whose each run is: the account that owns its directory, which root alone can change.

So nobody who takes a run's token as the name of a job of theirs is taken for it, and a run stays
its account's when the site maps its user to another one, or to none, later.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from res_federation.agent.accounts import Account, owner_account
from res_federation.agent.rundir import RunDirectory
from res_federation.errors import FederationError
from res_federation.model.identifiers import RunToken, is_run_token
from res_federation.slurm.squeue import QueuedJob

_MOST = 100_000


class Owners:
    """Accounts of the runs below one directory."""

    def __init__(self, runs: Path) -> None:
        """Look below *runs*."""
        self._runs = runs
        self._given: dict[RunToken, int] = {}

    def uid(self, token: RunToken) -> int | None:
        """Return the number of the account that a run was given to, or None where it is not."""
        if token in self._given:
            return self._given[token]
        try:
            uid = RunDirectory.of(self._runs, token).owner
        except (OSError, FederationError):
            return None
        if uid != os.geteuid():  # given away: that is for good
            if len(self._given) >= _MOST:
                self._given.clear()
            self._given[token] = uid
        return uid

    def account(self, token: RunToken) -> Account | None:
        """Return the account of a run, looked up now."""
        uid = self.uid(token)
        return None if uid is None else owner_account(uid)

    def whose(self, jobs: Iterable[QueuedJob]) -> dict[str, str]:
        """Return the account's name of each run that a job of *jobs* bears the token of."""
        return self.named(RunToken(job.name) for job in jobs if is_run_token(job.name))

    def named(self, tokens: Iterable[RunToken]) -> dict[str, str]:
        """Return the account's name of each run that is here, as Slurm writes it."""
        names: dict[int, str] = {}
        found: dict[str, str] = {}
        for token in tokens:
            uid = self.uid(token)
            if uid is None:
                continue
            if uid not in names:
                names[uid] = _name(uid)
            found[token] = names[uid]
        return found


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
