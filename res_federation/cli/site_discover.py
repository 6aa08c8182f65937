"""`resfed site discover` and `resfed site check --live`: a site file and the cluster behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json

if TYPE_CHECKING:
    from res_federation.agent.slurm.discover import Discovered
    from res_federation.agent.slurm.live_check import Difference
    from res_federation.model.site import Site, SlurmAccess


def register(group: typer.Typer) -> None:
    """Add the commands of this file to the group `site`."""
    found = typer.Typer(
        help="Write a site file from a live batch system.",
        epilog="Example: resfed site discover slurm --conf /etc/slurm/slurm.conf > site.toml",
        no_args_is_help=True,
        rich_markup_mode=None,
        callback=lambda: None,
    )
    found.command(epilog="Example: resfed site discover slurm --conf /etc/slurm/slurm.conf")(slurm)
    group.add_typer(found, name="discover")


def slurm(
    conf: Annotated[Path, typer.Option(metavar="PATH", help="The cluster's slurm.conf.")],
    site: Annotated[
        str,
        typer.Option(
            "--id",
            metavar="ID",
            help="Identifier of the site [default: the cluster's name].",
            show_default=False,
        ),
    ] = "",
    user: Annotated[
        str, typer.Option(metavar="NAME", help="Local account that is to submit.")
    ] = "",
    programs: Annotated[
        str,
        typer.Option("--bin", metavar="DIR", help="Where Slurm's commands are, if not on PATH."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Write the site.toml of a Slurm cluster to standard output; nothing is changed there.

    What Slurm does not know (institution, place) stands in the file as comments to be filled in.
    Leaves with 3 if the controller does not answer.
    """
    found, text = _discovered(conf, site, user, programs)
    if as_json:
        left_out = list(found.tail)
        output.document({"site": found.site.id, "left_out": left_out, "file": text})
    else:
        output.help_text(text)


def site_file_text(conf: Path) -> str:
    """Return the site file of a live cluster, as `resfed site discover slurm` prints it."""
    return _discovered(conf, "", "", "")[1]


def _discovered(conf: Path, site: str, user: str, programs: str) -> tuple[Discovered, str]:
    from res_federation.agent.accounts import own_account
    from res_federation.agent.slurm.calls import Calls
    from res_federation.agent.slurm.discover import look_at, readable, site_of
    from res_federation.config.site_writer import site_text
    from res_federation.model.site import SlurmAccess

    path = readable(conf)
    calls = Calls(str(path), own_account(), programs=programs)
    calls.check()
    live = asyncio.run(look_at(calls))
    found = site_of(live, SlurmAccess(str(path), user=user, programs=programs), site)
    text = site_text(found.site, head=found.head, remarks=found.remarks, tail=found.tail)
    return found, text


def live_differences(file: Path) -> tuple[Difference, ...]:
    """Return what a site file says otherwise than its cluster.

    Raises:
        InvalidArgument: If the file has a fault, or is of no Slurm site.
        Unavailable: If the controller does not answer.

    """
    from res_federation.agent.accounts import own_account
    from res_federation.agent.slurm.calls import Calls
    from res_federation.agent.slurm.discover import look_at, readable
    from res_federation.agent.slurm.live_check import differences

    site, access = slurm_site(file)
    conf = readable(Path(access.conf))
    calls = Calls(str(conf), own_account(), programs=access.programs)
    calls.check()
    return differences(site, asyncio.run(look_at(calls, declared=site.partitions)))


def slurm_site(file: Path) -> tuple[Site, SlurmAccess]:
    """Return the site of a file and how its Slurm is reached; raises InvalidArgument."""
    from res_federation.config.sites import load_site
    from res_federation.errors import InvalidArgument

    site = load_site(file)
    if site.batch != "slurm" or site.slurm is None:
        raise InvalidArgument(
            f"site '{site.id}' has batch = \"{site.batch}\": there is no cluster behind it",
            field=f"{file}: batch",
            way_out='a site with a Slurm has batch = "slurm" and a table [slurm]',
        )
    return site, site.slurm


def tell_differences(file: Path, found: tuple[Difference, ...], *, as_json: bool) -> int:
    """Print differences; return the exit code: 0 for none, else 1."""
    if as_json:
        rows = [
            {
                "partition": each.partition,
                "key": each.key,
                "file": each.file,
                "cluster": each.cluster,
                "message": each.message,
            }
            for each in found
        ]
        output.document({"path": str(file), "valid": True, "equal": not found, "differences": rows})
    elif not found:
        output.say(f"{file}: as the cluster is")
    else:
        for each in found:
            output.say(each.message)
        output.note(f"{file} and its cluster differ: {len(found)} in all")
    return 1 if found else 0
