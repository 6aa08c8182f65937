"""`resfed admin …`: for operators and leads."""

from __future__ import annotations

import typer

from res_federation.cli import authority, machine_tokens


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="For operators of the federation, and leads of projects.",
        epilog="Example: resfed admin token list",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.add_typer(machine_tokens.group(), name="token")
    group.add_typer(authority.group(), name="ca")
    app.add_typer(group, name="admin")
