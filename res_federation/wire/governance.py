"""`Governance` of a site to protobuf and back."""

from __future__ import annotations

from res_federation.api.v1 import sites_pb2
from res_federation.model.confidence import Confidence
from res_federation.model.governance import Ens, Fact, Governance, Owner


def governance_to_message(known: Governance | None) -> sites_pb2.Governance | None:
    """Return what is known as a message; what is not is absent."""
    if known is None:
        return None
    return sites_pb2.Governance(
        country=known.country,
        operator=known.operator,
        owner="" if known.owner is None else known.owner.value,
        jurisdictions=known.jurisdictions,
        ens="" if known.ens is None else known.ens.name.lower(),
        certifications=known.certifications,
        cloud=known.cloud,
        confidence=[
            sites_pb2.FactConfidence(fact=fact.name.lower(), confidence=how)
            for fact, how in known.confidence
        ],
        note=known.note,
    )


def governance_from_message(message: sites_pb2.Governance) -> Governance:
    """Return what a broker says is known; a word that this version does not know is left out."""
    facts = {fact.name.lower(): fact for fact in Fact}
    words = {word.value: word for word in Confidence}
    return Governance(
        country=message.country,
        operator=message.operator,
        owner={one.value: one for one in Owner}.get(message.owner),
        jurisdictions=tuple(message.jurisdictions),
        ens={one.name.lower(): one for one in Ens}.get(message.ens),
        certifications=tuple(message.certifications),
        cloud=message.cloud if message.HasField("cloud") else None,
        confidence=tuple(
            (facts[one.fact], words[one.confidence])
            for one in message.confidence
            if one.fact in facts and one.confidence in words
        ),
        note=message.note,
    )
