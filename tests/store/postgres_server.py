"""A real PostgreSQL for tests: a unix socket in a temporary directory, no TCP, no root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

PACKAGE = "postgresql"
_SUPERUSER = "tester"
# Not fsync: it stays on, for tests cut the server off and count what it had acknowledged.
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "logging_collector": "off",
}


class PostgresServer:
    """A server that makes a new database for whoever asks."""

    def __init__(self, program: Path, home: Path, person: dict[str, Any]) -> None:
        self._program = program
        self._home = home
        self._person = person
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._emptied = ""

    @property
    def data(self) -> Path:
        return self._home / "data"

    def start(self) -> None:
        """Start the server, if it does not run, and wait until it answers."""
        if self._process is not None:
            return
        settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-D", self.data, "-k", self._home, *settings],
                stdout=log, stderr=log, cwd=self._home, **self._person,
            )  # fmt: skip
        for _ in range(300):
            if self._process.poll() is not None:
                break
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"PostgreSQL did not start:\n{(self._home / 'log').read_text()}")

    def cut_off(self) -> None:
        """End the server at once, as a crash would: it recovers from its log when it starts."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)

    def url(self, database: str = "postgres", options: str = "") -> str:
        return f"postgresql://{_SUPERUSER}@/{database}?host={self._home}{options}"

    def new_database(self, options: str = "") -> str:
        """Make a database; return its URL."""
        name = f"federation_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return self.url(name)

    def empty_database(self) -> str:
        """Return the URL of the one database that is emptied for each: much faster than a new one.

        Its sessions are ended first, for one that was left behind would keep the next broker out.
        """
        if not self._emptied:
            self._emptied = self.new_database()
        name = self._emptied.partition("?")[0].rpartition("/")[2]
        others = f"FROM pg_stat_activity WHERE datname = '{name}'"
        self.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")
        self.execute("DROP SCHEMA public CASCADE", name)
        self.execute("CREATE SCHEMA public", name)
        return self._emptied

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser, outside of any transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as session:
            found = session.execute(statement.encode())
            return found.fetchall() if found.description else []


@contextmanager
def postgres_server(requires: Callable[[str, str], Path]) -> Iterator[PostgresServer]:
    """Start a server and end it, by its own process."""
    initdb, postgres = requires("initdb", PACKAGE), requires("postgres", PACKAGE)
    # pytest's own directories are closed to the user that the server runs as.
    home = Path(tempfile.mkdtemp(prefix="resfed-pg-"))
    try:
        person = _person(home)
        data = home / "data"
        subprocess.run(
            [
                initdb, "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C",
                f"--username={_SUPERUSER}", "--pgdata", data,
            ],
            check=True, capture_output=True, cwd=home, **person,
        )  # fmt: skip
        server = PostgresServer(postgres, home, person)
        try:
            server.start()
            yield server
        finally:
            server.cut_off()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _person(home: Path) -> dict[str, Any]:
    """Tell Popen who the server runs as: PostgreSQL refuses to be root."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(home, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
