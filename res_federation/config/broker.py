"""What a broker is started with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from res_federation.config.places import HOME_VARIABLE, resfed_home
from res_federation.config.security import SecuritySettings, security_settings
from res_federation.config.settings import Settings, merged

DEFAULT_LISTEN = "127.0.0.1:7443"
DATABASE_FILE = "broker.db"

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Settings of a broker.

    Attributes:
        listen: ``HOST:PORT``; port 0 chooses one.
        database_url: SQLAlchemy's, with the driver that the store uses.
        home: Directory of the state, absolute; it may not exist yet.
        ray_address: Ray cluster to join; "" starts a local one.
        ray_workers: Workers that score; 0 scores in this process, without Ray.
        lease_s: Seconds that a site keeps its runs without being heard.
        margin_s: Seconds more before the broker takes them for lost.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
        recordings_mib: Room for recordings of what happened, for replays; 0 keeps none.
        listen_agents: ``HOST:PORT`` of the agents' port; "" takes any port of the same host.
        security: Who may come in.

    """

    listen: str
    database_url: str
    home: Path
    ray_address: str
    ray_workers: int
    lease_s: float = 900.0
    margin_s: float = 60.0
    log_level: str = "info"
    recordings_mib: int = 1024
    listen_agents: str = ""
    security: SecuritySettings = field(default_factory=SecuritySettings)


def _listen(text: object) -> str:
    host, colon, port = str(text).strip().rpartition(":")
    bare = host.startswith("[") or ":" not in host
    if not (colon and host and bare and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"write HOST:PORT, such as {DEFAULT_LISTEN}")
    return f"{host}:{int(port)}"


def _database(text: object) -> str:
    scheme, separator, rest = str(text).strip().partition("://")
    driver = _DRIVERS.get(scheme)
    if not separator or driver is None:
        raise ValueError("write sqlite:///FILE or postgresql://HOST/NAME")
    return f"{driver}://{rest}"


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


class _Broker(Settings):
    listen: Annotated[str, BeforeValidator(_listen)] = DEFAULT_LISTEN
    listen_agents: Annotated[str, BeforeValidator(_listen)] | None = None
    db: Annotated[str, BeforeValidator(_database)] | None = None
    home: Path | None = None
    ray: str = ""
    ray_workers: Annotated[int, Field(ge=0, le=1024)] = 2
    lease_s: Annotated[float, Field(ge=1, le=7 * 86400)] = 900.0
    margin_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        "info"
    )
    recordings_mib: Annotated[int, Field(ge=0, le=1 << 20)] = 1024


VARIABLES = {
    "listen": "RESFED_LISTEN",
    "listen_agents": "RESFED_LISTEN_AGENTS",
    "db": "RESFED_DB",
    "home": HOME_VARIABLE,
    "ray": "RESFED_RAY",
    "ray_workers": "RESFED_RAY_WORKERS",
    "lease_s": "RESFED_LEASE_S",
    "margin_s": "RESFED_MARGIN_S",
    "log_level": "RESFED_LOG_LEVEL",
    "recordings_mib": "RESFED_RECORDINGS_MIB",
}
"""The environment variable of each setting."""


def broker_settings(  # noqa: PLR0913 - the options of a broker
    *,
    listen: str = "",
    listen_agents: str = "",
    security: Path | None = None,
    db: str = "",
    home: Path | None = None,
    ray: str = "",
    ray_workers: int | None = None,
    log_level: str = "",
    environment: Mapping[str, str] | None = None,
) -> BrokerSettings:
    """Merge arguments, the environment (`VARIABLES`) and defaults, in this order.

    An argument that is empty or None was not given. Leases are set by the environment alone.

    Raises:
        InvalidArgument: Naming the option or the variable that is wrong.

    """
    words = os.environ if environment is None else environment
    given = {
        "listen": listen, "listen_agents": listen_agents, "db": db, "home": home,
        "ray": ray, "ray_workers": ray_workers, "log_level": log_level,
    }  # fmt: skip
    found = merged(_Broker, given, words, VARIABLES)
    state = (home or resfed_home(words)).expanduser().absolute()
    return BrokerSettings(
        listen=found.listen,
        database_url=found.db or f"sqlite+aiosqlite:///{state / DATABASE_FILE}",
        home=state,
        ray_address=found.ray,
        ray_workers=found.ray_workers,
        lease_s=found.lease_s,
        margin_s=found.margin_s,
        log_level=found.log_level,
        recordings_mib=found.recordings_mib,
        listen_agents=found.listen_agents or "",
        security=security_settings(security, state),
    )
