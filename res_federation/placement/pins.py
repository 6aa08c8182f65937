"""The words by which a user may pin a job to a site (``-M``)."""

from __future__ import annotations

from res_federation.model.site import Site


def pin_words(site: Site) -> tuple[str, ...]:
    """Return identifier, cluster names and machine name of *site*, in lower case, sorted."""
    words = {site.id, site.machine.lower()}
    words |= {partition.id.split("/")[1] for partition in site.partitions}
    return tuple(sorted(word for word in words if word))
