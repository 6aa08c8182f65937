"""A federation for the length of a demo: `resfed up` as a child, on a home that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from res_federation.cli.supervisor import RESFED, ready_server

START_S = 90.0
"""How long a federation may take until jobs can be submitted."""
STOP_S = 30.0


@contextmanager
def short_lived_federation(sites: Path | None, before_stop: Callable[[str], None]) -> Iterator[str]:
    """Start a federation; yield its address; end it and remove its home.

    Args:
        sites: Catalogue, or None for the default one.
        before_stop: Called with the address before it is ended, whatever happened.

    Raises:
        Unavailable: If it does not become ready; the message has its own last line.

    """
    with tempfile.TemporaryDirectory(prefix="resfed-demo-", ignore_cleanup_errors=True) as home:
        argv = [*RESFED, "up", "--home", home, "--listen", "127.0.0.1:0"]
        if sites is not None:
            argv += ["--sites", str(sites)]
        server = ready_server(argv, Path(home) / "up.log", start_s=START_S, stop_s=STOP_S)
        with server as address:
            try:
                yield address
            finally:
                before_stop(address)
