"""Real workloads through the very placement code that runs in production, in virtual time."""
