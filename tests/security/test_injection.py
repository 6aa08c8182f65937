"""No text of a job becomes a directive, an option, a command or a variable at a site.

What is drawn goes the whole way that an agent takes: rendered in the site's dialect, written into
the run's directory, handed to a program in sbatch's place that writes down what it was given.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from res_federation.agent.accounts import own_account
from res_federation.agent.batch import Accepted, RunRequest
from res_federation.agent.identity import Identity
from res_federation.agent.rundir import RunDirectory
from res_federation.agent.slurm.calls import Calls
from res_federation.agent.slurm.handing_over import Handing, charged
from res_federation.agent.slurm.pieces import pieces
from res_federation.agent.slurm.wrapper import NOT_OF_THE_USER
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import JobSpec
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition, Site
from res_federation.slurm import script_header
from res_federation.slurm.dialect import conservative
from res_federation.slurm.directives import own_options
from res_federation.slurm.options import BY_NAME
from res_federation.slurm.render import Unrenderable, render_understood
from tests.conformance.sbatch import real
from tests.strategies import examples

TOKEN = RunToken("01J0000000000000000000000J-1")
PART = Partition(PartitionId("here/c/p"), "p", NodeShape(cores=8, memory_mib=8000), nodes=4)
SITE = Site(SiteId("here"), "here", "m", "", None, None, "slurm", (PART,), ("c",))
SCRIPT = "#!/bin/bash\n#SBATCH --time=5\n#SBATCH --comment=mine\n#SBATCH -A wished\necho hi\n"
HIT = "RESFED_HIT"
RECORDER = f"""#!{sys.executable} -I
import os, sys
with open(os.path.join(os.path.dirname(sys.argv[0]), "said"), "wb") as file:
    file.write("\\0".join(sys.argv[1:]).encode("utf-8", "surrogateescape"))
with open(os.path.join(os.path.dirname(sys.argv[0]), "environment"), "wb") as file:
    file.write("\\0".join(os.environ).encode("utf-8", "surrogateescape"))
print(7)
"""

_TRICKS = st.sampled_from(
    ["\n", "\r", "\r\n", "\0", "\n#SBATCH --hold\n", "#SBATCH --uid=0", f"$(touch {HIT})",
     f"`touch {HIT}`", f";touch {HIT};", f"|touch {HIT}", f"&touch {HIT}&", f"\ntouch {HIT}\n",
     f"'touch {HIT}'", "'", '"', "\\", "\\\n", "--hold", "-H", "--wrap=id", "--", "-", " ", "=",
     ":", ",", "%j", "../../../etc/x", "/etc/x", "~", "*", "!", "${IFS}", "$'\\n'", "\u2028",
     "\x85", "\x1b]0;x\x07", "é", "EOF", "}", ")", "(", "<", ">", "set --", "rf_run=/",
     "#", "x", "1", ""]
)  # fmt: skip
TEXT = st.lists(_TRICKS, max_size=5).map("".join)
NAMES = st.one_of(
    st.sampled_from([*BY_NAME]), TEXT,
    st.sampled_from(["LD_PRELOAD", "SBATCH_HOLD", "SLURM_CONF", "BASH_ENV", "PATH", "A B", "_x"]),
)  # fmt: skip


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    def text() -> str:
        return draw(TEXT)

    return JobSpec(
        name=text(), user=text(), script=SCRIPT, time_limit_s=300,
        arguments=tuple(draw(st.lists(TEXT, max_size=3))),
        partition=text(), account=text(), qos=text(), constraint=text(), output=text(),
        error=text(), directory=text(), origin=draw(st.sampled_from(["", "here"])), meant=text(),
        purpose=text(), issuer=text(), subject=text(), project=text(), data_class=text(),
        environment=tuple(draw(st.lists(st.tuples(NAMES, TEXT), max_size=3))),
        options=tuple(draw(st.dictionaries(NAMES, TEXT, max_size=3)).items()),
    )  # fmt: skip


async def handed_over(spec: JobSpec, home: Path) -> tuple[list[str], set[str], str] | None:
    """Return the words and variables that sbatch got, and its file; None where it is refused."""
    identity = Identity(None, "bio", own_charge=False)
    request = RunRequest(TOKEN, PART.id, spec, home / "runs" / TOKEN, identity=identity)
    try:
        made = render_understood(charged(spec, request), conservative(SITE), PART, account="bio")
    except (InvalidArgument, ValueError, LookupError):  # the agent refuses all of these
        return None
    if isinstance(made, Unrenderable):
        return None
    programs = home / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text(RECORDER)
    (programs / "sbatch").chmod(0o700)
    run = RunDirectory.of(home / "runs", TOKEN)
    run.prepare(spec)
    cut = pieces(spec.array, 1000, 0)
    handing = Handing(request, own_account(), SITE.id, cut)
    handing.write(made.script)
    calls = Calls("/etc/slurm/slurm.conf", own_account(), programs=str(programs))
    assert await handing.submit(calls, cut[0], after="", nice=0) == Accepted("7")
    words = (programs / "said").read_text().split("\0")
    variables = set((programs / "environment").read_text(errors="replace").split("\0"))
    return words, variables, (run.path / "batch.1").read_bytes().decode("utf-8", "surrogateescape")


def shown(batch: str, home: Path) -> list[str]:
    """Run the variables and words of the file in a real bash; return what it has then."""
    head = batch[: batch.index("\n# What stands around every payload")]
    names = ("rf_run", "rf_token", "rf_repeat", "rf_tasks", "RESFED_SITE", "RESFED_PARTITION")
    values = " ".join(f'"${name}"' for name in names)
    script = f'{head}\nprintf \'%s\\0\' {values} "$#" "$@"\n'
    file = home / "head"
    file.write_bytes(script.encode("utf-8", "surrogateescape"))
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    checked = subprocess.run(
        ["/bin/bash", "-n", str(file)], env=environment, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    done = subprocess.run(
        ["/bin/bash", "-p", str(file)], cwd=home, env=environment, capture_output=True, check=False,
        timeout=20,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@settings(max_examples=examples(120))
@given(spec=specs())
@example(spec=JobSpec("x\n#SBATCH --hold", "u", SCRIPT, arguments=("a\nb", "$(touch RESFED_HIT)")))
@example(spec=JobSpec("n", "u", SCRIPT, options=(("comment", f"a;touch {HIT} #SBATCH --hold"),)))
@example(spec=JobSpec("n", "u", SCRIPT, options=(("account", "other"), ("uid", "0"))))
def test_texts_stay_texts(spec: JobSpec) -> None:
    with TemporaryDirectory() as place:
        home = Path(place)
        found = asyncio.run(handed_over(spec, home))
        if found is None:
            return
        words, variables, batch = found
        assert all(word.startswith("--") for word in words[:-1]), words
        options = [word.partition("=")[0] for word in words[:-1]]
        assert options == ["--parsable", "--job-name", "--comment", "--output", "--error",
                           "--open-mode", "--chdir", "--no-requeue", "--account"]  # fmt: skip
        assert f"--job-name={TOKEN}" in words
        assert "--account=bio" in words
        assert words[-1] == f"{home}/runs/{TOKEN}/batch.1"
        for option, below in (("--output", "/out.batch"), ("--error", "/err.batch")):
            assert f"{option}={home}/runs/{TOKEN}{below}" in words
        assert not {v for v in variables if v.startswith(("SBATCH_", "LD_", "RESFED_"))}
        assert {v for v in variables if v.startswith("SLURM")} == {"SLURM_CONF"}
        header = script_header.read(batch, directory="/")
        meant = {name for name, _ in spec.options} | {"time", "mem", "nodes", "partition"}
        assert set(header.options) <= {*meant, "account", "comment"} or header.refused
        assert set(own_options(batch)).isdisjoint(NOT_OF_THE_USER | {"account"})
        assert "hold" not in own_options(batch) or "hold" in meant
        run = f"{home}/runs/{TOKEN}"
        sent = [argument.replace("\0", "") for argument in spec.arguments]
        assert shown(batch, home) == [
            run, TOKEN, "no", "", "here", "here/c/p",
            str(len(sent)), *sent,
        ]  # fmt: skip
        assert not list(home.rglob(HIT)), "a word of a user was carried out"


def test_the_real_sbatch_reads_the_same_directives(
    tmp_path: Path, requires: Callable[[str, str], Path]
) -> None:
    """What stands in the files is read by sbatch itself as it is by us, and nothing more."""
    sbatch = requires("sbatch", "slurm-client")
    folder = tmp_path / "files"
    folder.mkdir()
    tricks = (
        f"a$(touch {HIT})", "x --hold", "'#SBATCH --hold'", 'q"uote --hold', "back\\slash --uid=0",
        f"`touch {HIT}` # --hold",
    )  # fmt: skip
    for number, trick in enumerate(tricks):
        options = (("comment", trick), ("mail-user", trick))
        spec = JobSpec(trick, "u", SCRIPT, options=options, arguments=(trick,))
        home = tmp_path / str(number)
        home.mkdir()
        found = asyncio.run(handed_over(spec, home))
        assert found is not None
        (folder / f"{number}.sh").write_text(found[2])
    seen = list(real(folder, str(sbatch)))
    assert len(seen) == len(tricks)
    for (name, ours, theirs), trick in zip(seen, tricks, strict=True):
        assert ours == theirs, name
        assert theirs[1]["mail-user"] == trick
        assert not {"hold", "uid"} & theirs[1].keys()
    assert not list(tmp_path.rglob(HIT))
