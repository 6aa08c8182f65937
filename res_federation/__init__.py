"""RES Federation: one endpoint before the Red Española de Supercomputación."""
