"""Readers of workload traces, one a format, each counting what it repaired and dropped."""
