"""The parts ``[[issuer]]`` and ``[[binding]]`` of security.toml: who vouches, who is what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from res_federation.config.site_file import Word
from res_federation.model.issuers import ASYMMETRIC, TOKEN_TYPES, Binding, Issuer
from res_federation.model.principal import LOCAL, MACHINE, Role

_OF_PROJECTS = (Role.USER, Role.LEAD)


@dataclass(frozen=True, slots=True)
class People:
    """Whose word is taken, and what it makes of people."""

    issuers: tuple[Issuer, ...] = ()
    bindings: tuple[Binding, ...] = ()


NOBODY = People()
"""Nobody's word is taken."""


def _url(text: object) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise ValueError(f"{text!r} is no issuer's address; write https://HOST/PATH")
    return text


def _algorithm(text: object) -> str:
    if text not in ASYMMETRIC:
        raise ValueError(f"{text!r} is not taken; of: {', '.join(ASYMMETRIC)}")
    return str(text)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


_Text = Annotated[str, Field(min_length=1, max_length=1000)]


class IssuerPart(_Part):
    """One ``[[issuer]]`` as it is written."""

    name: Word
    url: Annotated[str, BeforeValidator(_url)]
    audience: _Text
    client_id: _Text = "resfed"
    scopes: tuple[_Text, ...] = ("openid", "offline_access")
    leeway_s: Annotated[int, Field(ge=0, le=300)] = 30
    algorithms: Annotated[
        tuple[Annotated[str, BeforeValidator(_algorithm)], ...], Field(min_length=1)
    ] = ASYMMETRIC
    token_types: Annotated[tuple[_Text, ...], Field(min_length=1)] = TOKEN_TYPES
    allow_http_loopback: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.name in (LOCAL, MACHINE):
            raise ValueError(f"name '{self.name}' is the broker's own; choose another")
        if self.url.startswith("http:") and not self.allow_http_loopback:
            raise ValueError("url must be https (tests: allow_http_loopback)")
        return self

    def issuer(self) -> Issuer:
        """Return it as the broker follows it."""
        given = self.model_dump()
        given["token_types"] = tuple(kind.lower() for kind in self.token_types)
        return Issuer(**given)


class BindingPart(_Part):
    """One ``[[binding]]`` as it is written."""

    role: Role
    issuer: Word
    subject: str = ""
    claim: str = ""
    value: str = ""
    project: str = ""
    site: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if bool(self.subject) == bool(self.claim):
            raise ValueError("give either 'subject', or 'claim' and 'value'")
        if bool(self.claim) != bool(self.value):
            raise ValueError("'claim' and 'value' go together")
        if bool(self.project) != (self.role in _OF_PROJECTS):
            raise ValueError("'project' goes with the roles user and project-lead, and only these")
        if bool(self.site) != (self.role is Role.SITE_ADMINISTRATOR):
            raise ValueError("'site' goes with the role site-administrator, and only with it")
        return self

    def binding(self) -> Binding:
        """Return it as the broker follows it."""
        return Binding(**self.model_dump())


def people(issuers: Sequence[IssuerPart], bindings: Sequence[BindingPart]) -> People:
    """Return both as the broker follows them.

    Raises:
        ValueError: If a name or an address stands twice, or a binding names no issuer.

    """
    names = [one.name for one in issuers]
    urls = [one.url for one in issuers]
    for what in (names, urls):
        for one in what:
            if what.count(one) > 1:
                raise ValueError(f"issuer '{one}' stands twice")
    for binding in bindings:
        if binding.issuer not in names:
            raise ValueError(f"a binding names issuer '{binding.issuer}', which is not there")
    return People(tuple(one.issuer() for one in issuers), tuple(one.binding() for one in bindings))
