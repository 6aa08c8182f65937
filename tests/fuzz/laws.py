"""What must hold of any script: the laws that hypothesis and atheris try to break.

Each law raises AssertionError with what broke it; any other exception is a crash, and a finding.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec

from res_federation.agent.slurm.wrapper import NOT_OF_THE_USER, batch_file
from res_federation.config.dialects import load_dialects
from res_federation.config.sites import load_sites
from res_federation.errors import InvalidArgument, ResourceExhausted
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec
from res_federation.model.site import Partition
from res_federation.slurm import script_header
from res_federation.slurm.canonical import Need, need_of, recognise
from res_federation.slurm.dialect import Dialect, Use
from res_federation.slurm.directives import directive, own_options, unwritable
from res_federation.slurm.job_spec import read_job
from res_federation.slurm.losses import losses
from res_federation.slurm.options import BY_NAME, Takes
from res_federation.slurm.render import Rendered, Unrenderable, render_need
from res_federation.slurm.treatment import CLIENT_ONLY
from res_federation.wire.specs import spec_from_message, spec_to_message
from tests.fuzz.scripts import Asked

SITES = Path(__file__).parents[2] / "sites"
TOKEN = RunToken("01J0000000000000000000000A-1")
MAY_BE_ADDED = frozenset(
    "account cpus-per-gpu cpus-per-task constraint exclusive export gpus gpus-per-task gres "
    "mem mem-per-cpu nodes ntasks ntasks-per-node partition qos time".split()
)
"""Options that a rendered script may have though nobody asked for them; a note names each."""
OF_ONE_SITE = frozenset("cluster clusters exclude nodelist reservation wckey".split())
"""Options whose words mean nothing at another site: they never get there."""
_DIRECTIVE = re.compile(r"#(?:SBATCH|SLURM)")
_ARGUMENTS = re.compile(
    r"set --( ([\w@%+=:,./-]+|'[^'\x00-\x1f]*'|\"'\"|"
    r"\$'([^'\\\x00-\x1f]|\\['\\]|\\[0-7]{3})*')+)*",
    re.ASCII,
)
"""Words that a shell takes as they are: nothing in them is a sign of its own."""
Pair = tuple[str, str]
Target = tuple[Dialect, Partition]


@cache
def targets() -> tuple[Target, ...]:
    """Return every partition of every member, with its site's dialect."""
    sites = load_sites(SITES)
    dialects = load_dialects(SITES, sites)
    return tuple((dialects[site.id], part) for site in sites for part in site.partitions)


@cache
def dialects() -> Mapping[str, Dialect]:
    return {dialect.site: dialect for dialect, _ in targets()}


def is_read_or_refused(asked: Asked) -> JobSpec | None:
    """Read a script: our own refusal, in one line that names the place, or a job that is whole."""
    environment = dict(asked.environment)
    header = script_header.read(
        asked.script, arguments=asked.arguments, environment=environment, directory="/"
    )
    try:
        spec = read_job(
            asked.script, user="ana", arguments=asked.arguments, environment=environment,
            script_arguments=asked.script_arguments,
        )  # fmt: skip
    except InvalidArgument as error:
        assert error.message
        assert "\n" not in error.field, error.field
        return None
    assert not header.refused, header.refused
    assert [name for name, _ in spec.options] == [name for name, _ in header.given]
    assert all(a == b or not _is_utf8(b) for (_, a), (_, b) in _pairs(spec, header))
    if not asked.arguments and not asked.environment:
        assert own_options(asked.script) == dict(header.given)
    assert all("\n" not in note for note in spec.notes), spec.notes
    losses(asked.script, dict(spec.options))
    return spec


def _pairs(spec: JobSpec, header: script_header.Header) -> Iterable[tuple[Pair, Pair]]:
    return zip(spec.options, header.given, strict=True)


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def travels(spec: JobSpec) -> None:
    """Send a job over the wire, and write it down as an agent does: it comes back as it was."""
    try:
        back = spec_from_message(spec_to_message(spec))
    except (InvalidArgument, ResourceExhausted) as error:
        assert error.field.startswith("spec."), error.field
        return
    assert back == spec
    kept = replace(spec, script="")  # the script has a file of its own
    assert msgspec.json.decode(msgspec.json.encode(kept), type=JobSpec) == kept


def origins(spec: JobSpec) -> tuple[Dialect | None, ...]:
    """Return the dialect that the script gives away, and none."""
    found = recognise(spec, dialects().values())
    return (dialects().get(found.site), None) if found.site else (None,)


def is_rendered_or_refused(
    spec: JobSpec, origin: Dialect | None, target: Target, account: str
) -> Rendered | None:
    """Render a job for one partition, and hold the result against everything that was asked."""
    need = need_of(spec, origin)
    found = render_need(spec, need, *target, account=account)
    if isinstance(found, Unrenderable):
        assert found.reasons
        assert all(found.reasons), found
        return None
    at_home = need.home == target[0].site
    own = _own(found.script)
    _no_option_is_lost(spec, need, found, own, at_home=at_home)
    _nothing_is_added(spec, need, found, own, target[0], account)
    _body_is_the_users(spec.script, found.script)
    _asks_for_the_same(need, found, at_home=at_home)
    _batch_says_no_more(spec, found.script)
    return found


def _own(script: str) -> dict[str, str]:
    header = script_header.read(script)
    assert not header.refused, (header.refused, script)
    assert header.parts == 1, script
    told = dict(header.given)
    assert own_options(script) == told
    return told


def named(name: str, notes: tuple[str, ...]) -> bool:
    """Tell whether a note names the option itself, not a longer one that begins like it."""
    word = re.compile(rf"--{re.escape(name)}(?![\w-])")
    return any(word.search(note) for note in notes)


def _no_option_is_lost(
    spec: JobSpec, need: Need, found: Rendered, own: Mapping[str, str], *, at_home: bool
) -> None:
    """Find each option there with its value, or a note of this rendering that names it."""
    said = found.notes if at_home else found.notes[len(need.notes) :]
    assert at_home or found.notes[: len(need.notes)] == need.notes
    assert all("\n" not in note for note in found.notes), found.notes
    for name, value in spec.options:
        if own.get(name) == value:
            continue
        if name in CLIENT_ONLY:
            assert named(name, spec.notes), (name, spec.notes)
            continue
        assert not at_home or (name, value) == ("account", ""), (name, value, found)
        assert named(name, said), (name, value, found)


def _nothing_is_added(
    spec: JobSpec,
    need: Need,
    found: Rendered,
    own: Mapping[str, str],
    dialect: Dialect,
    account: str,
) -> None:
    asked = {name for name, _ in spec.options}
    for name in own.keys() - asked:
        assert name in MAY_BE_ADDED, (name, found)
        assert named(name, (*spec.notes, *found.notes)) or name == "account", (name, found)
    assert own.get("account", "") == found.account or need.home == dialect.site, found
    if dialect.account.use is not Use.NEVER and (account or need.account):
        at_home = need.home == dialect.site
        wanted = (need.account or account) if at_home else (account or found.account)
        assert own.get("account", "") == wanted, (account, found)
    if need.home != dialect.site:
        assert own.keys().isdisjoint(OF_ONE_SITE), found


def _body_is_the_users(before: str, after: str) -> None:
    """Compare byte for byte what is no directive: the body, and comments of the header."""
    assert _besides(before) == _besides(after)


def _besides(script: str) -> tuple[list[str], list[str]]:
    lines = script.split("\n")
    body = script_header.body_line(script) - 1
    return [line for line in lines[:body] if not _DIRECTIVE.match(line)], lines[body:]


def _asks_for_the_same(need: Need, found: Rendered, *, at_home: bool) -> None:
    """Read the rendered script: GPUs, licences, nodes, tasks, array and time are what they were."""
    again = read_job(found.script, user="ana")
    before, after = need.request, again.request
    for name in ("accelerators_per_node", "accelerators_total", "accelerators_per_task"):
        assert getattr(before, name) == getattr(after, name), (name, found)
    assert (before.licenses, before.features) == (after.licenses, after.features), found
    # said where it goes without saying here, and Slurm counts in another way
    spread = before.nodes is None and before.accelerators_total is not None
    assert before.nodes == after.nodes or spread, found
    each = before.tasks is None and before.accelerators_per_task is not None
    assert before.tasks == after.tasks or each, found
    most = before.tasks_per_node
    assert (after.tasks_per_node is None) == (most is None), found
    assert (after.tasks_per_node or 0) <= (most or 0), found  # a bound that stands for all of them
    assert before.cpus_per_task <= after.cpus_per_task or not at_home, found
    assert before.exclusive <= after.exclusive, found
    assert (need.array, need.time_limit_s) == (again.array, again.time_limit_s), found


def _batch_says_no_more(spec: JobSpec, rendered: str) -> None:
    """Hold the file that sbatch is given against the rendered script: no directive, no word more.

    Behind the directives are assignments of one word each, then the wrapper, always the same.
    """
    text = batch_file(
        rendered, run=Path("/runs") / TOKEN, token=TOKEN, name=spec.name, site="here",
        partition="here/c/p", arguments=spec.arguments, repeat=spec.requeue,
    )  # fmt: skip
    header = script_header.read(text)
    assert not header.refused, (header.refused, text)
    wanted = {n: v for n, v in own_options(rendered).items() if n not in NOT_OF_THE_USER}
    assert dict(header.given) == wanted
    assert len(header.found) == len(wanted), text
    lines = text.split("\n")
    first = script_header.body_line(text) - 1
    assert first == 1 + len(wanted)
    for line in lines[first : first + 11]:
        words = shlex.split(line)
        assert len(words) == 1 + line.startswith("export "), line
        assert re.match(r"(rf|RESFED)_[A-Za-z]+=", words[-1]), line
    assert _ARGUMENTS.fullmatch(lines[first + 11]), lines[first + 11]
    assert lines[first + 12 :] == _wrapper()


@cache
def _wrapper() -> list[str]:
    nothing = batch_file("#!/bin/sh\n", run=Path("/"), token=TOKEN, name="", site="", partition="")
    lines = nothing.split("\n")
    return lines[lines.index("set --") + 1 :]


def is_one_directive(name: str, value: str) -> None:
    """Write one option, and read it back: this option with this value, and nothing else."""
    if unwritable({name: value}):
        return
    takes = BY_NAME[name].takes
    script = f"#!/bin/sh\n{directive(name, value)}\n#SBATCH --signal=USR1\ntrue\n"
    words = script_header.directive_words(script)
    bare = takes is Takes.NOTHING or (takes is Takes.MAYBE and not value)
    assert [word for word, _ in words] == [
        f"--{name}" if bare else f"--{name}={value}",
        "--signal=USR1",
    ], script
