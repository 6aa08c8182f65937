"""Values that try to be directives or commands, the whole way to a real sbatch and its job.

What the agent hands over are words of a list and a file; a shell reads neither a job's name nor
any of its options.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from res_federation.errors import InvalidArgument
from res_federation.model.job_state import JobState
from tests.slurm.federation import Running, once, running

COMMAND = "$(touch {0})`touch {0}`;touch {0}|touch {0}&touch {0}\r#SBATCH --hold\r"
SHOW = """
printf '%s\\n' "name <$SLURM_JOB_NAME>" "words $#" "${@@Q}" "export <$FRUIT>"
scontrol --oneliner show job "$SLURM_JOB_ID"
"""


@pytest.fixture(scope="module")
def federation(lab, tmp_path_factory) -> Iterator[Running]:
    with running(lab, tmp_path_factory.mktemp("hostile") / "home") as federation:
        yield federation


@pytest.fixture
def touched(tmp_path: Path) -> Path:
    return tmp_path / "touched"


def test_values_stay_values_and_words_stay_words(federation: Running, touched: Path):
    trick = COMMAND.format(touched)
    words = (":", "--hold", "-H", "--uid=0", trick, "a\n#SBATCH --hold\n", "", "*", "--wrap=id")
    spec = federation.spec(
        SHOW,
        "-J", f"'\"{trick.replace(chr(13), ' ')}",
        f"--comment=c {trick.replace(chr(13), ' ')}",
        f"--output={trick.replace('/', '_').replace(chr(13), ' ')}%j",
        "--error=none; %%x",
        f"--chdir=/nowhere/{touched.name} --hold",
        f"--mail-user=x; touch {touched}",
        f"--wckey=w --hold # {touched}",
        "--export=FRUIT",
        arguments=words,
        environment={"FRUIT": f"{trick}\n#SBATCH --hold"},
    )  # fmt: skip
    job = federation.client.submit(spec).id
    federation.completed(job)
    told = federation.output(job)
    assert f"name <'\"{trick.replace(chr(13), ' ')}>" in told
    assert f"words {len(words)}\n" in told
    assert f"export <{trick}\n#SBATCH --hold>" in told
    assert "Priority=0 " not in told
    assert f"JobName={federation.client.job(job).runs[-1].token} " in told
    assert not touched.exists()
    once(federation, job)


def test_what_a_user_exports_commands_nothing_at_the_site(federation: Running, touched: Path):
    """A shell that reads its own variables would run these before the fence."""
    names = {
        "BASH_ENV": f"$(echo early >> {touched})", "CDPATH": str(touched.parent),
        "SHELLOPTS": "xtrace", "PS4": f"$(echo early >> {touched})", "POSIXLY_CORRECT": "1",
        "LD_PRELOAD": "/nowhere.so", "SLURM_CONF": "/nowhere", "SBATCH_HOLD": "1",
    }  # fmt: skip
    spec = federation.spec(
        '[ -s "$EARLY" ] && exit 9; echo "${PWD##*/} $POSIXLY_CORRECT"',
        f"--export={','.join([*names, 'EARLY'])}",
        environment={**names, "EARLY": str(touched)},
    )
    # the payload is bash too, and reads BASH_ENV: what it does is its user's own business
    spec = replace(spec, script=spec.script.replace("#!/bin/bash", "#!/bin/bash -p", 1))
    job = federation.client.submit(spec).id
    federation.completed(job)
    assert federation.output(job) == "work 1\n"
    assert not touched.exists()
    once(federation, job)


def test_a_client_that_sends_other_options_than_its_script_has_is_refused(federation: Running):
    """Ours reads them from the script; anybody may write another one."""
    spec = federation.spec("true")
    for name, value in (("uid\n#SBATCH --hold", "0"), ("no-such", ""), ("comment", "a\n#SBATCH")):
        with pytest.raises(InvalidArgument, match=r"spec\.options"):
            federation.client.submit(replace(spec, options=((name, value),)))
    for script in ("#!/bin/sh\n#SBATCH --no-such\ntrue\n", "#!/bin/sh\n#SBATCH 'open\ntrue\n"):
        wrong = replace(spec, script=script, options=(), clusters=("palmalab",))
        job = federation.client.submit(wrong).id
        over = federation.until_in(job, JobState.INFEASIBLE)
        assert "refused" in over.reason
        assert "unrecognized" in over.runs[0].reason or "Unmatched" in over.runs[0].reason
    later = federation.submit("true", "-M", "palmalab")
    federation.completed(later)  # its agent is there as before
