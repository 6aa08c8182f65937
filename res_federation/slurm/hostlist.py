"""Lists of hosts, ``n[01-03,7],login1``: how many they name, and the first few of them."""

from __future__ import annotations

import re

from res_federation.errors import InvalidArgument

MAX_HOSTS = 65_536
"""Most hosts of one range, Slurm's own bound; ours for a whole list."""
_MOST_RANGES = 64
"""Most brackets in one name; each doubles the hosts, or says nothing."""
_SPLIT = re.compile(r"[,\s]+")
_NUMBER = re.compile(r"(\d{1,18})(?:-(\d{0,18}))?", re.ASCII)


def expand(text: str, field: str = "--nodelist") -> list[str]:
    """Name every host of *text*, doubles left out, in the order of the list.

    Raises:
        InvalidArgument: A range is none, runs backwards or names more than `MAX_HOSTS`.

    """
    hosts: dict[str, None] = {}
    for part in _parts(text):
        for host in _expand(part, field):
            hosts[host] = None
        if len(hosts) > MAX_HOSTS:
            raise _refuse(f"more than {MAX_HOSTS:,} hosts", field)
    return list(hosts)


def _refuse(message: str, field: str) -> InvalidArgument:
    return InvalidArgument(message, field=field, way_out="write it like node[01-04,7],login1")


def _parts(text: str) -> list[str]:
    """Split at commas and blanks outside of brackets."""
    if "[" not in text:
        return [part for part in _SPLIT.split(text) if part]
    parts: list[str] = []
    current = ""
    depth = 0
    for sign in text:
        if sign == "[":
            depth += 1
        elif sign == "]" and depth:
            depth -= 1
        if not depth and (sign == "," or sign.isspace()):
            parts.append(current)
            current = ""
        else:
            current += sign
    parts.append(current)
    return [part for part in parts if part]


def _expand(part: str, field: str) -> list[str]:
    if part.count("[") > _MOST_RANGES:
        raise _refuse(f"more than {_MOST_RANGES} ranges in one name", field)
    head, opened, rest = part.partition("[")
    inside, closed, tail = rest.partition("]")
    if not opened or not closed:
        return [part]
    tails = _expand(tail, field) if tail else [""]
    if tail and "[" not in tail:
        raise _refuse(f"'{part}' has text after its brackets", field)
    found: list[str] = []
    for piece in inside.split(","):
        numbers = _numbers(piece, field)
        if len(found) + len(numbers) * len(tails) > MAX_HOSTS:
            raise _refuse(f"more than {MAX_HOSTS:,} hosts", field)
        found.extend([f"{head}{number}{end}" for number in numbers for end in tails])
    return found


def _numbers(piece: str, field: str) -> list[str]:
    matched = _NUMBER.fullmatch(piece.strip())
    if matched is None:
        raise _refuse(f"Invalid range: '{piece[:60]}'", field)
    width = len(matched.group(1))
    first = int(matched.group(1))
    last = int(matched.group(2) or first)
    if last < first:
        raise _refuse(f"Invalid range: '{piece[:60]}'", field)
    if last - first >= MAX_HOSTS:
        raise _refuse(f"Too many hosts in range '{piece[:60]}'", field)
    return [f"{number:0{width}d}" for number in range(first, last + 1)]


def first_of(hosts: list[str], many: int) -> str:
    """Write the first *many* of *hosts* in sorted order, neighbours drawn together."""
    split = sorted((_split(host) for host in hosts), key=lambda part: (part[0], len(part[1])))
    split = sorted(split, key=lambda part: (part[0], int(part[1] or -1)))[:many]
    groups: list[tuple[str, list[str]]] = []
    for prefix, number in split:
        if groups and number and groups[-1][0] == prefix and groups[-1][1][0]:
            groups[-1][1].append(number)
        else:
            groups.append((prefix, [number]))
    return ",".join(_write(prefix, numbers) for prefix, numbers in groups)


def _split(host: str) -> tuple[str, str]:
    matched = re.fullmatch(r"(.*?)(\d{0,18})", host, re.DOTALL | re.ASCII)
    return (matched.group(1), matched.group(2)) if matched else (host, "")


def _write(prefix: str, numbers: list[str]) -> str:
    if len(numbers) == 1:
        return prefix + numbers[0]
    parts: list[list[str]] = []
    for number in numbers:
        if parts and int(number) == int(parts[-1][-1]) + 1 and len(number) == len(parts[-1][-1]):
            parts[-1].append(number)
        else:
            parts.append([number])
    body = ",".join(part[0] if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
    return f"{prefix}[{body}]"
