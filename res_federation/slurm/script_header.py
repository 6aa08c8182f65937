"""The directives of a batch script, read as sbatch 22.05 reads them.

What sbatch refuses is refused with its words; what it ignores, and a person would not expect it
to, is a warning. Precedence: command line over environment over script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from res_federation.errors import InvalidArgument
from res_federation.model.job import MAX_SCRIPT_BYTES
from res_federation.slurm import table
from res_federation.slurm.environment import VARIABLES
from res_federation.slurm.options import read_words

_BLANK = " \t\v\f\r"
_WORD = re.compile(r"[^ \t\v\f\r]+")
_DIRECTIVE = "#SBATCH"
_OLD_DIRECTIVE = "#SLURM"
_LATE = re.compile(r"^#SBATCH", re.MULTILINE)
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_OTHER = re.compile(r"^#(PBS|BSUB)\b", re.MULTILINE)
_TRICKY = re.compile(r"[\"'\\#:]|hetjob|packjob")
_SEPARATOR = re.compile(r"(?:het|pack)job(?![^ \t\v\f\r])")
_NO_SCRIPT = (
    "This does not look like a batch script.  The first line must start with #! followed by the "
    "path to an interpreter. For instance: #!/bin/sh"
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a script, the environment and the command line ask of sbatch.

    Attributes:
        found: Words of the script's directives, in order.
        options: sbatch's table of defined options, in its normal forms; empty when refused.
        given: The options as given, after precedence: long name and raw value.
        origins: For each of `given`, where it stands ("script line 4", "command line", …).
        refused: Why sbatch does not take it, or "".
        refused_field: Where that is, such as "script line 4, --time".
        way_out: What to do about it, or "".
        warnings: What is ignored or understood otherwise than a person may think.
        parts: Components of a heterogeneous job; one for any other.

    """

    found: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    given: tuple[tuple[str, str], ...] = ()
    origins: tuple[str, ...] = ()
    refused: str = ""
    refused_field: str = ""
    way_out: str = ""
    warnings: tuple[str, ...] = ()
    parts: int = 1


@dataclass(slots=True)
class _Part:
    """Words of one component, and the line of each."""

    words: list[str]
    lines: list[int]


def read(
    script: str | bytes,
    *,
    directory: str = "/",
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Header:
    """Read the directives of *script*.

    Args:
        script: The whole script.
        directory: What relative paths stand on.
        arguments: Options of the command line in sbatch's spelling, without the script's name.
        environment: Variables; those that sbatch knows (``SBATCH_TIMELIMIT``…) count.

    Nothing is raised for a script that sbatch refuses: `Header.refused` tells.

    """
    found: list[str] = []
    try:
        text = _text(script)
        lines = _header_lines(text)
        warnings = _overlooked(text, lines)
        parts = _parts(lines, warnings, found)
        given: dict[str, tuple[str, str]] = {}
        options: dict[str, str] = {}
        base = directory.rstrip("/")
        many = 0
        for part in parts:
            many += 1
            found.extend(part.words)
            own = _options(part, arguments, environment or {}, given)
            warnings += _finish(own, base, given)
            options.update(own)
    except InvalidArgument as error:
        return Header(
            found=tuple(found),
            refused=error.message,
            refused_field=error.field,
            way_out=error.way_out,
        )
    return Header(
        found=tuple(found),
        options=options,
        given=tuple([(name, value) for name, (value, _) in given.items()]),
        origins=tuple([origin for _, origin in given.values()]),
        warnings=tuple(warnings),
        parts=many,
    )


def directive_words(script: str) -> list[tuple[str, int]]:
    """Return the words of the script's own directives, each with its line, counted from 1.

    Args:
        script: One that `read` does not refuse, of one component.

    """
    parts = _parts(_header_lines(script), [], [])
    return [pair for part in parts for pair in zip(part.words, part.lines, strict=True)]


def body_line(script: str) -> int:
    """Return the line of the first command, counted from 1."""
    return len(_header_lines(script)) + 1


def _text(script: str | bytes) -> str:
    """Return the script as text, or say why it is none."""
    size = len(script)
    if isinstance(script, str) and size <= MAX_SCRIPT_BYTES < size * 4:
        size = len(script.encode("utf-8", "surrogatepass"))
    if size > MAX_SCRIPT_BYTES:
        raise InvalidArgument(
            f"the script has {size / 2**20:,.1f} MiB, more than the "
            f"{MAX_SCRIPT_BYTES // 2**20} MiB that a batch script may have",
            field="script",
            way_out="keep data in files and let the script read them",
        )
    text = script if isinstance(script, str) else script.decode("utf-8", "surrogateescape")
    half = None if text.isascii() else _HALF.search(text)
    if half:
        raise InvalidArgument(
            "the script has half of a pair of UTF-16, which is no character",
            field=f"script line {text.count(chr(10), 0, half.start()) + 1}",
            way_out="give it as bytes, or read its file with errors='surrogateescape'",
        )
    if not text:
        raise InvalidArgument("Batch script is empty!", field="script")
    if not text.startswith("#!"):
        if not text.strip(" \t\n\v\f\r"):
            raise InvalidArgument("Batch script contains only whitespace!", field="script")
        raise InvalidArgument(_NO_SCRIPT, field="script line 1", way_out="begin with #!/bin/bash")
    if "\r\n" in text:
        raise InvalidArgument(
            "Batch script contains DOS line breaks (\\r\\n) instead of expected UNIX line breaks "
            "(\\n).",
            field=f"script line {text.count(chr(10), 0, text.index(chr(13) + chr(10))) + 1}",
            way_out="dos2unix rewrites it",
        )
    if "\0" in text:
        raise InvalidArgument(
            "The Slurm controller does not allow scripts that contain a NULL character '\\0'.",
            field=f"script line {text.count(chr(10), 0, text.index(chr(0))) + 1}",
            way_out="a batch script is text; let it start the binary",
        )
    return text


def _header_lines(text: str) -> list[str]:
    """Return the lines before the first command."""
    lines: list[str] = []
    start = 0
    length = len(text)
    while start < length:
        end = text.find("\n", start)
        end = length if end < 0 else end
        line = text[start:end]
        if line[:1] != "#":
            stripped = line.lstrip(_BLANK)
            if stripped and stripped[0] != "#":
                break
        lines.append(line)
        start = end + 1
    return lines


def _overlooked(text: str, lines: list[str]) -> list[str]:
    """Name directives that sbatch never sees."""
    warnings: list[str] = []
    seen = sum(map(len, lines)) + len(lines)
    late = _LATE.search(text, seen) if "#SBATCH" in text[seen:] else None
    if late:
        number = len(lines) + text.count("\n", seen, late.start()) + 1
        warnings.append(
            f"script line {number}: #SBATCH after the first command (line {len(lines) + 1}) is "
            "ignored, as sbatch does"
        )
    head = text[:seen]
    other = _OTHER.search(head)
    if other:
        number = head.count("\n", 0, other.start()) + 1
        warnings.append(
            f"script line {number}: #{other.group(1)} directives are not read; write them as "
            "#SBATCH"
        )
    return warnings


def _parts(lines: list[str], warnings: list[str], found: list[str]) -> Iterator[_Part]:
    """Yield the words of each component; a line ``#SBATCH hetjob`` begins the next one.

    One after the other, as sbatch does: a component is looked at before the next is read.
    """
    part = _Part([], [])
    for number, line in enumerate(lines, 1):
        if line.startswith(_DIRECTIVE):
            body = line[7:]
        elif line.startswith(_OLD_DIRECTIVE):
            body = line[6:]
            warnings.append(
                f"script line {number}: Change from #SLURM to #SBATCH in your script and verify "
                "the options are valid in sbatch"
            )
        else:
            continue
        if "job" in body and _SEPARATOR.match(body.lstrip(_BLANK)):
            yield part
            part = _Part([], [])
            continue
        try:
            for word in _words(body, number):
                part.words.append(word)
                part.lines.append(number)
        except InvalidArgument:
            found.extend(part.words)
            raise
    yield part


def _words(body: str, number: int) -> Iterator[str]:
    """Split one directive: quotes, backslashes, and ``#`` that begins a comment anywhere."""
    if not _TRICKY.search(body):
        yield from _WORD.findall(body)
        return
    rest = body
    while True:
        begin = rest.lstrip(_BLANK)
        if begin.startswith(":"):
            raise InvalidArgument(
                f"line {number}: Unexpected `:` in [{rest}]",
                field=f"script line {number}",
                way_out="components of a heterogeneous job are not separated in a script like so",
            )
        if _SEPARATOR.match(begin):
            return  # within a line it is neither a word nor a separator: sbatch reads no further
        word, used = _word(begin, rest, number)
        if not word:
            return  # also an empty quoted word: sbatch reads no further in this line
        yield word
        rest = begin[used:]


def _word(text: str, whole: str, number: int) -> tuple[str, int]:
    """Take the first word off *text*; return it and how many characters it used."""
    word: list[str] = []
    quote = ""
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            escaped = text[at + 1 : at + 2]
            if not quote and escaped in _BLANK:
                at += 1  # a backslash does not keep a word together
                break
            word.append(escaped)
            at += 2
            continue
        if quote:
            if sign == quote:
                quote = ""
            else:
                word.append(sign)
        elif sign in "\"'":
            quote = sign
        elif sign == "#" or sign in _BLANK:
            break
        else:
            word.append(sign)
        at += 1
    if quote:
        raise InvalidArgument(
            f"line {number}: Unmatched `{quote}` in [{whole}]",
            field=f"script line {number}",
            way_out="close the quotation",
        )
    return "".join(word), at


def _options(
    part: _Part,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    given: dict[str, tuple[str, str]],
) -> table.Table:
    """Set the options of one component in sbatch's order, noting each in *given*."""
    own: table.Table = {}
    lines = part.lines
    try:
        origin = ""
        for option, value, at in read_words(part.words, "Invalid directive found in batch script"):
            origin = f"script line {lines[at]}"
            table.put(own, option.name, value)
            given[option.name] = (value, origin)
    except InvalidArgument as error:
        raise _placed(error, origin, lines) from None
    for variable, name in VARIABLES if environment else ():
        if variable in environment:
            origin = f"environment {variable}"
            try:
                table.put(own, name, environment[variable])
            except InvalidArgument as error:
                raise _placed(error, origin) from None
            given[name] = (environment[variable], origin)
    try:
        for option, value, _ in read_words(arguments, "unexpected argument"):
            table.put(own, option.name, value)
            given[option.name] = (value, "command line")
    except InvalidArgument as error:
        raise _placed(error, "command line") from None
    return own


def _placed(error: InvalidArgument, origin: str, lines: Sequence[int] = ()) -> InvalidArgument:
    """Say where an error stands: the line of the word that getopt stumbled over, or *origin*."""
    field = error.field
    if field.startswith("word "):
        place = f"script line {lines[int(field[5:])]}" if lines else origin
    else:
        place = f"{origin}, {field}" if field else origin
    return InvalidArgument(error.message, field=place, way_out=error.way_out)


def _finish(own: table.Table, base: str, given: Mapping[str, tuple[str, str]]) -> list[str]:
    """Check the table of one component; an error names the place of the option at fault."""
    from_environment = [name for name, (_, origin) in given.items() if origin.startswith("env")]
    try:
        return table.finish(own, base, from_environment)
    except InvalidArgument as error:
        origin = given.get(error.field.removeprefix("--"), ("", "script"))[1]
        raise _placed(error, origin) from None
