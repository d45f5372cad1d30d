"""Limits of a process (`ulimit`) below which the native libraries abort or hang instead of raising an error."""

import resource

from finelake.lake.errors import UserError

MB = 1 << 20
# Measured on two cores: at 1500 MB the threads of DuckDB and delta-rs abort, 2000 MB suffice. More cores start more
# threads; how much those need is not measured, so higher limits are accepted.
LEAST_ADDRESSES = 2048 * MB
LEAST_FILE = 16 * MB  # what DVC's databases and Spark's shuffle files may take


def check() -> None:
    """UserError for a limit under which no command works."""
    _require(resource.RLIMIT_AS, LEAST_ADDRESSES, "the address space of a process", "ulimit -v")
    _require(resource.RLIMIT_FSIZE, LEAST_FILE, "the size of a file", "ulimit -f")


def _require(limit: int, least: int, what: str, command: str) -> None:
    allowed, _ = resource.getrlimit(limit)
    if allowed != resource.RLIM_INFINITY and allowed < least:
        raise UserError(
            f"{what} is limited to {allowed // MB:,} MB (`{command}`), which is too little for the libraries that "
            f"Finelake uses; raise the limit to {least // MB:,} MB or remove it"
        )
