"""Which jobs somebody sees in lists; worked out in `security.sight`, asked of the store."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import SiteId
from res_federation.model.share import ShareKind


@dataclass(frozen=True, slots=True)
class Visible:
    """Which jobs somebody sees in a list: those that any of these holds for.

    Attributes:
        everything: All, with their names.
        user: Those of this user, or "".
        projects: Those of these projects.
        shared: Those that are shared with one of these, a user or a project.
        anonymised: All, without names.
        sites: Those whose newest run is at these sites, without names.

    """

    everything: bool = False
    user: str = ""
    projects: frozenset[str] = frozenset()
    shared: frozenset[tuple[ShareKind, str]] = frozenset()
    anonymised: bool = False
    sites: frozenset[SiteId] = frozenset()


EVERYTHING = Visible(everything=True)
