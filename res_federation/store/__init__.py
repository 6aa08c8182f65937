"""The database: tables, event log, one transaction a step. Only this room imports SQLAlchemy."""
