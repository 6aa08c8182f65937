"""What a federation is told about its members before any of them reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from res_federation.model.data_class import NO_CLASSES, Residency
from res_federation.model.site import Site
from res_federation.slurm.dialect import Dialect
from res_federation.topology.distances import DistanceTable


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The members, and what is known of them.

    Attributes:
        sites: The members.
        distances: The network between them.
        dialects: How members want their scripts; of one without nothing is asked of jobs.
        residency: Classes of data; a job of another class is refused.
        rates: What machines are worth in the exchange, as `accounting.exchange.units` reads them.

    """

    sites: tuple[Site, ...]
    distances: DistanceTable
    dialects: Mapping[str, Dialect] = field(default_factory=dict)
    residency: Residency = NO_CLASSES
    rates: Mapping[str, int] = field(default_factory=dict)
