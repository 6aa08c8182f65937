"""Files and environment into checked values. The only room that imports pydantic and tomllib."""
