"""Which extra of Finelake brings a module that is not installed."""

import re
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from finelake.lake.errors import UserError

# Modules that are not called as their package is.
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
    """The sentence for a module that an extra brings; None for any other, and for a part of a package that is there."""
    module = (error.name or "").partition(".")[0]
    if not module or _is_there(module):
        return None
    extra = extra_of(PACKAGES.get(module, module))
    return UserError(f"{module} is not installed; install it with `pip install 'finelake[{extra}]'`") if extra else None


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # None stands for it in sys.modules
        return False


def extra_of(package: str) -> str | None:
    """The first extra in pyproject.toml that requires a package; None where none does."""
    try:
        lines = requires("finelake") or ()
    except PackageNotFoundError:
        return None
    for line in lines:
        requirement = Requirement(line)
        found = re.search(r"""extra == ["']([\w-]+)["']""", str(requirement.marker or ""))
        if found and canonicalize_name(requirement.name) == canonicalize_name(package):
            return found[1]
    return None
