"""The command line: the only code that knows the other packages."""

__version__ = "0.5.0"
