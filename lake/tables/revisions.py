"""What other commits pinned: the manifests of any Git revision, without checking it out.

A manifest is an output that DVC caches: a revision's dvc.lock holds the MD5 of its text, DVC's cache holds the text. A
manifest that is committed to Git itself (`cache: false` in dvc.yaml) is read from there.
"""

import contextlib
import functools
import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finelake.lake.errors import UserError
from finelake.lake.tables.lockfile import LOCK, digest, outputs, parse, pinned_manifests, work_tree
from finelake.lake.tables.snapshots import COMMITTED, OtherFormat, Table, parse_manifest

EXPERIMENTS = "refs/exps/"
REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
# Only the newest entry of these is a ref: the older ones are in its reflog.
STASHES = ("refs/stash", "refs/exps/stash", "refs/exps/celery/stash", "refs/exps/celery/failed")


class NothingPinned(UserError):
    """A revision without dvc.lock: no stage of the project had run yet."""


def manifests_at(root: Path, rev: str) -> dict[str, dict[str, Table]]:
    """The tables that a commit, branch, tag or DVC experiment pinned, by stage, as `snapshots.manifests` gives them.

    UserError for an unknown revision, a manifest that DVC's cache lacks, and a project outside Git; its subclass
    NothingPinned for a revision without dvc.lock.
    """
    pinned = {
        stage: parse_manifest(_output(root, rev, path, md5), f"{path} of {rev}", stage, COMMITTED)
        for stage, path, md5 in pinned_manifests(lock(root, rev))
    }
    return dict(sorted(pinned.items()))


def last_manifests(root: Path) -> dict[str, dict[str, Table]]:
    """The tables that the work tree's dvc.lock pins and its manifests do not: one was lost, altered or rewritten.

    UserError for such a manifest that neither DVC's cache nor Git's HEAD holds.
    """
    pinned: dict[str, dict[str, Table]] = {}
    for stage, path, md5 in pinned_manifests(work_tree(root)):
        here = root / path
        if not (here.is_file() and digest(here) == md5):
            text = _last(root, path, md5)
            with contextlib.suppress(OtherFormat):
                pinned |= {stage: parse_manifest(text, path, stage, COMMITTED)} if text else {}
    return pinned


def _last(root: Path, path: str, md5: str) -> str | None:
    """The text of a manifest that dvc.lock pins; None where the stage has since been run by hand only."""
    cached = _cached(root, md5)
    if cached is not None:
        return cached.read_text(encoding="utf-8")
    committed = _try_git(root, "show", f"HEAD:./{path}") if _has_git(root) else ""
    if hashlib.md5(committed.encode()).hexdigest() == md5:
        return committed
    if (root / path).is_file():
        return None
    raise UserError(f"{path}, which dvc.lock pins, is missing here and in DVC's cache; run `finelake repro`")


def output_at(root: Path, rev: str, stage: str, path: str) -> str | None:
    """The text of a stage's output file as it was at a revision; None where that stage had not written it."""
    md5 = outputs(lock(root, rev).get(stage, {})).get(path)
    return None if md5 is None else _output(root, rev, path, md5)


def _output(root: Path, rev: str, path: str, md5: str) -> str:
    cached = _cached(root, md5)
    text = _committed(root, resolve(root, rev), path) if cached is None else cached.read_text(encoding="utf-8")
    if text is None:
        raise UserError(
            f"{path} of {rev} is not in DVC's cache; fetch it with `dvc fetch --all-branches --all-tags`, "
            f"or check {rev} out and run `finelake repro`"
        )
    return text


def _cached(root: Path, md5: str) -> Path | None:
    """The file with this MD5 in DVC's cache; None where it is absent. UserError where it was altered."""
    find = _cache(root)
    path = Path(find(md5)) if find else None
    if path is None or not path.exists():
        return None
    if digest(path) != md5:
        raise UserError(f"{path} of DVC's cache was altered; delete it and run `dvc fetch` or `finelake repro`")
    return path


def _committed(root: Path, commit: str, path: str) -> str | None:
    """A file of the project as Git holds it; None where the commit has no such file."""
    # Listed first, so that a file that cannot be read is not taken for an absent one.
    listed = _git(root, "ls-tree", "--name-only", commit, f"./{path}")
    return _git(root, "show", f"{commit}:./{path}") if listed else None


def revisions(root: Path) -> dict[str, str]:
    """The commit of every ref that may pin tables, by the ref's name, which `manifests_at` understands.

    HEAD, local and remote branches, tags, stashes, and DVC's experiments, finished (exps/…/NAME) and queued. Empty
    where the project is not in a Git repository or nothing is committed yet.
    """
    if not _has_git(root):
        return {}
    # A name that a branch and a tag share comes as heads/NAME and tags/NAME, so that each name means one commit.
    refs = _git(root, "for-each-ref", "--format=%(refname:short) %(symref)").splitlines()
    names = ["HEAD", *[ref.strip() for ref in refs if ref.endswith(" ")]]
    for stash in STASHES:
        names += _try_git(root, "log", "-g", "--format=%gd", stash).split()
    commits = _git(
        root, "cat-file", "--batch-check=%(objectname)", stdin="".join(f"{name}^{{commit}}\n" for name in names)
    )
    # A name without a commit, such as HEAD before the first one, comes as "NAME missing".
    return {name: commit for name, commit in zip(names, commits.splitlines(), strict=True) if " " not in commit}


def commits(root: Path) -> list[str]:
    """Every commit that any ref reaches and that changed dvc.lock: all that was ever pinned."""
    return _git(root, "rev-list", "--all", "--", LOCK).split() if _has_git(root) else []


def resolve(root: Path, rev: str) -> str:
    """The commit id of a revision, 40 hexadecimal digits. UserError when there is no such revision."""
    if not _has_git(root):
        raise UserError(f"{root} is not in a Git repository, so it has no revision {rev}; run `git init` and commit")
    commit = _try_git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}").strip()
    return commit or _experiment(root, rev)


def _experiment(root: Path, name: str) -> str:
    listed = _git(root, "for-each-ref", "--format=%(refname) %(objectname)", EXPERIMENTS)
    for ref, commit in map(str.split, listed.splitlines()):
        if ref.rsplit("/", 1)[-1] == name:
            return commit
    raise UserError(f"Git knows no revision {name}; `git branch --all`, `git tag` and `dvc exp list` list them")


def lock(root: Path, rev: str | None = None) -> dict[str, Any]:
    """The stages in dvc.lock of the work tree or of a revision, with their deps and outs.

    UserError for a file that DVC did not write, NothingPinned where a revision has none; the work tree may have none.
    """
    if rev is None:
        return work_tree(root)
    text = _committed(root, resolve(root, rev), LOCK)
    if text is None:
        hint = "name a commit that was made after `finelake repro`"
        raise NothingPinned(f"{rev} pins no tables: it holds no {LOCK}; {hint}")
    return parse(text, rev)


@functools.cache
def _cache(root: Path) -> Callable[[str], str] | None:
    """The function from an MD5 to its file in DVC's configured cache; None where the project has no DVC."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        path_of: Callable[[str], str] = Repo(str(root)).cache.local.oid_to_path
        return path_of
    except NotDvcRepoError:
        return None


def _has_git(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def _try_git(root: Path, *arguments: str) -> str:
    """What git prints; nothing when it fails."""
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, env=_environment()).stdout


def _git(root: Path, *arguments: str, stdin: str = "") -> str:
    """What git prints. UserError when it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, input=stdin, capture_output=True, text=True, check=True, env=_environment()
        )
    except FileNotFoundError:
        raise UserError("git is not installed; install it and run this again") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise UserError(f"git {arguments[0]} failed in {root} ({reason}); repair the repository") from None
    return done.stdout


def _environment() -> dict[str, str]:
    """The environment without what Git sets for a hook: GIT_DIR and the like may name another repository."""
    return {name: value for name, value in os.environ.items() if name not in REPOSITORY}
