"""The words of `resfed submit`: our own options, sbatch's options, the script, its arguments.

sbatch's rule: options stand before the script, the first word that is none is the script, and
everything after it belongs to the script.  Our own options may stand anywhere among sbatch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from res_federation.errors import InvalidArgument
from res_federation.slurm.options import OPTIONS, Takes

_FLAGS = ("parsable", "wait", "dry-run", "test-only", "json", "help", "usage")
_VALUES = (
    "wrap",
    "origin",
    "idempotency-key",
    "broker",
    "input-size",
    "input-site",
    "exclude-sites",
    "data-class",
    "jurisdiction",
    "project",
)
_LETTERS = {"-W": "wait", "-h": "help"}
_BY_LETTER = {option.letter: option for option in OPTIONS if option.letter}


@dataclass
class Words:
    """What was asked for.

    Attributes:
        own: Our own options by name; "" for those without a value.
        sbatch: Words that are sbatch's, in order, for its own reader.
        script: Path of the script, or None where none was named.
        arguments: Arguments of the script.

    """

    own: dict[str, str] = field(default_factory=dict)
    sbatch: list[str] = field(default_factory=list)
    script: str | None = None
    arguments: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Tell whether one of our own options was given."""
        return name in self.own


def read(words: Sequence[str]) -> Words:
    """Tell the words apart.

    Raises:
        InvalidArgument: If one of our own options lacks its value or has one too many.

    """
    told = Words()
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--" or not word.startswith("-") or word == "-":
            rest = list(words[at + 1 :] if word == "--" else words[at:])
            told.script = rest[0] if rest else None
            told.arguments = rest[1:]
            break
        at += _own(told, words, at) or _foreign(told, words, at)
    return told


def _own(told: Words, words: Sequence[str], at: int) -> int:
    """Take one of our own options; return how many words it took, 0 if it is none of ours."""
    word = words[at]
    if word in _LETTERS:
        told.own[_LETTERS[word]] = ""
        return 1
    name, equals, value = word.removeprefix("--").partition("=")
    if not word.startswith("--"):
        return 0
    if name in _FLAGS:
        if equals:
            raise InvalidArgument("takes no value", field=f"--{name}")
        told.own[name] = ""
        return 1
    if name not in _VALUES:
        return 0
    if equals:
        told.own[name] = value
        return 1
    if at + 1 >= len(words):
        raise InvalidArgument("needs a value", field=f"--{name}")
    told.own[name] = words[at + 1]
    return 2


def _foreign(told: Words, words: Sequence[str], at: int) -> int:
    count = 2 if _value_follows(words[at]) and at + 1 < len(words) else 1
    told.sbatch += words[at : at + count]
    return count


def _value_follows(word: str) -> bool:
    """Tell whether the value of this option of sbatch is the next word, as getopt has it."""
    if word.startswith("--"):
        if "=" in word:
            return False
        start = word[2:]
        exact = [option for option in OPTIONS if start in option.spellings]
        meant = exact or [
            option for option in OPTIONS if any(name.startswith(start) for name in option.spellings)
        ]
        return len(meant) == 1 and meant[0].takes is Takes.VALUE
    for place, letter in enumerate(word[1:], 2):
        option = _BY_LETTER.get(letter)
        if option is None or option.takes is not Takes.NOTHING:
            return option is not None and option.takes is Takes.VALUE and place == len(word)
    return False
