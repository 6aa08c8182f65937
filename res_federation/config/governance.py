"""The table ``[governance]`` of a ``site.toml`` into the model's values."""

from __future__ import annotations

from collections.abc import Iterator

from res_federation.config.site_file import GovernanceTable
from res_federation.model.governance import MEMBER_STATES, UNION, Fact, Governance

_WORDS = {fact.name.lower(): fact for fact in Fact}


def governance_faults(table: GovernanceTable) -> Iterator[tuple[str, str]]:
    """Yield the key and the message of what no single key can show."""
    for key in table.confidence_of:
        if key not in _WORDS:
            yield "confidence_of", f"'{key}' is no fact; there is: {', '.join(_WORDS)}"
    powers = set(table.jurisdictions)
    if powers and table.country and table.country not in powers:
        message = f"'{table.country}', where it stands, can compel its operator too; add it"
        yield "jurisdictions", message
    if powers & MEMBER_STATES and UNION not in powers:
        yield "jurisdictions", f"a member state's law is the Union's too; add '{UNION}'"


def governance_of(table: GovernanceTable) -> Governance:
    """Return the facts of a table, each with how well it is known."""
    return Governance(
        country=table.country or "",
        operator=table.operator or "",
        owner=table.owner,
        jurisdictions=tuple(table.jurisdictions),
        ens=table.ens,
        certifications=tuple(table.certifications),
        cloud=table.cloud,
        confidence=tuple(
            (fact, table.confidence_of.get(word, table.confidence)) for word, fact in _WORDS.items()
        ),
        sources=tuple(table.sources),
        note=table.note,
    )
