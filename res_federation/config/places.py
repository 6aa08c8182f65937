"""Where things are when nobody says: the home of the state, the catalogue of sites."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from res_federation.errors import InvalidArgument

HOME_VARIABLE = "RESFED_HOME"
SITES_VARIABLE = "RESFED_SITES"
_SHIPPED = Path(__file__).resolve().parents[2] / "sites"
"""The catalogue of the checkout that this code runs from."""


def resfed_home(environment: Mapping[str, str] | None = None) -> Path:
    """Return the directory of the state: ``RESFED_HOME``, else ``resfed`` in the user's state.

    The user's state directory is ``XDG_STATE_HOME``, else ``~/.local/state``. Creates nothing.

    Args:
        environment: In place of the process's own.

    Raises:
        InvalidArgument: If none of them is known.

    """
    words = os.environ if environment is None else environment
    if words.get(HOME_VARIABLE):
        return _expanded(words[HOME_VARIABLE], words, HOME_VARIABLE)
    if words.get("XDG_STATE_HOME", "").startswith("/"):  # the standard: a relative one is ignored
        return Path(words["XDG_STATE_HOME"]) / "resfed"
    return _expanded("~/.local/state/resfed", words, HOME_VARIABLE)


def _expanded(text: str, words: Mapping[str, str], field: str) -> Path:
    if text != "~" and not text.startswith("~/"):
        return Path(text)
    if not words.get("HOME"):
        raise InvalidArgument(
            f"'{text}' needs a home directory, and HOME is not set",
            field=field,
            way_out=f"set {field} to a directory, or give --home",
        )
    return Path(words["HOME"]) / text[2:]


def default_sites(environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> Path:
    """Return the catalogue: ``RESFED_SITES``, else ``sites`` here, else the checkout's own.

    Args:
        environment: In place of the process's own.
        cwd: In place of the current directory.

    Raises:
        InvalidArgument: If there is none.

    """
    words = os.environ if environment is None else environment
    if words.get(SITES_VARIABLE):
        return _expanded(words[SITES_VARIABLE], words, SITES_VARIABLE)
    for place in ((cwd or Path.cwd()) / "sites", _SHIPPED):
        if any(place.glob("*/site.toml")):
            return place
    raise InvalidArgument(
        "there is no catalogue of sites here", way_out=f"name one with --sites or {SITES_VARIABLE}"
    )
