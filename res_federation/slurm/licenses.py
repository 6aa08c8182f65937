"""Licences as ``scontrol -o show licenses`` prints them."""

from __future__ import annotations

from res_federation.model.capacity import License
from res_federation.slurm.key_values import number, records

__all__ = ["ARGV", "License", "read"]

ARGV = ("scontrol", "-o", "show", "licenses")


def read(text: str) -> tuple[License, ...]:
    """Read licences by name; what is kept for a reservation is not free."""
    found = []
    for fields in records(text, "LicenseName"):
        total = number(fields, "Total") or 0
        left = total - (number(fields, "Used") or 0) - (number(fields, "Reserved") or 0)
        free = number(fields, "Free")
        free = left if free is None else min(free, left)
        found.append(License(fields["LicenseName"], total, max(0, free)))
    return tuple(sorted(found, key=lambda one: one.name))
