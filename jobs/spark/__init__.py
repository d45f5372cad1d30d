"""The engine: sessions, clusters, and the commit of a table."""
