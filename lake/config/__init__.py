"""A project's settings and typed parameters."""
