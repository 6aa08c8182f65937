"""Real Slurm clusters on this machine, on loopback, for tests, benchmarks and trying things."""
