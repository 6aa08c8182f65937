"""Slurm as text: builds argv and scripts, reads output and `#SBATCH` headers. Runs nothing."""
