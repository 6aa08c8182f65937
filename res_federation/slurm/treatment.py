"""What the federation does with each option that it does not turn into resources.

Every option of sbatch is understood, kept as a hint with a note, or refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from res_federation.errors import InvalidArgument

UNDERSTOOD = frozenset(
    """account array chdir cluster clusters comment constraint cpus-per-gpu cpus-per-task error
    exclusive export gpus gpus-per-node gpus-per-socket gpus-per-task gres job-name licenses mem
    mem-per-cpu mem-per-gpu no-requeue nodes ntasks ntasks-per-gpu ntasks-per-node ntasks-per-tres
    output partition qos requeue sockets-per-node time""".split()
)
"""Options that become fields of a `JobSpec`, or need no word."""

SITE_WORDS = (
    "partition", "qos", "account", "constraint", "reservation", "nodelist", "exclude",
)  # fmt: skip
"""Names that mean something at one site only: hints unless the job is pinned."""

CLIENT_ONLY = frozenset(
    "help ignore-pbs parsable quiet test-only usage verbose version wait wrap".split()
)
"""They steer the command sbatch, not the job."""

_OF_THE_RUN = ("chdir", "output", "error", "comment")
"""A real Slurm is told the run's own in their place."""

KEPT = frozenset(
    """acctg-freq batch contiguous context core-spec cores-per-socket cpu-freq deadline delay-boot
    distribution extra-node-info get-user-env gpu-bind gpu-freq gres-flags hint
    kill-on-invalid-dep mcs-label mem-bind mincpus network nice no-kill ntasks-per-core
    ntasks-per-socket open-mode overcommit oversubscribe power prefer priority profile propagate
    reboot signal spread-job switches thread-spec threads-per-core time-min tmp use-min-nodes
    wait-all-nodes wckey""".split()
)
"""Kept for the site's batch system; placement does not look at them."""

_REFUSED: Mapping[str, tuple[str, str]] = {
    "dependency": (
        "jobs of the federation cannot depend on one another yet",
        "wait for the first one (resfed wait JOB), then submit this one",
    ),
    "begin": ("a later begin is not supported", "submit the job when it may begin"),
    "hold": ("jobs are not submitted on hold", "submit the job when it may begin"),
    "cluster-constraint": ("sites are not chosen by features", "name them with -M"),
    "bb": ("burst buffers are not passed on", "stage the data in the script"),
    "bbf": ("burst buffers are not passed on", "stage the data in the script"),
    "container": ("no site is known to run OCI bundles", "start the container in the script"),
    "export-file": (
        "a file of variables does not travel with the job",
        "name them: --export=NAME=VALUE,…",
    ),
    "gid": ("jobs run as their submitter", "leave it out"),
    "uid": ("jobs run as their submitter", "leave it out"),
    "input": (
        "a file for standard input does not travel with the job",
        "redirect it in the script: program < file",
    ),
}
_HARMLESS = {"begin": "now", "dependency": "", "input": "/dev/null"}
"""Values with which a refused option asks for nothing."""


def refuse(options: Mapping[str, str], places: Mapping[str, str]) -> None:
    """Refuse, by name, what would be lost otherwise.

    Args:
        options: sbatch's table.
        places: Where each option stands, for the message.

    Raises:
        InvalidArgument: One of the options cannot be honoured.

    """
    for name in options.keys() & _REFUSED.keys():
        if options[name] != _HARMLESS.get(name):
            what, way_out = _REFUSED[name]
            raise InvalidArgument(
                what, field=places[name], way_out=way_out, code="UnsupportedOption"
            )


def notes(given: Mapping[str, str], *, pinned: bool) -> list[str]:
    """Say what is a hint only, what is kept and what does nothing here.

    Args:
        given: Options as given, by long name.
        pinned: Whether the job is pinned to clusters (``-M``).

    """
    said: list[str] = []
    if not pinned:
        said += [
            f"--{name}={given[name]} is a hint: it binds only when the job is pinned with -M"
            for name in SITE_WORDS
            if given.get(name)
        ]
    if "mail-type" in given or "mail-user" in given:
        said.append("--mail-type and --mail-user are kept; the federation itself sends no mail")
    own = [_spelled(name, given[name]) for name in _OF_THE_RUN if name in given]
    if own:
        said.append(
            f"{', '.join(own)}: a run has a directory, files of output (resfed output JOB) and a "
            "comment of its own at the site, and may not find these there"
        )
    kept = [_spelled(name, given[name]) for name in given if name in KEPT]
    if kept:
        said.append(f"kept for the site, not looked at for placing: {', '.join(kept)}")
    said += [
        f"--{name} steers sbatch itself and does nothing in a job"
        for name in given
        if name in CLIENT_ONLY
    ]
    return said


def _spelled(name: str, value: str) -> str:
    return f"--{name}={value}" if value else f"--{name}"
