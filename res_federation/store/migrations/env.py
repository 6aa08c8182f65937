"""Run by Alembic with the connection that `migrate.py` hands over."""

from alembic import context

from res_federation.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
