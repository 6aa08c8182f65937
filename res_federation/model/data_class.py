"""Classes of data: to which sites data of a class may go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from res_federation.model.confidence import Confidence
from res_federation.model.governance import Ens, Owner, lands
from res_federation.model.job import JobSpec


@dataclass(frozen=True, slots=True)
class DataClass:
    """Bounds for data of one class; a bound that is not given allows everything.

    Attributes:
        name: The word that jobs and projects say.
        title: What belongs to it; for people.
        jurisdictions: A site must stand in one of these (ISO codes, ``EU``); empty for anywhere.
        foreign_compulsion: Whether somebody outside of those may be able to compel the operator.
        owners: Whose the operator may be; empty for anybody's.
        ens: Least category of the ENS, or None.
        certifications: Certificates that a site must have, all of them.
        cloud: Whether it may go to a cloud.
        trusted: How well a fact must be known to count; any other way it is not known.

    """

    name: str
    title: str = ""
    jurisdictions: tuple[str, ...] = ()
    foreign_compulsion: bool = False
    owners: tuple[Owner, ...] = ()
    ens: Ens | None = None
    certifications: tuple[str, ...] = ()
    cloud: bool = False
    trusted: tuple[Confidence, ...] = (Confidence.SOURCED,)

    def laxer(self, other: DataClass) -> str:
        """Return the first bound in which it allows what *other* does not, or ""."""
        return next(self._laxer(other), "")

    def _laxer(self, other: DataClass) -> Iterator[str]:
        mine, others = lands(self.jurisdictions), lands(other.jurisdictions)
        if others and (not mine or not mine <= others):
            yield "jurisdictions"
        if other.jurisdictions and self.foreign_compulsion and not other.foreign_compulsion:
            yield "foreign_compulsion"
        if other.owners and (not self.owners or not set(self.owners) <= set(other.owners)):
            yield "owners"
        if other.ens is not None and (self.ens is None or self.ens < other.ens):
            yield "ens"
        if not set(other.certifications) <= set(self.certifications):
            yield "certifications"
        if self.cloud and not other.cloud:
            yield "cloud"
        if not set(self.trusted) <= set(other.trusted):
            yield "trusted"


@dataclass(frozen=True, slots=True)
class Residency:
    """All the classes, and which project has which.

    Attributes:
        classes: By name.
        projects: Class of a project's data, by the project's name, as the catalogue says.
        recorded: Class ("" for none) and jurisdictions, as the projects' own records say.

    """

    classes: Mapping[str, DataClass] = field(default_factory=dict)
    projects: Mapping[str, str] = field(default_factory=dict)
    recorded: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def of_project(self, project: str) -> tuple[str, ...]:
        """Return the classes of a project's data: all of them bind."""
        if not project:
            return ()
        recorded = self.recorded.get(project, ("", ()))[0]
        both = (self.projects.get(project, ""), recorded)
        return tuple(dict.fromkeys(name for name in both if name))

    def of(self, spec: JobSpec) -> tuple[str, ...]:
        """Return the classes that bind a job: its own, and its project's where that is another."""
        own = (spec.data_class,) if spec.data_class else ()
        return tuple(dict.fromkeys((*own, *self.of_project(spec.project))))

    def grounds(self, spec: JobSpec) -> tuple[tuple[str, ...], ...]:
        """Return the jurisdictions that a job and its project name: each of these binds."""
        theirs = self.recorded.get(spec.project, ("", ()))[1] if spec.project else ()
        return tuple(one for one in (spec.jurisdictions, theirs) if one)


NO_CLASSES = Residency()
