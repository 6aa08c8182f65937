"""``security.toml``: who may come in. Without the file the broker is in developer mode."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from res_federation.config.limits import LimitsPart
from res_federation.config.people import NOBODY, BindingPart, IssuerPart, People, people
from res_federation.errors import InvalidArgument
from res_federation.model.limits import LOCAL_LIMITS, Limits

SECURITY_FILE = "security.toml"
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Who may come in, and how the broker shows who it is.

    Attributes:
        developer: The broker signs the account in that started it; nobody else is known.
        hosts: Names and addresses of the broker, for the certificates that it makes itself.
        tls_certificate: Certificate chain of the users' port, or None for one of the authority.
        tls_key: Its key.
        site_certificate_s: How long a site's certificate is good, in seconds.
        invitation_s: How long an invitation is good when nobody says otherwise, in seconds.
        limits: How much one caller may ask of the broker.
        people: Who vouches for people, and what they are here.
        file: Where all this was read, or None.

    """

    developer: bool = True
    hosts: tuple[str, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    site_certificate_s: float = DAY_S
    invitation_s: float = DAY_S
    limits: Limits = LOCAL_LIMITS
    people: People = NOBODY
    file: Path | None = None


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Tls(_Table):
    hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None


class _Sites(_Table):
    certificate_hours: Annotated[float, Field(gt=0, le=24 * 90)] = 24.0
    invitation_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24.0


class _File(_Table):
    tls: _Tls = Field(default_factory=_Tls)
    sites: _Sites = Field(default_factory=_Sites)
    limits: LimitsPart = Field(default_factory=LimitsPart)
    issuer: tuple[IssuerPart, ...] = ()
    binding: tuple[BindingPart, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        people(self.issuer, self.binding)
        return self


def security_settings(file: Path | None, home: Path) -> SecuritySettings:
    """Read *file*, else ``security.toml`` in *home*; without either it is developer mode.

    Relative paths in the file stand on its own directory.

    Raises:
        InvalidArgument: Naming the file and the key that is wrong.

    """
    path = file or home / SECURITY_FILE
    if file is None and not path.exists():
        return SecuritySettings()
    try:
        found = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidArgument(
            f"cannot read '{path}': {error.strerror}", field="--security"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{path}: {error}", field="--security") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidArgument(f"{path}: {key}: {first['msg']}", field=key) from None
    if (found.tls.certificate is None) != (found.tls.key is None):
        raise InvalidArgument(
            f"{path}: certificate and key go together", field="tls", way_out="give both or neither"
        )
    return SecuritySettings(
        developer=False,
        hosts=found.tls.hosts,
        tls_certificate=_beside(path, found.tls.certificate),
        tls_key=_beside(path, found.tls.key),
        site_certificate_s=found.sites.certificate_hours * 3600.0,
        invitation_s=found.sites.invitation_hours * 3600.0,
        limits=found.limits.limits(),
        people=people(found.issuer, found.binding),
        file=path.absolute(),
    )


def _beside(file: Path, path: Path | None) -> Path | None:
    return None if path is None else (file.parent / path.expanduser()).absolute()
