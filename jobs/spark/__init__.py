"""The engine: sessions, clusters, and how a table is written."""
