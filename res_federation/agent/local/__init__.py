"""The embedded batch system: counted nodes, EASY backfilling, real processes on this machine."""
