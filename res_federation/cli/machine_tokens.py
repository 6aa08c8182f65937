"""`resfed admin token …`: accounts of machines, for pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.documents import instant
from res_federation.cli.options import Broker, Json

if TYPE_CHECKING:
    from res_federation.client.identity import IdentityClient, MachineTokenView

_DAY_S = 86_400.0


def group() -> typer.Typer:
    """Return the commands of this file."""
    made = typer.Typer(
        help="Tokens of machine accounts, for pipelines (RESFED_TOKEN).",
        epilog="Example: resfed admin token create --label ci --scope submit --scope read",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    made.command(epilog="Example: resfed admin token create --label ci --scope submit --days 7")(
        create
    )
    made.command("list", epilog="Example: resfed admin token list --json")(listed)
    made.command(epilog="Example: resfed admin token revoke ci-4kq7mhxz")(revoke)
    return made


def create(
    scope: Annotated[
        list[str],
        typer.Option(metavar="SCOPE", help="submit, read, cancel, output or sites; repeat it."),
    ],
    label: Annotated[str, typer.Option(metavar="WORD", help="What it is for.")] = "machine",
    project: Annotated[
        str, typer.Option(metavar="ID", help="Project [default: your only one].")
    ] = "",
    days: Annotated[float, typer.Option(help="So long it holds.", min=0.001, max=366)] = 30,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Make a token. It is shown once, and kept nowhere."""
    made = _client(broker).create_token(label, project, scope, days * _DAY_S)
    if as_json:
        output.document({**_document(made), "token": made.token})
        return
    output.note(
        f"machine account {made.id} of project {made.project}, until {instant(made.expires)};"
        " this is its token, shown once:"
    )
    output.say(made.token)


def listed(broker: Broker = "", as_json: Json = False) -> None:
    """List the tokens that you may see, without themselves."""
    found = _client(broker).tokens()
    if as_json:
        output.document([_document(one) for one in found])
        return
    output.table(
        ("ACCOUNT", "PROJECT", "SCOPES", "OWNER", "EXPIRES", "REVOKED"),
        (
            (
                one.id, one.project, ",".join(one.scopes), one.owner,
                instant(one.expires) or "", instant(one.revoked) or "",
            )
            for one in found
        ),
        empty="no tokens",
    )  # fmt: skip


def revoke(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="As `list` shows it.")],
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """End a token at once."""
    ended = _client(broker).revoke_token(account)
    if as_json:
        output.document(_document(ended))
    else:
        output.say(f"the token of {ended.id} was revoked at {instant(ended.revoked)}")


def _client(broker: str) -> IdentityClient:
    from res_federation.client.address import broker_address
    from res_federation.client.identity import IdentityClient
    from res_federation.security import credentials

    address = broker_address(broker)
    return IdentityClient(address, credentials.find(address))


def _document(one: MachineTokenView) -> dict[str, Any]:
    return {
        "account": one.id, "label": one.label, "project": one.project,
        "scopes": list(one.scopes), "owner": one.owner, "made": instant(one.made),
        "expires": instant(one.expires), "revoked": instant(one.revoked),
    }  # fmt: skip
