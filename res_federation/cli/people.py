"""`resfed login`, `resfed logout`, `resfed whoami`: who one is before the federation."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.documents import instant
from res_federation.cli.options import Broker, Json
from res_federation.errors import FailedPrecondition, InvalidArgument
from res_federation.security.flows import DevicePrompt, LoginAt, Tokens

_PERSON_S = 300.0


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog="Example: resfed login --broker broker.example.org:7443 --device")(login)
    app.command(epilog="Example: resfed logout")(logout)
    app.command(epilog="Example: resfed whoami --json")(whoami)


def login(
    issuer: Annotated[
        str,
        typer.Option(
            metavar="NAME|URL",
            help="Who vouches for you [default: the broker's only one].",
            show_default=False,
        ),
    ] = "",
    device: Annotated[
        bool, typer.Option("--device", help="Show an address and a code, for any other device.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="Open a browser on this machine.")
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Authority that signs the broker [default: the system's].",
            show_default=False,
        ),
    ] = None,
    fingerprint: Annotated[
        str,
        typer.Option(metavar="SHA256", help="Of that authority, in place of its file."),
    ] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Log in at the broker through your institution; later commands use it by themselves."""
    # gRPC and sockets of TLS take a while that --help need not wait for
    from res_federation.client.address import broker_address
    from res_federation.client.identity import IdentityClient, issuers
    from res_federation.security import credentials, saved_login

    if device and browser:
        raise InvalidArgument("--device and --browser do not go together", field="--device")
    address = broker_address(broker)
    ca_pem = _authority(address, ca, fingerprint)
    nobody = credentials.Credentials(ca_pem.encode() or None, lambda: "", "login")
    where = _chosen(issuers(address, nobody), issuer)
    use_browser = browser or (not device and _has_screen())
    tokens = _by_browser(where) if use_browser else _by_device(where, as_json=as_json)
    made = saved_login.made(address, ca_pem, where, tokens)
    mine = credentials.Credentials(nobody.ca_pem, lambda: tokens.access, "login")
    who = IdentityClient(address, mine).whoami()  # before it is saved: does the broker take it?
    path = saved_login.save(made)
    if as_json:
        output.document({"user": who.user, "issuer": where.name, "file": str(path)})
    else:
        output.say(f"logged in at {address} as {who.user}")


def logout(broker: Broker = "", as_json: Json = False) -> None:
    """Forget the login at the broker, on this machine."""
    from res_federation.client.address import broker_address
    from res_federation.security import saved_login

    address = broker_address(broker)
    there = saved_login.forget(address)
    if as_json:
        output.document({"broker": address, "was_logged_in": there})
    else:
        output.say(f"logged out at {address}" if there else f"nobody was logged in at {address}")


def whoami(broker: Broker = "", as_json: Json = False) -> None:
    """Say who the broker takes you for, and what you may do."""
    from res_federation.client.address import broker_address
    from res_federation.client.identity import IdentityClient
    from res_federation.security import credentials

    address = broker_address(broker)
    who = IdentityClient(address, credentials.find(address)).whoami()
    if as_json:
        output.document(
            {
                "user": who.user, "issuer": who.issuer, "subject": who.subject,
                "roles": list(who.roles), "projects": who.projects, "sites": list(who.sites),
                "scopes": list(who.scopes), "expires": instant(who.expires),
            }
        )  # fmt: skip
        return
    output.say(who.user)
    rows = (
        ("roles", ", ".join(who.roles)),
        ("projects", ", ".join(f"{name} ({role})" for name, role in who.projects.items())),
        ("sites", ", ".join(who.sites)),
        ("scopes", ", ".join(who.scopes)),
        ("until", instant(who.expires) or ""),
    )
    for what, value in rows:
        if value:
            output.say(f"  {what}: {value}")


def _authority(address: str, ca: Path | None, fingerprint: str) -> str:
    """Return the authority that signs the broker, "" for the system's."""
    from res_federation.security.credentials import CA_VARIABLE

    file = ca or (Path(os.environ[CA_VARIABLE]) if os.environ.get(CA_VARIABLE) else None)
    if file is not None and fingerprint:
        raise InvalidArgument("--ca and --fingerprint do not go together", field="--ca")
    if file is not None:
        return file.read_text(encoding="ascii")
    if fingerprint:
        import asyncio

        from res_federation.client.enrolment import proved_authority

        return asyncio.run(proved_authority(address, fingerprint)).decode()
    return ""


def _chosen(offered: list[LoginAt], asked: str) -> LoginAt:
    if not offered:
        raise FailedPrecondition(
            "this broker knows no issuer: it is in developer mode, and signs its own account in"
        )
    listed = ", ".join(one.name for one in offered)
    found = [one for one in offered if not asked or asked in (one.name, one.url)]
    if len(found) == 1:
        return found[0]
    what = f"there is no issuer '{asked}'" if asked else "the broker takes several issuers"
    raise InvalidArgument(what, field="--issuer", way_out=f"one of: {listed}")


def _has_screen() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _by_browser(where: LoginAt) -> Tokens:
    from res_federation.security.flows import browser_login

    def show(url: str) -> None:
        output.note(f"log in here: {url}")
        webbrowser.open(url)

    return browser_login(where, show, timeout_s=_PERSON_S)


def _by_device(where: LoginAt, *, as_json: bool) -> Tokens:
    from res_federation.security.flows import device_login

    def show(prompt: DevicePrompt) -> None:
        if as_json:
            output.line({"url": prompt.url, "code": prompt.code, "open": prompt.complete_url})
        else:
            output.say(f"open {prompt.url} and type {prompt.code}")

    return device_login(where, show)
