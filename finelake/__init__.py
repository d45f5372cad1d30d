"""Finelake: the command line, and below it all other packages."""

import sys
from importlib.util import find_spec
from pathlib import Path

__version__ = "0.6.0"


def _check_packages() -> None:
    """ImportError where this file and the packages below it are of two Finelakes, or there are none.

    In a checkout, `python -m` takes this folder from there, whatever is installed.
    """
    here = Path(__file__).parent
    spec = find_spec(f"{__name__}.lake")
    found = Path((spec and spec.submodule_search_locations or [""])[0]).parent
    if found not in (here, here.parent):
        installed = next((path for path in sys.path if Path(path, "finelake", "lake").is_dir()), None)
        raise ImportError(
            f"{here} is a checkout's part of Finelake and hides the one in {installed or found}; run this in another "
            f"folder or as `python -P`, or install the checkout with `pip install --editable {here.parent}`",
            name=__name__,  # by which `python -m` reports it on one line
        )


_check_packages()
