"""The catalogue of members, whole: a directory with a folder a site, and files for all of them."""

from __future__ import annotations

from pathlib import Path

from res_federation.config.accounts import load_factors
from res_federation.config.data_classes import load_data_classes
from res_federation.config.dialects import load_dialects
from res_federation.config.sites import load_distances, load_sites
from res_federation.control.catalogue import Catalogue


def load_catalogue(directory: Path) -> Catalogue:
    """Return what *directory* says.

    Raises:
        InvalidArgument: If a file is missing or wrong; it is named with line and field.

    """
    sites = load_sites(directory)
    return Catalogue(
        sites=sites,
        distances=load_distances(directory, sites),
        dialects=load_dialects(directory, sites),
        residency=load_data_classes(directory),
        rates=load_factors(directory),
    )
