"""Scripts, options and fields made of bytes: what a fuzzer mutates, in the shape of directives.

Every choice takes one byte, so that a small change of the input is a small change of the script;
where the bytes end, so does the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from res_federation.slurm.options import OPTIONS, Takes

T = TypeVar("T")

MOST_LINES = 40
BODY = "\nsrun ./app\n#SBATCH --uid=0\n"
OF_VALUE = tuple(option.name for option in OPTIONS if option.takes is Takes.VALUE)
NAMES = (
    *(f"--{option.name}" for option in OPTIONS),
    *(f"-{option.letter}" for option in OPTIONS if option.letter),
    "--tres-per-task", "--gpu", "--mem-per", "--", "-", "--no-such",
)  # fmt: skip
SOUND = (
    "--time=5|-t 10|--gres=gpu:1|--gres=gpu:a100:2|-c 8|-n 4|-N 2|--mem=8G|--qos=acc_resa|"
    "--account=uv00|--constraint=dgx|-p std|--exclusive|-a 1-5|--gpus=2|--licenses=x|-J a|"
    "--gpus-per-node=1|--cpus-per-gpu=4|--export=NONE|--wckey=w|--ntasks-per-node=4|"
    "--reservation=r|--nodelist=n[1-2]|--exclude=n3|-o out.%j|-e err.%a|-D sub|--mail-type=END|"
    "--signal=B:USR1@60|--hint=nomultithread|-B 2:4:1|--requeue|--open-mode=append|--nice=5|"
    "-M bsc|--cluster=uma|--wait|--parsable|--tmp=1G|--export=ALL,A=1|--switches=1@5|--mem=0|"
    "--core-spec=1|--profile=none|--begin=now|--comment=c|--oversubscribe|--gres=gpu:h100:1|"
    "--no-requeue|--help|--time=2-0|-n 16 -c 2|--array=1-3%2|--qos=gp_debug|-C cal|-x n4"
).split("|")
"""Directives of which nearly all can stand together."""
USUAL = (
    *SOUND,
    *(
        "--mem-per-cpu=2G|--mem-per-gpu=4G|--gpus-per-task=1|--ntasks-per-gpu=1|--gres=shard:1|"
        "--dependency=afterok:1|--hold|--uid=0|--gpus-per-socket=1|--thread-spec=1"
    ).split("|"),
)
VALUES = (
    "1 2 4 16 0 -1 10:00 2-0 1-10:2%4 0,3,7 0-4000000000 gpu gpu:2 gpu:a100:1 gpu:h100:4 shard:1 "
    "a100:2 8G 3000M acc_resa gp_debug dgx cal acc std all NONE ALL,X=1 matlab:1 n[01-03] x%j "
    "a/b n[0-999999999] n[1-9][1-9][1-9][1-9][1-9] 99999999999999999999 UNLIMITED now+1hour "
    "afterok:1:2?singleton B:TERM@10 verbose,rank plane=4 high@2 user mcs low-high:performance"
).split()
TRICKS = (
    "\n", "\r", "\r\n", "\0", "\t", "\v", "\f", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u2029",
    "\u202e", "\udcff", "\udc0a", "\ud800", "\ufeff", "\xa0", '"', "'", "\\", '\\"', "\\\n", "`",
    "`id`", "$(id)", "${HOME}", "$((1))", "; id", "| id", "&& id", "> f", "#", " # ", "##", "#!",
    "#SBATCH --uid=0", "\n#SBATCH --hold\n", "\r#SBATCH --uid=0\r", "\\n#SBATCH --uid=0", "--uid=0",
    " --uid=0", "' --uid=0 '", '" --uid=0 "', " : ", ":", "hetjob", " hetjob", "\nhetjob", "%",
    "%%", "%j", ",", "=", "--", "-", "EOF\n", "!", "*", "?", "~", "{a,b}", "^", "ñ", "日本",
    "\U0001f4a9", "a", "0", "x" * 300, " " * 30,
)  # fmt: skip
LEADS = ("#SBATCH ", "#SBATCH\t", "#SBATCH", "#SBATCH  ", "##SBATCH ", "# ", "#SLURM ", "#PBS ")


class Supply:
    """Bytes that are used up by choices; 0 for ever after their end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def number(self, most: int) -> int:
        """Return a number from 0 to *most*."""
        width = 1 if most < 256 else 2
        piece = self._data[self._at : self._at + width]
        self._at += width
        return int.from_bytes(piece, "big") % (most + 1)

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices) - 1)]

    def text(self, most: int = 24) -> str:
        """Return raw text: any code points below 256, or what was meant to be UTF-8."""
        length = self.number(most)
        piece = self._data[self._at : self._at + length]
        self._at += length
        return piece.decode(*self.one((("latin-1",), ("utf-8", "surrogateescape"))))

    def rest(self) -> str:
        """Return all that is left as text."""
        piece = self._data[self._at :]
        self._at = len(self._data)
        return piece.decode("utf-8", "surrogateescape")

    def tricky(self) -> str:
        """Return a value that tries to be more than one."""
        parts = [self.one((self.one(TRICKS), self.one(VALUES), self.text(8)))]
        parts += [self.one(TRICKS) for _ in range(self.number(4))]
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user hands in.

    Attributes:
        script: The whole script.
        arguments: Options of the command line.
        environment: Variables.
        lines: How many directive lines were generated, or options in the place of lines.
        script_arguments: What the script itself is given.

    """

    script: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    lines: int = 0
    script_arguments: tuple[str, ...] = ()


def script_of(supply: Supply) -> Asked:
    """Make a script of any lines, sound or not, with a few options beside it."""
    lines: list[str] = []
    wild = supply.one((0, 0, 1, 4, 9))  # of ten words, how many may be anything
    while supply.left > 0 and len(lines) < MOST_LINES:
        leads = LEADS if supply.number(9) < wild else LEADS[:1]
        lines.append(supply.one(leads) + _words(supply, wild))
        if supply.number(31) == 31:
            lines.append(supply.one(("", "# note", "  ", supply.text(), "#SBATCH hetjob")))
    arguments = [_word(supply, wild) for _ in range(supply.one((0, 0, 0, 1, 2)))] if lines else []
    script = "\n".join([supply.one(("#!/bin/sh", "#!/bin/bash -l", "#!")), *lines])
    return Asked(
        as_read(script + BODY), tuple(arguments), _variables(supply), len(lines) + len(arguments)
    )


def as_read(script: str) -> str:
    """Return text as it would come out of a file, or from a command line."""
    return script.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")


def _words(supply: Supply, wild: int) -> str:
    return " ".join([_word(supply, wild) for _ in range(supply.one((1, 1, 1, 1, 2, 3)))])


def _word(supply: Supply, wild: int) -> str:
    if supply.number(9) >= wild:
        return supply.one(SOUND)
    kind = supply.number(9)
    if kind < 4:
        return supply.one(USUAL)
    if kind == 4:
        return supply.text(30)
    name, sign = supply.one(NAMES), supply.one(("=", "=", " ", ""))
    return name + sign + (supply.one(VALUES) if kind < 9 else supply.tricky())


def _variables(supply: Supply) -> tuple[tuple[str, str], ...]:
    if supply.number(15) < 15:
        return ()
    name = supply.one(("SBATCH_TIMELIMIT", "SBATCH_ACCOUNT", "SBATCH_EXPORT", "SBATCH_QOS", "A"))
    return ((name, supply.one((supply.one(VALUES), supply.tricky()))),)


def fields_of(supply: Supply) -> Asked:
    """Make a sound script in which values try to be more: each goes to one option, whole."""
    lines: list[str] = []
    arguments: list[str] = []
    most = 1 + supply.number(15)
    while supply.left > 0 and len(lines) + len(arguments) < most:
        name = supply.one(FREE) if supply.number(7) else supply.one(OF_VALUE)
        value = supply.tricky()
        if supply.number(1):
            arguments.append(as_read(f"--{name}={value}"))
        else:
            lines.append(f"#SBATCH --{name}={_in_quotes(value, supply)}")
    lines += [f"#SBATCH {supply.one(SOUND)}" for _ in range(supply.number(3))]
    words = tuple(as_read(supply.tricky()) for _ in range(supply.one((0, 0, 1, 2))))
    script = "\n".join(["#!/bin/bash", *lines]) + BODY
    return Asked(as_read(script), tuple(arguments), (), len(lines) + len(arguments), words)


FREE = (
    "job-name", "comment", "account", "output", "error", "chdir", "mail-user", "wckey", "network",
    "partition", "qos", "constraint", "reservation", "prefer", "mcs-label", "context", "batch",
    "clusters", "cluster", "nodelist", "exclude",
)  # fmt: skip
"""Options whose value may be nearly anything."""


def _in_quotes(value: str, supply: Supply) -> str:
    """Write a value as a user would who knows sbatch's quotes; or as one who does not."""
    kind = supply.number(3)
    line = value.replace("\n", " ").replace("\0", " ") if supply.number(7) else value
    if kind == 0:
        return line
    if kind == 1 and "'" not in line and "\\" not in line:
        return f"'{line}'"
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'
