"""The local account under which batch commands and payloads run."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from res_federation.errors import FailedPrecondition, InvalidArgument


@dataclass(frozen=True, slots=True)
class Account:
    """A local account, looked up once.

    Attributes:
        name: As the machine knows it.
        uid: Its number.
        gid: Its first group.
        groups: All its groups.
        home: Its home directory.
        other: Whether it is another one than the agent's own: only root can act as another.

    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    other: bool


def own_account() -> Account:
    """Return the account that this process runs as."""
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, os.getegid(), tuple(os.getgroups()), "/", other=False)
    return Account(entry.pw_name, uid, os.getegid(), tuple(os.getgroups()), entry.pw_dir, False)


def account_for(name: str) -> Account:
    """Return the account called *name*, or this process's own for "".

    Raises:
        InvalidArgument: If the machine has no such account.
        FailedPrecondition: If this process cannot act as it.

    """
    own = own_account()
    if not name or name == own.name:
        return own
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise InvalidArgument(
            f"this machine has no account '{name}'",
            field="slurm.user",
            way_out="name one that exists here and on the compute nodes",
        ) from None
    if own.uid != 0:
        raise FailedPrecondition(
            f"the agent runs as '{own.name}' and cannot submit as '{name}'",
            field="slurm.user",
            way_out=f"start it as '{name}' or as root, or take slurm.user out",
        )
    groups = {entry.pw_gid, *(each.gr_gid for each in grp.getgrall() if name in each.gr_mem)}
    return Account(name, entry.pw_uid, entry.pw_gid, tuple(sorted(groups)), entry.pw_dir, True)
