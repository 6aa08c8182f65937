"""How well a figure or a fact is known."""

from __future__ import annotations

from enum import StrEnum


class Confidence(StrEnum):
    """How well a figure is known."""

    SOURCED = "sourced"
    DERIVED = "derived"
    ASSUMPTION = "assumption"
    GENERAL_KNOWLEDGE = "general-knowledge"
