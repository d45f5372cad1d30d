"""What programs below Finelake keep outside the project, kept where only the user can enter."""

import contextlib
import os
from pathlib import Path

DVC_DATABASES = "DVC_SITE_CACHE_DIR"  # DVC's own variable


def keep_dvc_private() -> None:
    """Have DVC keep its databases in the user's own folder.

    They may hold pickles (CVE-2025-69872), and DVC's own choice is a folder of /var/tmp where every user can write.
    Without a home folder that can be written, as in a container, that choice stands.
    """
    if DVC_DATABASES in os.environ:
        return
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finelake"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        os.environ[DVC_DATABASES] = str(folder / "dvc")
