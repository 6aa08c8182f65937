"""The Slurm back-end: submits, looks, cancels and measures through Slurm's own commands."""
