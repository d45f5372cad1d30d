"""Show the repository's folders as they are installed: links in .venv/tree, for tools that look for files.

mypy and import-linter find a package by its folder, and finelake.jobs lies in jobs/, not in finelake/jobs/.
"""

import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / ".venv" / "tree"


def main() -> None:
    """Make the tree anew from the package-dir of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = dict(settings["tool"]["setuptools"]["package-dir"])
    shutil.rmtree(TREE, ignore_errors=True)
    top = folders.pop("finelake")
    (TREE / "finelake").mkdir(parents=True)
    for path in (ROOT / top).iterdir():
        if path.name != "__pycache__":
            (TREE / "finelake" / path.name).symlink_to(path)
    for package, folder in folders.items():
        TREE.joinpath(*package.split(".")).symlink_to(ROOT / folder)


if __name__ == "__main__":
    main()
