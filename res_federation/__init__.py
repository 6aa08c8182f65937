"""RES Federation: one endpoint before the supercomputers of the Red Española de Supercomputación."""
