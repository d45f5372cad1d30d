"""What another commit pinned is read without checking it out."""

import subprocess
import sys

import pytest

from finelake.lake.errors import UserError
from finelake.lake.tables import revisions, snapshots
from finelake.lake.tables.snapshots import Table

OLD, NEW = (Table("clean/records", rows, "a" * 32, "b" * 32) for rows in (1, 2))


def git(folder, *arguments: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def pin(root, table: Table, message: str) -> str:
    """Pin a table in DVC and commit; the id of the commit."""
    snapshots.write_manifest(root, "clean", {"records": table})
    subprocess.run([sys.executable, "-m", "dvc", "commit", "--quiet", "--force"], cwd=root, check=True)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)
    return git(root, "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A project in a subfolder of its repository: tag `old`, then branch `main`; (root, commit of old, of main)."""
    top = tmp_path_factory.mktemp("repository")
    root = top / "project"
    root.mkdir()
    git(top, "init", "--quiet", "--initial-branch", "main")
    (top / "README").write_text("empty\n")
    git(top, "add", "README")
    git(top, "commit", "--quiet", "--message", "start")
    git(top, "branch", "empty")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--subdir"], cwd=root, check=True)
    (root / "dvc.yaml").write_text("stages:\n  clean:\n    cmd: run\n    outs: [snapshots/clean.json]\n")
    (root / ".gitignore").write_text("/snapshots/\n")
    first = pin(root, OLD, "first")
    git(top, "tag", "--annotate", "old", "--message", "the old one")
    second = pin(root, NEW, "second")
    git(top, "update-ref", f"refs/exps/{second[:2]}/{second[2:]}/puffy-mane", first)
    return root, first, second


def test_each_revision_names_what_it_pinned(repository):
    root, first, second = repository
    assert revisions.manifests_at(root, "main") == {"clean": {"records": NEW}}
    for rev in ("old", first[:10], "main~1", "puffy-mane"):
        assert revisions.manifests_at(root, rev) == {"clean": {"records": OLD}}


def test_every_ref_is_listed_with_its_commit(repository):
    root, first, second = repository
    start = git(root, "rev-parse", "empty").strip()
    assert revisions.revisions(root) == {
        "HEAD": second,
        "main": second,
        "empty": start,
        "old": first,
        f"exps/{second[:2]}/{second[2:]}/puffy-mane": first,
    }


def test_each_stash_and_each_of_two_like_named_refs_is_listed(repository, tmp_path):
    git(tmp_path, "clone", "--quiet", repository[0].parent, "clone")
    clone = tmp_path / "clone"
    for text in ("one", "two"):
        (clone / "README").write_text(text)
        git(clone, "stash")
    git(clone, "tag", "main", "old")
    found = revisions.revisions(clone / "project")
    assert set(found) == {"HEAD", "heads/main", "tags/main", "old", "origin/main", "origin/empty"} | {
        "stash",
        "stash@{0}",
        "stash@{1}",
    }
    assert found["stash@{0}"] == found["stash"] != found["stash@{1}"]
    assert (found["heads/main"], found["tags/main"]) == (repository[2], repository[1])


def test_a_manifest_that_git_holds_needs_no_cache(repository, tmp_path):
    git(tmp_path, "clone", "--quiet", repository[0].parent, "clone")
    root = tmp_path / "clone" / "project"
    with pytest.raises(UserError, match="clean.json of main is not in DVC's cache; fetch it with `dvc fetch"):
        revisions.manifests_at(root, "main")
    snapshots.write_manifest(root, "clean", {"records": OLD})
    git(root, "add", "--force", "snapshots/clean.json")
    git(root, "commit", "--quiet", "--message", "manifest in Git")
    assert revisions.manifests_at(root, "main") == {"clean": {"records": OLD}}


def test_unknown_and_empty_revisions_are_distinguished(repository):
    root = repository[0]
    with pytest.raises(UserError, match="Git knows no revision no-such"):
        revisions.manifests_at(root, "no-such")
    with pytest.raises(revisions.NothingPinned, match="empty pins no tables: it holds no dvc.lock") as error:
        revisions.manifests_at(root, "empty")
    assert isinstance(error.value, UserError)


def test_an_unreadable_lock_file_is_not_treated_as_missing(repository, tmp_path):
    git(tmp_path, "clone", "--quiet", repository[0].parent, "clone")
    root = tmp_path / "clone" / "project"
    blob = git(root, "rev-parse", "HEAD:./dvc.lock").strip()
    (tmp_path / "clone" / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(UserError, match="git show failed") as error:
        revisions.manifests_at(root, "main")
    assert not isinstance(error.value, revisions.NothingPinned)


def test_a_folder_outside_git_has_no_revisions(tmp_path):
    assert revisions.revisions(tmp_path) == {}
    with pytest.raises(UserError, match="is not in a Git repository"):
        revisions.manifests_at(tmp_path, "main")


def test_a_repository_without_a_commit_has_no_revisions(tmp_path):
    git(tmp_path, "init", "--quiet")
    assert revisions.revisions(tmp_path) == {}


def test_a_broken_repository_is_an_error_and_not_an_empty_one(tmp_path):
    (tmp_path / ".git").mkdir()
    with pytest.raises(UserError, match="git for-each-ref failed"):
        revisions.revisions(tmp_path)


def test_a_manifest_altered_in_the_cache_is_named(repository):
    root, first, _ = repository
    md5 = revisions.outputs(revisions.lock(root, "old")["clean"])["snapshots/clean.json"]
    cached = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    content, mode = cached.read_text(), cached.stat().st_mode
    cached.chmod(0o644)
    cached.write_text(content.replace('"rows": 1', '"rows": 9'))
    with pytest.raises(UserError, match=f"{md5[2:]} of DVC's cache was altered; delete it"):
        revisions.manifests_at(root, "old")
    cached.write_text(content)
    cached.chmod(mode)
    assert revisions.manifests_at(root, "old") == {"clean": {"records": OLD}}
