"""A placement policy from a TOML file: what the file leaves out keeps its base's default."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from res_federation.config.problems import Document, Problem, checked, first, read, unknown_key
from res_federation.config.site_file import Strict, Word
from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import FAMILIES
from res_federation.placement.policies import NAMES, named
from res_federation.placement.policy import EMPTIEST, SMALL, LateStart, Policy, Weight, Weights

SUFFIX = ".toml"
_Speed = Annotated[float, Field(gt=0, le=1000)]
_Seconds = Annotated[float, Field(ge=0, le=365 * 86400)]


class _Late(Strict):
    age_s: _Seconds | None = None
    width: Annotated[float, Field(ge=0, le=4)] | None = None
    length: Annotated[float, Field(ge=0, le=4)] | None = None
    accelerator_width: Annotated[float, Field(ge=0, le=10_000)] | None = None
    patience_s: Annotated[float, Field(gt=0, le=1e12)] | None = None
    reservations: Annotated[int, Field(ge=0, le=1000)] | None = None
    places: Annotated[int, Field(ge=0, le=1000)] | None = None
    fixed_places: Annotated[int, Field(ge=0, le=1000)] | None = None
    yield_s: Annotated[float, Field(ge=0, le=1e9)] | None = None
    stay: Annotated[float, Field(ge=0, le=1)] | None = None
    settle_s: Annotated[float, Field(gt=0, le=1e9)] | None = None
    prefer: Literal["small", "emptiest"] | None = None
    slowest: Annotated[float, Field(ge=1, le=1e6)] | None = None
    history: Annotated[int, Field(ge=0, le=1000)] | None = None
    fair_share: Annotated[float, Field(ge=0, le=10)] | None = None
    half_life_s: Annotated[float, Field(gt=0, le=365 * 86400)] | None = None


class _Weight(Strict):
    rate: Annotated[float, Field(ge=-1e9, le=1e9)] | None = None
    cap_s: _Seconds | None = None


class _Weights(Strict):
    transfer: _Weight | None = None
    slow: _Weight | None = None
    scarcity: _Weight | None = None
    size: _Weight | None = None
    pressure: _Weight | None = None
    carbon: _Weight | None = None
    parity: _Weight | None = None


class _Policy(Strict):
    name: Word | None = None
    base: Literal["federated", "earliest-start"] = "federated"
    idle_accelerator_s: _Seconds | None = None
    unknown_release_s: _Seconds | None = None
    unknown_path_mib_s: Annotated[float, Field(gt=0, le=1e9)] | None = None
    max_waiting_per_partition: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    accelerator_speed: dict[str, _Speed] | None = None
    late: _Late | None = None
    weights: _Weights | None = None

    @field_validator("accelerator_speed")
    @classmethod
    def _known(cls, speeds: dict[str, float] | None) -> dict[str, float] | None:
        for family in speeds or {}:
            if family not in FAMILIES:
                raise ValueError(unknown_key(family, sorted(FAMILIES)))
        return speeds


def load_policy(path: Path) -> Policy:
    """Return the policy of *path*: its base (`federated` unless it says other) with its changes.

    Speeds of families are laid over the default ones.  Without a name of its own it has the
    file's.

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault.

    """
    document = read(path)
    if isinstance(document, Problem):
        raise first([document])
    table = checked(document, _Policy)
    if isinstance(table, list):
        raise first(table)
    base = named(table.base)
    if table.late is not None and base.late is None:
        raise _fault(document, "late", 'only jobs of base = "federated" are held; take it out')
    name = table.name or path.stem
    if name in NAMES and _given(table, "name", "base"):
        raise _fault(document, "name", f"'{name}' is a policy of its own; give this one another")
    late = base.late and replace(base.late, **_given(table.late))
    return replace(
        base,
        **_given(table, "name", "base", "late", "weights", "accelerator_speed"),
        name=name,
        late=late,
        weights=_weights(base.weights, table.weights),
        accelerator_speed={**base.accelerator_speed, **(table.accelerator_speed or {})},
    )


def policy_at(text: str) -> Policy:
    """Return the policy that *text* names: one of the known, or a file.

    Raises:
        InvalidArgument: If it is neither, or the file has a fault.

    """
    if text in NAMES:
        return named(text)
    if is_policy_file(text):
        return load_policy(Path(text))
    raise InvalidArgument(
        f"there is no policy '{text}'", field="policy",
        way_out=f"one of: {', '.join(NAMES)}; or a file FILE{SUFFIX}",
    )  # fmt: skip


def is_policy_file(text: str) -> bool:
    """Tell whether *text* is meant as a file, not as a name."""
    return text.endswith(SUFFIX) or "/" in text


def _weights(base: Weights, table: _Weights | None) -> Weights:
    if table is None:
        return base
    changed: dict[str, Weight] = {}
    for each in fields(Weights):
        given = getattr(table, each.name)
        if given is not None:
            changed[each.name] = replace(getattr(base, each.name), **_given(given))
    return replace(base, **changed)


def _given(table: Strict | None, *but: str) -> dict[str, Any]:
    if table is None:
        return {}
    return {
        name: getattr(table, name)
        for name in type(table).model_fields
        if name not in but and getattr(table, name) is not None
    }


def _fault(document: Document, key: str, message: str) -> InvalidArgument:
    return first([document.problem((key,), message)])


assert {SMALL, EMPTIEST} == {"small", "emptiest"}
assert {each.name for each in fields(Weights)} == set(_Weights.model_fields)
assert {each.name for each in fields(LateStart)} <= set(_Late.model_fields)
