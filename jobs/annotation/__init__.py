"""Annotations: other tools' formats."""
