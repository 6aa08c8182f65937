"""Where a job's data may go: the one rule that planner, commit, explain and dry run ask.

A hard filter: it is asked before anything is scored, and what is not known is a no.
"""

from __future__ import annotations

from collections.abc import Iterator

from res_federation.model.confidence import Confidence
from res_federation.model.data_class import DataClass, Residency
from res_federation.model.governance import (
    CLASS_UNKNOWN,
    NOTHING_KNOWN,
    Fact,
    Governance,
    lands,
    powers,
)
from res_federation.model.job import JobSpec
from res_federation.model.reason import Code, Reason

_TRUSTED = (Confidence.SOURCED, Confidence.DERIVED, Confidence.GENERAL_KNOWLEDGE)
"""What counts where a job names jurisdictions and no class: no assumption of ours."""


def barred(spec: JobSpec, site: Governance | None, rules: Residency) -> Reason | None:
    """Return why the data of a job may not go to a site, or None where it may.

    The classes and the jurisdictions of the job and of its project all bind.  What is surely not
    allowed is said before what is not known.
    """
    names = rules.of(spec)
    grounds = rules.grounds(spec)
    if not names and not grounds:
        return None
    known = NOTHING_KNOWN if site is None else site
    unknown: Reason | None = None
    for reason in _against(grounds, names, known, rules):
        if reason.code is not Code.DATA_UNKNOWN_HERE or reason.needed == CLASS_UNKNOWN:
            return reason
        unknown = unknown or reason
    return unknown


def _against(
    grounds: tuple[tuple[str, ...], ...], names: tuple[str, ...], site: Governance, rules: Residency
) -> Iterator[Reason]:
    classes = [rules.classes.get(name) for name in names]
    trusted: tuple[Confidence, ...] = _TRUSTED
    for bounds in classes:
        if bounds is None:
            yield Reason(Code.DATA_UNKNOWN_HERE, CLASS_UNKNOWN)
        else:
            trusted = tuple(one for one in trusted if one in bounds.trusted)
            yield from _of_class(bounds, site)
    for ground in grounds:
        own = DataClass("", jurisdictions=ground, cloud=True, trusted=trusted)
        yield from _of_class(own, site)


def _of_class(bounds: DataClass, site: Governance) -> Iterator[Reason]:
    trusted = bounds.trusted
    if bounds.jurisdictions:
        if not site.known(Fact.COUNTRY, trusted):
            yield _unknown(Fact.COUNTRY)
        if site.country and site.country not in lands(bounds.jurisdictions):
            yield Reason(Code.DATA_JURISDICTION)
        if not bounds.foreign_compulsion:
            if not site.known(Fact.JURISDICTIONS, trusted):
                yield _unknown(Fact.JURISDICTIONS)
            if not powers(bounds.jurisdictions).issuperset(site.jurisdictions):
                yield Reason(Code.DATA_OPERATOR)
    if bounds.owners:
        if not site.known(Fact.OWNER, trusted):
            yield _unknown(Fact.OWNER)
        if site.owner is not None and site.owner not in bounds.owners:
            yield Reason(Code.DATA_OPERATOR)
    yield from _certified(bounds, site)
    if not bounds.cloud:
        if not site.known(Fact.CLOUD, trusted):
            yield _unknown(Fact.CLOUD)
        if site.cloud:
            yield Reason(Code.DATA_CLOUD)


def _certified(bounds: DataClass, site: Governance) -> Iterator[Reason]:
    if bounds.ens is not None:
        if not site.known(Fact.ENS, bounds.trusted):
            yield _unknown(Fact.ENS)
        if site.ens is not None and site.ens < bounds.ens:
            yield Reason(Code.DATA_CERTIFICATION, int(bounds.ens), int(site.ens))
    if bounds.certifications:
        if not site.known(Fact.CERTIFICATIONS, bounds.trusted):
            yield _unknown(Fact.CERTIFICATIONS)
        elif not set(bounds.certifications) <= set(site.certifications):
            yield Reason(Code.DATA_CERTIFICATION)


def _unknown(fact: Fact) -> Reason:
    return Reason(Code.DATA_UNKNOWN_HERE, int(fact))
