"""Where the tools that Finelake runs keep data outside the project: in a folder that only the user can enter."""

import contextlib
import os
from pathlib import Path

DVC_DATABASES = "DVC_SITE_CACHE_DIR"  # DVC's own variable


def keep_dvc_private() -> None:
    """Have DVC keep its databases in the user's own folder.

    They may hold pickles (CVE-2025-69872), and DVC's default is a folder of /var/tmp where every user can write.
    Without a writable home folder, as in a container, the default stays.
    """
    if os.environ.get(DVC_DATABASES):
        return
    with contextlib.suppress(OSError, RuntimeError):
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "")
        if not cache.is_absolute():  # the specification says to ignore relative ones
            cache = Path.home() / ".cache"
        if not cache.parent.is_dir():
            return
        folder = cache / "finelake"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        os.environ[DVC_DATABASES] = str(folder / "dvc")
