"""Queries on the pinned tables, in DuckDB."""
