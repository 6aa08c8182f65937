"""Every option of sbatch, and getopt's way of telling them apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from res_federation.errors import InvalidArgument


class Takes(Enum):
    """Whether an option has a value."""

    NOTHING = "none"
    VALUE = "required"
    MAYBE = "optional"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of sbatch.

    Attributes:
        name: The long name under which sbatch lists it.
        letter: The short letter, or "".
        takes: Whether a value follows.
        spellings: Long names that mean it.
        since: The release that brought it, or "" when 22.05 knows it.

    """

    name: str
    letter: str
    takes: Takes
    spellings: tuple[str, ...]
    since: str = ""


_WITH_VALUE = """
account:A acctg-freq array:a batch bb bbf begin:b chdir:D cluster cluster-constraint clusters:M
comment constraint:C container context core-spec:S cores-per-socket cpu-freq cpus-per-gpu
cpus-per-task:c deadline delay-boot dependency:d distribution:m error:e exclude:x export
export-file extra-node-info:B gid gpu-bind gpu-freq gpus:G gpus-per-node gpus-per-socket
gpus-per-task gres gres-flags hint input:i job-name:J kill-on-invalid-dep licenses:L mail-type
mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile:F nodelist:w
nodes:N ntasks:n ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres
open-mode output:o partition:p power prefer priority profile qos:q reservation signal
sockets-per-node switches thread-spec threads-per-core time:t time-min tmp uid wait-all-nodes
wckey wrap
"""
_WITHOUT_VALUE = """
contiguous help:h hold:H ignore-pbs no-requeue overcommit:O oversubscribe:s parsable quiet:Q
reboot requeue spread-job test-only usage use-min-nodes verbose:v version:V wait:W
"""
_VALUE_OR_NOT = "exclusive get-user-env nice no-kill:k propagate"
_LATER = {
    "23.02": "extra container-id tres-bind",
    "23.11": "tres-per-task",
    "24.05": "oom-kill-step resv-ports stepmgr",
    "24.11": "segment",
    "25.05": "consolidate-segments spread-segments external",
}
"""Options that came after 22.05: refused like any unknown one, but with the reason."""
_SECOND_NAMES = {"ntasks-per-node": "tasks-per-node"}


def _options() -> tuple[Option, ...]:
    found: list[Option] = []
    for words, takes in (
        (_WITH_VALUE, Takes.VALUE),
        (_WITHOUT_VALUE, Takes.NOTHING),
        (_VALUE_OR_NOT, Takes.MAYBE),
    ):
        for word in words.split():
            name, _, letter = word.partition(":")
            other = _SECOND_NAMES.get(name)
            found.append(Option(name, letter, takes, (name, other) if other else (name,)))
    return tuple(found)


def _spellings() -> dict[str, tuple[tuple[str, Option], ...]]:
    """Map every unambiguous and ambiguous beginning of a long name to what it may mean."""
    names = sorted(
        ((name, option) for option in OPTIONS for name in option.spellings),
        key=lambda pair: pair[0],
    )
    table: dict[str, list[tuple[str, Option]]] = {}
    for name, option in names:
        for length in range(len(name) + 1):
            table.setdefault(name[:length], []).append((name, option))
    for name, option in names:
        table[name] = [(name, option)]  # a whole name wins over longer ones
    return {start: tuple(meanings) for start, meanings in table.items()}


OPTIONS = _options()
LATER_OPTIONS = {name: since for since, names in _LATER.items() for name in names.split()}
BY_NAME = {option.name: option for option in OPTIONS}
_BY_LETTER = {option.letter: option for option in OPTIONS if option.letter}
_BY_START = _spellings()

Given = tuple[Option, str, int]
"""An option, its value ("" without one) and the position of its word."""


def read_words(words: Sequence[str], leftover: str) -> Iterator[Given]:
    """Tell options and values apart as getopt_long does, in order.

    Args:
        words: ``--name=value``, ``--name value``, ``-n value``, ``-nvalue``, ``-Hn2``; beginnings
            of long names will do when they are unambiguous.
        leftover: What to say of a word that is neither option nor value.

    Raises:
        InvalidArgument: At the first word that is wrong; `leftover` ones after all others.

    """
    stray = -1
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            stray = at + 1 if stray < 0 and at + 1 < len(words) else stray
            break
        if word.startswith("--"):
            option, value, used = _long(word, words, at)
            yield option, value, at
            at += used
        elif len(word) > 1 and word[0] == "-":
            used = 1
            for option, value, last in _short(word, words, at):
                used = last
                yield option, value, at
            at += used
        else:
            stray = at if stray < 0 else stray
            at += 1
    if stray >= 0:
        raise InvalidArgument(f"{leftover}: {words[stray]}", field=f"word {stray}")


def _long(word: str, words: Sequence[str], at: int) -> tuple[Option, str, int]:
    start, equals, value = word[2:].partition("=")
    meanings = _BY_START.get(start, ())
    if len(meanings) != 1:
        raise _unknown(word, start, meanings, at)
    name, option = meanings[0]
    if equals:
        if option.takes is Takes.NOTHING:
            raise InvalidArgument(
                f"option '--{name}' doesn't allow an argument", field=f"word {at}"
            )
        return option, value, 1
    if option.takes is not Takes.VALUE:
        return option, "", 1
    if at + 1 >= len(words):
        raise InvalidArgument(f"option '--{name}' requires an argument", field=f"word {at}")
    return option, words[at + 1], 2


def _unknown(
    word: str, start: str, meanings: tuple[tuple[str, Option], ...], at: int
) -> InvalidArgument:
    if start and meanings:
        names = " ".join(f"'--{name}'" for name, _ in meanings)
        return InvalidArgument(
            f"option '{word}' is ambiguous; possibilities: {names}", field=f"word {at}"
        )
    since = LATER_OPTIONS.get(start, "")
    return InvalidArgument(
        f"unrecognized option '{word}'",
        field=f"word {at}",
        way_out=f"sbatch knows --{start} from {since} on, the federation does not yet"
        if since
        else "",
    )


def _short(word: str, words: Sequence[str], at: int) -> Iterator[tuple[Option, str, int]]:
    """Read a cluster of letters; yields option, value and how many words are used up."""
    for position in range(1, len(word)):
        letter, rest = word[position], word[position + 1 :]
        option = _BY_LETTER.get(letter)
        if option is None:
            raise InvalidArgument(f"invalid option -- '{letter}'", field=f"word {at}")
        if option.takes is Takes.NOTHING:
            yield option, "", 1
            continue
        if rest or option.takes is Takes.MAYBE:
            yield option, rest, 1
        elif at + 1 < len(words):
            yield option, words[at + 1], 2
        else:
            raise InvalidArgument(f"option requires an argument -- '{letter}'", field=f"word {at}")
        return
