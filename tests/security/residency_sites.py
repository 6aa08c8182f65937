"""Sites for tests of where data may go, and the rule once more, in plain words of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st

from res_federation.config.data_classes import load_data_classes
from res_federation.model.confidence import Confidence
from res_federation.model.governance import Ens, Fact, Governance, Owner

CLASSES = load_data_classes(Path(__file__).parents[2] / "sites")
HEALTH = "health-administration"
EUROPE = {
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV",
    "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE",
}  # fmt: skip


def sourced(**facts: object) -> Governance:
    """Make facts that are all sourced."""
    known = tuple((fact, Confidence.SOURCED) for fact in Fact)
    return Governance(confidence=known, **facts)  # type: ignore[arg-type]


HOSPITAL_GRADE = sourced(
    country="ES", operator="A public house", owner=Owner.PUBLIC, jurisdictions=("ES", "EU"),
    ens=Ens.ALTO, cloud=False,
)  # fmt: skip
US_CLOUD = sourced(
    country="ES", operator="A cloud", owner=Owner.PRIVATE, jurisdictions=("ES", "EU", "US"),
    ens=Ens.ALTO, cloud=True,
)  # fmt: skip
EU_CLOUD = replace(US_CLOUD, jurisdictions=("ES", "EU"))
US_OWNED = replace(HOSPITAL_GRADE, owner=Owner.PRIVATE, jurisdictions=("ES", "EU", "US"))
ABROAD = replace(HOSPITAL_GRADE, country="US")
MEDIUM = replace(HOSPITAL_GRADE, ens=Ens.MEDIO)
FORBIDDEN_TO_HEALTH = (US_CLOUD, EU_CLOUD, US_OWNED, ABROAD, MEDIUM, None)


@st.composite
def governances(draw: st.DrawFn) -> Governance | None:
    """Draw what is known of a site: nothing, something, all; each as well as it may be."""
    if draw(st.sampled_from((False, False, False, True))):
        return None
    codes = st.sampled_from(("ES", "PT", "EU", "US", "CN"))
    return Governance(
        country=draw(st.sampled_from(("", "ES", "PT", "US"))),
        owner=draw(st.sampled_from((None, *Owner))),
        jurisdictions=tuple(draw(st.lists(codes, max_size=3, unique=True))),
        ens=draw(st.sampled_from((None, *Ens, Ens.ALTO))),
        cloud=draw(st.sampled_from((None, True, False, False))),
        confidence=tuple(
            (fact, draw(st.sampled_from((*Confidence, Confidence.SOURCED)))) for fact in Fact
        ),
    )


def allowed(name: str, jurisdictions: tuple[str, ...], site: Governance | None) -> bool:
    """Say whether data may go to a site: the rule of docs/residency.md, class by class."""
    if name == "" and not jurisdictions:
        return True
    if name == "public" and not jurisdictions:
        return True
    if site is None:
        return False
    how = dict(site.confidence)
    good = {"sourced", "derived"} if name == HEALTH else {"sourced", "derived", "general-knowledge"}
    stands_in = site.country if how[Fact.COUNTRY] in good else None
    compelled_by = set(site.jurisdictions) if how[Fact.JURISDICTIONS] in good else set()
    if jurisdictions:
        named = set(jurisdictions)
        if "EU" in named:
            named |= EUROPE
        if stands_in not in named or not compelled_by:
            return False
        if not compelled_by <= named | ({"EU"} if named & EUROPE else set()):
            return False
    if name == "internal":
        return stands_in in EUROPE
    inside = stands_in in EUROPE and compelled_by and compelled_by <= EUROPE | {"EU"}
    if name in ("personal", HEALTH) and not inside:
        return False
    if name == HEALTH:
        no_cloud = site.cloud is False and how[Fact.CLOUD] in good
        return no_cloud and site.ens is Ens.ALTO and how[Fact.ENS] in good
    return True
