"""Alembic's folder: applied at start, configured in `migrate.py`, no ini file."""
