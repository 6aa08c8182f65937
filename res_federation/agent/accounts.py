"""The local account under which batch commands and payloads run."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from res_federation.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from res_federation.model.local_identity import is_account

LOGIN_DEFS = Path("/etc/login.defs")
_LEAST_UID = 1000
_NOBODY = frozenset({65534, 65535, 2**32 - 2, 2**32 - 1})
_NO_SHELLS = frozenset({"nologin", "false", "true", "sync", "halt", "shutdown"})


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
    return _other(entry)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which accounts people may be mapped to.

    Attributes:
        group: They must be in this local group; "" for no such bound.
        least_uid: Smallest number, or None for what the machine calls the first of a person.
        nologin: Whether accounts without a login shell count.

    """

    group: str = ""
    least_uid: int | None = None
    nologin: bool = False


def mapped_account(name: str, bounds: Bounds) -> Account:
    """Return the account *name* for somebody who is mapped to it, looked up now.

    Never root, a member of root's group, a system account, or one outside *bounds*; and another
    than this process's own only where this process is root.

    Raises:
        PermissionDenied: Otherwise; the line is for the site's administrators.

    """
    if not is_account(name):
        raise PermissionDenied(f"{name!r} cannot be the name of a local account")
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise PermissionDenied(
            f"this machine has no account '{name}'", way_out="make it, or change the mapping"
        ) from None
    why = _not_a_person(entry, name, bounds)
    if why:
        raise PermissionDenied(f"account '{name}' {why}", way_out="change the mapping")
    own = own_account()
    if entry.pw_uid == own.uid:
        return own
    if own.uid != 0:
        raise PermissionDenied(
            f"the agent runs as '{own.name}' and cannot act as '{name}'",
            way_out="start the agent as root, or map people to its own account",
        )
    return _other(entry)


def owner_account(uid: int) -> Account:
    """Return the account with the number *uid*, also when it has no name any more.

    For what was given to it already, and must still be cancelled.
    """
    own = own_account()
    if uid == own.uid:
        return own
    try:
        return _other(pwd.getpwuid(uid))
    except KeyError:
        return Account(str(uid), uid, uid, (uid,), "/", other=True)


def _other(entry: pwd.struct_passwd) -> Account:
    groups = {entry.pw_gid, *os.getgrouplist(entry.pw_name, entry.pw_gid)}
    return Account(
        entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(sorted(groups)), entry.pw_dir, other=True
    )


def _not_a_person(entry: pwd.struct_passwd, name: str, bounds: Bounds) -> str:
    """Say why nobody may be mapped to an account, or ""."""
    groups = {entry.pw_gid, *os.getgrouplist(entry.pw_name, entry.pw_gid)}
    if entry.pw_uid == 0 or entry.pw_name == "root":
        return "is root: nobody is ever mapped to it"
    if entry.pw_name != name:
        return f"is called '{entry.pw_name}' here"
    if 0 in groups:
        return "is in root's group: nobody is ever mapped to such a one"
    least = least_uid() if bounds.least_uid is None else bounds.least_uid
    if entry.pw_uid < least or entry.pw_uid in _NOBODY:
        return f"is a system account (number {entry.pw_uid}, people begin at {least})"
    if not bounds.nologin and Path(entry.pw_shell).name in _NO_SHELLS:
        return f"has no login shell ({entry.pw_shell}); allow_nologin = true would allow it"
    if not bounds.group:
        return ""
    try:
        wanted = grp.getgrnam(bounds.group).gr_gid
    except KeyError:
        return f"is not in the group '{bounds.group}', which this machine does not have"
    return "" if wanted in groups else f"is not in the group '{bounds.group}'"


def least_uid(file: Path = LOGIN_DEFS) -> int:
    """Return the smallest number of a person's account, as the machine's *file* says (UID_MIN)."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return _LEAST_UID
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "UID_MIN" and words[1].isdigit():
            return max(1, int(words[1]))
    return _LEAST_UID
