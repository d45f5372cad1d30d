"""Sources: databases, files, documents and APIs, up to raw rows."""
