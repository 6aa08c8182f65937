"""What no translation of directives can carry over: words in the body that mean one site."""

from __future__ import annotations

import re

from res_federation.slurm import script_header

_MOST = 8
"""Lines named for each kind; the rest are counted."""
_PATH = re.compile(
    r"(?<![\w.$}{/~:=-])/(?:gpfs|mnt|lustre|scratch|home|work|projects?|data|store|apps|opt|"
    r"cluster|fscratch|beegfs|nfs|storage|users?|share[sd]?|soft\w*)[0-9]?/[^\s\"'`;|&<>()]*"
    r"|(?<=[=:\"'])/(?:gpfs|mnt|lustre|scratch|home|work|projects?|data|store|apps|opt|cluster|"
    r"fscratch|beegfs|nfs|storage|users?|share[sd]?|soft\w*)[0-9]?/[^\s\"'`;|&<>()]*"
)
_MODULE = re.compile(r"^\s*(?:module|ml)\s+((?:load|swap|add|use|purge|\w).*)$")
_COMMAND = re.compile(
    r"(?:^|[;|&(`]|\$\()\s*(?:exec\s+|time\s+|sudo\s+)?"
    r"(sbatch|salloc|squeue|scancel|scontrol|sacct|sinfo|sacctmgr|sstat|sshare|sprio)\b"
)
_PATH_OPTIONS = ("output", "error", "chdir", "input")


def losses(script: str, options: dict[str, str]) -> tuple[str, ...]:
    """Warn of site paths, module loads, scheduler commands and mail; each with its lines.

    Args:
        script: The whole script.
        options: As given, by long name.

    """
    found: dict[str, list[str]] = {"path": [], "module": [], "command": []}
    first = script_header.body_line(script)
    for number, line in enumerate(script.split("\n")[first - 1 :], first):
        text = line.lstrip()
        if not text or text[0] == "#":
            continue
        for kind, pattern in (("path", _PATH), ("module", _MODULE), ("command", _COMMAND)):
            hit = pattern.search(line)
            if hit:
                word = hit.group(hit.lastindex or 0).strip()
                found[kind].append(f"line {number} ({word[:60]})")
    said = [
        f"{what}: {_some(found[kind])}"
        for kind, what in (
            ("path", "absolute paths of a site in the script"),
            ("module", "modules are loaded, which may have other names there"),
            ("command", "the script calls the batch system itself"),
        )
        if found[kind]
    ]
    said += [
        f"--{name}={options[name]} is an absolute path, which may not exist there"
        for name in _PATH_OPTIONS
        if options.get(name, "").startswith("/") and options[name] != "/dev/null"
    ]
    if "mail-type" in options or "mail-user" in options:
        said.append("--mail-type and --mail-user: whether mail is sent is up to the site")
    return tuple(said)


def _some(hits: list[str]) -> str:
    more = f" and {len(hits) - _MOST} more" if len(hits) > _MOST else ""
    return ", ".join(hits[:_MOST]) + more
