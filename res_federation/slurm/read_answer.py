"""The answer of ``resfed script read``: what sbatch understands of a script."""

from __future__ import annotations

from typing import Any

from res_federation.slurm import script_header


def answer(name: str, script: str | bytes, directory: str = "/") -> dict[str, Any]:
    """Read *script* and return what a program can take as JSON.

    Returns:
        Keys ``name``, ``refused`` (sbatch's words, or ""), ``found`` (words of the directives),
        ``options`` (sbatch's table of defined options) and ``warnings``.

    """
    header = script_header.read(script, directory=directory)
    return {
        "name": name,
        "refused": header.refused,
        "found": list(header.found),
        "options": dict(sorted(header.options.items())),
        "warnings": list(header.warnings),
    }
