"""A task's wrapper, started as the account that its run belongs to."""

from __future__ import annotations

import os
import sys

from res_federation.agent import payload
from res_federation.agent.accounts import owner_account
from res_federation.agent.commands import detach
from res_federation.agent.local.launch import Launch, write_launch
from res_federation.agent.rundir import RunDirectory, task_word

_THEIR_OWN = ("HOME", "USER", "LOGNAME", "SHELL", "TMPDIR")


def start_wrapper(launch: Launch) -> int:
    """Start the wrapper of a task, which becomes the run's account; return its process number.

    What it says goes to a log that its account cannot put anything in the place of.

    Raises:
        OSError: If the machine has no room for it, or the run's directory cannot be written.

    """
    account = owner_account(RunDirectory(launch.directory).owner)
    variables = dict(os.environ)
    argv = [sys.executable, "-I", "-S", payload.__file__]
    argv += [str(launch.directory), task_word(launch.index)]
    log = launch.directory / "wrapper.log"
    if account.other:
        for name in _THEIR_OWN:
            variables.pop(name, None)
        variables |= {"HOME": account.home, "USER": account.name, "LOGNAME": account.name}
        argv += [str(account.uid), str(account.gid), ",".join(map(str, account.groups))]
        log = launch.tools.parent / "wrappers.log"
    write_launch(launch, variables)
    return detach(argv, environment={}, log=log)
