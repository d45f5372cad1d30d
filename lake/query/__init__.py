"""Questions to the pinned tables, in DuckDB."""
