"""Brings a database to the newest tables, in one transaction."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from res_federation.errors import FailedPrecondition


def configuration(connection: Connection) -> Config:
    """Return Alembic's settings; the scripts are inside the package."""
    config = Config()
    config.set_main_option("script_location", "res_federation.store:migrations")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Apply every migration that is missing.

    Raises:
        FailedPrecondition: If the database was made by a newer version of this program.

    """
    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in known:
        raise FailedPrecondition(
            f"the database has tables of version {present}, which this program does not know",
            field="--db",
            way_out="install the newer version again, or use another database",
        )
    command.upgrade(config, "head")
