"""DVC's databases are where no other user can write."""

import os
import subprocess
import sys

from finelake.lake.private import keep_dvc_private


def test_dvc_keeps_its_databases_where_only_the_user_can_enter(tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".cache" / "finelake").mkdir(parents=True, mode=0o755)
    (tmp_path / "project").mkdir()
    keep_dvc_private()
    for command in (["init", "--quiet", "--no-scm"], ["status", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path / "project", check=True)
    folder = tmp_path / "home" / ".cache" / "finelake"
    assert os.environ["DVC_SITE_CACHE_DIR"] == str(folder / "dvc")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list((folder / "dvc" / "repo").iterdir())


def test_a_configured_folder_of_dvc_is_kept_and_an_unwritable_home_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "/chosen")
    keep_dvc_private()
    assert os.environ["DVC_SITE_CACHE_DIR"] == "/chosen"
    (tmp_path / "file").touch()
    monkeypatch.delenv("DVC_SITE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_dvc_private()
    assert "DVC_SITE_CACHE_DIR" not in os.environ
