"""The database: tables, event log, one transaction a step. The only room that imports SQLAlchemy."""
