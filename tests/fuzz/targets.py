"""The entry points of the fuzzers: bytes in, the number of directive lines made of them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from res_federation.errors import FederationError
from tests.fuzz import laws
from tests.fuzz.readers import READERS
from tests.fuzz.scripts import FREE, OF_VALUE, Asked, Supply, as_read, fields_of, script_of

TARGETS_EACH = 4
"""Partitions that one script is rendered for; over many scripts, all of them."""
ACCOUNTS = ("", "uv00", "res01", "a b", "x#y")


def scripts(data: bytes) -> int:
    """Read any script, and render what is read for some partitions."""
    supply = Supply(data)
    at, account = supply.number(65535), supply.one(ACCOUNTS)
    return _judged(script_of(supply), at, account)


def fields(data: bytes) -> int:
    """Put values that try to be more into options, the account among them."""
    supply = Supply(data)
    at = supply.number(65535)
    account = as_read(supply.one(("", supply.tricky(), supply.tricky())))
    name, value = supply.one((*FREE, *OF_VALUE)), supply.tricky()
    laws.is_one_directive(name, value)
    return _judged(fields_of(supply), at, account) + 1


def _judged(asked: Asked, at: int, account: str) -> int:
    spec = laws.is_read_or_refused(asked)
    if spec is None:
        return asked.lines
    laws.travels(spec)
    everywhere = laws.targets()
    here = everywhere[at % len(everywhere)][0]
    origins = (*laws.origins(spec), here)
    for step in range(TARGETS_EACH):
        target = everywhere[(at + step * 17) % len(everywhere)]
        laws.is_rendered_or_refused(spec, origins[step % len(origins)], target, account)
    return asked.lines


def readers(data: bytes) -> int:
    """Give text to one of all readers: an answer, or an error of our own."""
    supply = Supply(data)
    read = READERS[supply.one(tuple(READERS))]
    try:
        read(supply.rest())
    except FederationError as error:
        assert error.message
    return 1


TARGETS: Mapping[str, Callable[[bytes], int]] = {
    "scripts": scripts,
    "fields": fields,
    "readers": readers,
}
