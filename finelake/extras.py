"""The extra of Finelake that provides a module which is not installed."""

import re
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from finelake.lake.errors import UserError

# Modules whose package has another name.
PACKAGES = {
    "cv2": "rapidocr",
    "dateutil": "python-dateutil",
    "delta": "delta-spark",
    "docx": "python-docx",
    "fontTools": "fonttools",
    "PIL": "pillow",
    "py4j": "pyspark",
    "sklearn": "scikit-learn",
    "stdnum": "python-stdnum",
}


def missing(error: ModuleNotFoundError) -> UserError | None:
    """The error for a module that an extra provides; None for any other, and for a part of an installed package."""
    module = (error.name or "").partition(".")[0]
    if not module or _is_installed(module):
        return None
    extra = extra_of(PACKAGES.get(module, module))
    return UserError(f"{module} is not installed; install it with `pip install 'finelake[{extra}]'`") if extra else None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # its entry in sys.modules is None
        return False


def extra_of(package: str) -> str | None:
    """The first extra in pyproject.toml that requires a package; None where none does."""
    try:
        lines = requires("finelake") or ()
    except PackageNotFoundError:
        return None
    for line in lines:
        requirement = Requirement(line)
        extra = re.search(r"""extra == ["']([\w-]+)["']""", str(requirement.marker or ""))
        if extra and canonicalize_name(requirement.name) == canonicalize_name(package):
            return extra[1]
    return None
