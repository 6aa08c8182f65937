"""As whom a run runs here: the site's own mapping file, read anew whenever it changes.

Everything fails closed.  A file that is broken, half-written, or that others could write keeps the
last good one in force; without any good one nobody is served.  A site without such a file serves
the local user of a developer's own federation as the agent's own account, and nobody else.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from res_federation.agent.accounts import Account, Bounds, mapped_account
from res_federation.config.identity_file import rules_from
from res_federation.errors import PermissionDenied
from res_federation.model.job import JobSpec
from res_federation.model.local_identity import Claim, LocalRules
from res_federation.model.principal import LOCAL

_LARGEST = 4 * 1024 * 1024
_UNFIT = "UNFIT_ACCOUNT"
_Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a run is submitted.

    Attributes:
        account: The local account, or None for the one that the batch system has for all.
        charge: Slurm account that is charged, or "" where the mapping names none.
        own_charge: Whether the user may name a Slurm account with ``--account``.

    """

    account: Account | None = None
    charge: str = ""
    own_charge: bool = True


class Identities(Protocol):
    """Says as whom a run runs."""

    @property
    def problem(self) -> str:
        """Why nobody can be served now, or ""."""
        ...

    def of(self, spec: JobSpec) -> Identity:
        """Return as whom *spec* runs.

        Raises:
            PermissionDenied: If it is nobody's here; the line is for the user.

        """
        ...


class OneAccount:
    """Without a mapping: the local user of a developer's federation, and nobody else."""

    problem = ""

    def of(self, spec: JobSpec) -> Identity:
        """Return the one account; raises PermissionDenied for people of other issuers."""
        if spec.issuer not in ("", LOCAL):
            raise PermissionDenied(
                "this site maps nobody to a local account: it serves its own local user alone",
                way_out="its administrators add an [identity] file to site.toml",
            )
        return Identity()


class MappedAccounts:
    """The site's mapping file."""

    def __init__(self, file: Path) -> None:
        """Read the file; one that is not there or has a fault is told, and serves nobody."""
        self.file = file
        self._log = structlog.get_logger("resfed.agent").bind(file=str(file))
        self._rules: LocalRules | None = None
        self._seen: _Signature | str | None = None
        self.fault = ""
        """What is wrong with the file as it lies there now, or ""."""
        self._read()

    @property
    def problem(self) -> str:
        """Why nobody can be served now, or "": a last good mapping serves on."""
        self._read()
        if self._rules is not None:
            return ""
        return f"nobody is mapped to a local account here: {self.fault}"

    def of(self, spec: JobSpec) -> Identity:
        """Return as whom *spec* runs, by the file as it is now.

        Raises:
            PermissionDenied: If it is nobody's; the administrators find the rest in the log.

        """
        claim = Claim(spec.issuer, spec.subject, spec.project)
        try:
            return self.whois(claim)[0]
        except PermissionDenied as error:
            self._log.warning(
                "nobody's here", issuer=spec.issuer[:64], subject=spec.subject[:64],
                project=spec.project[:64], reason=str(error),
            )  # fmt: skip
            unfit = f"the account that this site has for {_who(claim)} is none that jobs may run as"
            raise PermissionDenied(
                unfit
                if error.code == _UNFIT
                else f"this site has no local account for {_who(claim)}",
                way_out=f"its administrators map people in {self.file.name}",
            ) from None

    def whois(self, claim: Claim) -> tuple[Identity, int]:
        """Return who *claim* is here, and the line of the rule.

        Raises:
            PermissionDenied: If it is nobody; the line is for the site's administrators.

        """
        self._read()
        rules = self._rules
        if rules is None:
            raise PermissionDenied(self.fault)
        found = rules.find(claim)
        if found is None:
            raise PermissionDenied(f"no rule of {self.file} maps {_who(claim)}")
        bounds = Bounds(rules.group, rules.least_uid, rules.nologin)
        try:
            account = mapped_account(found.account, bounds)
        except PermissionDenied as error:
            why = f"{self.file}:{found.line}: {error.message}"
            raise PermissionDenied(why, way_out=error.way_out, code=_UNFIT) from None
        return Identity(account, found.charge, rules.own_charge), found.line

    def _read(self) -> None:
        """Take up the file if it changed; keep the last good one if it has a fault."""
        try:
            seen: _Signature | str = _signature(self.file.stat())
        except OSError as error:
            seen = error.strerror or str(error)
        if seen == self._seen:
            return
        self._seen = seen
        found = _found(self.file)
        if isinstance(found, str):
            self.fault = found
            kept = "the last good one stays" if self._rules is not None else "nobody is served"
            self._log.error("the mapping of people cannot be used", reason=found, kept=kept)
            return
        rules, self._seen = found
        self._log.info("mapping read", exact=len(rules.exact), patterns=len(rules.patterns))
        self._rules, self.fault = rules, ""


def identities_of(file: str) -> Identities:
    """Return how a site maps people: by its *file*, or not at all where it has none."""
    return MappedAccounts(Path(file)) if file else OneAccount()


def _signature(found: os.stat_result) -> _Signature:
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def _found(file: Path) -> tuple[LocalRules, _Signature] | str:
    """Read the mapping as it lies there; say what is wrong with it."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            before = os.fstat(descriptor)
            why = unsafe(before)
            if why:
                return f"{file}: {why}"
            data = stream.read(_LARGEST + 1)
            after = os.fstat(descriptor)
    except OSError as error:
        return f"{file}: cannot be read: {error.strerror or error}"
    if _signature(before) != _signature(after) or len(data) != after.st_size:
        return f"{file}: is being written"
    rules = rules_from(file, data)
    return str(rules[0]) if isinstance(rules, list) else (rules, _signature(after))


def unsafe(found: os.stat_result) -> str:
    """Say why a mapping cannot be trusted as a file: others could have written it; or ""."""
    if not stat.S_ISREG(found.st_mode):
        return "is no plain file"
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to account {found.st_uid}; give it to root"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written by others than its owner; chmod 0644 it"
    return ""


def _who(claim: Claim) -> str:
    if not claim.sound:
        return "somebody whom the broker does not name"
    project = f" in project '{claim.project}'" if claim.project else ""
    return f"'{claim.subject}' of '{claim.issuer}'{project}"
