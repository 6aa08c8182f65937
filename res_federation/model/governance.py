"""Under whose rule a site is: where it stands, who runs it, who can compel him, what is certified.

What is not known stays empty, and counts as a no wherever somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from res_federation.model.confidence import Confidence

UNION = "EU"
MEMBER_STATES = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
)
"""Of the European Union, ISO 3166-1 alpha-2."""


class Owner(StrEnum):
    """Whose the operator is."""

    PUBLIC = "public"
    PRIVATE = "private"


class Ens(IntEnum):
    """Category of the Esquema Nacional de Seguridad, the higher the stricter."""

    BASICO = 1
    MEDIO = 2
    ALTO = 3


class Fact(IntEnum):
    """What is known, or not, of a site; the numbers travel in reasons: never renumber."""

    COUNTRY = 1
    JURISDICTIONS = 2
    OWNER = 3
    ENS = 4
    CERTIFICATIONS = 5
    CLOUD = 6


CLASS_UNKNOWN = 0
"""Stands among facts for the class of the data itself, where nobody knows it."""


@dataclass(frozen=True, slots=True)
class Governance:
    """What is known of a site's place, operator and certificates.

    Attributes:
        country: Where the machines stand, ISO code; "" where that is not known.
        operator: Who runs them; for people.
        owner: Whose the operator is, or None.
        jurisdictions: Who can compel the operator: ISO codes and ``EU``; empty where not known.
        ens: Certified category of the ENS, or None.
        certifications: Other certificates that are known, in lower case.
        cloud: Whether machines are rented by the hour from a cloud; None where not known.
        confidence: How well each fact is known, of those that are.
        sources: Keys into the catalogue's list of sources.
        note: What a reader should know.

    """

    country: str = ""
    operator: str = ""
    owner: Owner | None = None
    jurisdictions: tuple[str, ...] = ()
    ens: Ens | None = None
    certifications: tuple[str, ...] = ()
    cloud: bool | None = None
    confidence: tuple[tuple[Fact, Confidence], ...] = ()
    sources: tuple[str, ...] = ()
    note: str = ""

    def known(self, fact: Fact, trusted: Collection[Confidence]) -> bool:
        """Tell whether *fact* is known, as well as one of *trusted* says."""
        value = getattr(self, fact.name.lower())
        if value is None or value in ("", ()):
            return False
        return any(one is fact and how in trusted for one, how in self.confidence)


NOTHING_KNOWN = Governance()


def is_jurisdiction(word: str) -> bool:
    """Tell whether *word* is spelt like the code of a country, or of the Union."""
    return len(word) == 2 and word.isascii() and word.isalpha() and word.isupper()


def lands(jurisdictions: Iterable[str]) -> frozenset[str]:
    """Return all that lies within *jurisdictions*: the EU has its member states in it."""
    named = frozenset(jurisdictions)
    return named | MEMBER_STATES if UNION in named else named


def powers(jurisdictions: Iterable[str]) -> frozenset[str]:
    """Return whose orders are lawful within *jurisdictions*: in a member state the Union's too."""
    within = lands(jurisdictions)
    return within | {UNION} if within & MEMBER_STATES else within
