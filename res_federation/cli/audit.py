"""`resfed audit …`: what was done and what was denied, and the proof that nothing was changed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.documents import instant
from res_federation.cli.options import Broker, Json, connected
from res_federation.errors import InvalidArgument
from res_federation.model.audit_chain import Head, Record, entry_of, line_of_head, line_of_record
from res_federation.model.audit_verify import Verified, Verifier, head_in

_LONGEST_LINE = 16 << 20  # bytes: no entry comes near it
_ID = 12  # characters of a hash that are shown to people


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="The audit log: who did, or was refused, what.",
        epilog="Example: resfed audit show --act cancel",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog="Example: resfed audit show --outcome denied --limit 20")(show)
    group.command(epilog="Example: resfed audit export > log.jsonl")(export)
    group.command(epilog="Example: resfed audit head --json >> kept-elsewhere.jsonl")(head)
    group.command(epilog="Example: resfed audit key > audit.pem")(key)
    group.command(
        epilog="Example: resfed audit verify log.jsonl --key audit.pem --head kept-elsewhere.jsonl"
    )(verify)
    app.add_typer(group, name="audit")


def show(
    act: Annotated[
        str, typer.Option(metavar="ACT", help="Only this act: submit, place, cancel, site…")
    ] = "",
    actor: Annotated[str, typer.Option(metavar="NAME", help="Only acts of this one.")] = "",
    target: Annotated[str, typer.Option(metavar="ID", help="Only acts on this.")] = "",
    outcome: Annotated[str, typer.Option(metavar="WORD", help="Only done, or only denied.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", help="Most entries, the newest.", min=1)] = 50,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """List entries of the audit log, the newest last."""
    with connected(broker) as federation:
        found = federation.audit.entries(act=act, actor=actor, target=target, outcome=outcome)
        records = list(islice(found, limit))[::-1]
    if as_json:
        output.document([json.loads(line_of_record(record)) for record in records])
        return
    output.table(
        (">NUMBER", "TIME", "ACTOR", "ACT", "TARGET", "OUTCOME", "MORE"),
        (_row(record) for record in records),
        empty="no entries",
    )


def _row(record: Record) -> tuple[str, ...]:
    entry = entry_of(record.entry)
    more = [entry.reason] if entry.reason else []
    more += [f"{name}={value}" for name, value in entry.data]
    return (
        str(record.number),
        instant(entry.at) or "",
        entry.actor,
        entry.act,
        entry.target,
        entry.outcome,
        " ".join(more),
    )


def export(
    first: Annotated[
        int, typer.Option("--from", metavar="N", help="Number of the first entry.", min=1)
    ] = 1,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="From this time on: 2026-11-21, 2026-11-21T08:30Z."),
    ] = "",
    broker: Broker = "",
    as_json: Json = False,  # noqa: ARG001 - it is JSON anyhow: a record a line
) -> None:
    """Print the log as JSON, a record a line, with its signed heads: what `verify` reads."""
    if since and first != 1:
        raise InvalidArgument("give a number or a time, not both", field="--since")
    at = _time(since) if since else None
    with connected(broker) as federation:
        for item in federation.audit.export(0 if since else first, at):
            line = line_of_head(item) if isinstance(item, Head) else line_of_record(item)
            sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _time(text: str) -> float:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"'{text}' is not a time", field="--since", way_out="such as 2026-11-21T08:30Z"
        ) from None
    return read.timestamp()  # without a zone: of this machine


def head(broker: Broker = "", as_json: Json = False) -> None:
    """Show the newest signed head; keep it where the federation's operators cannot change it."""
    with connected(broker) as federation:
        found = federation.audit.head()
    if as_json:
        output.data(line_of_head(found) + b"\n")
    else:
        output.say(f"entry {found.number}, hash {found.hash.hex()}, signed {_signed(found)}")


def _signed(found: Head) -> str:
    return instant(found.at / 1_000_000) or ""


def key(broker: Broker = "", as_json: Json = False) -> None:
    """Print the public key with which anybody verifies the log."""
    with connected(broker) as federation:
        pem = federation.audit.key()
    if as_json:
        output.document({"pem": pem})
    else:
        output.help_text(pem)


def verify(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="An export; '-' for standard input.")
    ] = "",
    *,
    db: Annotated[
        str, typer.Option(metavar="URL", help="The database itself, in place of an export.")
    ] = "",
    key: Annotated[Path, typer.Option(metavar="PEM", help="The federation's public key.")],
    heads: Annotated[
        list[Path] | None,
        typer.Option(
            "--head", metavar="FILE", help="Heads that were kept, one a line; may be repeated."
        ),
    ] = None,
    first: Annotated[
        int,
        typer.Option("--from", metavar="N", help="Number with which the export begins.", min=1),
    ] = 1,
    as_json: Json = False,
) -> None:
    """Verify that no entry was changed, removed, added or moved. Needs no broker.

    Leaves with 1 and says which number is wrong, if any is.
    """
    from res_federation.security.audit_key import checking  # cryptography

    if bool(file) == bool(db):
        raise InvalidArgument("give an export or --db, one of them", field="FILE")
    verifier = Verifier(
        checking(_content(key, "--key"), name=str(key)),
        first=first,
        kept=[found for path in heads or () for found in _heads(path)],
    )
    if db:
        asyncio.run(_verify_database(verifier, db, first))
    else:
        for line in _lines(file):
            verifier.line(line)
    _tell(verifier.end(signed=not db), as_json=as_json)


def _tell(found: Verified, *, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {
            "first": found.first,
            "last": found.tail.number,
            "hash": found.tail.hash.hex(),
            "heads": found.heads,
            "unsigned": found.unsigned,
        }
        output.document(told)
        return
    said = f"entries {found.first} to {found.tail.number} are whole, {found.heads} signed heads"
    if found.unsigned:
        said += f"; the last {found.unsigned} are not signed yet"
    output.say(f"{said}; hash {found.tail.hash.hex()[:_ID]}")


async def _verify_database(verifier: Verifier, url: str, first: int) -> None:
    from res_federation.store.audit_reader import AuditReader  # sqlalchemy

    reader = AuditReader.open(url)
    try:
        head = await reader.head()  # before the end is looked for: a broker may be writing
        last = await reader.last()
        async for page in reader.lines(first, last):
            for item in page:
                if isinstance(item, Head):
                    verifier.head(item)
                else:
                    verifier.record(item)
        if head is not None and head.number > last:
            verifier.head(head)
    finally:
        await reader.close()


def _content(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"cannot read {path}: {error.strerror}", field=option) from error


def _heads(path: Path) -> Iterator[Head]:
    for number, line in enumerate(_content(path, "--head").splitlines(), start=1):
        found = head_in(line)
        if found is None:
            raise InvalidArgument(
                f"{path}:{number}: is no signed head",
                field="--head",
                way_out="resfed audit head --json",
            )
        yield found


def _lines(file: str) -> Iterable[bytes]:
    """Yield the lines of an export; a longer one than any of ours is cut, so it is refused."""
    if file == "-":
        yield from iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE), b"")
        return
    try:
        with Path(file).open("rb") as source:
            yield from iter(lambda: source.readline(_LONGEST_LINE), b"")
    except OSError as error:
        raise InvalidArgument(f"cannot read {file}: {error.strerror}", field="FILE") from error
