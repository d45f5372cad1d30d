"""Names and texts quoted for SQL; apart from lake/query/duck.py, so that Spark's workers need no DuckDB."""


def quoted(identifier: str) -> str:
    """An SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal."""
    return "'" + text.replace("'", "''") + "'"
