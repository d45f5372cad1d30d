"""Finelake: the command line, and below it all other packages."""

__version__ = "0.6.0"
