"""With whom a job is shared: one person, or the members of a project."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import JobId, word

_LONGEST = 320


class ShareKind(StrEnum):
    """What the name of a share names."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Share:
    """That a job may be seen whole by somebody who could not otherwise.

    Attributes:
        job: Which.
        kind: What *name* names.
        name: A user as jobs have them (``subject@issuer``), or a project.
        by: The user who shared it.
        at: When, UTC seconds.

    """

    job: JobId
    kind: ShareKind
    name: str
    by: str
    at: float


def partner(user: str, project: str) -> tuple[ShareKind, str]:
    """Return with whom a request shares: exactly one of the two names is given.

    Raises:
        InvalidArgument: If none or both are, or one that can be nobody's.

    """
    if bool(user) == bool(project):
        raise InvalidArgument(
            "names both a user and a project" if user else "names nobody",
            field="with", way_out="give one user, or one project",
        )  # fmt: skip
    if project:
        return ShareKind.PROJECT, word(project.removeprefix("projects/"), "project")
    if len(user) > _LONGEST:
        raise InvalidArgument(f"is longer than {_LONGEST} characters", field="user")
    if not user.isprintable() or " " in user:
        raise InvalidArgument("has a character that no user's name has", field="user")
    return ShareKind.USER, user
