"""`resfed admin ca`: the federation's authority, and what it signed for sites."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.documents import instant
from res_federation.cli.options import Broker, Json
from res_federation.client.address import broker_address
from res_federation.client.enrolment import CertificateView, EnrolmentClient


def group() -> typer.Typer:
    """Return the commands of this file."""
    ca = typer.Typer(
        help="The federation's certificate authority, and what it signed for sites.",
        epilog="Example: resfed admin ca revoke csuc --reason 'stolen disk'",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    ca.command(epilog="Example: resfed admin ca init --home /var/lib/resfed")(init)
    ca.command(epilog="Example: resfed admin ca show --broker 127.0.0.1:7443")(show)
    ca.command("list", epilog="Example: resfed admin ca list csuc")(list_certificates)
    ca.command(epilog="Example: resfed admin ca revoke csuc --reason 'stolen disk'")(revoke)
    return ca


def init(
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="State [default: $RESFED_HOME].", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the authority in a broker's home before its first start; one that is there is kept."""
    from res_federation.broker.clock import SystemClock
    from res_federation.config.places import resfed_home
    from res_federation.security.authority import AUTHORITY, Authority

    directory = (home or resfed_home()).expanduser().absolute() / AUTHORITY
    authority = Authority.opened(directory, SystemClock().now())
    _tell_authority(authority.ca_pem, as_json=as_json, where=str(directory))


def show(
    broker: Broker = "",
    pem: Annotated[bool, typer.Option("--pem", help="Print the certificate itself.")] = False,
    as_json: Json = False,
) -> None:
    """Show the authority of a broker: its fingerprint is what sites compare."""
    told = asyncio.run(_client(broker).authority())
    if pem and not as_json:
        output.say(told.ca_pem.decode().strip())
    else:
        _tell_authority(told.ca_pem, as_json=as_json)


def list_certificates(
    site: Annotated[
        str, typer.Argument(metavar="[SITE]", help="Identifier of a site; all by default.")
    ] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """List certificates of sites, newest first."""
    found = asyncio.run(_client(broker).certificates(site))
    _tell(found, as_json=as_json, empty="no certificate was signed yet")


def revoke(
    which: Annotated[
        str, typer.Argument(metavar="SITE|SERIAL", help="A site, or the serial of a certificate.")
    ],
    reason: Annotated[str, typer.Option(help="Why, for people.", metavar="TEXT")] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Take back a certificate, or all of a site, at once: its open streams end.

    A site comes back with a new invitation only. Open invitations of a site end with it.
    """
    serial = len(which) == 40 and all(letter in "0123456789abcdefABCDEF" for letter in which)
    name = f"certificates/{which.lower()}" if serial else f"sites/{which}"
    ended = asyncio.run(_client(broker).revoke(name, reason))
    _tell(ended, as_json=as_json, empty="none of them was good any more")


def _client(broker: str) -> EnrolmentClient:
    from res_federation.security.credentials import find

    address = broker_address(broker)
    return EnrolmentClient(address, find(address))


def _tell_authority(ca_pem: bytes, *, as_json: bool, where: str = "") -> None:
    from res_federation.broker.clock import SystemClock
    from res_federation.security.authority import (
        AUTHORITY_ENDS_SOON_S,
        DAY_S,
        fingerprint_of,
        times_of,
    )

    last = times_of(ca_pem)[1]
    ends, left = instant(last), last - SystemClock().now()
    if as_json:
        told = {"fingerprint": fingerprint_of(ca_pem), "expires": ends, "pem": ca_pem.decode()}
        output.document({**told, "directory": where} if where else told)
        return
    if where:
        output.say(f"authority in {where}")
    output.say(f"SHA-256 {fingerprint_of(ca_pem)}")
    output.say(f"until {ends}")
    if left < AUTHORITY_ENDS_SOON_S:
        days = max(0, int(left // DAY_S))
        output.say(f"it ends in {days} days: make another, and let every site enrol anew")


def _tell(found: list[CertificateView], *, as_json: bool, empty: str) -> None:
    if as_json:
        output.document([_document(one) for one in found])
        return
    output.table(
        ("SITE", "SERIAL", "STATE", "SIGNED", "EXPIRES", "REASON"),
        (
            (
                one.site,
                one.serial,
                one.state,
                instant(one.signed) or "",
                instant(one.expires) or "",
                one.reason,
            )
            for one in found
        ),
        empty=empty,
    )


def _document(one: CertificateView) -> dict[str, Any]:
    return {
        "site": one.site,
        "serial": one.serial,
        "state": one.state,
        "signed": instant(one.signed),
        "expires": instant(one.expires),
        "revoked": instant(one.revoked),
        "reason": one.reason,
        "renewed": one.renewed,
    }
